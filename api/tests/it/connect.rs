//! S5.1: people connect accounts by links, and channels again.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Database;

use crate::connect_again::{audited, lost};
use crate::people::text;
use crate::visitor::{Counter, LINKS, PUBLIC};
use crate::world::{problem, reveal, send, settings};

testkit::each_database!(
    s5_1_every_provider_is_connected_by_a_link,
    s5_1_a_link_shows_who_asks_for_what_and_only_its_button_uses_it_up,
    s5_1_a_link_is_for_its_provider_and_no_other_token_is_one,
    s5_1_a_link_ends_when_its_time_is_over,
    s5_1_who_comes_back_counts_once_and_in_the_same_browser,
    s5_1_who_says_no_changes_nothing_and_can_think_again,
    s5_1_a_code_that_was_used_brings_nothing,
    s5_1_a_provider_that_is_away_is_told_and_can_be_asked_again,
    s5_1_bad_input_for_a_link_is_named,
    s5_1_a_link_needs_a_public_address_and_a_provider_that_is_set_up,
    s5_1_redis_sees_no_token_of_a_link_nor_of_a_browser,
);

async fn s5_1_every_provider_is_connected_by_a_link(database: Database) {
    let counter = Counter::open(database).await;

    for provider in [
        "facebook",
        "instagram",
        "whatsapp",
        "tiktok",
        "tiktok_business",
        "tiktok_legacy",
        "oauth2:demo",
        "oauth2:demo_json",
        "oauth2:nameless",
    ] {
        let id = provider.replace(':', "-");

        let page = counter.connect(provider, &id).await;

        assert_eq!(page.status, 200, "{provider}: {}", page.text);
        assert!(page.heading().ends_with("is connected"), "{}", page.text);
        let channel = counter.channel(&id).await;
        assert_eq!(channel["provider"], provider);
        assert_eq!(channel["state"], "active", "{channel}");
        let named = channel["external_id"].is_string();
        assert_eq!(named, provider != "oauth2:nameless", "{channel}");
        let path = format!("/api/v1/tenants/t1/channels/{id}/token");
        let token = reveal(counter.world.request(Method::GET, &path)).await;
        assert_eq!(token.status, 200, "{provider}: {}", token.text);
        assert!(!page.text.contains(&text(&token.json(), "access_token")));
    }
    let audited = audited(&counter).await;
    assert_eq!(audited[..2], ["channel.connect", "connect_link.create"]);
}

async fn s5_1_a_link_shows_who_asks_for_what_and_only_its_button_uses_it_up(database: Database) {
    let counter = Counter::open(database).await;
    let body = json!({"provider": "meta", "display_name": "<script>alert(1)</script>"});
    let made = reveal(counter.world.request(Method::POST, LINKS).json(&body)).await;
    let made = made.json();
    let link = text(&made, "url");
    assert_eq!(
        link,
        format!("{PUBLIC}/connect/facebook?token={}", text(&made, "token"))
    );
    let browser = counter.browser();
    let once = async || {
        let request = counter.world.request(Method::POST, LINKS).json(&body);
        reveal(request.header("idempotency-key", "k")).await
    };

    for _ in 0..3 {
        let page = browser.open(&link).await;
        assert_eq!((page.status, page.heading()), (200, "Connect Facebook"));
        assert!(page.text.contains("t1 asks you"), "{}", page.text);
        assert!(page.text.contains("&lt;script&gt;") && !page.text.contains("<script"));
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
    }
    let elsewhere = counter.browser().submit(&link).await;
    let to = browser.press(&link).await;
    let again = [browser.submit(&link).await, browser.open(&link).await];
    let (made, repeated) = (once().await, once().await);

    assert_eq!(made.status, 201);
    assert_eq!(repeated.problem(), problem(409, "answer_not_repeated", &[]));
    // A form of another site comes without the cookie.
    let told = (elsewhere.status, elsewhere.heading());
    assert_eq!(told, (403, "Open the link itself"));
    assert_eq!(elsewhere.offer().as_ref(), Some(&link));
    assert!(to.starts_with(&counter.sim.base_url("facebook")), "{to}");
    assert!(to.contains("redirect_uri=https%3A%2F%2Ffleet.example%2Fconnect%2Fcallback"));
    for page in again {
        assert_eq!(
            (page.status, page.heading()),
            (404, "This link does not work")
        );
    }
}

