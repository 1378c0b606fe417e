//! Second copies of what waits for the database, for whoever needs it elsewhere.

use std::time::Duration;

use redis::{Cmd, pipe};

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
