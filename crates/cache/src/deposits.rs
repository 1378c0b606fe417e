//! Second copies of what waits for the database, for whoever needs it elsewhere.

use std::time::Duration;

use redis::{Cmd, cmd, pipe};

use crate::link::as_millis;
use crate::{Cache, CacheError};

/// Longer than any grant may wait; whoever made the copy takes it away.
const LIFE: Duration = Duration::from_hours(30 * 24);

impl Cache {
    /// Keeps a sealed text about `subject`, beside others under other numbers.
    ///
    /// The text must be sealed: whoever reads Redis reads it.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn deposit(
        &self,
        subject: &str,
        number: i64,
        sealed: &str,
    ) -> Result<(), CacheError> {
        let key = self.deposit_key(subject);
        let mut both = pipe();
        both.atomic().hset(&key, number, sealed).ignore();
        both.cmd("PEXPIRE").arg(&key).arg(as_millis(LIFE)).ignore();
        self.link.pipeline(&both).await
    }

    /// What is kept about `subject`, in no order. O(texts).
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn deposits(&self, subject: &str) -> Result<Vec<String>, CacheError> {
        self.link
            .query(&Cmd::hvals(self.deposit_key(subject)))
            .await
    }

    /// What is kept about all subjects, in no order. O(keys in Redis), a thousand at a time.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn all_deposits(&self) -> Result<Vec<String>, CacheError> {
        let pattern = format!("{}:escrow:answers:*", self.prefix);
        let (mut texts, mut cursor) = (Vec::new(), 0_u64);
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(1000);
            let (next, keys): (u64, Vec<String>) = self.link.query(&scan).await?;
            for key in keys {
                let found: Vec<String> = self.link.query(&Cmd::hvals(key)).await?;
                texts.extend(found);
            }
            cursor = next;
            if cursor == 0 {
                return Ok(texts);
            }
        }
    }

    /// How long this Redis has kept what it was given; after it lost its data, since somebody
    /// asked first. What is not there may still come as long as this is short. O(1).
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn deposits_kept_for(&self) -> Result<Duration, CacheError> {
        let key = self.key("escrow", "since", &[]);
        let mut begin = cmd("SET");
        begin.arg(&key).arg(1).arg("NX");
        begin.arg("PX").arg(as_millis(LIFE));
        let _: Option<String> = self.link.query(&begin).await?;
        let left: i64 = self.link.query(&Cmd::pttl(&key)).await?;
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        Ok(LIFE.saturating_sub(left))
    }

    /// Forgets one of them.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn forget_deposit(&self, subject: &str, number: i64) -> Result<(), CacheError> {
        let forget = Cmd::hdel(self.deposit_key(subject), number);
        self.link.query(&forget).await
    }

    fn deposit_key(&self, subject: &str) -> String {
        self.key("escrow", "answers", &[subject])
    }
}
