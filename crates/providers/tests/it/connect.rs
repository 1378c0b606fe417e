//! People connect accounts: every provider against the simulator's pages of consent.

use std::sync::Arc;
use std::time::Duration;

use domain::{ChannelState, Clock as _, ErrorClass, GrantKind, SystemClock};
use providers::{
    Asking, Connected, Granted, Provider, ProviderSettings, RefreshError, SameAccount,
};
use reqwest::header::LOCATION;
use secrecy::{ExposeSecret as _, SecretString};
use simulator::{Faults, MintRequest, Running, Simulator, SimulatorConfig};
use url::Url;

use crate::simulated::settings;
use crate::support::{Refresh, provider};

/// What people connect, with the lifetime of the access token that comes of it.
const WAYS: [(&str, u64); 9] = [
    ("facebook", 5_183_944),
    ("whatsapp", 5_184_000),
    ("instagram", 5_183_944),
    ("tiktok", 7200),
    ("tiktok_business", 86_400),
    ("tiktok_legacy", 86_400),
    ("oauth2:demo", 3600),
    ("oauth2:demo_body", 3600),
    ("oauth2:demo_json", 3600),
];

const BACK: &str = "https://fleet.example/connect/callback";
/// The verifier and its challenge of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct Person {
    sim: Running,
    provider: Arc<dyn Provider>,
}

impl Person {
    async fn at(name: &'static str) -> Self {
        Self::with(name, |_| {}).await
    }

    async fn with(name: &'static str, change: impl FnOnce(&mut ProviderSettings)) -> Self {
        let sim = Simulator::start(SimulatorConfig::default())
            .await
            .expect("a free port");
        let mut settings = settings(&sim);
        settings.timeout = Duration::from_secs(5);
        change(&mut settings);
        Self {
            provider: provider(name, settings),
            sim,
        }
    }

    fn page(&self) -> Url {
        let connect = self.provider.connect().expect("people connect it");
        assert_eq!(connect.missing(), Vec::<String>::new());
        connect.authorize_url(&Asking {
            redirect_uri: BACK,
            state: "the state",
            challenge: CHALLENGE,
        })
    }

    /// Agrees at the provider's page, with a new account or with one of before.
    async fn agrees(&self, account: Option<&str>) -> SecretString {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let browser = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a browser");
        let form = [("decision", "allow"), ("account", account.unwrap_or("new"))];
        let answer = browser.post(self.page()).form(&form).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 302);
        let back = answer.headers()[LOCATION].to_str().expect("an address");
        let back = Url::parse(back).expect("an address");
        let said = |name| back.query_pairs().find(|(key, _)| key == name);
        assert_eq!(said("state").expect("a state").1, "the state");
        said("code").expect("a code").1.into_owned().into()
    }

    async fn brings(
        &self,
        code: &SecretString,
        account: Option<&str>,
    ) -> Result<Connected, RefreshError> {
        let connect = self.provider.connect().expect("people connect it");
        connect
            .exchange(&Granted {
                code,
                verifier: &VERIFIER.into(),
                redirect_uri: BACK,
                account,
                now: SystemClock.now(),
            })
            .await
    }

    async fn connects(&self) -> Connected {
        let code = self.agrees(None).await;
        self.brings(&code, None).await.expect("it is connected")
    }

    /// Refreshes what was connected, a second before its end.
    async fn refreshes(&self, connected: &Connected) -> bool {
        let accepted = &connected.accepted;
        let refresh = Refresh {
            external_id: accepted.external_id.as_deref(),
            access_expires_at: accepted.access_expires_at,
            now: SystemClock.now(),
            ..Refresh::of(&accepted.grant)
        };
        let fresh = refresh.fresh(&*self.provider).await;
        fresh.expect("it is refreshed").brings_credentials()
    }
}

#[tokio::test]
async fn every_provider_is_connected_and_can_be_refreshed_afterwards() {
    for (name, lifetime) in WAYS {
        let person = Person::at(name).await;

        let connected = person.connects().await;

        let accepted = &connected.accepted;
        let ends_at = accepted.access_expires_at.expect("it ends");
        let left = ends_at.since(SystemClock.now()).as_secs();
        assert!(left.abs_diff(lifetime) <= 2, "{name}: {left} s");
        assert_eq!(accepted.state, ChannelState::Active, "{name}");
        assert!(accepted.has_refresh_material && !accepted.due_now, "{name}");
        let account = accepted.external_id.as_deref();
        assert!(account.is_some(), "{name}");
        assert_eq!(connected.is(account), SameAccount::Yes, "{name}");
        assert_eq!(connected.is(Some("another")), SameAccount::No, "{name}");
        // Instagram leaves alone what is not a day old.
        let expected = name != "instagram";
        assert_eq!(person.refreshes(&connected).await, expected, "{name}");
    }
}

