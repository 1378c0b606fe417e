//! S5.1: people connect channels again, and only with the account of the channel.

use reqwest::Method;
use serde_json::{Value, json};
use simulator::MintRequest;
use testkit::Database;

use crate::people::text;
use crate::visitor::Counter;
use crate::world::{problem, reveal};

testkit::each_database!(
    s5_1_the_same_account_repairs_a_channel,
    s5_1_another_account_is_refused_and_changes_nothing,
    s5_1_an_account_that_nobody_knows_waits_for_an_owner,
    s5_1_a_channel_that_went_meanwhile_is_told,
);

const ACCOUNT: &str = "/api/v1/tenants/t1/channels/shop/new-account";
const CONFIRM: &str = "/api/v1/tenants/t1/channels/shop/new-account/confirm";

/// How a channel looks in what a repair may change.
fn standing(channel: &Value) -> Value {
    json!([
        channel["state"],
        channel["generation"],
        channel["external_id"]
    ])
}

/// An account at TikTok that is imported as channel `shop`, and then revoked there.
pub(crate) async fn lost(counter: &Counter) -> (String, String) {
    let minted = counter
        .sim
        .mint(&MintRequest::of("tiktok"))
        .unwrap()
        .remove(0);
    let body = json!({
        "id": "shop", "provider": "tiktok", "display_name": "Our <b>shop</b>",
        "credentials": minted.import_form(),
    });
    let made = counter
        .world
        .post_json("/api/v1/tenants/t1/channels", body)
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    counter.sim.revoke(&minted.id).unwrap();
    (minted.id, minted.external_id.unwrap())
}

/// What the audit log calls the changes, the newest first; reads are no changes.
pub(crate) async fn audited(counter: &Counter) -> Vec<String> {
    let lines = counter.world.get("/api/v1/audit?tenant_id=t1").await.json();
    let lines = lines["items"].as_array().unwrap().clone();
    let actions = lines.iter().map(|line| text(line, "action"));
    actions.filter(|action| action != "token.read").collect()
}

async fn s5_1_the_same_account_repairs_a_channel(database: Database) {
    let counter = Counter::open(database).await;
    let (account, open_id) = lost(&counter).await;
    let body = json!({"provider": "tiktok", "channel_id": "shop"});
    let link = counter.link(body).await;

    let question = counter.browser().open(&link).await;
    let page = counter.browser().agree(&link, &account).await;

    assert!(
        question.text.contains("Our &lt;b&gt;shop&lt;/b&gt;"),
        "{}",
        question.text
    );
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.heading().ends_with("works again"), "{}", page.text);
    let channel = counter.channel("shop").await;
    assert_eq!(standing(&channel), json!(["active", 2, open_id]));
    let token = "/api/v1/tenants/t1/channels/shop/token";
    let token = reveal(counter.world.request(Method::GET, token)).await;
    assert_eq!(token.json()["generation"], 2);
    assert_eq!(audited(&counter).await[0], "channel.repair");
}

async fn s5_1_another_account_is_refused_and_changes_nothing(database: Database) {
    let counter = Counter::open(database).await;
    let (account, open_id) = lost(&counter).await;
    let before = counter.channel("shop").await;
    let link = counter
        .link(json!({"provider": "tiktok", "channel_id": "shop"}))
        .await;
    let browser = counter.browser();

    let page = browser.agree(&link, "new").await;
    let after = counter.channel("shop").await;
    let again = browser.agree(&page.offer().unwrap(), &account).await;

    assert_eq!(
        (page.status, page.heading()),
        (409, "This is another account")
    );
    assert_eq!(after, before);
    assert_eq!(again.status, 200, "{}", again.text);
    let channel = counter.channel("shop").await;
    assert_eq!(standing(&channel), json!(["active", 2, open_id]));
}

async fn s5_1_an_account_that_nobody_knows_waits_for_an_owner(database: Database) {
    let counter = Counter::open(database).await;
    let world = &counter.world;
    let operator = world.member("t1", "operator").await;
    let owner = world.member("t1", "owner").await;
    counter.connect("oauth2:nameless", "shop").await;
    let body = json!({"provider": "oauth2:nameless", "channel_id": "shop"});
    let bring = async || {
        let page = counter
            .browser()
            .agree(&counter.link(body.clone()).await, "new")
            .await;
        assert_eq!(
            (page.status, page.heading()),
            (202, "One more step for somebody else")
        );
        let waits = world.ask(&operator.access, Method::GET, ACCOUNT).await;
        assert_eq!(waits.status, 200, "{}", waits.text);
        text(&waits.json(), "id")
    };
    let confirm = async |token: &str, id: &str| {
        world
            .tell(token, Method::POST, CONFIRM, json!({"id": id}))
            .await
    };

    let first = bring().await;
    let second = bring().await;
    let outdated = confirm(&owner.access, &first).await;
    let by_operator = confirm(&operator.access, &second).await;
    let before = counter.channel("shop").await;
    let confirmed = confirm(&owner.access, &second).await;
    let twice = confirm(&owner.access, &second).await;
    bring().await;
    let refused = world.ask(&owner.access, Method::DELETE, ACCOUNT).await;
    let gone = world.ask(&owner.access, Method::GET, ACCOUNT).await;

    assert_eq!(outdated.problem(), problem(409, "another_account", &[]));
    assert_eq!(by_operator.problem(), problem(403, "forbidden", &[]));
    assert_eq!(before["generation"], 1);
    assert_eq!(confirmed.json()["generation"], 2, "{}", confirmed.text);
    assert_eq!(twice.problem(), problem(404, "not_found", &[]));
    assert_eq!((refused.status, gone.status), (204, 404));
    assert_eq!(counter.channel("shop").await["generation"], 2);
    assert_eq!(
        audited(&counter).await[..2],
        ["channel.refuse_account", "channel.new_account"]
    );
}

async fn s5_1_a_channel_that_went_meanwhile_is_told(database: Database) {
    let counter = Counter::open(database).await;
    let (account, _) = lost(&counter).await;
    let repair = counter
        .link(json!({"provider": "tiktok", "channel_id": "shop"}))
        .await;
    let new = json!({"provider": "tiktok", "id": "new"});
    let twice = [counter.link(new.clone()).await, counter.link(new).await];
    counter
        .world
        .delete("/api/v1/tenants/t1/channels/shop")
        .await;

    let gone = counter.browser().agree(&repair, &account).await;
    let made = counter.browser().agree(&twice[0], "new").await;
    let taken = counter.browser().agree(&twice[1], "new").await;

    assert_eq!((gone.status, gone.heading()), (404, "This channel is gone"));
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!((taken.status, taken.heading()), (409, "This id is taken"));
}
