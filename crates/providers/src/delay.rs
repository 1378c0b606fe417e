//! How long a provider wants to be left alone: contracts §8, "Delay source precedence".

use std::time::Duration;

use domain::{DelaySource, Timestamp, Verdict};
use reqwest::header::{HeaderMap, RETRY_AFTER};

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(24);

/// A number of this size is an instant, not a duration: it was one second ago in 2001.
const EPOCH_FROM: u64 = 1_000_000_000;

/// Reads a delay out of a provider's own headers.
pub(crate) type HeaderDelay = fn(&HeaderMap, Timestamp) -> Option<(Duration, DelaySource)>;

/// The verdict on a throttled request: `Retry-After`, then the provider's own
/// headers, then `usual`; without all of them it is left to the backoff.
pub(crate) fn throttled(
    headers: &HeaderMap,
    now: Timestamp,
    own: HeaderDelay,
    usual: Option<Duration>,
) -> Verdict {
    let (delay, source) = if let Some(delay) = retry_after(headers, now) {
        (Some(delay), DelaySource::RetryAfter)
    } else if let Some((delay, source)) = own(headers, now) {
        (Some(delay), source)
    } else {
        (usual, DelaySource::ProviderDefault)
    };
    Verdict::RateLimited {
        delay: delay.map(|delay| delay.clamp(SHORTEST, LONGEST)),
        source,
    }
}

/// For providers without headers of their own.
pub(crate) fn no_header(_: &HeaderMap, _: Timestamp) -> Option<(Duration, DelaySource)> {
    None
}

/// `x-ratelimit-reset`: seconds from now, or an instant in epoch seconds.
pub(crate) fn ratelimit_reset(
    headers: &HeaderMap,
    now: Timestamp,
) -> Option<(Duration, DelaySource)> {
    let value: u64 = text(headers, "x-ratelimit-reset")?.parse().ok()?;
    let delay = if value < EPOCH_FROM {
        Duration::from_secs(value)
    } else {
        Timestamp::from_secs(i64::try_from(value).ok()?).since(now)
    };
    Some((delay, DelaySource::ProviderHeader))
}

/// The value of a header, if it is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// RFC 9110 section 10.2.3: seconds, or a date in any of the three forms of HTTP.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = text(headers, RETRY_AFTER.as_str())?;
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(LONGEST, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(0).plus(since_epoch).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-20T12:00:00Z.
    const NOW: Timestamp = Timestamp::from_secs(1_795_176_000);

    fn verdict(headers: &[(&'static str, &'static str)]) -> (Option<u64>, DelaySource) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let usual = Some(Duration::from_mins(1));
        match throttled(&headers, NOW, ratelimit_reset, usual) {
            Verdict::RateLimited { delay, source } => (delay.map(|it| it.as_secs()), source),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms_and_clamped() {
        for (value, seconds) in [
            ("90", 90),
            ("0", 1),
            ("99999999999999999999999999", 86_400),
            ("604800", 86_400),
            ("Fri, 20 Nov 2026 12:02:00 GMT", 120),
            ("Friday, 20-Nov-26 12:02:00 GMT", 120),
            ("Fri Nov 20 12:02:00 2026", 120),
            ("Fri, 20 Nov 2026 11:00:00 GMT", 1),
        ] {
            let shown = verdict(&[("retry-after", value)]);

            assert_eq!(shown, (Some(seconds), DelaySource::RetryAfter), "{value}");
        }
    }

    #[test]
    fn a_senseless_retry_after_is_as_good_as_none() {
        for value in ["", "-5", "1.5", "soon", "5 s", "Fri, 99 Nov 2026"] {
            let shown = verdict(&[("retry-after", value)]);

            assert_eq!(shown, (Some(60), DelaySource::ProviderDefault), "{value}");
        }
    }

    #[test]
    fn the_providers_own_header_comes_second_in_either_form() {
        for (value, seconds) in [("30", 30), ("1795176045", 45), ("1795170000", 1)] {
            let shown = verdict(&[("x-ratelimit-reset", value)]);

            assert_eq!(
                shown,
                (Some(seconds), DelaySource::ProviderHeader),
                "{value}"
            );
        }
        assert_eq!(
            verdict(&[("x-ratelimit-reset", "30"), ("retry-after", "7")]),
            (Some(7), DelaySource::RetryAfter)
        );
    }
}