#[tokio::test]
async fn who_agrees_again_is_the_same_account() {
    for name in [
        "facebook",
        "whatsapp",
        "instagram",
        "tiktok",
        "tiktok_business",
    ] {
        let person = Person::at(name).await;
        let minted = person.sim.mint(&MintRequest::of(name)).expect("minted");
        person.sim.revoke(&minted[0].id).expect("it is there");

        let code = person.agrees(Some(&minted[0].id)).await;
        let connected = person.brings(&code, None).await.expect("it is connected");

        let account = minted[0].external_id.as_deref();
        assert_eq!(connected.is(account), SameAccount::Yes, "{name}");
    }
}

#[tokio::test]
async fn a_page_that_is_asked_for_brings_its_own_token() {
    let person = Person::at("facebook").await;
    let order = MintRequest::of("facebook").kind(GrantKind::Page);
    let minted = person.sim.mint(&order).expect("minted");
    let page = minted[0].external_id.as_deref();

    let code = person.agrees(Some(&minted[0].id)).await;
    let connected = person.brings(&code, page).await.expect("it is connected");
    let code = person.agrees(Some(&minted[0].id)).await;
    let other = person.brings(&code, Some("4711")).await;

    assert_eq!(connected.accepted.external_id.as_deref(), page);
    assert_eq!(connected.accepted.grant.kind, Some(GrantKind::Page));
    assert_eq!(connected.accepted.state, ChannelState::NeverExpires);
    assert!(connected.accepted.grant.key("user_access_token").is_some());
    // A page without a role on it leaves the person, who is somebody else.
    let other = other.expect("the person is connected");
    assert_eq!(other.is(Some("4711")), SameAccount::No);
}

#[tokio::test]
async fn a_code_that_is_used_or_made_up_asks_the_person_again_and_shows_no_secret() {
    for (name, _) in WAYS {
        let person = Person::at(name).await;
        let code = person.agrees(None).await;
        person.brings(&code, None).await.expect("it is connected");

        let used = person.brings(&code, None).await;
        let made_up = person.brings(&"code.made-up-0123456789".into(), None).await;

        for error in [used, made_up] {
            let error = error.expect_err("it is refused");
            let class = error.verdict().at_attempt(u32::MAX).class();
            assert_eq!(class, ErrorClass::ReauthRequired, "{name}: {error:?}");
            let shown = format!("{error:?}");
            for secret in [code.expose_secret(), "made-up-0123456789", VERIFIER] {
                assert!(!shown.contains(secret), "{name}: {shown}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_app_secret_is_the_operators_matter() {
    for (name, _) in WAYS {
        let person = Person::with(name, |settings| {
            settings.meta.app_secret = Some("wrong".into());
            settings.instagram.app_secret = Some("wrong".into());
            settings.tiktok.client_secret = Some("wrong".into());
            settings.tiktok_business.app_secret = Some("wrong".into());
            for described in settings.oauth2.values_mut() {
                described.client_secret = Some("wrong".into());
            }
        })
        .await;
        let code = person.agrees(None).await;

        let error = person.brings(&code, None).await.expect_err("it is refused");

        assert_eq!(error.verdict().class(), ErrorClass::Misconfigured, "{name}");
    }
}

#[tokio::test]
async fn what_is_not_set_is_named_and_nobody_is_asked() {
    let nothing = |settings: &mut ProviderSettings| {
        settings.meta.app_id = None;
        settings.meta.whatsapp_config = None;
        settings.instagram.app_secret = None;
        settings.tiktok.client_secret = None;
        settings.tiktok_business.app_id = None;
        for described in settings.oauth2.values_mut() {
            described.authorize_url = None;
        }
    };
    for (name, missing) in [
        ("facebook", &["META_APP_ID"][..]),
        ("whatsapp", &["META_APP_ID", "WHATSAPP_CONFIG_ID"]),
        ("instagram", &["INSTAGRAM_APP_SECRET"]),
        ("tiktok", &["TIKTOK_CLIENT_SECRET"]),
        ("tiktok_business", &["TIKTOK_APP_ID"]),
        ("tiktok_legacy", &["TIKTOK_CLIENT_SECRET"]),
        ("oauth2:demo", &["providers.oauth2.demo.authorize_url"]),
    ] {
        let person = Person::with(name, nothing).await;

        let connect = person.provider.connect().expect("people connect it");

        assert_eq!(connect.missing(), missing, "{name}");
    }
    for name in ["facturify", "service_token"] {
        let person = Person::at(name).await;

        assert!(person.provider.connect().is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_provider_that_fails_is_told_apart_from_a_bad_code() {
    for (name, _) in WAYS {
        let person = Person::at(name).await;
        let code = person.agrees(None).await;
        let faults: Faults = "html_500=1".parse().expect("a fault");
        person.sim.set_faults(faults);

        let error = person.brings(&code, None).await.expect_err("it fails");

        assert_eq!(error.verdict().class(), ErrorClass::Retryable, "{name}");
    }
}
