//! What a receiver's answer means for the event, and for the rest of the visit.

use std::time::Duration;

use domain::full_jitter;
use providers::{PostError, Posted};
use store::DeliveryResult;

use super::Webhooks;

/// How much longer each pause is.
const FACTOR: u32 = 6;
const LONGEST_PAUSE: Duration = Duration::from_hours(10);
/// The longest that a receiver may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// What one call came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) result: DeliveryResult,
    /// In one word; `None` if it was taken.
    pub(super) error: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) next: Next,
}

/// How the visit goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// With the next event.
    GoOn,
    /// Not now: the receiver as a whole does not work. It may have said for how long.
    Rest(Option<Duration>),
    /// Not now: another endpoint has its turn at this address.
    Neighbour,
    /// Never again.
    Disable(&'static str),
}

/// `None` if nothing was tried: another endpoint has its turn at this address.
///
/// | answer | the event | the visit |
/// | --- | --- | --- |
/// | 2xx | delivered | goes on |
/// | 410 | given up | never again |
/// | 408, 429, 5xx, 3xx, none | again | rests, as long as the receiver says |
/// | any other | again: it may be this event alone | goes on |
pub(super) fn judge(
    posted: Result<Posted, PostError>,
    attempt: u32,
    webhooks: &Webhooks,
) -> Option<Verdict> {
    let (status, error, next) = match posted {
        Err(PostError::Busy) => return None,
        Err(error) => (None, Some(error.code().to_owned()), Next::Rest(None)),
        Ok(Posted {
            status,
            retry_after,
        }) => {
            let rest = retry_after.map(|told| told.min(LONGEST_RETRY_AFTER));
            let (error, next) = match status {
                200..=299 => (None, Next::GoOn),
                300..=399 => (Some("redirect_not_followed".to_owned()), Next::Rest(None)),
                410 => (Some("gone".to_owned()), Next::Disable("gone")),
                408 | 429 | 500..=599 => (Some(format!("status_{status}")), Next::Rest(rest)),
                _ => (Some(format!("status_{status}")), Next::GoOn),
            };
            (Some(status), error, next)
        }
    };
    let told = match next {
        Next::Rest(told) => told.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let result = match (&error, next) {
        (None, _) => DeliveryResult::Delivered,
        (Some(_), Next::Disable(_)) => DeliveryResult::GivenUp,
        (Some(_), _) if attempt >= webhooks.max_attempts => DeliveryResult::GivenUp,
        (Some(_), _) => DeliveryResult::Again(pause(attempt, webhooks.retry_base).max(told)),
    };
    Some(Verdict {
        result,
        error,
        status,
        next,
    })
}

/// The pause after the given try, a quarter more or less.
fn pause(attempt: u32, base: Duration) -> Duration {
    let times = FACTOR.saturating_pow(attempt.saturating_sub(1).min(16));
    let pause = base.saturating_mul(times).min(LONGEST_PAUSE);
    pause * 3 / 4 + full_jitter(pause / 2)
}

#[cfg(test)]
mod tests {
    use providers::{Egress, EgressRefusal};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn webhooks() -> Webhooks {
        Webhooks {
            egress: Egress::new(SECOND, SECOND, false).expect("a guard"),
            retry_base: SECOND * 5,
            max_attempts: 8,
            disable_after: SECOND,
        }
    }

    fn judged(posted: Result<u16, PostError>) -> (Option<String>, bool, Next) {
        let posted = posted.map(|status| Posted {
            status,
            retry_after: Some(SECOND * 90),
        });
        let verdict = judge(posted, 1, &webhooks()).expect("it was tried");
        let again = matches!(verdict.result, DeliveryResult::Again(_));
        (verdict.error, again, verdict.next)
    }

    #[test]
    fn each_answer_has_its_treatment() {
        let word = |word: &str| Some(word.to_owned());
        let told = Next::Rest(Some(SECOND * 90));
        let silent = PostError::NoAnswer("cut".into());
        let private = PostError::Refused(EgressRefusal::Private);
        let cases = [
            (Ok(204), (None, false, Next::GoOn)),
            (
                Ok(302),
                (word("redirect_not_followed"), true, Next::Rest(None)),
            ),
            (Ok(400), (word("status_400"), true, Next::GoOn)),
            (Ok(410), (word("gone"), false, Next::Disable("gone"))),
            (Ok(429), (word("status_429"), true, told)),
            (Ok(503), (word("status_503"), true, told)),
            (Err(silent), (word("no_answer"), true, Next::Rest(None))),
            (
                Err(private),
                (word("private_address"), true, Next::Rest(None)),
            ),
        ];
        for (posted, expected) in cases {
            assert_eq!(judged(posted), expected);
        }
        assert_eq!(judge(Err(PostError::Busy), 1, &webhooks()), None);
    }

    #[test]
    fn an_event_is_tried_for_about_a_day_and_then_given_up() {
        let webhooks = webhooks();
        let mut longest = Duration::ZERO;
        let mut shortest = Duration::ZERO;
        for attempt in 1..8 {
            let exact = (webhooks.retry_base * FACTOR.pow(attempt - 1)).min(LONGEST_PAUSE);
            let pause = pause(attempt, webhooks.retry_base);
            assert!(
                pause >= exact * 3 / 4 && pause <= exact * 5 / 4,
                "{pause:?}"
            );
            longest += exact * 5 / 4;
            shortest += exact * 3 / 4;
        }

        let failed = Posted {
            status: 500,
            retry_after: None,
        };
        let last = judge(Ok(failed), 8, &webhooks).expect("it was tried");
        assert_eq!(last.result, DeliveryResult::GivenUp);
        let hours = (shortest.as_secs() / 3600, longest.as_secs() / 3600);
        assert_eq!(hours, (16, 27));
    }

    #[test]
    fn a_receiver_is_left_alone_as_long_as_it_says() {
        let told = Posted {
            status: 429,
            retry_after: Some(SECOND * 600),
        };
        let verdict = judge(Ok(told), 1, &webhooks()).expect("it was tried");

        assert_eq!(verdict.result, DeliveryResult::Again(SECOND * 600));
    }
}
