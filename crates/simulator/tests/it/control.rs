//! Steering over `/_sim/`.

use std::collections::{BTreeMap, BTreeSet};

use domain::GrantKind;
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulator::{MintRequest, Minted, Simulator, SimulatorConfig};

use crate::support::{Rig, access, refresh, text, told};

#[tokio::test]
async fn minted_credentials_have_the_form_of_an_import() {
    let rig = Rig::start().await;
    let fields = |order: MintRequest| {
        let form = rig.mint(&order).import_form();
        let fields = form.as_object().expect("an object").keys().cloned();
        fields.collect::<Vec<_>>().join(" ")
    };

    assert_eq!(
        fields(MintRequest::of("facebook")),
        "access_token expires_at external_id issued_at kind"
    );
    assert_eq!(
        fields(MintRequest::of("meta").kind(GrantKind::Page).expires_in(60)),
        "access_token expires_at external_id issued_at kind user_access_token"
    );
    assert_eq!(
        fields(MintRequest::of("tiktok")),
        "access_token expires_at external_id refresh_expires_at refresh_token scope"
    );
    assert_eq!(fields(MintRequest::of("facturify")), "api_key api_secret");
    assert_eq!(
        fields(MintRequest::of("instagram")),
        "access_token expires_at external_id issued_at kind"
    );
    assert_eq!(
        fields(MintRequest::of("whatsapp").never_expires()),
        "access_token external_id issued_at kind"
    );
    assert_eq!(
        fields(MintRequest::of("tiktok_business")),
        "access_token expires_at external_id refresh_expires_at refresh_token scope"
    );
    assert_eq!(
        fields(MintRequest::of("tiktok_business").never_expires()),
        "access_token external_id scope"
    );
    assert_eq!(
        fields(MintRequest::of("tiktok_legacy")),
        "access_token expires_at external_id refresh_expires_at refresh_token scope"
    );
    assert_eq!(
        fields(MintRequest::of("service_token")),
        "base_url service_token"
    );
    assert_eq!(
        fields(MintRequest::of("oauth2:demo")),
        "access_token expires_at refresh_expires_at refresh_token scope"
    );
    assert_eq!(
        fields(MintRequest::of("oauth2:demo_body")),
        "access_token expires_at refresh_token scope"
    );
}

