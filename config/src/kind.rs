//! What a setting's value may be, and how that is told to people.

use std::time::Duration;

use crate::duration::show;

/// What a setting's value may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Any text that is not empty.
    Text,
    /// 1 to `max` characters of `[a-z0-9_-]`, such as a prefix.
    Word {
        /// Most characters.
        max: usize,
    },
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number from `min` to `max`.
    Whole {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A number from `min` to `max`.
    Decimal {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// A duration from `min` to `max`.
    Span {
        /// Shortest.
        min: Duration,
        /// Longest.
        max: Duration,
        /// Plain numbers are seconds, as the seeds have it.
        plain_seconds: bool,
    },
    /// An address to listen at: `127.0.0.1:8000`.
    Address,
    /// A file or directory.
    Path,
    /// An address on the web: `http` or `https`, without query and fragment.
    Web,
    /// An address as `Web`, of which a slash at its end is part.
    Endpoint,
    /// Origins of browsers: `https://app.example.com`, several with commas, or `*`.
    Origins,
    /// Addresses or networks: `10.0.0.0/8`, several with commas.
    Networks,
    /// Words, several with commas.
    List,
    /// A version of the Graph API: `v25.0`.
    GraphVersion,
    /// A filter of log lines: `info`, `tokenfleet=debug,info`.
    LogFilter,
    /// A secret of at least `min` characters.
    Secret {
        /// Fewest characters.
        min: usize,
    },
    /// A database's address; may hold a password.
    DatabaseUrl,
    /// A Redis server's address; may hold a password.
    RedisUrl,
    /// Master keys: `id:base64`, several with commas.
    MasterKeys,
}

impl Kind {
    /// Whether the value must never be shown, and can be given as `…_FILE`.
    ///
    /// Addresses that may hold a password count too; `config check` shows them
    /// without it.
    #[must_use]
    pub const fn is_secret(self) -> bool {
        matches!(
            self,
            Self::Secret { .. } | Self::DatabaseUrl | Self::RedisUrl | Self::MasterKeys
        )
    }

    /// What is allowed, as the end of a sentence.
    #[must_use]
    pub fn allowed(self) -> String {
        match self {

            Self::Word { max } => format!("1 to {max} characters of a-z, 0-9, _ and -"),
            Self::Switch => "true or false".to_owned(),
            Self::Choice(words) => words.join(", "),
            Self::Whole { min, max } => format!("a whole number from {min} to {max}"),
            Self::Decimal { min, max } => format!("a number from {min} to {max}"),
            Self::Span {
                min,
                max,
                plain_seconds,
            } => format!(
                "a duration from {} to {}, such as 30s, 10m, 2h or 1d{}",
                show(min),
                show(max),
                if plain_seconds {
                    "; a plain number is seconds"
                } else {
                    ""
                }
            ),
            Self::Address => "an IP address and a port, such as 127.0.0.1:8000".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Web | Self::Endpoint => {
                "an http:// or https:// address without user, query and fragment".to_owned()
            }
            Self::Origins => {
                "origins such as https://app.example.com, separated by commas, or *".to_owned()
            }
            Self::Networks => {
                "addresses or networks such as 10.0.0.0/8, separated by commas".to_owned()
            }
            Self::List => "words, separated by commas".to_owned(),
            Self::GraphVersion => "a version such as v25.0".to_owned(),
            Self::LogFilter => {
                "trace, debug, info, warn, error or off, or pairs such as worker=debug,info"
                    .to_owned()
            }
            Self::Text | Self::Secret { min: 0 | 1 } => "a text that is not empty".to_owned(),
            Self::Secret { min } => format!("at least {min} characters"),
            Self::DatabaseUrl => {
                "sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE".to_owned()
            }
            Self::RedisUrl => {
                "redis://HOST:PORT/DB, rediss:// for TLS, redis+unix:///PATH, redis+sentinel://HOST:PORT,…/SERVICE/DB, \
                 or redis+cluster://HOST:PORT,…"
                    .to_owned()
            }
            Self::MasterKeys => {
                "id:base64, separated by commas; an id is 1 to 32 of A-Z, a-z, 0-9, _ and -, a key is 32 \
                 bytes (made with `openssl rand -base64 32`)"
                    .to_owned()
            }
        }
    }
}