async fn s5_1_a_link_is_for_its_provider_and_no_other_token_is_one(database: Database) {
    let counter = Counter::open(database).await;
    let link = counter.link(json!({"provider": "tiktok"})).await;
    let (_, token) = link.split_once('=').unwrap();
    let plain = reveal(counter.world.request(Method::POST, "/token/create")).await;
    let plain = text(&plain.json(), "token");
    let browser = counter.browser();

    for (provider, token) in [
        ("instagram", token),
        ("tiktok", plain.as_str()),
        ("tiktok", ""),
        ("tiktok", "%00"),
        ("nobody", token),
        ("oauth2:%22%3E", token),
    ] {
        let url = format!("{PUBLIC}/connect/{provider}?token={token}");
        let (seen, pressed) = (browser.open(&url).await, browser.submit(&url).await);
        for page in [seen, pressed] {
            assert_eq!(
                (page.status, page.heading()),
                (404, "This link does not work")
            );
        }
    }
    let bare = browser.open(&format!("{PUBLIC}/connect/tiktok")).await;
    assert_eq!(bare.status, 404);
    let body = json!({"token": token});
    let validated = counter.world.post_json("/token/validate", body).await;
    assert_eq!(validated.status, 404);

    assert_eq!(browser.open(&link).await.status, 200);
}

async fn s5_1_a_link_ends_when_its_time_is_over(database: Database) {
    let short = |settings: &mut api::ApiSettings| {
        settings.connect_link_ttl = Duration::from_millis(300);
    };
    let counter = Counter::with(database, short).await;
    let browser = counter.browser();
    let link = counter.link(json!({"provider": "tiktok"})).await;

    let mut page = browser.open(&link).await;
    for _ in 0..500 {
        if page.status != 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        page = browser.open(&link).await;
    }

    let pressed = browser.submit(&link).await;
    for page in [page, pressed] {
        assert_eq!(
            (page.status, page.heading()),
            (404, "This link does not work")
        );
    }
}

async fn s5_1_who_comes_back_counts_once_and_in_the_same_browser(database: Database) {
    let counter = Counter::open(database).await;
    let browser = counter.browser();
    let link = counter
        .link(json!({"provider": "oauth2:demo", "id": "shop"}))
        .await;
    let page = browser.start(&link).await;
    let back = browser.decide(&page, "allow", "new").await;
    let other = counter.browser();
    let others = counter.link(json!({"provider": "tiktok"})).await;
    other.start(&others).await;

    let strangers = counter.browser().open(&back).await;
    let known = other.open(&back).await;
    let changed = browser.open(&back.replace("state=", "state=x")).await;
    let stateless = browser
        .open(&format!("{PUBLIC}/connect/callback?code=x"))
        .await;
    let junk = browser
        .open(&format!("{PUBLIC}/connect/callback?state=%ff&state=a"))
        .await;
    let right = browser.open(&back).await;
    let replayed = browser.open(&back).await;

    for page in [strangers, known, changed, stateless, junk, replayed] {
        let told = (page.status, page.heading());
        assert_eq!(
            told,
            (404, "There is nothing to come back to"),
            "{}",
            page.text
        );
    }
    assert_eq!(right.status, 200, "{}", right.text);
    let channels = counter
        .world
        .get("/api/v1/tenants/t1/channels")
        .await
        .json();
    assert_eq!(channels["items"].as_array().unwrap().len(), 1);
}

