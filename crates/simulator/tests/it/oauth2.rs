//! Generic providers: what RFC 6749 asks for, and how real ones differ.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use simulator::{
    App, ClientAuth, Fault, FaultKind, Faults, MintRequest, OAUTH2_CLIENT_ID, OAUTH2_CLIENT_SECRET,
    OAuth2Settings, ReusePolicy, Rotation, SimulatorConfig,
};

use crate::support::{Rig, Told, access, refresh, text, told};

pub(crate) const DEMO: &str = "oauth2:demo";
const BODY: &str = "oauth2:demo_body";
const JSON: &str = "oauth2:demo_json";

impl Rig {
    fn token(&self, name: &str) -> RequestBuilder {
        self.request(Method::POST, name, "/token")
    }

    /// A right request at `demo`.
    pub(crate) fn refresh_at_demo(&self, token: &str) -> RequestBuilder {
        self.token(DEMO)
            .basic_auth(OAUTH2_CLIENT_ID, Some(OAUTH2_CLIENT_SECRET))
            .form(&grant(token))
    }

    pub(crate) async fn refreshed_at_demo(&self, token: &str) -> Told {
        told(self.refresh_at_demo(token)).await
    }

    async fn refreshed_at_body(&self, token: &str) -> Told {
        let mut form = grant(token).to_vec();
        form.push(("client_id", OAUTH2_CLIENT_ID));
        form.push(("client_secret", OAUTH2_CLIENT_SECRET));
        told(self.token(BODY).form(&form)).await
    }
}

fn grant(token: &str) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", token)]
}

pub(crate) fn error(told: &Told) -> (u16, &str) {
    (told.0, text(&told.1["error"]))
}

fn with(name: &'static str, settings: OAuth2Settings) -> impl FnOnce(&mut SimulatorConfig) {
    move |config| {
        config.oauth2.insert(name, settings);
    }
}

#[tokio::test]
async fn a_rotating_provider_answers_with_the_next_pair() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of(DEMO).expires_in(0));

    let (status, body) = rig.refreshed_at_demo(refresh(&minted)).await;
    let reused = rig.refreshed_at_demo(refresh(&minted)).await;

    assert_ne!(text(&body["refresh_token"]), refresh(&minted));
    assert_ne!(text(&body["access_token"]), access(&minted));
    assert_eq!(
        (status, &body),
        (
            200,
            &json!({
                "access_token": body["access_token"],
                "token_type": "Bearer",
                "expires_in": 3600,
                "refresh_token": body["refresh_token"],
                "refresh_token_expires_in": 7_776_000,
                "scope": "read write",
            })
        )
    );
    assert_eq!(error(&reused), (400, "invalid_grant"));
    let view = rig.sim.grant(&minted.id, false).expect("it is there");
    assert_eq!((view.id.as_str(), view.revoked), ("oauth2:demo-1", true));
}

#[tokio::test]
async fn a_provider_that_does_not_rotate_tells_no_refresh_token_and_keeps_the_old_one() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of(BODY).expires_in(0));

    let (status, first) = rig.refreshed_at_body(refresh(&minted)).await;
    let (_, second) = rig.refreshed_at_body(refresh(&minted)).await;

    assert_eq!(
        (status, &first),
        (
            200,
            &json!({
                "access_token": first["access_token"],
                "token_type": "Bearer",
                "expires_in": 3600,
                "scope": "read write",
            })
        )
    );
    assert_ne!(first["access_token"], second["access_token"]);
    let summary = rig.sim.summary();
    assert_eq!(
        (
            summary.refreshes,
            summary.reuses,
            summary.generations_repeated
        ),
        (2, 0, 0)
    );
    let view = rig.sim.grant(&minted.id, true).expect("it is there");
    let revealed = view.revealed.expect("it was asked for");
    assert_eq!(refresh(&revealed), refresh(&minted));
}

