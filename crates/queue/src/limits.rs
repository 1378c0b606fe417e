//! What a tenant may take of a queue, and what the queue gives out at all.

use std::time::Duration;

use redis::Value;

use crate::error::QueueError;
use crate::name::is_tenant;
use crate::queues::{Core, Queue};
use crate::script::LIMITS;

/// The heaviest weight, and the largest burst and number of jobs at once.
const MOST: u32 = 1_000_000;

/// Limits of one tenant in one queue, or of the queue as a whole. They live in Redis,
/// so that they hold for the whole fleet at once and outlast restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nothing is claimed; what runs goes on.
    pub paused: bool,
    /// Share of a tenant beside the others, 1–1,000,000; 1 unless set. Of no effect for a queue.
    pub weight: u32,
    /// Jobs that may run at once, in the fleet; `None` for any number.
    pub at_once: Option<u32>,
    /// Jobs that may begin in a time; `None` for any number.
    pub rate: Option<Rate>,
}

/// At most `jobs` per `per`, evenly spread, but for `burst` of them at once (GCRA).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many, at least 1.
    pub jobs: u32,
    /// In how long; at least 1 µs per job, at most a day per job.
    pub per: Duration,
    /// How many may begin at once after a rest; at least 1.
    pub burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            paused: false,
            weight: 1,
            at_once: None,
            rate: None,
        }
    }
}

/// Limits that cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimits {
    /// Not 1–64 of `[A-Za-z0-9_.~-]`.
    #[error("the tenant is not 1 to 64 of A-Z, a-z, 0-9, '_', '.', '~' and '-'")]
    Tenant,
    /// Not 1–1,000,000.
    #[error("the {0} is not between 1 and 1000000")]
    OutOfRange(&'static str),
    /// Less than 1 µs or more than a day per job.
    #[error("the rate is not between one job a day and a million jobs a second")]
    Rate,
}

/// Limits could not be set.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// They are not allowed.
    #[error("these limits cannot be set")]
    Invalid(#[source] InvalidLimits),
    /// Redis was not there for them.
    #[error("the limits could not be set")]
    Queue(#[source] QueueError),
}

impl Rate {
    fn interval_us(self) -> Option<u64> {
        let day = Duration::from_hours(24).as_micros();
        let interval = self.per.as_micros() / u128::from(self.jobs.max(1));
        (self.jobs > 0 && (1..=day).contains(&interval))
            .then(|| u64::try_from(interval).ok())
            .flatten()
    }
}

impl Queue {
    /// Stops claims of a tenant, or of the whole queue; what runs goes on. O(log tenants).
    ///
    /// # Errors
    ///
    /// [`LimitError::Invalid`] if there can be no such tenant, [`LimitError::Queue`] if
    /// Redis does not answer.
    pub async fn pause(&self, tenant: Option<&str>) -> Result<Limits, LimitError> {
        self.core.change(tenant, &[("paused", 1)]).await
    }

    /// Allows claims again; idle workers are woken. O(log tenants).
    ///
    /// # Errors
    ///
    /// As [`Queue::pause`].
    pub async fn resume(&self, tenant: Option<&str>) -> Result<Limits, LimitError> {
        self.core.change(tenant, &[("paused", 0)]).await
    }

    /// Sets all limits of a tenant, or of the whole queue. O(log tenants).
    ///
    /// [`Limits::default`] lifts them.
    ///
    /// # Errors
    ///
    /// As [`Queue::pause`]; [`LimitError::Invalid`] also if one is out of range.
    pub async fn limit(&self, tenant: Option<&str>, limits: Limits) -> Result<Limits, LimitError> {
        let in_range = |name, value: u32| {
            let fits = (1..=MOST).contains(&value);
            fits.then_some(u64::from(value))
                .ok_or(LimitError::Invalid(InvalidLimits::OutOfRange(name)))
        };
        let (mut interval, mut burst, mut at_once) = (0, 1, 0);
        if let Some(rate) = limits.rate {
            let invalid = || LimitError::Invalid(InvalidLimits::Rate);
            interval = rate.interval_us().ok_or_else(invalid)?;
            burst = in_range("burst", rate.burst)?;
        }
        if let Some(jobs) = limits.at_once {
            at_once = in_range("number of jobs at once", jobs)?;
        }
        let fields = [
            ("paused", u64::from(limits.paused)),
            ("weight", in_range("weight", limits.weight)?),
            ("at_once", at_once),
            ("interval", interval),
            ("burst", burst),
        ];
        self.core.change(tenant, &fields).await
    }

    /// The limits of a tenant, or of the whole queue. O(1).
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer.
    pub async fn limits(&self, tenant: Option<&str>) -> Result<Limits, QueueError> {
        let mut read = redis::cmd("HGET");
        read.arg(self.core.keys.limits())
            .arg(tenant.unwrap_or_default());
        let packed: Option<Vec<u8>> = self.core.link.query(&read).await?;
        packed.map_or(Ok(Limits::default()), |packed| self.core.unpack(&packed))
    }

    /// All tenants that have limits in this queue, in the order of their names. O(limited tenants).
    ///
    /// # Errors
    ///
    /// [`QueueError`] if Redis does not answer.
    pub async fn limited_tenants(&self) -> Result<Vec<(String, Limits)>, QueueError> {
        let mut read = redis::cmd("HGETALL");
        read.arg(self.core.keys.limits());
        let pairs: Vec<(String, Vec<u8>)> = self.core.link.query(&read).await?;
        let mut limits = Vec::with_capacity(pairs.len());
        for (tenant, packed) in pairs {
            if !tenant.is_empty() {
                limits.push((tenant, self.core.unpack(&packed)?));
            }
        }
        limits.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(limits)
    }
}

impl Core {
    async fn change(
        &self,
        tenant: Option<&str>,
        fields: &[(&str, u64)],
    ) -> Result<Limits, LimitError> {
        if tenant.is_some_and(|tenant| !is_tenant(tenant)) {
            return Err(LimitError::Invalid(InvalidLimits::Tenant));
        }
        let mut cmd = self.script(&LIMITS);
        cmd.arg(tenant.unwrap_or_default());
        for (field, value) in fields {
            cmd.arg(*field).arg(*value);
        }
        let packed: Value = self.call(&LIMITS, &cmd).await.map_err(LimitError::Queue)?;
        let Value::BulkString(packed) = packed else {
            let unknown = QueueError::Answer(self.name.to_string());
            return Err(LimitError::Queue(unknown));
        };
        self.unpack(&packed).map_err(LimitError::Queue)
    }

    /// Limits as `lua/place.lua` packs them; a rate comes back as one job per interval.
    fn unpack(&self, packed: &[u8]) -> Result<Limits, QueueError> {
        let unknown = || QueueError::Answer(self.name.to_string());
        let packed: &[u8; 19] = packed.try_into().map_err(|_| unknown())?;
        let number = |from: usize, width: usize| {
            let bytes = packed[from..from + width].iter().rev();
            bytes.fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let small = |from| u32::try_from(number(from, 4)).map_err(|_| unknown());
        let (weight, at_once, interval, burst) = (small(1)?, small(5)?, number(9, 6), small(15)?);
        Ok(Limits {
            paused: packed[0] == 1,
            weight,
            at_once: (at_once > 0).then_some(at_once),
            rate: (interval > 0).then_some(Rate {
                jobs: 1,
                per: Duration::from_micros(interval),
                burst,
            }),
        })
    }
}
