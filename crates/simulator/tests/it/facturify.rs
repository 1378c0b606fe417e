//! Key, short token, long token.

use std::time::Duration;

use domain::Timestamp;
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulator::{MintRequest, RefreshMethod};

use crate::support::{Rig, text, told};

fn token(body: &Value) -> &str {
    text(&body["jwt"]["token"])
}

#[tokio::test]
async fn a_key_brings_240_seconds_and_a_refresh_twelve_hours() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("facturify"));

    let first = rig.obtain(&minted).await;
    let long = rig.renew(token(&first.1)).await;
    let longer = rig.renew(token(&long.1)).await;

    assert_eq!((first.0, &first.1["jwt"]["expires_in"]), (200, &json!(240)));
    assert_eq!(
        (long.0, &long.1["jwt"]["expires_in"]),
        (200, &json!(43_200))
    );
    assert_eq!(
        (longer.0, &longer.1["jwt"]["expires_in"]),
        (200, &json!(43_200))
    );
    let view = rig.sim.grant(&minted.id, false).expect("it is there");
    assert_eq!(view.generation, 3);
    assert_eq!(
        view.fingerprints["token"],
        simulator::fingerprint(token(&longer.1))
    );
}

#[tokio::test]
async fn the_token_is_a_jwt_that_says_its_end() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("facturify"));

    let (_, body) = rig.obtain(&minted).await;

    let parts: Vec<&str> = token(&body).split('.').collect();
    let decode = |part: &str| -> Value {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
        serde_json::from_slice(&bytes.expect("base64url")).expect("JSON")
    };
    let claims = decode(parts[1]);
    assert_eq!(decode(parts[0]), json!({"typ": "JWT", "alg": "HS512"}));
    assert_eq!(
        claims,
        json!({
            "iss": format!("{}/api/v1/auth", rig.sim.base_url("facturify")),
            "iat": 1_795_000_000, "exp": 1_795_000_240, "nbf": 1_795_000_000,
            "jti": claims["jti"],
        })
    );
}

#[tokio::test]
async fn a_key_may_come_as_a_form_too() {
    let rig = Rig::start().await;
    let form = [
        ("api_key", simulator::FACTURIFY_API_KEY),
        ("api_secret", simulator::FACTURIFY_API_SECRET),
    ];

    let answer = told(
        rig.request(Method::POST, "facturify", "/api/v1/auth")
            .form(&form),
    )
    .await;

    assert_eq!(answer.0, 200);
}

#[tokio::test]
async fn a_missing_field_is_422_with_errors() {
    let rig = Rig::start().await;
    let asked = async |body: &'static str| {
        let request = rig.request(Method::POST, "facturify", "/api/v1/auth");
        told(
            request
                .header("content-type", "application/json")
                .body(body),
        )
        .await
    };

    let (status, body) = asked(r#"{"api_secret":"s"}"#).await;

    assert_eq!(
        (status, body),
        (
            422,
            json!({
                "code": 33,
                "message": "Los datos proporcionados no cumplen las reglas de validación",
                "errors": [{"field": "api_key", "message": "El campo api_key es obligatorio.", "code": 34}],
            })
        )
    );
    for broken in ["", "{", "[]", r#"{"api_key":7,"api_secret":"s"}"#] {
        let (status, body) = asked(broken).await;
        let fields = body["errors"].as_array().map(Vec::len);
        assert_eq!((status, fields), (422, Some(2)), "{broken}");
    }
}

#[tokio::test]
async fn a_wrong_key_or_secret_is_401() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("facturify"));
    let other = rig.mint(&MintRequest::of("facturify"));
    let key = minted.credentials.keys["api_key"].expose_secret();
    let others_secret = other.credentials.keys["api_secret"].expose_secret();
    let asked = async |key: &str, secret: &str| {
        let body = json!({"api_key": key, "api_secret": secret});
        let request = rig.request(Method::POST, "facturify", "/api/v1/auth");
        told(request.json(&body)).await.0
    };

    assert_eq!(asked("nobody", "x").await, 401);
    assert_eq!(asked(key, "x").await, 401);
    assert_eq!(asked(key, others_secret).await, 401);
    rig.sim.revoke(&minted.id).expect("it is there");
    assert_eq!(rig.obtain(&minted).await.0, 401);
}

#[tokio::test]
async fn an_expired_token_is_refused_with_code_51() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("facturify"));
    let (_, first) = rig.obtain(&minted).await;

    rig.clock.forward(Duration::from_mins(4));
    let refreshed = rig.renew(token(&first)).await;
    let request = rig.request(Method::GET, "facturify", "/api/v1/token/validate");
    let validated = told(request.bearer_auth(token(&first))).await;

    let refusal = json!({"code": 51, "message": "El token ha expirado"});
    assert_eq!(refreshed, (401, refusal.clone()));
    assert_eq!(validated, (401, refusal));
}