#[tokio::test]
async fn credentials_can_be_minted_over_http() {
    let rig = Rig::start().await;
    let order =
        json!({"provider": "tiktok", "count": 2, "expires_in": 0, "scenario": "invalid_grant_200"});

    let (status, body) = told(rig.control(Method::POST, "/grants").json(&order)).await;

    let grants = body["grants"].as_array().expect("grants");
    assert_eq!((status, grants.len()), (201, 2));
    assert_eq!(
        (text(&grants[0]["id"]), text(&grants[1]["id"])),
        ("tiktok-1", "tiktok-2")
    );
    assert_eq!(
        grants[0]["credentials"]["expires_at"],
        "2026-11-18T11:06:40.000Z"
    );
    let token = text(&grants[1]["credentials"]["refresh_token"]);
    assert_eq!(rig.rotate(token).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn a_senseless_order_is_refused_with_the_reason() {
    let rig = Rig::start().await;
    let refusal = async |order: Value| {
        let (status, body) = told(rig.control(Method::POST, "/grants").json(&order)).await;
        assert_eq!(status, 422, "{order}");
        text(&body["error"]).to_owned()
    };

    for (order, reason) in [
        (
            json!({"provider": "orkut"}),
            "'orkut' is no provider of the simulator; one of facebook, instagram, tiktok, \
             tiktok_business, tiktok_legacy, facturify, service_token, oauth2:demo, \
             oauth2:demo_body, oauth2:demo_json; meta and whatsapp stand for facebook",
        ),
        (
            json!({"provider": "tiktok", "count": 0}),
            "count: must be from 1 to 100000",
        ),
        (
            json!({"provider": "tiktok", "kind": "page"}),
            "kind: only Meta tells kinds apart",
        ),
        (
            json!({"provider": "facturify", "expires_in": 5}),
            "expires_in: a Facturify key brings its token itself",
        ),
        (
            json!({"provider": "whatsapp", "kind": "page"}),
            "kind: WhatsApp has no tokens of pages",
        ),
        (
            json!({"provider": "instagram", "kind": "page"}),
            "kind: Instagram has tokens of persons only",
        ),
        (
            json!({"provider": "instagram", "never_expires": true}),
            "never_expires: every token of Instagram ends",
        ),
        (
            json!({"provider": "tiktok_business", "never_expires": true, "refresh_expires_in": 9}),
            "refresh_expires_in: an advertiser's token has no refresh token",
        ),
        (
            json!({"provider": "tiktok_legacy", "never_expires": true}),
            "never_expires: every token of this provider ends",
        ),
        (
            json!({"provider": "service_token", "expires_in": 9}),
            "expires_in: a service token brings its access token itself",
        ),
        (
            json!({"provider": "service_token", "never_expires": true, "refresh_expires_in": 9}),
            "never_expires: goes with no refresh_expires_in",
        ),
        (
            json!({"provider": "oauth2:demo", "kind": "user"}),
            "kind: only Meta tells kinds apart",
        ),
        (
            json!({"provider": "facebook", "never_expires": true}),
            "never_expires: a person's token always ends",
        ),
        (
            json!({"provider": "facebook", "expires_in": i64::MAX}),
            "expires_in: must be within 100 years",
        ),
        (
            json!({"provider": "facebook", "refresh_expires_in": 1}),
            "refresh_expires_in: Meta has no refresh tokens",
        ),
    ] {
        assert_eq!(refusal(order).await, reason);
    }
    let wrong = refusal(json!({"provider": "tiktok", "scenario": "190_463"})).await;
    assert!(
        wrong.starts_with("'190_463' is no scenario of tiktok; one of ok, status_500, "),
        "{wrong}"
    );
    assert!(
        refusal(json!({"provider": "tiktok", "typo": 1}))
            .await
            .contains("unknown field `typo`")
    );
    let (_, list) = told(rig.control(Method::GET, "/grants")).await;
    assert_eq!(list, json!({"grants": [], "total": 0}));
}

#[tokio::test]
async fn the_same_seed_mints_the_same_credentials() {
    let form = |minted: &[Minted]| minted.iter().map(Minted::import_form).collect::<Vec<_>>();
    let first = Rig::with(|config| config.seed = 7).await.sim.mint_fleet(50);
    let second = Rig::with(|config| config.seed = 7).await.sim.mint_fleet(50);
    let other = Rig::with(|config| config.seed = 8).await.sim.mint_fleet(50);

    assert_eq!(form(&first), form(&second));
    assert_ne!(form(&first), form(&other));
}

#[tokio::test]
async fn a_grant_is_shown_by_fingerprints_and_revealed_on_demand() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok"));

    let path = format!("/grants/{}", minted.id);
    let (_, hidden) = told(rig.control(Method::GET, &path)).await;
    let (_, shown) = told(rig.control(Method::GET, &format!("{path}?reveal=true"))).await;
    let (missing, _) = told(rig.control(Method::GET, "/grants/facebook-1")).await;

    assert!(!hidden.to_string().contains(refresh(&minted)));
    assert_eq!(
        hidden["fingerprints"],
        json!({
            "access_token": simulator::fingerprint(access(&minted)),
            "refresh_token": simulator::fingerprint(refresh(&minted)),
        })
    );
    assert_eq!(shown["revealed"]["credentials"], minted.import_form());
    assert_eq!(missing, 404);
    let debug = format!("{minted:?} {:?}", rig.sim.grant(&minted.id, true));
    assert!(!debug.contains(refresh(&minted)) && !debug.contains(access(&minted)));
}

#[tokio::test]
async fn a_scenario_can_be_changed_while_it_runs() {
    let rig = Rig::start().await;
    let minted = rig.scenario("tiktok", "invalid_grant_400");
    let change = async |body: Value| {
        told(
            rig.control(Method::PATCH, &format!("/grants/{}", minted.id))
                .json(&body),
        )
        .await
    };

    let refused = rig.rotate(refresh(&minted)).await.0;
    let changed = change(json!({"scenario": "ok"})).await;
    let rotated = rig.rotate(refresh(&minted)).await.0;

    assert_eq!((refused, changed.0, rotated), (400, 200, 200));
    assert_eq!(change(json!({"scenario": "nonsense"})).await.0, 422);
}

#[tokio::test]
async fn a_grant_can_be_ended_by_the_person() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok"));

    let (status, _) = told(rig.control(Method::DELETE, &format!("/grants/{}", minted.id))).await;

    assert_eq!(status, 204);
    assert_eq!(
        rig.rotate(refresh(&minted)).await.1["error"],
        "invalid_grant"
    );
    assert_eq!(
        told(rig.control(Method::DELETE, "/grants/tiktok-99"))
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn faults_are_changed_while_it_runs() {
    let rig = Rig::start().await;
    let put = async |body: &'static str| told(rig.control(Method::PUT, "/faults").body(body)).await;

    let as_text = put("status_500=0.2, tiktok.hang=0.1").await;
    let as_json = put(r#"{"faults":["html_500"]}"#).await;
    let failing = rig.rotate("rft_ok").await.0;
    let wrong = put("hang=7").await;
    let none = put("").await;

    assert_eq!(
        as_text,
        (
            200,
            json!({"faults": ["status_500=0.2", "tiktok.hang=0.1"]})
        )
    );
    assert_eq!(as_json, (200, json!({"faults": ["html_500=1"]})));
    assert_eq!(failing, 500);
    assert_eq!(
        wrong,
        (
            422,
            json!({"error": "the rate '7' of hang is not a number from 0 to 1, as in hang=0.2"})
        )
    );
    assert_eq!(none, (200, json!({"faults": []})));
    assert_eq!(rig.rotate("rft_ok").await.0, 200);
}

#[tokio::test]
async fn a_provider_is_taken_down_over_http() {
    let rig = Rig::start().await;

    let (status, _) = told(
        rig.control(Method::PUT, "/providers/meta")
            .json(&json!({"down": true})),
    )
    .await;

    assert_eq!((status, rig.exchange("EAA_ok").await.0), (200, 503));
}

#[tokio::test]
async fn the_page_teaches_and_the_scenarios_are_listed() {
    let rig = Rig::start().await;

    let (_, page) = told(rig.control(Method::GET, "/")).await;
    let (_, scenarios) = told(rig.control(Method::GET, "/scenarios")).await;
    let (nowhere, _) = told(rig.control(Method::GET, "/nowhere")).await;

    assert!(text(&page).contains(&format!("META_BASE_URL={}", rig.sim.base_url("facebook"))));
    let names = scenarios["tiktok"]["names"].as_array().expect("names");
    assert!(names.contains(&json!("grace")) && names.contains(&json!("cut_after_commit")));
    assert_eq!(nowhere, 404);
}

#[tokio::test]
async fn a_fleet_has_every_provider_and_kind_and_each_can_be_refreshed() {
    let rig = Rig::start().await;

    let fleet = rig.sim.mint_fleet(160);

    let mut kinds = BTreeMap::new();
    for minted in &fleet {
        let kind = minted.credentials.kind.map_or("", |kind| match kind {
            GrantKind::User => "user",
            GrantKind::Page => "page",
            GrantKind::SystemUser => "system_user",
        });
        *kinds
            .entry((minted.provider, kind, minted.refreshable))
            .or_insert(0) += 1;
    }
    assert_eq!(
        kinds,
        BTreeMap::from([
            (("facebook", "page", true), 16),
            (("facebook", "system_user", false), 2),
            (("facebook", "system_user", true), 6),
            (("facebook", "user", true), 56),
            (("facturify", "", true), 24),
            (("tiktok", "", true), 56),
        ])
    );
    let secrets: BTreeSet<String> = fleet
        .iter()
        .flat_map(|minted| minted.credentials.secrets())
        .map(|secret| secret.expose_secret().to_owned())
        .collect();
    assert_eq!(
        secrets.len(),
        16 * 2 + 64 + 24 * 2 + 56 * 2,
        "every secret is one grant's alone"
    );
}

#[tokio::test]
async fn a_fleet_of_named_providers_takes_turns_and_is_due_at_once() {
    let rig = Rig::start().await;
    let order = async |body: Value| told(rig.control(Method::POST, "/fleet").json(&body)).await;
    let names = [
        "whatsapp",
        "instagram",
        "tiktok_legacy",
        "service_token",
        "oauth2:demo",
    ];

    let (status, body) = order(json!({"count": 7, "providers": names})).await;
    let unknown = order(json!({"count": 7, "providers": ["instagram", "orkut"]})).await;
    let none = order(json!({"count": 7, "providers": []})).await;

    let grants = body["grants"].as_array().expect("grants");
    let minted: Vec<&str> = grants.iter().map(|it| text(&it["provider"])).collect();
    assert_eq!(status, 201);
    assert_eq!(minted[..5], names);
    assert_eq!(minted[5..], names[..2]);
    assert_eq!((unknown.0, none.0), (422, 422));
    assert_eq!(none.1["error"], "providers: must name one at least");
    let (_, list) = told(rig.control(Method::GET, "/grants")).await;
    assert_eq!(list["total"], 7);
}

#[tokio::test]
async fn every_provider_has_its_own_address_and_whatsapp_has_facebooks() {
    let rig = Rig::start().await;
    let origin = rig.sim.base_url("facebook").replace("/facebook", "");
    let path = |name: &str| rig.sim.base_url(name).replace(&origin, "");

    let addresses = [
        "meta",
        "whatsapp",
        "instagram",
        "tiktok",
        "tiktok_business",
        "tiktok_legacy",
        "facturify",
        "service_token",
        "oauth2:demo_json",
    ]
    .map(path);

    assert_eq!(
        addresses,
        [
            "/facebook",
            "/facebook",
            "/instagram",
            "/tiktok",
            "/tiktok_business",
            "/tiktok_legacy",
            "/facturify",
            "/service_token/api",
            "/oauth2/demo_json",
        ]
    );
    for nowhere in [
        "tiktok_busines",
        "oauth2",
        "oauth2:nobody",
        "service_token/",
    ] {
        let (status, _) = told(rig.request(Method::POST, nowhere, "/token")).await;
        assert_eq!(status, 404, "{nowhere}");
    }
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let rig = Rig::start().await;

    let again = Simulator::start(SimulatorConfig {
        bind: rig.sim.addr(),
        ..SimulatorConfig::default()
    });

    let error = again.await.expect_err("the port is taken").to_string();
    assert_eq!(
        error,
        format!("the simulator cannot listen on {}", rig.sim.addr())
    );
}
