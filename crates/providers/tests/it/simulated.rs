//! The providers against the simulator, which is as strict as the contracts.

use std::sync::Arc;
use std::time::Duration;

use domain::{
    Clock as _, ErrorClass, FreshTokens, Grant, GrantKind, Lifetime, SystemClock, Timestamp,
};
use providers::{
    Accepted, AuthStyle, BodyFormat, FacturifySettings, ImportRequest, InstagramSettings,
    MetaSettings, OAuth2Settings, Provider, ProviderSettings, RefreshError, TikTokBusinessSettings,
    TikTokLegacySettings, TikTokSettings,
};
use secrecy::ExposeSecret;
use simulator::{
    Fault, FaultKind, Faults, MintRequest, Minted, Running, Simulator, SimulatorConfig,
};

use crate::support::{Refresh, provider};

mod others;

const NAMES: [&str; 11] = [
    "facebook",
    "instagram",
    "whatsapp",
    "tiktok",
    "tiktok_business",
    "tiktok_legacy",
    "facturify",
    "service_token",
    "oauth2:demo",
    "oauth2:demo_body",
    "oauth2:demo_json",
];

/// Those where a tenant's own key is the app.
const OWN_KEYS: [&str; 2] = ["facturify", "service_token"];

/// Credentials that their provider refreshes at once; Instagram wants them a day old.
fn refreshable(name: &str) -> MintRequest {
    match name {
        "instagram" | "whatsapp" => MintRequest::of(name).expires_in(86_400),
        name => MintRequest::of(name),
    }
}

/// The simulator and one grant at one of its providers, imported as a tenant would.
struct Channel {
    sim: Running,
    provider: Arc<dyn Provider>,
    minted: Minted,
    grant: Grant,
    external_id: Option<String>,
    access_expires_at: Option<Timestamp>,
}

impl Channel {
    async fn of(order: &MintRequest) -> Self {
        Self::with(order, |_| {}).await
    }

    /// With settings that differ.
    async fn with(order: &MintRequest, change: impl FnOnce(&mut ProviderSettings)) -> Self {
        let config = SimulatorConfig {
            slow: Duration::from_millis(1),
            ..SimulatorConfig::default()
        };
        let sim = Simulator::start(config).await.expect("a free port");
        let mut settings = settings(&sim);
        change(&mut settings);
        let minted = sim.mint(order).expect("it is minted").remove(0);
        let provider = provider(minted.provider, settings);
        let accepted = import(&*provider, &minted);
        Self {
            sim,
            provider,
            grant: accepted.grant,
            external_id: minted.external_id.clone(),
            minted,
            access_expires_at: accepted.access_expires_at,
        }
    }

    async fn refresh(&self) -> Result<FreshTokens, RefreshError> {
        let refresh = Refresh {
            external_id: self.external_id.as_deref(),
            access_expires_at: self.access_expires_at,
            now: SystemClock.now(),
            ..Refresh::of(&self.grant)
        };
        refresh.fresh(&*self.provider).await
    }

    /// Refreshes and stores what came, as a worker does.
    async fn renew(&mut self) -> FreshTokens {
        let fresh = self.refresh().await.expect("it is refreshed");
        let now = SystemClock.now();
        self.grant = self.grant.renewed(&fresh, now);
        self.access_expires_at = fresh.lifetime.ends_at(now);
        fresh
    }

    fn endpoints(&self) -> Vec<&'static str> {
        let ledger = self.sim.ledger(&simulator::Filter::default());
        ledger.into_iter().map(|entry| entry.endpoint).collect()
    }
}

