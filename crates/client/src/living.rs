//! A token and the time that it has left.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use secrecy::SecretString;

/// A token is renewed so long before its end, if it lives long enough.
const MARGIN: Duration = Duration::from_mins(5);
/// A token is not sent any more so long before its end: it must not die on its way.
const TRANSIT: Duration = Duration::from_secs(10);

/// A token as this process knows it, by its own monotonic clock.
#[derive(Clone, Debug)]
pub(crate) struct Living {
    pub(crate) token: SecretString,
    renew_at: Instant,
    ends_at: Instant,
}

/// What can be done with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// It can be sent.
    Fresh,
    /// It can be sent, and should be renewed.
    Stale,
    /// It must be renewed first.
    Ended,
}

impl Living {
    /// A token that was asked for at `asked_at` and lives for `lifetime` from then on.
    ///
    /// The margin never exceeds half of the lifetime. A random tenth of it is given up, so that
    /// processes that started together do not renew together.
    pub(crate) fn new(token: SecretString, asked_at: Instant, lifetime: Duration) -> Self {
        let margin = MARGIN.min(lifetime / 2);
        let jitter = margin.mul_f64(rand::rng().random_range(0.0..0.1));
        let transit = TRANSIT.min(lifetime / 10);
        Self {
            token,
            renew_at: asked_at + lifetime.saturating_sub(margin) + jitter,
            ends_at: asked_at + lifetime.saturating_sub(transit),
        }
    }

    /// What can be done with it at `now`.
    pub(crate) fn age(&self, now: Instant) -> Age {
        match now {
            now if now < self.renew_at => Age::Fresh,
            now if now < self.ends_at => Age::Stale,
            _ => Age::Ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bounds between which a token of this lifetime is first renewed, in seconds.
    fn renewed_between(lifetime: u64) -> (f64, f64) {
        let start = Instant::now();
        let ages = (0..200).map(|_| {
            let living = Living::new("t".into(), start, Duration::from_secs(lifetime));
            (living.renew_at - start).as_secs_f64()
        });
        ages.fold((f64::MAX, 0.0), |(least, most), at| {
            (least.min(at), most.max(at))
        })
    }

    #[test]
    fn s3_4_a_token_is_renewed_five_minutes_before_its_end_or_at_half_its_life() {
        for (lifetime, margin) in [
            (900, 300.0),
            (43_200, 300.0),
            (600, 300.0),
            (10, 5.0),
            (2, 1.0),
        ] {
            let (least, most) = renewed_between(lifetime);

            let end = f64::from(u32::try_from(lifetime).expect("it is small"));
            assert!(least >= end - margin, "{lifetime}: {least}");
            assert!(most <= end - margin * 0.9, "{lifetime}: {most}");
            assert!(most - least > margin * 0.02, "{lifetime}: they spread");
        }
    }

    #[test]
    fn a_token_is_fresh_then_stale_then_ended() {
        let start = Instant::now();
        let living = Living::new("t".into(), start, Duration::from_mins(15));

        let age = |secs| living.age(start + Duration::from_secs(secs));

        assert_eq!(
            [0, 599, 631, 889, 890, 5000].map(age),
            [
                Age::Fresh,
                Age::Fresh,
                Age::Stale,
                Age::Stale,
                Age::Ended,
                Age::Ended
            ]
        );
    }
}
