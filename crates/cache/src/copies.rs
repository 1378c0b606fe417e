//! Copies of values whose first stands in the database.

use std::time::Duration;

use redis::{Cmd, cmd};

use crate::link::as_millis;
use crate::{Cache, CacheError};

/// A copy that others look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// The token of the platform's own Facturify account. Its key is the one that
    /// integrations know, without our prefix: `facturify:auth:token`.
    FacturifyToken,
}

impl Copy {
    const fn key(self) -> &'static str {
        match self {
            Self::FacturifyToken => "facturify:auth:token",
        }
    }
}

impl Cache {
    /// Writes a copy that ends with what it is a copy of; one without time left is taken away.
    ///
    /// The value must be sealed: whoever reads Redis reads it.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn publish(&self, copy: Copy, sealed: &str, ttl: Duration) -> Result<(), CacheError> {
        let ttl_ms = as_millis(ttl);
        if ttl_ms == 0 {
            return self.withdraw(copy).await;
        }
        let mut set = cmd("SET");
        set.arg(copy.key()).arg(sealed).arg("PX").arg(ttl_ms);
        self.link.query(&set).await
    }

    /// Takes a copy away.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn withdraw(&self, copy: Copy) -> Result<(), CacheError> {
        self.link.query(&Cmd::del(copy.key())).await
    }
}
