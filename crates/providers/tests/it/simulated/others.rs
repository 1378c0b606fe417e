//! The providers beside the three of the seeds, and the quirks of each.

use super::*;

/// What a scenario comes to: the lifetime of the fresh token, or class and reason.
type Expected = Result<u64, (ErrorClass, &'static str)>;

const DAY: u64 = 86_400;
const SIXTY_DAYS: u64 = 5_183_944;

async fn comes_to(order: &MintRequest, expected: Expected) {
    comes_to_as(order, None, expected).await;
}

/// `catalogued` names the entry of the catalogue that is to understand it.
async fn comes_to_as(order: &MintRequest, catalogued: Option<&'static str>, expected: Expected) {
    let mut channel = Channel::of(order).await;
    if let Some(name) = catalogued {
        let generic = channel.minted.provider.trim_start_matches("oauth2:");
        let mut settings = settings(&channel.sim);
        let described = oauth2(&channel.sim, generic);
        settings.oauth2.insert(name.to_owned(), described);
        let full = format!("oauth2:{name}");
        let providers = providers::Providers::new(settings).expect("it is described");
        channel.provider = providers.get(&full.into()).expect("it is known");
    }

    let result = channel.refresh().await;

    match (result, expected) {
        (Ok(fresh), Ok(seconds)) => {
            assert!(lives(&fresh, seconds), "{order:?}: {:?}", fresh.lifetime);
        }
        (Err(error), Err((class, reason))) => {
            let details = error.details();
            let shown = (error.verdict().class(), details.reason.unwrap_or_default());
            assert_eq!(shown, (class, reason.to_owned()), "{order:?}");
        }
        (result, expected) => panic!("{order:?}: {result:?}, not {expected:?}"),
    }
}

#[tokio::test]
async fn every_provider_is_refreshed_three_times_and_spends_nothing_twice() {
    for name in NAMES {
        let mut channel = Channel::of(&refreshable(name)).await;
        let mut renewed = 0;

        for _ in 0..3 {
            // What was just issued is too young at Instagram, and is left alone.
            let fresh = channel.renew().await;
            renewed += u64::from(fresh.brings_credentials());
        }

        let summary = channel.sim.summary();
        assert_eq!((summary.refreshes, summary.reuses), (renewed, 0), "{name}");
        let expected = if name == "instagram" { 1 } else { 3 };
        assert_eq!(renewed, expected, "{name}");
    }
}

#[tokio::test]
async fn instagram_refuses_what_is_too_young_or_dead() {
    use ErrorClass::{Fatal, RateLimited, ReauthRequired};
    let old = || MintRequest::of("instagram").expires_in(86_400);
    comes_to(&old(), Ok(SIXTY_DAYS)).await;
    comes_to(&old().scenario("same_token"), Ok(SIXTY_DAYS)).await;
    comes_to(&old().scenario("not_advanced"), Ok(DAY)).await;
    comes_to(&old().scenario("method_get"), Err((Fatal, ""))).await;
    let dead = Err((ReauthRequired, "revoked"));
    comes_to(&old().scenario("dead_method_get"), dead).await;
    let expired = MintRequest::of("instagram").scenario("expired");
    comes_to(&expired, Err((ReauthRequired, "expired"))).await;
    let mut young = Channel::of(&MintRequest::of("instagram").scenario("young")).await;
    // As if nobody knew its end: only the provider can refuse it.
    young.access_expires_at = None;

    let refused = young.refresh().await.expect_err("it is too young");

    assert_eq!(refused.verdict().class(), RateLimited);
    assert_eq!(refused.details().reason.as_deref(), Some("too_young"));
}

#[tokio::test]
async fn whatsapp_keeps_whatever_token_it_is_given() {
    let order = || MintRequest::of("whatsapp").expires_in(86_400);
    let system_user = order().kind(GrantKind::SystemUser);
    comes_to(&system_user, Ok(60 * DAY)).await;
    comes_to(&order().kind(GrantKind::User), Ok(SIXTY_DAYS)).await;
    let endless = MintRequest::of("whatsapp").kind(GrantKind::SystemUser);
    let mut channel = Channel::of(&endless.never_expires()).await;

    let fresh = channel.renew().await;

    assert_eq!(fresh.lifetime, Lifetime::Never);
    assert_eq!(channel.endpoints(), ["debug_token"]);
}

#[tokio::test]
async fn tiktok_business_tells_everything_by_its_code() {
    use ErrorClass::{Fatal, Misconfigured, RateLimited, ReauthRequired, Retryable};
    let order = || MintRequest::of("tiktok_business");
    comes_to(&order(), Ok(DAY)).await;
    for (scenario, expected) in [
        ("same_refresh_token", Ok(DAY)),
        ("no_refresh_token", Ok(DAY)),
        ("40001", Err((ReauthRequired, "permission_removed"))),
        ("40002", Err((Fatal, ""))),
        ("40002_refresh_token", Err((ReauthRequired, "revoked"))),
        ("40002_secret", Err((Misconfigured, ""))),
        ("40100", Err((RateLimited, ""))),
        ("51021", Err((RateLimited, ""))),
        ("40102", Err((ReauthRequired, "revoked"))),
        ("40105", Err((ReauthRequired, "revoked"))),
        ("50000", Err((Retryable, ""))),
        ("open_id_mismatch", Err((Fatal, "identity_mismatch"))),
    ] {
        comes_to(&order().scenario(scenario), expected).await;
    }
}

#[tokio::test]
async fn tiktok_legacy_tells_everything_by_its_error_code() {
    use ErrorClass::{Fatal, Misconfigured, ReauthRequired, Retryable};
    let order = || MintRequest::of("tiktok_legacy");
    comes_to(&order(), Ok(DAY)).await;
    for (scenario, expected) in [
        ("numeric_strings", Ok(DAY)),
        ("no_refresh_token", Ok(DAY)),
        ("10001", Err((Retryable, ""))),
        ("10002", Err((Fatal, ""))),
        ("10003", Err((Misconfigured, ""))),
        ("10004", Err((Misconfigured, ""))),
        ("10008", Err((ReauthRequired, "revoked"))),
        ("10010", Err((ReauthRequired, "expired"))),
        ("10020", Err((ReauthRequired, "revoked"))),
        // A dead grant at the second try, a failure at the first.
        ("10999", Err((Retryable, "unknown_answer"))),
        ("message_error", Err((Retryable, "unknown_answer"))),
        ("rejected", Err((Retryable, "unknown_answer"))),
        ("open_id_mismatch", Err((Fatal, "identity_mismatch"))),
    ] {
        comes_to(&order().scenario(scenario), expected).await;
    }
}

#[tokio::test]
async fn a_service_token_obtains_what_its_api_gives() {
    use ErrorClass::{Fatal, Misconfigured, ReauthRequired, Retryable};
    let order = || MintRequest::of("service_token");
    comes_to(&order(), Ok(900)).await;
    for (scenario, expected) in [
        ("no_expires_in", Ok(900)),
        ("no_access_token", Err((Retryable, "unknown_answer"))),
        ("status_401", Err((ReauthRequired, "bad_credentials"))),
        ("status_403", Err((ReauthRequired, "bad_credentials"))),
        ("status_404", Err((Misconfigured, ""))),
        ("status_405", Err((Misconfigured, ""))),
        ("status_422", Err((Fatal, ""))),
    ] {
        comes_to(&order().scenario(scenario), expected).await;
    }
}

#[tokio::test]
async fn generic_providers_are_understood_in_all_their_carelessness() {
    use ErrorClass::{Fatal, Misconfigured, RateLimited, ReauthRequired, Retryable};
    let order = || MintRequest::of("oauth2:demo");
    for (scenario, expected) in [
        ("no_token_type", Ok(3600)),
        ("string_expires_in", Ok(3600)),
        ("no_scope", Ok(3600)),
        ("comma_scope", Ok(3600)),
        ("status_201", Ok(3600)),
        ("text_javascript", Ok(3600)),
        ("form_encoded", Ok(3600)),
        ("form_unless_json", Ok(3600)),
        ("ok_true", Ok(3600)),
        ("no_refresh_token", Ok(3600)),
        ("empty_refresh_token", Ok(3600)),
        ("grace", Ok(3600)),
        ("invalid_grant_200", Err((ReauthRequired, "revoked"))),
        ("invalid_grant_403", Err((ReauthRequired, "revoked"))),
        ("aadsts", Err((ReauthRequired, "revoked"))),
        ("invalid_client_200", Err((Misconfigured, ""))),
        ("unauthorized_client", Err((Misconfigured, ""))),
        ("invalid_scope", Err((Misconfigured, ""))),
        ("invalid_request", Err((Fatal, ""))),
        ("unsupported_grant_type", Err((Fatal, ""))),
        ("server_error", Err((Retryable, ""))),
        ("temporarily_unavailable", Err((Retryable, ""))),
        ("slow_down", Err((RateLimited, ""))),
        ("retry_after_secs", Err((RateLimited, ""))),
        ("retry_after_date", Err((RateLimited, ""))),
        ("unknown_error", Err((Retryable, "unknown_answer"))),
        ("html_200", Err((Retryable, "unknown_answer"))),
        ("html_400", Err((Retryable, "unknown_answer"))),
        ("empty_200", Err((Retryable, "unknown_answer"))),
        ("no_access_token", Err((Retryable, "unknown_answer"))),
        ("body_20mb", Err((Retryable, "answer_too_large"))),
    ] {
        comes_to(&order().scenario(scenario), expected).await;
    }
}

#[tokio::test]
async fn the_catalogue_knows_the_quirks_of_its_providers() {
    use ErrorClass::{Misconfigured, ReauthRequired, Retryable};
    let dead = Err((ReauthRequired, "revoked"));
    for (name, scenario, expected) in [
        ("slack", "nested", Ok(3600)),
        ("slack", "ok_false", dead),
        ("slack", "ok_false_secret", Err((Misconfigured, ""))),
        ("slack", "ok_false_internal", Err((Retryable, ""))),
        ("github", "bad_refresh_token_200", dead),
        ("github", "form_encoded_error", dead),
        ("hubspot", "bad_refresh_token_status", dead),
        ("x", "invalid_request_token", dead),
        ("microsoft", "interaction_required", dead),
        ("atlassian", "access_denied", Err((Misconfigured, ""))),
        ("salesforce", "no_expires_in", Ok(7200)),
        ("salesforce", "expired_token", dead),
        ("quickbooks", "x_refresh_token_expires_in", Ok(3600)),
    ] {
        let order = MintRequest::of("oauth2:demo").scenario(scenario);
        comes_to_as(&order, Some(name), expected).await;
    }
}
