//! What waits for somebody's word, and is forgotten if nobody gives it.

use std::time::Duration;

use redis::{Cmd, cmd};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::link::as_millis;
use crate::{Cache, CacheError};

impl Cache {
    /// Keeps `data` about `subject` for `ttl`, in the place of what waited before.
    ///
    /// `name` is part of the key: lower-case letters. Secrets in it must be sealed:
    /// whoever reads Redis reads it.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not store it.
    ///
    /// # Panics
    ///
    /// If `data` cannot be JSON.
    pub async fn let_wait<T: Serialize + Sync>(
        &self,
        name: &'static str,
        subject: &str,
        data: &T,
        ttl: Duration,
    ) -> Result<(), CacheError> {
        let data = serde_json::to_string(data).expect("what waits is plain data");
        let mut set = cmd("SET");
        set.arg(self.waiting_key(name, subject)).arg(data);
        set.arg("PX").arg(as_millis(ttl).max(1));
        self.link.query(&set).await
    }

    /// What waits about `subject`, which goes on waiting; `None` if nothing does.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn waiting<T: DeserializeOwned>(
        &self,
        name: &'static str,
        subject: &str,
    ) -> Result<Option<T>, CacheError> {
        let get = Cmd::get(self.waiting_key(name, subject));
        let found: Option<String> = self.link.query(&get).await?;
        let read = |text: String| serde_json::from_str(&text);
        found.map(read).transpose().map_err(|_| {
            let what = "a value that waits";
            CacheError::Unreadable { what }
        })
    }

    /// Ends the waiting about `subject`; of any number of callers one hears `true`.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer; it may wait no more then.
    pub async fn end_waiting(&self, name: &'static str, subject: &str) -> Result<bool, CacheError> {
        let del = Cmd::del(self.waiting_key(name, subject));
        let ended: u64 = self.link.query_once(&del).await?;
        Ok(ended > 0)
    }

    fn waiting_key(&self, name: &'static str, subject: &str) -> String {
        self.key("waiting", name, &[subject])
    }
}
