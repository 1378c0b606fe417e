//! How often somebody may ask: limits that all processes of the API share.
//!
//! While Redis is away nobody can count, and calls are not limited; attempts to log in are
//! another matter, see `attempts`.

use std::time::Duration;

use cache::{Allowance, Quota};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::App;
use crate::access::Right;
use crate::caller::Caller;
use crate::problem::Problem;

/// The header that names the quota; draft-ietf-httpapi-ratelimit-headers-10, section 3.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The header that says what is left of it; section 4 there.
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Calls that are allowed in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Log-in and the like: per address, and per account.
    pub auth_per_minute: u32,
    /// Reads of channels' tokens, per account.
    pub token_reads_per_minute: u32,
    /// Everything else, per account.
    pub per_minute: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            auth_per_minute: 10,
            token_reads_per_minute: 60_000,
            per_minute: 600,
        }
    }
}

/// What kind of calls an address takes, each with a quota of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// Attempts to prove who one is; see `attempts`.
    Auth,
    /// Reads of channels' tokens.
    TokenReads,
    /// Everything else.
    Calls,
}

impl Bucket {
    /// The bucket of an address that needs this right.
    pub(crate) const fn of(right: Right) -> Self {
        match right {
            Right::ReadTokens => Self::TokenReads,
            _ => Self::Calls,
        }
    }

    /// Part of the key, and the name of the policy in the headers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::TokenReads => "reads",
            Self::Calls => "calls",
        }
    }

    /// How many calls a minute.
    pub(crate) const fn quota(self, limits: RateLimits) -> Quota {
        Quota::per_minute(match self {
            Self::Auth => limits.auth_per_minute,
            Self::TokenReads => limits.token_reads_per_minute,
            Self::Calls => limits.per_minute,
        })
    }
}

/// What an address's bucket said, for the headers of the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    bucket: Bucket,
    quota: Quota,
    left: Allowance,
}

impl Spent {
    /// Tells the client what is left. A header that is there already speaks of a stricter limit.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        if headers.contains_key(LEFT) {
            return;
        }
        headers.insert(POLICY, self.policy());
        headers.insert(LEFT, self.remaining());
    }

    fn policy(self) -> HeaderValue {
        let Quota { calls, window } = self.quota;
        value(&format!(
            "\"{}\";q={calls};w={}",
            self.bucket.name(),
            window.as_secs()
        ))
    }

    fn remaining(self) -> HeaderValue {
        let Allowance {
            remaining, reset, ..
        } = self.left;
        let name = self.bucket.name();
        value(&format!("\"{name}\";r={remaining};t={}", whole_secs(reset)))
    }

    fn refusal(self) -> Problem {
        let pause = self.left.retry_after;
        Problem::too_many_requests(self.quota.calls, whole_secs(pause))
            .with_header(POLICY, self.policy())
            .with_header(LEFT, self.remaining())
    }
}

/// Spends one call of an account's quota. `None` while Redis is away: the door is open then.
///
/// # Errors
///
/// A 429 if none is left.
pub(crate) async fn spend(
    app: &App,
    bucket: Bucket,
    caller: &Caller,
) -> Result<Option<Spent>, Problem> {
    let quota = bucket.quota(app.settings.rate_limits);
    match app
        .cache
        .spend(bucket.name(), &caller.account(), quota)
        .await
    {
        Ok(left) => Spent::new(bucket, quota, left).checked().map(Some),
        Err(error) => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a call was not counted"
            );
            Ok(None)
        }
    }
}

impl Spent {
    /// What a bucket said to one call.
    pub(crate) const fn new(bucket: Bucket, quota: Quota, left: Allowance) -> Self {
        Self {
            bucket,
            quota,
            left,
        }
    }

    /// Passes if the call was allowed.
    ///
    /// # Errors
    ///
    /// A 429 that says when the next one is.
    pub(crate) fn checked(self) -> Result<Self, Problem> {
        if self.left.allowed {
            Ok(self)
        } else {
            Err(self.refusal())
        }
    }
}

fn whole_secs(duration: Duration) -> u64 {
    duration
        .as_millis()
        .div_ceil(1000)
        .try_into()
        .unwrap_or(u64::MAX)
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("words and numbers can stand in a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_name_the_quota_and_what_is_left_of_it() {
        let spent = Spent {
            bucket: Bucket::Calls,
            quota: Quota::per_minute(600),
            left: Allowance {
                allowed: true,
                remaining: 598,
                retry_after: Duration::ZERO,
                reset: Duration::from_millis(200),
            },
        };
        let mut headers = HeaderMap::new();

        spent.tell(&mut headers);

        assert_eq!(headers[POLICY], r#""calls";q=600;w=60"#);
        assert_eq!(headers[LEFT], r#""calls";r=598;t=1"#);
    }
}