#[tokio::test]
async fn an_expired_token_is_still_refreshed_within_the_grace_of_the_setting() {
    let rig = Rig::with(|c| c.facturify.refresh_grace = Duration::from_mins(1)).await;
    let minted = rig.mint(&MintRequest::of("facturify"));
    let (_, first) = rig.obtain(&minted).await;

    rig.clock.forward(Duration::from_secs(299));

    assert_eq!(rig.renew(token(&first)).await.0, 200);
}

#[tokio::test]
async fn a_forged_or_missing_token_is_401() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("facturify"));
    let (_, first) = rig.obtain(&minted).await;
    let (signed, _) = token(&first).rsplit_once('.').expect("a JWT");

    let forged = rig.renew(&format!("{signed}.AAAA")).await;
    let key = rig
        .renew(minted.credentials.keys["api_key"].expose_secret())
        .await;
    let none = told(rig.request(Method::POST, "facturify", "/api/v1/token/refresh")).await;

    assert_eq!([forged.0, key.0, none.0], [401, 401, 401]);
}

#[tokio::test]
async fn refresh_takes_only_post_or_only_get() {
    let posts = Rig::start().await;
    let gets = Rig::with(|c| c.facturify.refresh_method = RefreshMethod::Get).await;

    for (rig, right, wrong) in [
        (posts, Method::POST, Method::GET),
        (gets, Method::GET, Method::POST),
    ] {
        let minted = rig.mint(&MintRequest::of("facturify"));
        let (_, first) = rig.obtain(&minted).await;
        let request = |method| {
            let request = rig.request(method, "facturify", "/api/v1/token/refresh");
            request.bearer_auth(token(&first))
        };

        let refused = request(wrong).send().await.expect("an answer");

        assert_eq!(refused.status(), 405);
        assert_eq!(refused.headers()["allow"], right.as_str());
        assert_eq!(told(request(right)).await.0, 200);
    }
}

#[tokio::test]
async fn a_refresh_has_no_body() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("facturify"));
    let (_, first) = rig.obtain(&minted).await;

    let request = rig.request(Method::POST, "facturify", "/api/v1/token/refresh");
    let (status, _) = told(request.bearer_auth(token(&first)).json(&json!({}))).await;

    assert_eq!(status, 422);
}

#[tokio::test]
async fn scenarios_of_the_refresh_leave_the_key_alone() {
    let rig = Rig::start().await;
    let cases = [
        ("refresh_51", 401, json!(51)),
        ("refresh_51_string", 401, json!("51")),
        ("refresh_400", 400, json!(400)),
        ("refresh_400_no_code", 400, Value::Null),
        ("refresh_422", 422, json!(33)),
        ("get_only_404", 404, Value::Null),
    ];

    for (name, status, code) in cases {
        let minted = rig.scenario("facturify", &format!("{name}:1"));
        let (obtained, first) = rig.obtain(&minted).await;
        let refused = rig.renew(token(&first)).await;

        assert_eq!(obtained, 200, "{name}");
        assert_eq!((refused.0, &refused.1["code"]), (status, &code), "{name}");
        assert_eq!(rig.renew(token(&first)).await.0, 200, "{name} happens once");
    }
    assert_eq!(
        rig.obtain(&rig.scenario("facturify", "auth_401")).await.0,
        401
    );
    assert_eq!(
        rig.obtain(&rig.scenario("facturify", "auth_422")).await.0,
        422
    );
}

#[tokio::test]
async fn an_answer_can_lack_the_token_or_disagree_with_it() {
    let rig = Rig::start().await;

    let none = rig.obtain(&rig.scenario("facturify", "no_jwt")).await;
    let minutes = rig
        .obtain(&rig.scenario("facturify", "expires_in_minutes"))
        .await;
    let disagreeing = rig.scenario("facturify", "exp_disagrees");
    let (_, body) = rig.obtain(&disagreeing).await;

    assert_eq!((none.0, none.1.get("jwt")), (200, None));
    assert_eq!(minutes.1["jwt"]["expires_in"], 4);
    assert_eq!(body["jwt"]["expires_in"], 240);
    let view = rig.sim.grant(&disagreeing.id, false).expect("it is there");
    assert_eq!(
        view.expires_at.map(Timestamp::as_millis),
        Some(1_795_000_120_000)
    );
}

#[tokio::test]
async fn a_single_token_is_ended_by_the_next() {
    let rig = Rig::start().await;
    let minted = rig.scenario("facturify", "single_token");
    let (_, first) = rig.obtain(&minted).await;

    assert_eq!(rig.renew(token(&first)).await.0, 200);
    assert_eq!(rig.renew(token(&first)).await.0, 401);
}
