//! The pages of consent, and what becomes of a code.

use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Method, RequestBuilder, Url};
use serde_json::{Value, json};
use simulator::{MintRequest, SimulatorConfig};

use crate::support::Rig;

const BACK: &str = "https://fleet.example/connect/callback";
/// The verifier and its challenge of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// One provider's way from the page to the tokens.
struct Way {
    provider: &'static str,
    path: &'static str,
    query: Vec<(&'static str, &'static str)>,
    exchange: fn(&Rig, &str, &str) -> RequestBuilder,
    /// What it says of a code that it does not take.
    refusal: (u16, &'static str),
}

fn ways() -> [Way; 7] {
    let app = |name, id| vec![(name, id), ("scope", "a,b")];
    [
        Way {
            provider: "facebook",
            path: "/v25.0/dialog/oauth",
            query: app("client_id", simulator::META_APP_ID),
            exchange: facebook,
            refusal: (400, "/error/code"),
        },
        Way {
            provider: "whatsapp",
            path: "/v25.0/dialog/oauth",
            query: vec![
                ("client_id", simulator::META_APP_ID),
                ("config_id", simulator::WHATSAPP_CONFIG_ID),
            ],
            exchange: facebook,
            refusal: (400, "/error/code"),
        },
        Way {
            provider: "instagram",
            path: "/oauth/authorize",
            query: app("client_id", simulator::INSTAGRAM_APP_ID),
            exchange: instagram,
            refusal: (400, "/error_message"),
        },
        Way {
            provider: "tiktok",
            path: "/v2/auth/authorize/",
            query: app("client_key", simulator::TIKTOK_CLIENT_KEY),
            exchange: tiktok,
            refusal: (400, "/error"),
        },
        Way {
            provider: "tiktok_business",
            path: "/v2/auth/authorize/",
            query: app("client_key", simulator::TIKTOK_APP_ID),
            exchange: business,
            refusal: (200, "/message"),
        },
        Way {
            provider: "tiktok_legacy",
            path: "/platform/oauth/connect/",
            query: app("client_key", simulator::TIKTOK_CLIENT_KEY),
            exchange: legacy,
            refusal: (200, "/data/error_code"),
        },
        Way {
            provider: "oauth2:demo",
            path: "/authorize",
            query: vec![
                ("client_id", simulator::OAUTH2_CLIENT_ID),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
            ],
            exchange: generic,
            refusal: (400, "/error"),
        },
    ]
}

impl Way {
    fn page(&self, rig: &Rig, method: Method, changes: &[(&str, &str)]) -> RequestBuilder {
        let mut query = self.query.clone();
        query.extend([
            ("redirect_uri", BACK),
            ("response_type", "code"),
            ("state", "st&te=+ é"),
        ]);
        query.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        let changes = changes.iter().filter(|(_, value)| !value.is_empty());
        let all: Vec<(&str, &str)> = query.into_iter().chain(changes.copied()).collect();
        rig.request(method, self.provider, self.path).query(&all)
    }

    /// Where the person is sent back to after this decision.
    async fn decided(&self, rig: &Rig, form: &[(&str, &str)]) -> Url {
        let page = self.page(rig, Method::POST, &[]).form(form);
        went_to(page).await
    }

    async fn code(&self, rig: &Rig) -> String {
        let back = self.decided(rig, &[("decision", "allow")]).await;
        said(&back, "code").expect("a code")
    }

    async fn exchanged(&self, rig: &Rig, code: &str, back: &str) -> (u16, Value) {
        let response = (self.exchange)(rig, code, back).send().await;
        let response = response.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.expect("JSON"))
    }
}

fn facebook(rig: &Rig, code: &str, back: &str) -> RequestBuilder {
    let request = rig.request(Method::GET, "facebook", "/v25.0/oauth/access_token");
    request.query(&[
        ("client_id", simulator::META_APP_ID),
        ("client_secret", simulator::META_APP_SECRET),
        ("redirect_uri", back),
        ("code", code),
    ])
}

