//! The policy by examples, and against a simple model that keeps every answer.

use proptest::prelude::*;

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

fn used(percent: u8, budget: Option<f64>) -> Tally {
    let mut tally = times(1, &Met::Worked);
    tally.hear(AppUsage { percent, budget });
    tally
}

#[test]
fn from_eighty_percent_on_the_fleet_slows_with_what_is_left() {
    let mut breaker = Breaker::default();
    let budget = Some(200.0);
    let mut rate_at = |percent| {
        breaker.take_in(&used(percent, budget), at(0), &RULES);
        match breaker.advice(budget, at(0)) {
            Advice::Go { per_second } => per_second,
            other => panic!("{other:?}"),
        }
    };

    let rates = [0, 79, 80, 85, 90, 99].map(&mut rate_at);

    let full = Some(200.0);
    let slower = [full, full, full, Some(150.0), Some(100.0), Some(10.0)];
    assert_eq!(rates, slower);
}

#[test]
fn a_usage_that_stays_high_slows_no_further_and_one_that_nobody_repeats_is_forgotten() {
    let mut breaker = Breaker::default();

    breaker.take_in(&times(400, &Met::Worked), at(0), &RULES);
    for second in 1..=40 {
        breaker.take_in(&used(90, None), at(second * 1000), &RULES);
    }
    let rate = per_second(&breaker, at(40_000)).expect("a limit");

    assert!((150.0..=210.0).contains(&rate), "half of 400: {rate}");
    assert_eq!(breaker.usage(at(40_000)), Some(90));
    assert_eq!(per_second(&breaker, at(100_000)), None, "a window later");
    assert_eq!(breaker.usage(at(100_000)), None);
}

#[test]
fn when_usage_falls_the_fleet_returns_within_the_ramp() {
    let mut breaker = Breaker::default();
    let budget = Some(200.0);
    breaker.take_in(&used(95, budget), at(0), &RULES);

    breaker.take_in(&used(20, budget), at(1000), &RULES);
    let first = per_second(&breaker, at(1000)).expect("a limit");
    let later = per_second(&breaker, at(7000)).expect("a limit");
    let after_ramp = breaker.advice(budget, at(31_000));

    assert_eq!(breaker.usage(at(1000)), None);
    assert!((50.0..52.0).contains(&first), "{first}");
    assert!((later - first * 4.0).abs() < 0.1, "{later}");
    assert_eq!(after_ramp, Advice::Go { per_second: budget });
}

#[test]
fn a_spent_app_is_left_alone_as_if_it_had_been_refused() {
    let mut breaker = Breaker::default();
    let (mut now, mut minutes) = (at(0), Vec::new());

    for _ in 0..6 {
        breaker.take_in(&used(100, None), now, &RULES);
        // Under way when the pause began: it says nothing else.
        breaker.take_in(&used(100, None), now.plus(RULES.probe_every), &RULES);
        let Advice::Held { until } = breaker.advice(None, now) else {
            panic!("not held");
        };
        minutes.push(until.since(now).as_secs() / 60);
        now = until;
    }
    let after = per_second(&breaker, now);
    breaker.take_in(&used(95, None), now, &RULES);
    breaker.take_in(&used(100, None), now, &RULES);

    assert_eq!(minutes, [5, 10, 20, 40, 60, 60]);
    assert_eq!(after, Some(1.0), "slowly");
    let first_step = now.plus(Duration::from_mins(5));
    let held = Advice::Held { until: first_step };
    assert_eq!(breaker.advice(None, now), held);
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

/// One thing that happens to a breaker.
#[derive(Clone, Debug)]
enum Op {
    Pass(u16),
    Meet { worked: u8, failed: u8 },
    Probe { works: bool },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        (1..30_000_u16).prop_map(Op::Pass),
        (0..12_u8, 0..12_u8).prop_map(|(worked, failed)| Op::Meet { worked, failed }),
        any::<bool>().prop_map(|works| Op::Probe { works }),
    ];
    prop::collection::vec(op, 1..80)
}

/// Every answer since the last change, and when the last probe left.
#[derive(Default)]
struct Model {
    is_open: bool,
    /// When a bucket began, and what is in it: (worked, failed).
    buckets: Vec<(i64, u32, u32)>,
    probed_at: Option<i64>,
    failed_probes: u32,
}

impl Model {
    fn meet(&mut self, now: i64, worked: u32, failed: u32) {
        if self.is_open {
            return;
        }
        match self.buckets.last_mut() {
            Some(last) if now < last.0 + 10_000 => {
                last.1 += worked;
                last.2 += failed;
            }
            _ => self.buckets.push((now, worked, failed)),
        }
        let newest = self.buckets.iter().rev().take(6);
        let met = newest.filter(|it| it.0 + 60_000 > now);
        let (worked, failed) = met.fold((0, 0), |sum, it| (sum.0 + it.1, sum.1 + it.2));
        if failed > 0 && worked + failed >= 10 && failed >= worked {
            *self = Self {
                is_open: true,
                probed_at: Some(now),
                ..Self::default()
            };
        }
    }

    fn may_probe(&self, now: i64) -> bool {
        let pause = 1000 * i64::from((1 + self.failed_probes / 5).min(10));
        self.is_open && self.probed_at.is_none_or(|at| now >= at + pause)
    }
}

proptest! {
    #[test]
    fn it_does_what_a_simple_model_does(ops in ops()) {
        let (mut breaker, mut model, mut now) = (Breaker::default(), Model::default(), 0_i64);
        let mut alerts = 0_i32;
        for op in ops {
            match op {
                Op::Pass(millis) => now += i64::from(millis),
                Op::Meet { worked, failed } => {
                    let mut met = times(worked.into(), &Met::Worked);
                    met.failed = failed.into();
                    for alert in breaker.take_in(&met, at(now), &RULES) {
                        alerts += if matches!(alert, Alert::Opened(_)) { 1 } else { -1 };
                    }
                    model.meet(now, worked.into(), failed.into());
                }
                Op::Probe { works } => {
                    // The pause before a probe is fixed when the one before it leaves.
                    let may = model.may_probe(now);
                    let taken = breaker.take_probe(at(now), &RULES);
                    prop_assert!(!taken || model.is_open);
                    prop_assert!(!taken || now - model.probed_at.unwrap_or(i64::MIN) >= 1000);
                    prop_assert!(taken || !may);
                    if taken {
                        let end = if works { ProbeEnd::Worked } else { ProbeEnd::Failed };
                        model.probed_at = Some(now);
                        breaker.take_in(&probe(end), at(now), &RULES);
                        if works {
                            model = Model::default();
                        } else {
                            model.failed_probes += 1;
                        }
                    }
                }
            }
            prop_assert_eq!(breaker.is_open(), model.is_open);
            prop_assert!((0..=1).contains(&alerts), "one alert opens, one ends");
            if breaker.is_open() {
                let is_open = matches!(breaker.advice(None, at(now)), Advice::Open { .. });
                prop_assert!(is_open, "nothing is sent but probes");
                prop_assert!(breaker.incident().is_some());
            }
        }
    }
}