pub(crate) fn settings(sim: &Running) -> ProviderSettings {
    let page = |name, path| format!("{}{path}", sim.base_url(name));
    ProviderSettings {
        timeout: Duration::from_millis(700),
        meta: MetaSettings {
            base_url: sim.base_url("facebook"),
            app_id: Some(simulator::META_APP_ID.to_owned()),
            app_secret: Some(simulator::META_APP_SECRET.into()),
            authorize_url: Some(page("facebook", "/v25.0/dialog/oauth")),
            whatsapp_config: Some(simulator::WHATSAPP_CONFIG_ID.to_owned()),
            ..MetaSettings::default()
        },
        tiktok: TikTokSettings {
            base_url: sim.base_url("tiktok"),
            client_key: Some(simulator::TIKTOK_CLIENT_KEY.to_owned()),
            client_secret: Some(simulator::TIKTOK_CLIENT_SECRET.into()),
            authorize_url: page("tiktok", "/v2/auth/authorize/"),
            ..TikTokSettings::default()
        },
        facturify: FacturifySettings {
            base_url: sim.base_url("facturify"),
            timeout: Duration::from_millis(700),
            max_retries: 0,
            ..FacturifySettings::default()
        },
        instagram: InstagramSettings {
            base_url: sim.base_url("instagram"),
            authorize_url: page("instagram", "/oauth/authorize"),
            code_url: page("instagram", "/oauth/access_token"),
            app_id: Some(simulator::INSTAGRAM_APP_ID.to_owned()),
            app_secret: Some(simulator::INSTAGRAM_APP_SECRET.into()),
            ..InstagramSettings::default()
        },
        tiktok_business: TikTokBusinessSettings {
            base_url: sim.base_url("tiktok_business"),
            app_id: Some(simulator::TIKTOK_APP_ID.to_owned()),
            app_secret: Some(simulator::TIKTOK_APP_SECRET.into()),
            authorize_url: page("tiktok_business", "/v2/auth/authorize/"),
            ..TikTokBusinessSettings::default()
        },
        tiktok_legacy: TikTokLegacySettings {
            base_url: sim.base_url("tiktok_legacy"),
        },
        oauth2: ["demo", "demo_body", "demo_json"]
            .map(|name| (name.to_owned(), oauth2(sim, name)))
            .into(),
        allow_private: true,
        ..ProviderSettings::default()
    }
}

/// A generic provider of the simulator, in the dialect that its name says.
fn oauth2(sim: &Running, name: &str) -> OAuth2Settings {
    let (auth_style, body) = match name {
        "demo_body" => (AuthStyle::Body, BodyFormat::Form),
        "demo_json" => (AuthStyle::Basic, BodyFormat::Json),
        _ => (AuthStyle::Basic, BodyFormat::Form),
    };
    let address = sim.base_url(&format!("oauth2:{name}"));
    OAuth2Settings {
        token_url: Some(format!("{address}/token")),
        authorize_url: Some(format!("{address}/authorize")),
        account: Some("user_id".to_owned()),
        pkce: Some(name != "demo_body"),
        client_id: simulator::OAUTH2_CLIENT_ID.to_owned(),
        client_secret: Some(simulator::OAUTH2_CLIENT_SECRET.into()),
        auth_style: Some(auth_style),
        body: Some(body),
        ..OAuth2Settings::default()
    }
}

fn import(provider: &dyn Provider, minted: &Minted) -> Accepted {
    let form = minted.import_form();
    let import = ImportRequest {
        credentials: form.as_object().expect("an object").clone(),
        now: SystemClock.now(),
    };
    provider.accept(&import).expect("it is accepted")
}

fn lives(fresh: &FreshTokens, seconds: u64) -> bool {
    let now = SystemClock.now();
    let ends_at = fresh.lifetime.ends_at(now).expect("it ends");
    ends_at.since(now).as_secs().abs_diff(seconds) <= 2
}

#[tokio::test]
async fn a_persons_token_is_exchanged_again_and_again() {
    let mut channel = Channel::of(&MintRequest::of("facebook").expires_in(86_400)).await;

    for _ in 0..3 {
        let fresh = channel.renew().await;

        assert!(lives(&fresh, 5_183_944));
    }
    assert_eq!(channel.endpoints(), ["oauth/access_token"; 3]);
    let summary = channel.sim.summary();
    assert_eq!((summary.refreshes, summary.generations_repeated), (3, 0));
}

