//! One connection to Redis that comes back, and that is not waited for while it is away.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, Cmd, FromRedisValue, IntoConnectionInfo as _, Pipeline, RedisError, ScriptInvocation,
};

use crate::{CacheError, CacheOptions, ConnectError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// After a call without an answer one call per pause asks again; the others are
/// told at once, or each of them would wait for a server that hangs.
const PAUSE: Duration = Duration::from_millis(500);
/// A peer that vanished is given up after this long; the default is a quarter of an hour.
const SILENCE: Duration = Duration::from_secs(5);

/// The connection.
pub(crate) struct Link {
    manager: ConnectionManager,
    born: Instant,
    /// Milliseconds after `born` at which Redis is asked again; 0 while it answers.
    ask_again_at: AtomicU64,
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
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_user_timeout(SILENCE);
        let address = url.into_connection_info().map_err(|_| ConnectError::Url)?;
        let client = Client::open(address.set_tcp_settings(tcp)).map_err(|_| ConnectError::Url)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(options.response_timeout));
        let manager = ConnectionManager::new_lazy_with_config(client, config);
        Ok(Self {
            manager: manager.map_err(|_| ConnectError::Url)?,
            born: Instant::now(),
            ask_again_at: AtomicU64::new(0),
        })
    }

    /// Sends a command that may be sent twice: again at once if the connection turns out broken.
    pub(crate) async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, CacheError> {
        self.enter()?;
        let answer = match cmd.query_async(&mut self.manager.clone()).await {
            Err(error) if is_broken(&error) => cmd.query_async(&mut self.manager.clone()).await,
            answer => answer,
        };
        self.leave(answer)
    }

    /// Sends commands that may be sent twice.
    pub(crate) async fn pipeline(&self, commands: &Pipeline) -> Result<(), CacheError> {
        self.enter()?;
        let answer = match commands.query_async(&mut self.manager.clone()).await {
            Err(error) if is_broken(&error) => {
                commands.query_async(&mut self.manager.clone()).await
            }
            answer => answer,
        };
        self.leave(answer)
    }

    /// Sends a command that must not be sent twice: without an answer nobody knows
    /// whether it was done.
    pub(crate) async fn query_once<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, CacheError> {
        self.enter()?;
        let answer = cmd.query_async(&mut self.manager.clone()).await;
        self.leave(answer)
    }

    /// Calls a script that may be called twice.
    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, CacheError> {
        self.enter()?;
        let answer = match script.invoke_async(&mut self.manager.clone()).await {
            Err(error) if is_broken(&error) => script.invoke_async(&mut self.manager.clone()).await,
            answer => answer,
        };
        self.leave(answer)
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