fn instagram(rig: &Rig, code: &str, back: &str) -> RequestBuilder {
    let request = rig.request(Method::POST, "instagram", "/oauth/access_token");
    request.form(&[
        ("client_id", simulator::INSTAGRAM_APP_ID),
        ("client_secret", simulator::INSTAGRAM_APP_SECRET),
        ("grant_type", "authorization_code"),
        ("redirect_uri", back),
        ("code", code),
    ])
}

fn tiktok(rig: &Rig, code: &str, back: &str) -> RequestBuilder {
    let request = rig.request(Method::POST, "tiktok", "/v2/oauth/token/");
    request.form(&[
        ("client_key", simulator::TIKTOK_CLIENT_KEY),
        ("client_secret", simulator::TIKTOK_CLIENT_SECRET),
        ("grant_type", "authorization_code"),
        ("redirect_uri", back),
        ("code", code),
    ])
}

fn business(rig: &Rig, code: &str, back: &str) -> RequestBuilder {
    let path = "/open_api/v1.3/tt_user/oauth2/token/";
    let request = rig.request(Method::POST, "tiktok_business", path);
    request.json(&json!({
        "client_id": simulator::TIKTOK_APP_ID,
        "client_secret": simulator::TIKTOK_APP_SECRET,
        "grant_type": "authorization_code",
        "redirect_uri": back,
        "auth_code": code,
    }))
}

fn legacy(rig: &Rig, code: &str, _: &str) -> RequestBuilder {
    let request = rig.request(Method::POST, "tiktok_legacy", "/oauth/access_token/");
    request.query(&[
        ("client_key", simulator::TIKTOK_CLIENT_KEY),
        ("client_secret", simulator::TIKTOK_CLIENT_SECRET),
        ("grant_type", "authorization_code"),
        ("code", code),
    ])
}

fn generic(rig: &Rig, code: &str, back: &str) -> RequestBuilder {
    generic_with(rig, code, back, &[("code_verifier", VERIFIER)])
}

fn generic_with(rig: &Rig, code: &str, back: &str, more: &[(&str, &str)]) -> RequestBuilder {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", back),
    ];
    form.extend(more);
    rig.request(Method::POST, "oauth2:demo", "/token")
        .basic_auth(
            simulator::OAUTH2_CLIENT_ID,
            Some(simulator::OAUTH2_CLIENT_SECRET),
        )
        .form(&form)
}

async fn went_to(request: RequestBuilder) -> Url {
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 302);
    let location = response.headers()[LOCATION].to_str().expect("an address");
    Url::parse(location).expect("an address")
}