#[tokio::test]
async fn within_the_grace_the_token_before_brings_the_same_pair() {
    let settings = OAuth2Settings {
        rotation: Rotation::Always(ReusePolicy::Grace(Duration::from_secs(30))),
        ..OAuth2Settings::default()
    };
    let rig = Rig::with(with(DEMO, settings)).await;
    let minted = rig.mint(&MintRequest::of(DEMO));

    let first = rig.refreshed_at_demo(refresh(&minted)).await;
    let again = rig.refreshed_at_demo(refresh(&minted)).await;
    rig.clock.forward(Duration::from_secs(30));
    let late = rig.refreshed_at_demo(refresh(&minted)).await;

    assert_eq!(again.1, first.1);
    assert_eq!(error(&late), (400, "invalid_grant"));
    assert_eq!(rig.sim.summary().refreshes, 1);
}

#[tokio::test]
async fn the_client_authenticates_in_its_one_place() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of(DEMO));
    let at_body = rig.mint(&MintRequest::of(BODY));
    let form = grant(refresh(&minted));
    let (id, secret) = (OAUTH2_CLIENT_ID, OAUTH2_CLIENT_SECRET);
    let credentials = [("client_id", id), ("client_secret", secret)];
    let both = [form.as_slice(), &credentials].concat();
    let basic = |secret| rig.token(DEMO).basic_auth(id, Some(secret));

    let none = rig.token(DEMO).form(&form).send().await.expect("an answer");
    let challenge = none.headers()["www-authenticate"].clone();
    let wrong = told(basic("guess").form(&form)).await;
    let misplaced = told(rig.token(DEMO).form(&both)).await;
    let twice = told(basic(secret).form(&both)).await;
    let basic_at_body = told(
        rig.token(BODY)
            .basic_auth(id, Some(secret))
            .form(&grant(refresh(&at_body))),
    )
    .await;

    assert_eq!(
        (none.status().as_u16(), challenge.to_str().ok()),
        (401, Some("Basic realm=\"demo\""))
    );
    assert_eq!(error(&wrong), (401, "invalid_client"));
    assert_eq!(error(&misplaced), (401, "invalid_client"));
    assert_eq!(error(&twice), (400, "invalid_request"));
    assert_eq!(error(&basic_at_body), (400, "invalid_client"));
    assert_eq!(rig.sim.summary().refreshes, 0);
}

#[tokio::test]
async fn id_and_secret_are_form_encoded_inside_basic() {
    let settings = OAuth2Settings {
        client: App::new("id 1", "s:ecret+%"),
        ..OAuth2Settings::default()
    };
    let rig = Rig::with(with("oauth2:odd", settings)).await;
    let minted = rig.mint(&MintRequest::of("oauth2:odd"));
    let ask = async |id: &str, secret: &str| {
        let request = rig.token("oauth2:odd").basic_auth(id, Some(secret));
        told(request.form(&grant(refresh(&minted)))).await
    };

    let raw = ask("id 1", "s:ecret+%").await;
    let encoded = ask("id+1", "s%3Aecret%2B%25").await;

    assert_eq!(error(&raw), (401, "invalid_client"));
    assert_eq!(encoded.0, 200);
}

#[tokio::test]
async fn a_public_client_names_itself_without_a_secret() {
    let settings = OAuth2Settings {
        auth: ClientAuth::Public,
        ..OAuth2Settings::default()
    };
    let rig = Rig::with(with("oauth2:public", settings)).await;
    let minted = rig.mint(&MintRequest::of("oauth2:public"));
    let form = grant(refresh(&minted));
    let named = [form.as_slice(), &[("client_id", OAUTH2_CLIENT_ID)]].concat();
    let secret = [named.as_slice(), &[("client_secret", OAUTH2_CLIENT_SECRET)]].concat();
    let ask = async |form: &[(&str, &str)]| told(rig.token("oauth2:public").form(form)).await;

    assert_eq!(error(&ask(&form).await), (400, "invalid_client"));
    assert_eq!(error(&ask(&secret).await), (400, "invalid_request"));
    assert_eq!(ask(&named).await.0, 200);
}