async fn s5_1_who_says_no_changes_nothing_and_can_think_again(database: Database) {
    let counter = Counter::open(database).await;
    let browser = counter.browser();
    let link = counter
        .link(json!({"provider": "instagram", "id": "shop"}))
        .await;

    let page = browser.start(&link).await;
    let back = browser.decide(&page, "deny", "new").await;
    let page = browser.open(&back).await;
    let channels = counter
        .world
        .get("/api/v1/tenants/t1/channels")
        .await
        .json();
    let again = browser.agree(&page.offer().unwrap(), "new").await;

    assert_eq!((page.status, page.heading()), (403, "Not connected"));
    assert!(
        page.text.contains("You did not agree at Instagram"),
        "{}",
        page.text
    );
    assert_eq!(channels["items"], json!([]));
    assert_eq!(again.status, 200, "{}", again.text);
}

async fn s5_1_a_code_that_was_used_brings_nothing(database: Database) {
    let counter = Counter::open(database).await;
    let browser = counter.browser();
    for provider in [
        "facebook",
        "instagram",
        "tiktok",
        "tiktok_business",
        "oauth2:demo",
    ] {
        let body = json!({"provider": provider});
        let page = browser.start(&counter.link(body.clone()).await).await;
        let first = browser.decide(&page, "allow", "new").await;
        assert_eq!(browser.open(&first).await.status, 200);
        let page = browser.start(&counter.link(body).await).await;
        let second = browser.decide(&page, "allow", "new").await;
        let before = counter.world.get("/api/v1/tenants/t1/channels").await.text;

        let spliced = browser.open(&with_code_of(&second, &first)).await;

        assert_eq!((spliced.status, spliced.heading()), (502, "Not connected"));
        let told = "did not accept the permission";
        assert!(spliced.text.contains(told), "{provider}: {}", spliced.text);
        let after = counter.world.get("/api/v1/tenants/t1/channels").await.text;
        assert_eq!(after, before, "{provider}");
    }
}

/// One way back with the code of another.
fn with_code_of(back: &str, other: &str) -> String {
    let code = |url: &str| {
        let url = reqwest::Url::parse(url).unwrap();
        let code = url.query_pairs().find(|(name, _)| name == "code").unwrap();
        code.1.into_owned()
    };
    back.replace(&code(back), &code(other))
}

async fn s5_1_a_provider_that_is_away_is_told_and_can_be_asked_again(database: Database) {
    let counter = Counter::open(database).await;
    let browser = counter.browser();
    let link = counter
        .link(json!({"provider": "tiktok", "id": "shop"}))
        .await;
    let page = browser.start(&link).await;
    let back = browser.decide(&page, "allow", "new").await;

    counter.sim.set_down("tiktok", true).unwrap();
    let page = browser.open(&back).await;
    counter.sim.set_down("tiktok", false).unwrap();
    let again = browser.agree(&page.offer().unwrap(), "new").await;

    assert_eq!((page.status, page.heading()), (502, "Not connected"));
    assert!(
        page.text.contains("TikTok does not answer rightly"),
        "{}",
        page.text
    );
    assert_eq!(again.status, 200, "{}", again.text);
}

