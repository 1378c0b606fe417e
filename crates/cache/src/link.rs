//! One connection to Redis that comes back, and that is not waited for while it is away.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::{Cmd, FromRedisValue, Pipeline, RedisError, ScriptInvocation};
use servers::Server;

use crate::wire::{Wire, is_elsewhere};
use crate::{CacheError, CacheOptions, ConnectError};

/// After a call without an answer one call per pause asks again; the others are
/// told at once, or each of them would wait for a server that hangs.
const PAUSE: Duration = Duration::from_millis(500);

/// The connection.
pub(crate) struct Link {
    wire: Wire,
    born: Instant,
    /// Milliseconds after `born` at which Redis is asked again; 0 while it answers.
    ask_again_at: AtomicU64,
}

/// What is said to Redis.
#[derive(Clone, Copy)]
enum Words<'a> {
    Command(&'a Cmd),
    Commands(&'a Pipeline),
    Script(&'a ScriptInvocation<'a>),
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("ask_again_at", &self.ask_again_at)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Nothing is opened yet.
    pub(crate) fn open(url: &str, options: &CacheOptions) -> Result<Self, ConnectError> {
        let server = Server::parse(url).ok_or(ConnectError::Url)?;
        Ok(Self {
            wire: Wire::new(server, options.response_timeout),
            born: Instant::now(),
            ask_again_at: AtomicU64::new(0),
        })
    }

    /// Sends a command that may be sent twice: again at once if the connection turns out broken.
    pub(crate) async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, CacheError> {
        self.twice(Words::Command(cmd)).await
    }

    /// Sends commands that may be sent twice.
    pub(crate) async fn pipeline(&self, commands: &Pipeline) -> Result<(), CacheError> {
        self.twice(Words::Commands(commands)).await
    }

    /// Calls a script that may be called twice.
    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, CacheError> {
        self.twice(Words::Script(script)).await
    }

    /// Sends a command that must not be sent twice: without an answer nobody knows
    /// whether it was done.
    pub(crate) async fn query_once<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, CacheError> {
        self.enter()?;
        let words = Words::Command(cmd);
        let answer = match self.once(words).await {
            Err(error) if is_elsewhere(&error) => self.once(words).await,
            answer => answer,
        };
        self.leave(answer)
    }

    async fn twice<T: FromRedisValue>(&self, words: Words<'_>) -> Result<T, CacheError> {
        self.enter()?;
        let answer = match self.once(words).await {
            Err(error) if is_broken(&error) || is_elsewhere(&error) => self.once(words).await,
            answer => answer,
        };
        self.leave(answer)
    }

    async fn once<T: FromRedisValue>(&self, words: Words<'_>) -> Result<T, RedisError> {
        let connection = self.wire.connection().await?;
        let redis = &mut connection.clone();
        let answer = match words {
            Words::Command(cmd) => cmd.query_async(redis).await,
            Words::Commands(commands) => commands.query_async(redis).await,
            Words::Script(script) => script.invoke_async(redis).await,
        };
        if let Err(error) = &answer {
            self.wire.watch(&connection, error).await;
        }
        answer
    }

    /// Passes while Redis answers, and for one caller per pause while it does not.
    fn enter(&self) -> Result<(), CacheError> {
        let ask_again_at = self.ask_again_at.load(Ordering::Relaxed);
        if ask_again_at == 0 {
            return Ok(());
        }
        let now = self.uptime();
        let next = now + as_millis(PAUSE);
        let order = Ordering::Relaxed;
        let is_the_one = now >= ask_again_at
            && self
                .ask_again_at
                .compare_exchange(ask_again_at, next, order, order)
                .is_ok();
        if is_the_one {
            Ok(())
        } else {
            Err(CacheError::Away)
        }
    }

    fn leave<T>(&self, answer: Result<T, RedisError>) -> Result<T, CacheError> {
        let answer = answer.map_err(CacheError::from);
        let ask_again_at = match &answer {
            Err(CacheError::Unreachable(_)) => self.uptime() + as_millis(PAUSE),
            _ => 0,
        };
        self.ask_again_at.store(ask_again_at, Ordering::Relaxed);
        answer
    }

    fn uptime(&self) -> u64 {
        as_millis(self.born.elapsed())
    }
}

/// Whether the connection was found broken, as after a restart of Redis; not if
/// it is silent, for then the wait was long enough.
fn is_broken(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_timeout()
}

/// Whole milliseconds, as Redis takes them.
pub(crate) fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