fn said(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_code_brings_living_tokens_once() {
    let rig = Rig::start().await;
    for way in ways() {
        let code = way.code(&rig).await;

        let first = way.exchanged(&rig, &code, BACK).await;
        let second = way.exchanged(&rig, &code, BACK).await;

        let name = way.provider;
        let token = first.1.pointer("/access_token");
        let token = token.or_else(|| first.1.pointer("/data/access_token"));
        assert_eq!(first.0, 200, "{name}");
        assert!(token.is_some_and(Value::is_string), "{name}: {}", first.1);
        assert_eq!(second.0, way.refusal.0, "{name}");
        assert!(second.1.pointer(way.refusal.1).is_some(), "{name}");
        assert!(!second.1.to_string().contains("access_token\""), "{name}");
    }
}

#[tokio::test]
async fn the_state_comes_back_untouched_with_a_consent_and_with_a_refusal() {
    let rig = Rig::start().await;
    for way in ways() {
        let granted = way.decided(&rig, &[("decision", "allow")]).await;
        let denied = way.decided(&rig, &[("decision", "deny")]).await;

        assert_eq!(said(&granted, "state").as_deref(), Some("st&te=+ é"));
        assert_eq!(said(&denied, "state").as_deref(), Some("st&te=+ é"));
        assert_eq!(said(&denied, "error").as_deref(), Some("access_denied"));
        assert_eq!(said(&denied, "code"), None);
        assert!(denied.as_str().starts_with(BACK));
    }
}

#[tokio::test]
async fn a_code_is_bound_to_its_address_and_a_wrong_one_spends_it() {
    let rig = Rig::start().await;
    // The old TikTok does not ask for the address.
    for way in ways().iter().filter(|way| way.provider != "tiktok_legacy") {
        let code = way.code(&rig).await;

        let elsewhere = way
            .exchanged(&rig, &code, "https://evil.example/callback")
            .await;
        let here = way.exchanged(&rig, &code, BACK).await;

        for (status, body) in [elsewhere, here] {
            assert_eq!(status, way.refusal.0, "{}: {body}", way.provider);
            assert!(body.pointer(way.refusal.1).is_some(), "{body}");
        }
    }
}

#[tokio::test]
async fn a_code_that_is_not_exchanged_in_time_is_void() {
    let rig = Rig::start().await;
    for way in ways() {
        let code = way.code(&rig).await;

        rig.clock.forward(Duration::from_mins(1));
        let (status, body) = way.exchanged(&rig, &code, BACK).await;

        assert_eq!(status, way.refusal.0, "{}: {body}", way.provider);
        assert!(body.pointer(way.refusal.1).is_some(), "{body}");
    }
}

#[tokio::test]
async fn who_asks_for_an_unknown_app_or_address_is_sent_nowhere() {
    let rig = Rig::start().await;
    for way in ways() {
        let client = way.query[0].0;
        for change in [
            (client, "somebody_else"),
            (client, ""),
            ("redirect_uri", "http://fleet.example/callback"),
            ("redirect_uri", "https://fleet.example/callback?x=1"),
            ("redirect_uri", ""),
        ] {
            let page = way.page(&rig, Method::GET, &[change]).send().await;

            let page = page.expect("an answer");
            assert_eq!(page.status(), 400, "{} {change:?}", way.provider);
            assert!(!page.headers().contains_key(LOCATION));
        }
    }
}

#[tokio::test]
async fn only_registered_addresses_are_gone_back_to_if_there_are_some() {
    let rig = Rig::with(|config: &mut SimulatorConfig| {
        config.consent.redirect_uris = vec![BACK.to_owned()];
    })
    .await;
    let [way, ..] = ways();

    let registered = way.page(&rig, Method::GET, &[]).send().await;
    let longer = [("redirect_uri", "https://fleet.example/connect/callback/")];
    let other = way.page(&rig, Method::GET, &longer).send().await;

    assert_eq!(registered.expect("an answer").status(), 200);
    assert_eq!(other.expect("an answer").status(), 400);
}

#[tokio::test]
async fn what_a_request_lacks_is_told_to_its_sender() {
    let rig = Rig::start().await;
    for way in ways() {
        for (change, error) in [
            (("response_type", "token"), "unsupported_response_type"),
            (("state", ""), "invalid_request"),
            (("prompt_me", "1"), "invalid_request"),
        ] {
            let back = went_to(way.page(&rig, Method::GET, &[change])).await;

            let told = said(&back, "error");
            assert_eq!(told.as_deref(), Some(error), "{}", way.provider);
        }
    }
}

#[tokio::test]
async fn a_challenge_is_held_against_the_verifier() {
    let rig = Rig::start().await;
    let [.., demo] = ways();
    let none = [("code_challenge", ""), ("code_challenge_method", "")];
    let plain = [("code_challenge_method", "plain")];

    for changes in [&none[..], &plain[..]] {
        let back = went_to(demo.page(&rig, Method::GET, changes)).await;

        assert_eq!(said(&back, "error").as_deref(), Some("invalid_request"));
    }
    for verifier in [&[][..], &[("code_verifier", CHALLENGE)]] {
        let code = demo.code(&rig).await;

        let answer = generic_with(&rig, &code, BACK, verifier).send().await;

        assert_eq!(answer.expect("an answer").status(), 400, "{verifier:?}");
    }
}

#[tokio::test]
async fn a_code_that_comes_twice_ends_what_its_first_use_brought() {
    let rig = Rig::start().await;
    let [.., demo] = ways();
    let code = demo.code(&rig).await;
    let (_, tokens) = demo.exchanged(&rig, &code, BACK).await;

    demo.exchanged(&rig, &code, BACK).await;

    let refreshed = rig
        .request(Method::POST, "oauth2:demo", "/token")
        .basic_auth(
            simulator::OAUTH2_CLIENT_ID,
            Some(simulator::OAUTH2_CLIENT_SECRET),
        )
        .form(&[
            ("grant_type", "refresh_token"),
            (
                "refresh_token",
                tokens["refresh_token"].as_str().expect("a token"),
            ),
        ])
        .send()
        .await
        .expect("an answer");
    assert_eq!(refreshed.status(), 400);
}

#[tokio::test]
async fn a_person_may_agree_again_with_the_account_of_before() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok"));
    rig.sim.revoke(&minted.id).expect("it is there");
    let way = ways().into_iter().find(|way| way.provider == "tiktok");
    let way = way.expect("TikTok");

    let form = [("decision", "allow"), ("account", minted.id.as_str())];
    let back = way.decided(&rig, &form).await;
    let code = said(&back, "code").expect("a code");
    let (_, tokens) = way.exchanged(&rig, &code, BACK).await;

    assert_eq!(tokens["open_id"].as_str(), minted.external_id.as_deref());
    let token = tokens["refresh_token"].as_str().expect("a token");
    assert_eq!(rig.rotate(token).await.0, 200);
}