async fn s5_1_bad_input_for_a_link_is_named(database: Database) {
    let counter = Counter::open(database).await;
    lost(&counter).await;
    let post = async |body: Value| counter.world.post_json(LINKS, body).await.problem();
    let invalid = |fields: &[&str]| problem(422, "invalid_input", fields);

    for (body, expected) in [
        (json!({}), invalid(&["provider"])),
        (json!({"provider": "myspace"}), invalid(&["provider"])),
        (json!({"provider": "facturify"}), invalid(&["provider"])),
        (json!({"provider": "service_token"}), invalid(&["provider"])),
        (json!({"provider": 1}), invalid(&["provider"])),
        (
            json!({"provider": "tiktok", "return_to": "x"}),
            invalid(&["return_to"]),
        ),
        (json!({"provider": "tiktok", "id": "a b"}), invalid(&["id"])),
        (
            json!({"provider": "tiktok", "id": "refresh"}),
            invalid(&["id"]),
        ),
        (
            json!({"provider": "tiktok", "display_name": "a\r\nb"}),
            invalid(&["display_name"]),
        ),
        (
            json!({"provider": "tiktok", "expires_in": 59}),
            invalid(&["expires_in"]),
        ),
        (
            json!({"provider": "tiktok", "expires_in": 604_801}),
            invalid(&["expires_in"]),
        ),
        (
            json!({"provider": "tiktok", "expires_in": -1}),
            invalid(&["expires_in"]),
        ),
        (
            json!({"provider": "tiktok", "channel_id": "shop", "id": "x", "display_name": "y"}),
            invalid(&["id", "display_name"]),
        ),
        (
            json!({"provider": "facebook", "channel_id": "shop"}),
            invalid(&["provider"]),
        ),
        (
            json!({"provider": "tiktok", "channel_id": "none"}),
            problem(404, "not_found", &[]),
        ),
        (
            json!({"provider": "tiktok", "channel_id": "\u{0}"}),
            problem(404, "not_found", &[]),
        ),
        (
            json!({"provider": "tiktok", "id": "shop"}),
            problem(409, "already_exists", &["id"]),
        ),
    ] {
        assert_eq!(post(body.clone()).await, expected, "{body}");
    }
}

async fn s5_1_a_link_needs_a_public_address_and_a_provider_that_is_set_up(database: Database) {
    let counter = Counter::with(database, |settings| settings.public_url = None).await;
    let post = async |provider: &str| {
        counter
            .world
            .post_json(LINKS, json!({"provider": provider}))
            .await
    };
    let nowhere = post("tiktok").await;
    let set_up = api::ApiSettings {
        public_url: Some(PUBLIC.to_owned()),
        ..settings()
    };
    let base = counter.world.beside(set_up).await;

    let request = counter.world.request_at(&base, Method::POST, LINKS);
    let missing = send(request.json(&json!({"provider": "oauth2:demo_body"}))).await;

    assert_eq!(nowhere.problem(), problem(409, "public_url_not_set", &[]));
    assert_eq!(
        missing.problem(),
        problem(409, "provider_not_configured", &[])
    );
    assert!(
        missing
            .text
            .contains("providers.oauth2.demo_body.authorize_url"),
        "{}",
        missing.text
    );
}

async fn s5_1_redis_sees_no_token_of_a_link_nor_of_a_browser(database: Database) {
    let counter = Counter::open(database).await;
    let browser = counter.browser();
    let waiting = counter.link(json!({"provider": "tiktok"})).await;
    let page = browser
        .start(&counter.link(json!({"provider": "tiktok"})).await)
        .await;
    let state = page.split_once("state=").unwrap().1;
    let jar = browser.jar();
    let (_, cookie) = jar.split_once('=').unwrap();
    let (_, token) = waiting.split_once('=').unwrap();
    counter.connect("oauth2:nameless", "shop").await;
    let again = counter
        .link(json!({"provider": "oauth2:nameless", "channel_id": "shop"}))
        .await;
    let waits = counter.browser().agree(&again, "new").await;
    assert_eq!(waits.status, 202);

    let seen = everything(&counter).await;

    assert!(
        seen.contains(":waiting:account:") && seen.contains("oauth2:nameless"),
        "{seen}"
    );
    for secret in [state, cookie, token] {
        assert!(
            secret.len() == 43 && !seen.contains(secret),
            "{secret} in {seen}"
        );
    }
}

/// All keys and texts that Redis has.
async fn everything(counter: &Counter) -> String {
    let mut connection = counter.world.redis.connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut seen = String::new();
    for key in keys {
        let value: redis::RedisResult<String> = redis::cmd("GET")
            .arg(&key)
            .query_async(&mut connection)
            .await;
        seen.push_str(&key);
        seen.push(' ');
        // What is no text are the queues, which have a test of their own.
        seen.push_str(&value.unwrap_or_default());
        seen.push('\n');
    }
    seen
}
