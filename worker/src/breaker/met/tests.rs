//! One row per kind of answer.

use std::time::Duration;

use domain::ProviderName;
use providers::{NotPermitted, ProviderSettings, Providers};

use super::*;

const FACEBOOK: ProviderName = ProviderName::from_static("facebook");

fn facebook() -> std::sync::Arc<dyn Provider> {
    let providers = Providers::new(ProviderSettings::default()).expect("the defaults work");
    providers.get(&FACEBOOK).expect("it is built in")
}

fn met_of(answer: &Result<FreshTokens, RefreshError>) -> Option<Met> {
    met(answer, facebook().as_ref(), false, true)
}

fn answered(verdict: Verdict, code: &str, why: Option<&str>) -> Result<FreshTokens, RefreshError> {
    let details = Details {
        reason: why.map(str::to_owned),
        provider_code: Some(code.to_owned()),
        http_status: Some(400),
        ..Details::default()
    };
    Err(Refusal {
        provider: FACEBOOK,
        verdict,
        details,
    }
    .into())
}

#[test]
fn silence_and_errors_that_pass_are_failures_of_the_provider() {
    let silence = Err(RefreshError::NoAnswer {
        provider: FACEBOOK,
        source: "cut".into(),
    });
    let then_fatal = Verdict::retry_then(3, Verdict::Fatal);

    assert_eq!(met_of(&silence), Some(Met::Failed));
    assert_eq!(
        met_of(&answered(Verdict::Retry, "2", None)),
        Some(Met::Failed)
    );
    assert_eq!(met_of(&answered(then_fatal, "1", None)), Some(Met::Failed));
}

#[test]
fn a_word_about_one_grant_shows_that_the_provider_works() {
    for verdict in [Verdict::NoRefreshMaterial, Verdict::Fatal] {
        assert_eq!(met_of(&answered(verdict, "190", None)), Some(Met::Worked));
    }
}

#[test]
fn a_refused_grant_is_told_apart_unless_keys_are_the_tenants_own() {
    let refused = || answered(Verdict::Reauthorize, "190", None);

    assert_eq!(met_of(&refused()), Some(Met::Denied { unexplained: true }));
    assert_eq!(
        met(&refused(), facebook().as_ref(), true, true),
        Some(Met::Worked)
    );
}

#[test]
fn what_was_never_sent_says_nothing() {
    let unsent = Refusal {
        provider: FACEBOOK,
        verdict: Verdict::NoRefreshMaterial,
        details: Details::because(reason::NO_REFRESH_MATERIAL),
    };

    assert_eq!(met_of(&Err(unsent.into())), None);
    assert_eq!(met_of(&Err(NotPermitted::Stopping.into())), None);
}

#[test]
fn a_refused_app_is_the_operators_unless_keys_are_the_tenants_own() {
    let refused = || answered(Verdict::Misconfigured, "101", None);

    assert_eq!(met_of(&refused()), Some(Met::Misconfigured));
    assert_eq!(
        met(&refused(), facebook().as_ref(), true, true),
        Some(Met::Worked)
    );
}

#[test]
fn limits_of_an_account_hold_nobody_else() {
    let throttled = |code, source| {
        let verdict = Verdict::RateLimited {
            delay: Some(Duration::from_secs(9)),
            source,
        };
        met_of(&answered(verdict, code, None))
    };
    let of_app = |grows| {
        let delay = Duration::from_secs(9);
        Some(Met::Throttled(Some(NamedDelay { delay, grows })))
    };

    assert_eq!(throttled("4", DelaySource::RetryAfter), of_app(false));
    assert_eq!(throttled("4", DelaySource::ProviderUsage), of_app(true));
    assert_eq!(throttled("17", DelaySource::RetryAfter), Some(Met::Worked));
    assert_eq!(
        throttled("80001", DelaySource::ProviderHeader),
        Some(Met::Worked)
    );
}

#[test]
fn an_unknown_answer_is_known_again_by_its_status_and_codes() {
    let unknown = |code| answered(Verdict::Fatal, code, Some(reason::UNKNOWN_ANSWER));
    let kind = |met| match met {
        Some(Met::Unknown(kind)) => kind,
        other => panic!("{other:?}"),
    };

    assert_eq!(kind(met_of(&unknown("7"))), kind(met_of(&unknown("7"))));
    assert_ne!(kind(met_of(&unknown("7"))), kind(met_of(&unknown("8"))));
}
