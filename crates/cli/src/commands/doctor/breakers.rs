//! Does the fleet leave a provider alone at the moment?

use cache::Cache;
use config::Loaded;
use domain::{Advice, Breaker, Clock as _, SystemClock, Trouble};

use super::Finding;
use crate::parts;

const PART: &str = "breakers";

/// What was found; nothing if Redis is not there, which is a finding of its own.
pub(super) async fn examine(loaded: &Loaded) -> Vec<Finding> {
    let Some(url) = parts::known_redis_url(loaded).await else {
        return Vec::new();
    };
    let Ok(cache) = parts::open_cache(loaded, &url) else {
        return Vec::new();
    };
    look(&cache).await
}

async fn look(cache: &Cache) -> Vec<Finding> {
    let Ok(slips) = cache.slips(Breaker::BOARD).await else {
        return Vec::new();
    };
    let known = slips.iter().filter_map(|(name, text)| {
        let breaker: Breaker = serde_json::from_str(text).ok()?;
        (!breaker.is_stale(SystemClock.now())).then_some((name.as_str(), breaker))
    });
    let mut findings: Vec<Finding> = known.filter_map(|(name, it)| judge(name, &it)).collect();
    if findings.is_empty() {
        findings.push(Finding::good(PART, "every provider is called"));
    }
    findings
}

fn judge(name: &str, breaker: &Breaker) -> Option<Finding> {
    let incident = breaker.incident();
    match breaker.advice(None, SystemClock.now()) {
        Advice::Open { since, .. } => {
            let sample = incident.map_or("", |incident| incident.sample.as_str());
            let fix = match incident.map(|incident| incident.why) {
                Some(Trouble::Misconfigured) => {
                    "correct the app's id and secret, and restart the workers"
                }
                Some(Trouble::ContractDrift) => {
                    "compare the answer with the contract; a newer tokenfleet may know it"
                }
                Some(Trouble::Outage) | None => "nothing: probes find out when it is back",
            };
            let found = format!("{name} is left alone since {since} ({sample})");
            Some(Finding::bad(PART, found, fix))
        }
        Advice::Held { until } => {
            let found = format!("{name} asked to be left alone until {until}");
            Some(Finding::good(PART, found))
        }
        Advice::Go { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use domain::{BreakerRules, ChannelUid, Met, Tally};

    use super::*;

    #[test]
    fn an_open_breaker_is_a_finding_that_says_what_to_do() {
        let mut tally = Tally::default();
        for _ in 0..3 {
            let sample = Some("code invalid_client".to_owned());
            tally.add(Met::Misconfigured, ChannelUid::generate(), sample);
        }
        let mut breaker = Breaker::default();
        let fine = judge("tiktok:a 00", &breaker);

        breaker.take_in(&tally, SystemClock.now(), &BreakerRules::default());
        let found = judge("tiktok:a 00", &breaker).expect("a finding");

        assert!(fine.is_none());
        assert!(
            !found.ok && found.found.contains("invalid_client"),
            "{found:?}"
        );
        assert!(found.fix.is_some_and(|fix| fix.contains("secret")));
    }
}
