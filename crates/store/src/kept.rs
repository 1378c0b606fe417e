//! PostgreSQL connections that the lanes keep between two statements.
//!
//! The pool asks each connection that comes back to it whether it lives: a round trip
//! that a lane would pay with every statement.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sea_orm::DatabaseConnection;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, Postgres};

use crate::pools::STALE;

/// One per lane.
const MOST: usize = 2;

/// What is kept, and since when it rests.
pub(crate) struct Kept {
    most: usize,
    connections: Mutex<Vec<(PoolConnection<Postgres>, Instant)>>,
}

impl Kept {
    /// For a pool of this size; a small one keeps all it has for everybody.
    pub(crate) fn new(max_connections: u32) -> Self {
        let is_small = max_connections < 5;
        Self {
            most: if is_small { 0 } else { MOST },
            connections: Mutex::default(),
        }
    }

    /// One that was kept a moment ago, or one of the pool.
    pub(crate) async fn take(
        &self,
        pool: &DatabaseConnection,
    ) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        // An old one goes back to the pool, which finds out whether it lives.
        match self.lock().pop() {
            Some((connection, since)) if since.elapsed() < STALE => return Ok(connection),
            _ => {}
        }
        pool.get_postgres_connection_pool().acquire().await
    }

    /// Keeps one whose last statement succeeded.
    pub(crate) fn keep(&self, connection: PoolConnection<Postgres>) {
        let mut connections = self.lock();
        if connections.len() < self.most {
            connections.push((connection, Instant::now()));
        }
    }

    /// Leaves all of them to the pool.
    pub(crate) fn give_back(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(PoolConnection<Postgres>, Instant)>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}
