//! Marks: what was done already.

use std::time::Duration;

use redis::cmd;

use crate::link::as_millis;
use crate::{Cache, CacheError};

impl Cache {
    /// Whether the caller is the first to mark these words within `ttl`; of any
    /// number of callers one is. O(1), one command.
    ///
    /// `name` is part of the key: lower-case letters.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer; it may be marked then.
    pub async fn mark(
        &self,
        name: &'static str,
        words: &[&str],
        ttl: Duration,
    ) -> Result<bool, CacheError> {
        let mut set = cmd("SET");
        set.arg(self.key("mark", name, words)).arg(1);
        set.arg("NX").arg("PX").arg(as_millis(ttl).max(1));
        let marked: Option<String> = self.link.query_once(&set).await?;
        Ok(marked.is_some())
    }

    /// Takes a mark away, so that the next caller is the first again.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn unmark(&self, name: &'static str, words: &[&str]) -> Result<(), CacheError> {
        let mut del = cmd("DEL");
        del.arg(self.key("mark", name, words));
        self.link.query(&del).await
    }
}
