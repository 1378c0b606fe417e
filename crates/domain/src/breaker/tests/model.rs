//! The policy against a simple model that keeps every answer.

use proptest::prelude::*;

use super::*;

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
