//! When a token of each class is refreshed: contracts §8.2, row by row.

use std::time::Duration;

use domain::{ChannelUid, Grant, Lifetime, Margin, Timestamp, Window};

use crate::support::{provider, settings};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Provider, scope of the grant, lifetime; youngest age, target, latest.
type Row = (
    &'static str,
    Option<&'static str>,
    Duration,
    (Duration, Margin, Duration),
);

const fn fixed(margin: Duration) -> Margin {
    Margin::Fixed(margin)
}

/// Where the contract has no latest moment, a minute before the end is late.
fn rows() -> Vec<Row> {
    let sixty_days = (
        DAY,
        fixed(Duration::from_hours(10 * 24)),
        Duration::from_hours(3 * 24),
    );
    let generic = Margin::Share {
        percent: 10,
        at_least: 5 * MINUTE,
    };
    let first = Margin::AfterIssue(Duration::from_secs(5));
    let half_minute = Duration::from_secs(30);
    vec![
        ("facebook", None, 60 * DAY, sixty_days),
        ("whatsapp", None, 60 * DAY, sixty_days),
        ("instagram", None, 60 * DAY, sixty_days),
        (
            "tiktok",
            None,
            2 * HOUR,
            (Duration::ZERO, fixed(30 * MINUTE), 5 * MINUTE),
        ),
        (
            "tiktok_business",
            None,
            DAY,
            (Duration::ZERO, fixed(3 * HOUR), 30 * MINUTE),
        ),
        (
            "tiktok_legacy",
            None,
            DAY,
            (Duration::ZERO, fixed(3 * HOUR), 30 * MINUTE),
        ),
        (
            "facturify",
            Some("auth"),
            4 * MINUTE,
            (Duration::ZERO, first, half_minute),
        ),
        (
            "facturify",
            None,
            12 * HOUR,
            (Duration::ZERO, fixed(MINUTE), half_minute),
        ),
        (
            "service_token",
            None,
            15 * MINUTE,
            (Duration::ZERO, fixed(5 * MINUTE), MINUTE),
        ),
        ("oauth2:demo", None, HOUR, (Duration::ZERO, generic, MINUTE)),
    ]
}

fn window(name: &'static str, scope: Option<&str>, lifetime: Duration) -> Window {
    if name.starts_with("oauth2:") {
        return Window::GENERIC;
    }
    let grant = Grant {
        scope: scope.map(str::to_owned),
        ..Grant::default()
    };
    provider(name, settings("http://127.0.0.1:1")).window(&grant, Some(lifetime))
}

#[test]
fn every_class_of_token_has_the_window_of_the_contract() {
    for (name, scope, lifetime, (min_age, target, latest)) in rows() {
        let expected = Window {
            min_age,
            target,
            latest,
        };

        assert_eq!(window(name, scope, lifetime), expected, "{name} {scope:?}");
    }
}

#[test]
fn every_class_is_due_within_its_margin_and_half_of_it_earlier_never_after_its_latest_moment() {
    let issued_at = Timestamp::from_secs(1_800_000_000);
    for (name, scope, lifetime, (min_age, target, latest)) in rows() {
        let ends_at = Lifetime::For(lifetime).ends_at(issued_at);
        let ends_at = ends_at.expect("it has an end");
        let window = window(name, scope, lifetime);
        for _ in 0..50 {
            let plan = window.plan(ChannelUid::generate(), issued_at, ends_at);

            let left = ends_at.since(plan.due_at);
            let margin = match target {
                Margin::Fixed(margin) => margin,
                Margin::Share { percent, at_least } => (lifetime * percent / 100).max(at_least),
                Margin::AfterIssue(pause) => {
                    assert_eq!(plan.due_at, issued_at.plus(pause), "{name} {scope:?}");
                    continue;
                }
            }
            .min(lifetime / 3);
            assert!(
                left >= margin && left <= margin * 3 / 2,
                "{name}: {left:?} left"
            );
            assert!(plan.due_at >= issued_at.plus(min_age), "{name}");
            assert_eq!(
                plan.latest_at,
                ends_at.minus(latest.min(lifetime / 4)),
                "{name}"
            );
            assert!(plan.due_at <= plan.latest_at, "{name}");
        }
    }
}
