//! What the fleet does with the usage of an app that its provider tells.

use super::*;

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