#[tokio::test]
async fn a_system_users_token_is_exchanged_for_sixty_more_days() {
    let order = MintRequest::of("facebook")
        .kind(GrantKind::SystemUser)
        .expires_in(86_400);
    let mut known = Channel::of(&order).await;
    let mut unknown = Channel::of(&order).await;
    unknown.grant.kind = None;

    let by_known = known.renew().await;
    let by_unknown = unknown.renew().await;

    assert!(lives(&by_known, 60 * 86_400));
    assert!(lives(&by_unknown, 60 * 86_400));
    assert_eq!(by_unknown.kind, Some(GrantKind::SystemUser));
}

#[tokio::test]
async fn a_token_that_never_ends_is_looked_at_and_left_alone() {
    let order = MintRequest::of("facebook")
        .kind(GrantKind::SystemUser)
        .never_expires();
    let mut channel = Channel::of(&order).await;

    let fresh = channel.renew().await;

    assert_eq!(fresh.lifetime, Lifetime::Never);
    assert!(!fresh.brings_credentials());
    assert_eq!(fresh.external_id, channel.external_id);
    assert_eq!(channel.endpoints(), ["debug_token"]);
}

#[tokio::test]
async fn a_page_is_derived_anew_from_its_person() {
    let order = MintRequest::of("facebook")
        .kind(GrantKind::Page)
        .expires_in(-60);
    let mut channel = Channel::of(&order).await;

    let fresh = channel.renew().await;

    assert_eq!(fresh.lifetime, Lifetime::Never);
    assert_eq!(fresh.external_id, channel.external_id);
    assert_eq!(channel.endpoints(), ["accounts", "debug_token"]);
    let seen = channel
        .sim
        .grant(&channel.minted.id, true)
        .expect("it is there");
    let newest = seen.revealed.expect("revealed").credentials.access_token;
    let stored = channel.grant.access_token.as_ref().expect("stored");
    assert_eq!(
        newest.expect("a token").expose_secret(),
        stored.expose_secret()
    );
}

#[tokio::test]
async fn a_refresh_token_is_never_presented_twice() {
    let mut channel = Channel::of(&MintRequest::of("tiktok").expires_in(60)).await;

    for _ in 0..3 {
        let fresh = channel.renew().await;

        assert!(lives(&fresh, 7200));
        assert!(fresh.refresh_token.is_some());
    }
    let summary = channel.sim.summary();
    assert_eq!((summary.refreshes, summary.reuses), (3, 0));
}

#[tokio::test]
async fn a_spent_refresh_token_is_refused() {
    let channel = Channel::of(&MintRequest::of("tiktok")).await;
    channel.refresh().await.expect("the first use is fine");

    let refused = channel.refresh().await.expect_err("the second is theft");

    assert_eq!(refused.verdict().class(), ErrorClass::ReauthRequired);
    let details = refused.details();
    assert_eq!(details.provider_code.as_deref(), Some("invalid_grant"));
    assert!(details.trace_id.is_some());
    assert_eq!(channel.sim.summary().reuses, 1);
}

#[tokio::test]
async fn an_account_that_changed_is_not_taken() {
    let order = MintRequest::of("tiktok").scenario("open_id_mismatch");
    let channel = Channel::of(&order).await;

    let refused = channel.refresh().await.expect_err("another account");

    assert_eq!(
        refused.details().reason.as_deref(),
        Some("identity_mismatch")
    );
}

#[tokio::test]
async fn a_key_obtains_a_short_token_and_refreshes_it_to_a_long_one() {
    let mut channel = Channel::of(&MintRequest::of("facturify")).await;

    let first = channel.renew().await;
    let second = channel.renew().await;
    let third = channel.renew().await;

    assert!(lives(&first, 240));
    assert!(lives(&second, 43_200));
    assert!(lives(&third, 43_200));
    assert_eq!(
        channel.endpoints(),
        ["auth", "token/refresh", "token/refresh"]
    );
}