#[tokio::test]
async fn the_page_shows_what_is_asked_for_and_escapes_it() {
    let rig = Rig::start().await;
    let [facebook, ..] = ways();
    let changes = [("scope", "<script>alert(1)</script>")];

    let page = facebook.page(&rig, Method::GET, &changes).send().await;

    let page = page.expect("an answer").text().await.expect("a page");
    assert!(!page.contains("<script>"), "{page}");
    assert!(page.contains("https://fleet.example"), "{page}");
}

#[tokio::test]
async fn with_auto_everybody_agrees_at_once() {
    let rig = Rig::start().await;
    let [facebook, ..] = ways();

    let back = went_to(facebook.page(&rig, Method::GET, &[("auto", "1")])).await;

    assert!(said(&back, "code").is_some());
}

#[tokio::test]
async fn instagrams_hour_is_exchanged_for_sixty_days() {
    let rig = Rig::start().await;
    let way = ways().into_iter().find(|way| way.provider == "instagram");
    let way = way.expect("Instagram");
    let code = way.code(&rig).await;
    let (_, short) = way.exchanged(&rig, &code, BACK).await;
    let lengthen = async |token: &Value, secret: &str| {
        let request = rig.request(Method::GET, "instagram", "/access_token");
        let request = request.query(&[
            ("grant_type", "ig_exchange_token"),
            ("client_secret", secret),
            ("access_token", token.as_str().expect("a token")),
        ]);
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.expect("JSON"))
    };

    let token = &short["access_token"];
    let wrong = lengthen(token, "not_the_secret").await;
    let right = lengthen(token, simulator::INSTAGRAM_APP_SECRET).await;
    let again = lengthen(&right.1["access_token"], simulator::INSTAGRAM_APP_SECRET).await;

    assert_eq!((wrong.0, wrong.1["error"]["code"].as_u64()), (400, Some(1)));
    assert_eq!(
        (right.0, right.1["expires_in"].as_u64()),
        (200, Some(5_183_944))
    );
    assert_eq!(again.0, 400, "{}", again.1);
}
