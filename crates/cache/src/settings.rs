//! What can be set.

use std::time::Duration;

use secrecy::SecretString;

/// Where Redis is, and how long it is waited for.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// One server, Sentinels or a cluster; see [`servers`]. May contain a password.
    pub url: SecretString,
    /// First part of every key; `tokenfleet` by default. The same as that of the queues.
    pub prefix: String,
    /// How long an answer may take; 2 s by default.
    pub response_timeout: Duration,
}

impl CacheOptions {
    /// All defaults, on this Redis.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: SecretString::from(url.into()),
            prefix: "tokenfleet".to_owned(),
            response_timeout: Duration::from_secs(2),
        }
    }

    /// Another first part of every key.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_with_its_password_is_not_shown() {
        let options = CacheOptions::new("redis://:hunter2@localhost");

        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
