//! The queues on one Redis, and one of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{Cmd, FromRedisValue, Value};
use secrecy::ExposeSecret as _;
use servers::Server;

use crate::bus::Bus;
use crate::consumer::{Consumer, ConsumerOptions};
use crate::error::{ConnectError, QueueError};
use crate::link::Link;
use crate::name::QueueName;
use crate::record::Record;
use crate::script::{Keys, Script};
use crate::settings::{ConnectOptions, QueueSettings};

/// All queues on one Redis: one per process, cheap to clone.
///
/// It holds one connection for commands, one more per [`Consumer`] that waits
/// for work, and one for events once somebody needs them.
#[derive(Clone, Debug)]
pub struct Queues {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    link: Arc<Link>,
    /// In a cluster each queue has its own.
    links: Mutex<HashMap<QueueName, Arc<Link>>>,
    bus: Arc<Bus>,
    prefix: String,
    defaults: QueueSettings,
    settings: HashMap<QueueName, QueueSettings>,
    clock_offset_ms: Arc<AtomicI64>,
}

/// One queue; cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(crate) core: Arc<Core>,
}

/// What every part of a queue works with.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) name: QueueName,
    pub(crate) settings: QueueSettings,
    pub(crate) keys: Keys,
    pub(crate) link: Arc<Link>,
    pub(crate) bus: Arc<Bus>,
    clock_offset_ms: Arc<AtomicI64>,
}

impl Queues {
    /// Connects, and checks that Redis keeps what it is given and knows what the scripts need.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Url`] and [`ConnectError::Prefix`] if the options are wrong,
    /// [`ConnectError::Unreachable`] if nobody answers (or refuses us),
    /// [`ConnectError::Evicts`] for any `maxmemory-policy` but `noeviction`,
    /// [`ConnectError::TooOld`] below Redis 6.2.
    pub async fn connect(options: ConnectOptions) -> Result<Self, ConnectError> {
        if !is_prefix(&options.prefix) {
            return Err(ConnectError::Prefix(options.prefix));
        }
        let server = Server::parse(options.url.expose_secret()).ok_or(ConnectError::Url)?;
        let link = Arc::new(Link::new(
            server,
            options.client_name,
            options.response_timeout,
        ));
        check(&link).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                bus: Arc::new(Bus::new(Arc::clone(&link))),
                link,
                links: Mutex::default(),
                prefix: options.prefix,
                defaults: options.defaults,
                settings: options.queues,
                clock_offset_ms: Arc::default(),
            }),
        })
    }

    /// The queue with this name. Nothing is asked of Redis: a queue is there once a job is.
    #[must_use]
    pub fn queue(&self, name: &QueueName) -> Queue {
        let shared = &self.shared;
        let settings = shared.settings.get(name).unwrap_or(&shared.defaults);
        Queue {
            core: Arc::new(Core {
                name: name.clone(),
                settings: settings.clone(),
                keys: Keys::new(&shared.prefix, name),
                link: shared.link_of(name),
                bus: Arc::clone(&shared.bus),
                clock_offset_ms: Arc::clone(&shared.clock_offset_ms),
            }),
        }
    }

    /// How long Redis takes to answer.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unreachable`] if it does not.
    pub async fn ping(&self) -> Result<Duration, QueueError> {
        let asked_at = Instant::now();
        self.shared
            .link
            .query::<String>(&redis::cmd("PING"))
            .await?;
        Ok(asked_at.elapsed())
    }

    #[cfg(feature = "testing")]
    pub(crate) fn move_clock_by(&self, millis: i64) {
        self.shared
            .clock_offset_ms
            .fetch_add(millis, Ordering::Relaxed);
    }
}

impl Shared {
    fn link_of(&self, name: &QueueName) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(name) {
            return Arc::clone(link);
        }
        let Some(link) = self.link.to_keeper_of(&Keys::tag(&self.prefix, name)) else {
            return Arc::clone(&self.link);
        };
        Arc::clone(links.entry(name.clone()).or_insert_with(|| Arc::new(link)))
    }
}

impl Queue {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &QueueName {
        &self.core.name
    }

    /// What it is like.
    #[must_use]
    pub fn settings(&self) -> &QueueSettings {
        &self.core.settings
    }

    /// This queue as an apalis backend. It claims nothing until a worker runs on
    /// it; see [`run`](crate::run).
    #[must_use]
    pub fn consumer<A>(&self, options: ConsumerOptions) -> Consumer<A> {
        Consumer::new(Arc::clone(&self.core), options)
    }
}

impl Core {
    /// A call of a script; the caller adds its own arguments.
    pub(crate) fn script(&self, script: &Script) -> Cmd {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(script.hash())
            .arg(self.keys.fixed.len())
            .arg(&self.keys.fixed)
            .arg(&self.keys.base)
            .arg(self.clock_offset_ms.load(Ordering::Relaxed))
            .arg(self.settings.keep_events);
        cmd
    }

    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        script: &Script,
        cmd: &Cmd,
    ) -> Result<T, QueueError> {
        let answer = self.link.call(script, cmd).await?;
        self.shaped(answer)
    }

    /// For scripts whose answer is lost if they are called a second time.
    pub(crate) async fn call_once<T: FromRedisValue>(
        &self,
        script: &Script,
        cmd: &Cmd,
    ) -> Result<T, QueueError> {
        let answer = self.link.call_once(script, cmd).await?;
        self.shaped(answer)
    }

    /// What a script answered, if it has the shape that this version expects.
    fn shaped<T: FromRedisValue>(&self, answer: Value) -> Result<T, QueueError> {
        T::from_redis_value(answer).map_err(|_| QueueError::Answer(self.name.to_string()))
    }

    pub(crate) fn decode(&self, record: &[u8]) -> Result<Record, QueueError> {
        Record::decode(record).ok_or_else(|| QueueError::Record(self.name.to_string()))
    }
}

fn is_prefix(prefix: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=64).contains(&prefix.len()) && prefix.bytes().all(allowed)
}

async fn check(link: &Link) -> Result<(), ConnectError> {
    let info: String = link
        .query(redis::cmd("INFO").arg("everything"))
        .await
        .map_err(ConnectError::Unreachable)?;
    let field = |name: &str| {
        info.lines()
            .filter_map(|line| line.trim_end().split_once(':'))
            .find_map(|(key, value)| (key == name).then(|| value.to_owned()))
    };
    let version = field("redis_version").unwrap_or_default();
    if !is_new_enough(&version) {
        return Err(ConnectError::TooOld(version));
    }
    match field("maxmemory_policy") {
        Some(policy) if policy != "noeviction" => Err(ConnectError::Evicts(policy)),
        _ => Ok(()),
    }
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (6, 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_6_2_is_the_oldest_that_will_do() {
        let fit: Vec<bool> = ["5.0.14", "6.0.20", "6.2.0", "7.0.15", "8.1", "", "x.y"]
            .map(is_new_enough)
            .to_vec();

        assert_eq!(fit, [false, false, true, true, true, false, false]);
    }

    #[test]
    fn a_prefix_cannot_break_the_hash_tag() {
        assert!(is_prefix("tokenfleet"));
        for prefix in ["", "a:b", "{a}", "a b"] {
            assert!(!is_prefix(prefix), "{prefix}");
        }
    }
}