#[tokio::test]
async fn what_facturify_answers_to_a_refresh_is_dealt_with_in_the_same_call() {
    for (scenario, seconds) in [
        ("refresh_51", 240),
        ("refresh_51_string", 240),
        ("refresh_400", 240),
        ("refresh_400_no_code", 240),
        ("refresh_422", 240),
        ("get_only", 43_200),
        ("get_only_404", 43_200),
        ("exp_disagrees", 21_600),
        ("expires_in_minutes", 720),
    ] {
        let mut channel = Channel::of(&MintRequest::of("facturify")).await;
        channel.renew().await;
        let id = channel.minted.id.clone();
        channel.sim.set_scenario(&id, scenario).expect("it exists");

        let fresh = channel.renew().await;

        assert!(lives(&fresh, seconds), "{scenario}: {:?}", fresh.lifetime);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_told_from_a_dead_grant_everywhere() {
    for (name, class) in [
        ("facebook", ErrorClass::Misconfigured),
        ("tiktok", ErrorClass::Misconfigured),
        ("facturify", ErrorClass::ReauthRequired),
    ] {
        let mut channel = Channel::with(&MintRequest::of(name), |settings| {
            settings.meta.app_secret = Some("another-secret".into());
            settings.tiktok.client_secret = Some("another-secret".into());
        })
        .await;
        let keys = &mut channel.grant.keys;
        keys.entry("api_secret".to_owned())
            .and_modify(|secret| *secret = "another-secret".into());

        let refused = channel.refresh().await.expect_err("it is refused");

        assert_eq!(refused.verdict().class(), class, "{name}");
    }
}

#[tokio::test]
async fn a_revoked_grant_needs_a_person_everywhere() {
    for name in NAMES {
        let channel = Channel::of(&refreshable(name)).await;
        channel.sim.revoke(&channel.minted.id).expect("it is there");

        let refused = channel.refresh().await.expect_err("it is refused");

        let class = refused.verdict().class();
        assert_eq!(class, ErrorClass::ReauthRequired, "{name}");
    }
}

/// What each fault means at each provider; `None` where it is no failure.
fn expected(kind: FaultKind, name: &str) -> Option<(ErrorClass, bool)> {
    use ErrorClass::{Fatal, Misconfigured, RateLimited, ReauthRequired, Retryable};
    let answered = |class| Some((class, false));
    let unanswered = Some((Retryable, true));
    match kind {
        FaultKind::Down
        | FaultKind::Status500
        | FaultKind::Status503
        | FaultKind::Html500
        | FaultKind::Garbage => answered(Retryable),
        FaultKind::Status429 => answered(RateLimited),
        FaultKind::InvalidGrant => answered(ReauthRequired),
        FaultKind::InvalidClient if OWN_KEYS.contains(&name) => answered(ReauthRequired),
        FaultKind::Echo if name == "service_token" => answered(ReauthRequired),
        FaultKind::Echo if name != "facturify" => answered(Fatal),
        FaultKind::Redirect | FaultKind::InvalidClient | FaultKind::Echo => answered(Misconfigured),
        FaultKind::Hang
        | FaultKind::HangAfterCommit
        | FaultKind::CutBeforeCommit
        | FaultKind::CutAfterCommit
        | FaultKind::CutBody
        | FaultKind::HugeBody => unanswered,
        FaultKind::Slow | FaultKind::SlowBody => None,
    }
}

#[tokio::test]
async fn every_fault_has_its_class_at_every_provider_and_shows_no_secret() {
    for name in NAMES {
        for kind in FaultKind::ALL {
            let channel = Channel::of(&refreshable(name)).await;
            let fault: Fault = kind.as_str().parse().expect("a fault");
            let faults = Faults::new(vec![fault]).expect("one fault is fine");
            channel.sim.set_faults(faults);

            let result = channel.refresh().await;

            let shown = result.as_ref().err().map(|error| {
                let reached = error.may_have_reached_provider();
                (error.verdict().class(), reached)
            });
            assert_eq!(shown, expected(kind, name), "{name} {}", kind.as_str());
            if let Err(error) = result {
                let text = format!("{error:?} {:?}", error.details());
                for secret in channel.grant.secrets() {
                    let secret = secret.expose_secret();
                    assert!(!text.contains(secret), "{name} {text}");
                }
            }
        }
    }
}
