//! The refresh of Instagram Login, and its 24 hours.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use simulator::MintRequest;

use crate::support::{Fields, Rig, Told, access, text, told};

const DAY: Duration = Duration::from_hours(24);

impl Rig {
    async fn prolong(&self, token: &str) -> Told {
        self.prolong_with(Method::GET, token, &[]).await
    }

    pub(crate) fn prolongation(
        &self,
        method: Method,
        token: &str,
        changes: Fields,
    ) -> RequestBuilder {
        let mut query = vec![("grant_type", "ig_refresh_token"), ("access_token", token)];
        query.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        query.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        let request = self.request(method, "instagram", "/refresh_access_token");
        request.query(&query)
    }

    async fn prolong_with(&self, method: Method, token: &str, changes: Fields) -> Told {
        told(self.prolongation(method, token, changes)).await
    }

    async fn profile(&self, token: &str) -> Told {
        let request = self.request(Method::GET, "instagram", "/me");
        told(request.query(&[("access_token", token)])).await
    }
}

fn error(told: &Told) -> (u16, i64, &str) {
    let error = &told.1["error"];
    let code = error["code"].as_i64().expect("a code");
    (told.0, code, text(&error["message"]))
}

#[tokio::test]
async fn a_token_that_is_a_day_old_is_refreshed_for_sixty_days() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("instagram").expires_in(3600));

    let (status, body) = rig.prolong(access(&minted)).await;

    let token = text(&body["access_token"]);
    assert_ne!(token, access(&minted));
    assert_eq!(
        (status, &body),
        (
            200,
            &json!({"access_token": token, "token_type": "bearer", "expires_in": 5_183_944})
        )
    );
    rig.clock.forward(DAY);
    assert_eq!(rig.prolong(token).await.0, 200);
}

#[tokio::test]
async fn a_token_younger_than_a_day_is_refused_but_lives() {
    let rig = Rig::start().await;
    let minted = rig.scenario("instagram", "young");

    let young = rig.prolong(access(&minted)).await;
    let profile = rig.profile(access(&minted)).await;
    rig.clock.forward(Duration::from_hours(23));
    let (_, fresh) = rig.prolong(access(&minted)).await;
    let again = rig.prolong(text(&fresh["access_token"])).await;

    let text = "The access token must be at least 24 hours old to be refreshed";
    assert_eq!(error(&young), (400, 100, text));
    assert_eq!(profile.0, 200);
    assert!(fresh["access_token"].is_string());
    assert_eq!(error(&again), (400, 100, text));
}

#[tokio::test]
async fn a_token_of_no_stated_age_is_just_old_enough() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("instagram"));

    let refreshed = rig.prolong(access(&minted)).await.0;
    let declared = rig.prolong("IGAA_ok-1").await.0;

    assert_eq!((refreshed, declared), (200, 200));
}

#[tokio::test]
async fn an_expired_token_is_190_without_a_subcode() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("instagram").expires_in(60));

    rig.clock.forward(Duration::from_mins(1));
    let told = rig.prolong(access(&minted)).await;

    let (status, code, message) = error(&told);
    assert_eq!((status, code), (400, 190));
    assert!(message.starts_with("Error validating access token: Session has expired on "));
    assert_eq!(told.1["error"]["type"], "OAuthException");
    assert_eq!(told.1["error"]["error_subcode"], Value::Null);
    assert_eq!(error(&rig.prolong("IGAA_expired").await).1, 190);
}

#[tokio::test]
async fn only_get_is_taken_and_the_method_error_says_so() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("instagram"));

    let posted = rig.prolong_with(Method::POST, access(&minted), &[]).await;
    let facebook = rig.prolong("EAAB-of-the-wrong-family").await;
    let alive = rig.prolong("IGAA_method_get-1").await;
    let dead = rig.prolong("IGAA_dead_method_get-1").await;

    let post = "Unsupported request - method type: post";
    let get = "Unsupported request - method type: get";
    assert_eq!(error(&posted), (400, 100, post));
    for told in [&facebook, &alive, &dead] {
        assert_eq!(error(told), (400, 100, get));
        assert_eq!(told.1["error"]["type"], "IGApiException");
    }
    assert_eq!(rig.profile("IGAA_method_get-1").await.0, 200);
    assert_eq!(rig.profile("IGAA_dead_method_get-1").await.0, 400);
    assert_eq!(rig.sim.summary().refreshes, 0);
}

#[tokio::test]
async fn wrong_parameters_are_refused() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("instagram"));
    let cases: [(Fields, i64, &str); 6] = [
        (&[("grant_type", "")], 100, "Missing grant_type parameter"),
        (
            &[("grant_type", "fb_exchange_token")],
            100,
            "Invalid grant_type parameter",
        ),
        (
            &[("access_token", "")],
            100,
            "An access token is required to request this resource.",
        ),
        (
            &[("access_token", "IGAABnobody")],
            190,
            "Invalid OAuth access token - Cannot parse access token",
        ),
        (
            &[("client_secret", "app_secret_fake")],
            100,
            "The parameter client_secret is not taken here, or given twice",
        ),
        (
            &[("client_id", "1234567890123456")],
            100,
            "The parameter client_id is not taken here, or given twice",
        ),
    ];

    for (changes, code, message) in cases {
        let told = rig
            .prolong_with(Method::GET, access(&minted), changes)
            .await;

        assert_eq!(error(&told), (400, code, message), "{changes:?}");
    }
    assert_eq!(rig.prolong(access(&minted)).await.0, 200);
}

#[tokio::test]
async fn the_errors_of_the_matrix_can_be_called() {
    let rig = Rig::start().await;
    let code = async |scenario: &str| {
        let told = rig.prolong(&format!("IGAA_{scenario}-x")).await;
        let subcode = told.1["error"]["error_subcode"].as_i64();
        (error(&told).1, subcode)
    };

    assert_eq!(code("190_460").await, (190, Some(460)));
    assert_eq!(code("10").await, (10, None));
    assert_eq!(code("4").await, (4, None));
    assert_eq!(code("368").await, (368, None));
    assert_eq!(code("2").await, (2, None));
}

#[tokio::test]
async fn success_has_its_variants() {
    let rig = Rig::start().await;

    let same = rig.prolong("IGAA_same_token-1").await;
    let open = rig.prolong("IGAA_no_expires_in-1").await;
    let stuck = rig.scenario("instagram", "not_advanced");
    let stuck = rig.prolong(access(&stuck)).await;

    assert_eq!(same.1["access_token"], "IGAA_same_token-1");
    assert_eq!(open.0, 200);
    assert_eq!(open.1["expires_in"], Value::Null);
    assert_eq!(stuck.1["expires_in"], 5_183_944 - 86_400);
}

#[tokio::test]
async fn a_person_can_take_the_permission_back() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("instagram"));

    rig.sim.revoke(&minted.id).expect("it is there");

    assert_eq!(error(&rig.prolong(access(&minted)).await).1, 190);
    assert_eq!(error(&rig.profile(access(&minted)).await).1, 190);
}
