//! The policy by examples.

mod model;
mod usage;

use super::*;
use crate::ChannelUid;

const RULES: BreakerRules = BreakerRules {
    window: Duration::from_mins(1),
    minimum: 10,
    share: 50,
    misconfigured: 3,
    unknown: 5,
    denied: 5,
    probe_every: Duration::from_secs(1),
    ramp: Duration::from_secs(30),
};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + millis)
}

/// What many channels met, each another one.
fn tally(met: impl IntoIterator<Item = Met>) -> Tally {
    let mut tally = Tally::default();
    for met in met {
        tally.add(met, ChannelUid::generate(), None);
    }
    tally
}

fn times(number: usize, met: &Met) -> Tally {
    tally(std::iter::repeat_n(met.clone(), number))
}

fn probe(end: ProbeEnd) -> Tally {
    Tally {
        probe: Some(end),
        ..Tally::default()
    }
}

fn open_at(now: Timestamp) -> Breaker {
    let mut breaker = Breaker::default();
    let alerts = breaker.take_in(&times(10, &Met::Failed), now, &RULES);
    assert!(matches!(alerts[..], [Alert::Opened(_)]), "{alerts:?}");
    breaker
}

fn per_second(breaker: &Breaker, now: Timestamp) -> Option<f64> {
    match breaker.advice(None, now) {
        Advice::Go { per_second } => per_second,
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_opens_when_enough_answers_are_failures_and_not_before() {
    let mut breaker = Breaker::default();

    breaker.take_in(&times(9, &Met::Failed), at(0), &RULES);
    assert_eq!(breaker.advice(None, at(0)), Advice::Go { per_second: None });
    let alerts = breaker.take_in(&times(1, &Met::Failed), at(1), &RULES);

    assert!(breaker.is_open());
    assert!(
        matches!(&alerts[..], [Alert::Opened(it)] if it.why == Trouble::Outage),
        "{alerts:?}"
    );
}

#[test]
fn failures_among_more_successes_do_not_open_it() {
    let mut breaker = Breaker::default();

    breaker.take_in(&times(100, &Met::Worked), at(0), &RULES);
    breaker.take_in(&times(99, &Met::Failed), at(1), &RULES);

    assert!(!breaker.is_open());
}

#[test]
fn while_it_is_open_one_probe_a_second_may_leave_and_later_fewer() {
    let mut breaker = open_at(at(0));
    let mut probes = Vec::new();

    for millis in (0..600_000).step_by(100) {
        if breaker.take_probe(at(millis), &RULES) {
            probes.push(millis);
            breaker.take_in(&probe(ProbeEnd::Failed), at(millis + 10), &RULES);
        }
    }

    assert!(probes.windows(2).all(|pair| pair[1] - pair[0] >= 1000));
    assert_eq!(probes[..3], [1000, 2000, 3000]);
    assert!(probes.len() < 120, "{} probes in 10 min", probes.len());
    let last = probes[probes.len() - 2..].to_vec();
    assert_eq!(last[1] - last[0], 10_000, "at most so far apart");
}

#[test]
fn a_probe_that_works_closes_it_and_the_fleet_returns_slowly() {
    let mut breaker = open_at(at(0));

    assert!(breaker.take_probe(at(1000), &RULES));
    breaker.take_in(&probe(ProbeEnd::Worked), at(1200), &RULES);

    assert_eq!(per_second(&breaker, at(1200)), Some(10.0));
    assert_eq!(per_second(&breaker, at(4200)), Some(20.0));
    assert_eq!(per_second(&breaker, at(7200)), Some(40.0));
    assert_eq!(per_second(&breaker, at(31_300)), None, "no limit is left");
    let budget = breaker.advice(Some(15.0), at(4200));
    assert_eq!(
        budget,
        Advice::Go {
            per_second: Some(15.0)
        }
    );
}

#[test]
fn what_was_sent_before_it_opened_does_not_close_it() {
    let mut breaker = open_at(at(0));

    breaker.take_in(&times(50, &Met::Worked), at(500), &RULES);

    assert!(breaker.is_open());
}

#[test]
fn there_is_one_alert_for_an_incident_however_often_it_closes_and_opens() {
    let mut breaker = open_at(at(0));
    breaker.take_in(&probe(ProbeEnd::Worked), at(2000), &RULES);

    let again = breaker.take_in(&times(10, &Met::Failed), at(9000), &RULES);
    let closed = breaker.take_in(&probe(ProbeEnd::Worked), at(12_000), &RULES);
    let early = breaker.take_in(&times(1, &Met::Worked), at(41_999), &RULES);
    let ended = breaker.take_in(&Tally::default(), at(42_000), &RULES);

    assert_eq!([again, closed, early], [vec![], vec![], vec![]]);
    let [Alert::Ended(incident)] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert_eq!(
        (incident.opened_at, incident.closed_at),
        (at(0), Some(at(12_000)))
    );
    assert_eq!(breaker.incident(), None);
}

#[test]
fn a_refused_app_opens_it_but_one_odd_channel_does_not() {
    let mut odd = Breaker::default();
    let uid = ChannelUid::generate();
    for minute in 0..20 {
        let mut tally = Tally::default();
        tally.add(Met::Misconfigured, uid, None);
        odd.take_in(&tally, at(minute * 60_000), &RULES);
    }
    let mut wrong = Breaker::default();

    let alerts = wrong.take_in(&times(3, &Met::Misconfigured), at(0), &RULES);

    assert!(!odd.is_open());
    assert!(
        matches!(&alerts[..], [Alert::Opened(it)] if it.why == Trouble::Misconfigured),
        "{alerts:?}"
    );
}

#[test]
fn three_odd_channels_among_many_good_ones_do_not_open_it() {
    let mut breaker = Breaker::default();
    breaker.take_in(&times(50, &Met::Worked), at(0), &RULES);

    breaker.take_in(&times(3, &Met::Misconfigured), at(1), &RULES);

    assert!(!breaker.is_open());
}

#[test]
fn the_same_unknown_answer_on_five_channels_opens_it_once() {
    let unknown = |kind: &str| Met::Unknown(kind.to_owned());
    let mut breaker = Breaker::default();
    let mixed = ["a", "b", "a", "b", "a", "b", "a"].map(unknown);

    breaker.take_in(&tally(mixed), at(0), &RULES);
    assert!(!breaker.is_open());
    let alerts = breaker.take_in(&tally([unknown("a")]), at(1), &RULES);
    breaker.take_in(&probe(ProbeEnd::Worked), at(2000), &RULES);
    breaker.take_in(&times(9, &unknown("a")), at(3000), &RULES);

    assert!(
        matches!(&alerts[..], [Alert::Opened(it)] if it.why == Trouble::ContractDrift),
        "{alerts:?}"
    );
    assert!(!breaker.is_open(), "it is known by now");
    assert_eq!(breaker.unknown_answers(), 17);
}

const DENIED: Met = Met::Denied { unexplained: true };

#[test]
fn refusals_one_after_another_open_it_and_single_ones_do_not() {
    let mut breaker = Breaker::default();

    for round in 0..20 {
        breaker.take_in(&times(4, &DENIED), at(round), &RULES);
        breaker.take_in(&times(1, &Met::Worked), at(round), &RULES);
    }
    let among_successes = breaker.is_open();
    breaker.take_in(&times(4, &DENIED), at(100), &RULES);
    let alerts = breaker.take_in(&times(1, &DENIED), at(200), &RULES);

    assert!(!among_successes);
    assert!(breaker.doubts_refusals());
    assert!(
        matches!(&alerts[..], [Alert::Opened(it)] if it.why == Trouble::Misconfigured),
        "{alerts:?}"
    );
}

#[test]
fn refusals_that_have_an_explanation_open_nothing() {
    let mut breaker = Breaker::default();

    let explained = Met::Denied { unexplained: false };
    breaker.take_in(&times(60, &explained), at(0), &RULES);

    assert!(!breaker.is_open());
}

#[test]
fn a_grant_that_is_taken_ends_the_doubt_and_the_rest_is_believed() {
    let mut breaker = Breaker::default();
    breaker.take_in(&times(5, &DENIED), at(0), &RULES);

    breaker.take_in(&probe(ProbeEnd::Denied), at(1000), &RULES);
    let doubts = breaker.doubts_refusals();
    breaker.take_in(&probe(ProbeEnd::Worked), at(2000), &RULES);
    breaker.take_in(&times(60, &DENIED), at(3000), &RULES);

    assert!(doubts);
    assert!(!breaker.is_open());
}

#[test]
fn an_app_whose_every_grant_is_refused_for_an_hour_is_believed() {
    let mut breaker = Breaker::default();
    breaker.take_in(&times(5, &DENIED), at(0), &RULES);

    breaker.take_in(&probe(ProbeEnd::Denied), at(3_599_000), &RULES);
    let before = breaker.is_open();
    breaker.take_in(&probe(ProbeEnd::Denied), at(3_600_000), &RULES);
    breaker.take_in(&times(60, &DENIED), at(3_700_000), &RULES);

    assert!(before);
    assert!(!breaker.is_open());
}

#[test]
fn a_refused_grant_shows_that_a_provider_is_back() {
    let mut breaker = open_at(at(0));

    breaker.take_in(&probe(ProbeEnd::Denied), at(1000), &RULES);

    assert!(!breaker.is_open());
}

#[test]
fn one_throttled_answer_holds_nobody_and_two_in_a_row_hold_all() {
    let limited = Met::Throttled(Some(NamedDelay {
        delay: Duration::from_secs(90),
        grows: false,
    }));
    let mut breaker = Breaker::default();

    breaker.take_in(&times(1, &limited), at(0), &RULES);
    assert_eq!(per_second(&breaker, at(0)), None);
    breaker.take_in(&times(1, &limited), at(100), &RULES);

    let held = Advice::Held { until: at(90_100) };
    assert_eq!(breaker.advice(None, at(100)), held);
    assert_eq!(breaker.advice(None, at(90_099)), held);
    assert_eq!(per_second(&breaker, at(90_100)), Some(10.0), "and slowly");
}

#[test]
fn a_delay_that_nobody_named_grows_from_five_minutes_to_an_hour() {
    let usage = Met::Throttled(Some(NamedDelay {
        delay: Duration::from_mins(5),
        grows: true,
    }));
    let mut breaker = Breaker::default();
    let mut now = at(0);
    let mut minutes = Vec::new();

    for _ in 0..6 {
        breaker.take_in(&times(2, &usage), now, &RULES);
        let Advice::Held { until } = breaker.advice(None, now) else {
            panic!("not held");
        };
        minutes.push(until.since(now).as_secs() / 60);
        now = until;
    }
    breaker.take_in(&times(1, &Met::Worked), now, &RULES);
    breaker.take_in(&times(2, &usage), now.plus(RULES.window), &RULES);

    assert_eq!(minutes, [5, 10, 20, 40, 60, 60]);
    let first_step = now.plus(RULES.window + Duration::from_mins(5));
    let advice = breaker.advice(None, now.plus(RULES.window));
    assert_eq!(advice, Advice::Held { until: first_step });
}

#[test]
fn throttled_answers_among_many_good_ones_slow_the_fleet_to_what_gets_through() {
    let mut breaker = Breaker::default();

    for second in 0..5 {
        let mut met = times(80, &Met::Worked);
        met.throttled = 20;
        breaker.take_in(&met, at(second * 1000), &RULES);
    }

    let rate = per_second(&breaker, at(4000)).expect("a limit");
    assert!((50.0..=90.0).contains(&rate), "{rate}");
    let later = per_second(&breaker, at(64_000)).expect("a limit");
    assert!(later > rate * 1.5, "it looks for the limit again: {later}");
}

#[test]
fn a_breaker_of_the_version_before_is_read() {
    let mut text = serde_json::to_value(open_at(at(0))).expect("plain data");
    text.as_object_mut().expect("an object").remove("strain");

    assert_eq!(serde_json::from_value(text).ok(), Some(open_at(at(0))));
}

#[test]
fn it_is_the_same_value_after_it_was_written_and_read() {
    let mut breaker = open_at(at(0));
    breaker.take_in(&probe(ProbeEnd::Worked), at(3000), &RULES);

    let text = serde_json::to_string(&breaker).expect("plain data");

    assert_eq!(serde_json::from_str::<Breaker>(&text).ok(), Some(breaker));
}