#[tokio::test]
async fn the_body_must_have_the_providers_format() {
    let rig = Rig::start().await;
    let form = rig.mint(&MintRequest::of(DEMO));
    let flat = rig.mint(&MintRequest::of(JSON));
    let basic = |name| {
        rig.token(name)
            .basic_auth(OAUTH2_CLIENT_ID, Some(OAUTH2_CLIENT_SECRET))
    };
    let object = |token| json!({"grant_type": "refresh_token", "refresh_token": token});

    let json_at_form = told(basic(DEMO).json(&object(refresh(&form)))).await;
    let form_at_json = told(basic(JSON).form(&grant(refresh(&flat)))).await;
    let array = told(basic(JSON).json(&json!(["refresh_token"]))).await;
    let right = told(basic(JSON).json(&object(refresh(&flat)))).await;

    assert_eq!(error(&json_at_form), (400, "invalid_request"));
    assert_eq!(error(&form_at_json), (400, "invalid_request"));
    assert_eq!(error(&array), (400, "invalid_request"));
    assert_eq!(right.0, 200);
    assert_eq!(rig.sim.summary().refreshes, 1);
}

#[tokio::test]
async fn a_request_must_be_exactly_as_the_rfc_has_it() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of(DEMO));
    let token = refresh(&minted);
    let ask = async |form: &[(&str, &str)]| {
        let request = rig
            .token(DEMO)
            .basic_auth(OAUTH2_CLIENT_ID, Some(OAUTH2_CLIENT_SECRET));
        told(request.form(form)).await
    };
    let [kind, refresh] = grant(token);

    assert_eq!(error(&ask(&[refresh]).await), (400, "invalid_request"));
    assert_eq!(error(&ask(&[kind]).await), (400, "invalid_request"));
    assert_eq!(
        error(&ask(&[kind, refresh, ("audience", "x")]).await),
        (400, "invalid_request")
    );
    assert_eq!(
        error(&ask(&[kind, refresh, refresh]).await),
        (400, "invalid_request")
    );
    assert_eq!(
        error(&ask(&[("grant_type", "password"), refresh]).await),
        (400, "unsupported_grant_type")
    );
    assert_eq!(
        error(&ask(&[kind, refresh, ("scope", "read admin")]).await),
        (400, "invalid_scope")
    );
    assert_eq!(
        error(&ask(&[kind, ("refresh_token", "rt.nobody")]).await),
        (400, "invalid_grant")
    );
    let query = rig.refresh_at_demo(token).query(&[("a", "b")]);
    assert_eq!(error(&told(query).await), (400, "invalid_request"));
    let got = rig.request(Method::GET, DEMO, "/token");
    assert_eq!(error(&told(got).await), (405, "invalid_request"));
    assert_eq!(rig.sim.summary().refreshes, 0, "nothing was spent");
    assert_eq!(ask(&[kind, refresh, ("scope", "read")]).await.0, 200);
}

#[tokio::test]
async fn a_provider_of_the_settings_is_reached_by_its_name_and_has_its_own_faults() {
    let rig = Rig::with(with("oauth2:acme", OAuth2Settings::default())).await;
    let ask = async |name: &str| {
        let request = rig.token(name);
        let request = request.basic_auth(OAUTH2_CLIENT_ID, Some(OAUTH2_CLIENT_SECRET));
        told(request.form(&grant("rt_ok-1"))).await.0
    };

    let before = ask("oauth2:acme").await;
    let fault = Fault {
        provider: Some("oauth2:acme"),
        kind: FaultKind::Status500,
        rate: 1.0,
    };
    rig.sim.set_faults(Faults::new([fault]).expect("a whole"));

    assert_eq!(
        (before, ask("oauth2:acme").await, ask(DEMO).await),
        (200, 500, 200)
    );
    rig.sim.set_faults(Faults::default());
    rig.sim.set_down("oauth2:acme", true).expect("it is there");
    assert_eq!(ask("oauth2:acme").await, 503);
}

#[tokio::test]
async fn a_refresh_token_past_its_end_is_refused() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest {
        refresh_expires_in: Some(60),
        ..MintRequest::of(BODY)
    });

    let before = rig.refreshed_at_body(refresh(&minted)).await;
    rig.clock.forward(Duration::from_mins(1));
    let after = rig.refreshed_at_body(refresh(&minted)).await;

    assert_eq!(before.1["refresh_token_expires_in"], 60, "it counts down");
    assert_eq!(error(&after), (400, "invalid_grant"));
}
