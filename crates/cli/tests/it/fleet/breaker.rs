//! A provider that is down, one that refuses the app, and one whose answers nobody knows:
//! jobs wait, no channel is given up, and the fleet returns within its budget.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Entry, Faults, Filter, MintRequest, Outcome};
use testkit::Database;

use super::webhooks::receiver::Receiver;
use super::world::{Import, import, is_fresh};
use super::{Server, World, until};

testkit::each_database!(
    a_provider_that_is_down_condemns_no_channel_and_is_left_alone_but_for_probes,
    a_refused_app_is_one_alert_and_recovers_without_a_touch_of_any_channel,
    an_unknown_answer_on_five_channels_stops_the_fleet_and_calls_the_operator,
    grants_that_are_refused_one_after_another_are_the_apps_trouble_and_condemn_few,
    an_app_that_has_nearly_spent_its_hour_is_called_slower_by_the_whole_fleet_until_it_recovers,
    each_request_of_a_refresh_has_its_turn_in_the_budget,
);

const REFRESH_ALL: &str = "/api/v1/tenants/acme/channels/refresh?wait=60";
const BUDGET: usize = 60;
const PROBE_EVERY: Duration = Duration::from_millis(200);

async fn compressed(database: Database) -> World {
    let world = World::on(database).await;
    world
        .set("TOKENFLEET_BREAKER__PROBE_EVERY", "200ms")
        .set("TOKENFLEET_BREAKER__RAMP", "2s")
        .set("TOKENFLEET_WEBHOOKS__ALLOW_PRIVATE", "true")
        .set("TOKENFLEET_WORKER__CONCURRENCY", "16")
        .set(
            "TOKENFLEET_PROVIDERS__TIKTOK__REFRESHES_PER_SECOND",
            &BUDGET.to_string(),
        )
}

async fn a_provider_that_is_down_condemns_no_channel_and_is_left_alone_but_for_probes(
    database: Database,
) {
    let world = compressed(database).await;
    set_faults(&world, "tiktok.down");
    let (up, server) = world.up().await;
    let operator = Operator::listening(&server).await;
    let order = MintRequest::of("tiktok").expires_in(0).count(200);
    let minted = world.simulator.mint(&order).expect("a sensible order");

    import(&server, minted.iter().map(Import::of).collect()).await;
    let open = breaker_until(&server, |it| it["state"] == "open").await;
    until("twenty probes were sent", async || {
        let breaker = breaker(&server).await?;
        (breaker["incident"]["probes"].as_u64() >= Some(20)).then_some(())
    })
    .await;
    let living = server.channels().await;
    let failed = server.get("/api/v1/jobs/status").await.of(200)["jobs_failed"].clone();
    set_faults(&world, "");
    let channels = server.channels_until(is_fresh).await;

    assert_eq!(open["incident"]["why"], "outage", "{open}");
    assert!(living.iter().all(|it| it["state"] == "active"));
    assert_eq!(failed, 0, "no job was given up");
    assert_eq!(channels.len(), 200);
    assert!(channels.iter().all(|it| it["last_error"].is_null()));
    let entries = entries(&world);
    assert_probes(&entries);
    assert_rate(&entries, BUDGET);
    operator.is_told_once(&server).await;
    up.stop();
}

async fn a_refused_app_is_one_alert_and_recovers_without_a_touch_of_any_channel(
    database: Database,
) {
    let world = compressed(database).await;
    set_faults(&world, "tiktok.invalid_client");
    let (up, server) = world.up().await;
    let operator = Operator::listening(&server).await;
    let order = MintRequest::of("tiktok").expires_in(0).count(60);
    let minted = world.simulator.mint(&order).expect("a sensible order");

    import(&server, minted.iter().map(Import::of).collect()).await;
    let open = breaker_until(&server, |it| it["state"] == "open").await;
    until("five probes were sent", async || {
        let breaker = breaker(&server).await?;
        (breaker["incident"]["probes"].as_u64() >= Some(5)).then_some(())
    })
    .await;
    let refused = server.channels().await;
    set_faults(&world, "");
    // The first ones were refused before the fleet knew: they would come back by themselves,
    // after their own pause.
    server.post_json(REFRESH_ALL, &json!({})).await.of(200);
    let channels = server.channels_until(is_fresh).await;

    assert_eq!(open["incident"]["why"], "misconfigured", "{open}");
    assert!(refused.iter().all(|it| it["state"] == "active"));
    assert_eq!(channels.len(), 60);
    assert_probes(&entries(&world));
    operator.is_told_once(&server).await;
    up.stop();
}

async fn an_unknown_answer_on_five_channels_stops_the_fleet_and_calls_the_operator(
    database: Database,
) {
    let world = compressed(database).await;
    set_faults(&world, "tiktok.garbage");
    let (up, server) = world.up().await;
    let operator = Operator::listening(&server).await;
    let order = MintRequest::of("tiktok").expires_in(0).count(60);
    let minted = world.simulator.mint(&order).expect("a sensible order");

    import(&server, minted.iter().map(Import::of).collect()).await;
    let open = breaker_until(&server, |it| it["state"] == "open").await;
    set_faults(&world, "");
    let channels = server.channels_until(is_fresh).await;

    assert_eq!(open["incident"]["why"], "contract_drift", "{open}");
    assert!(open["unknown_answers"].as_u64() >= Some(5), "{open}");
    assert_eq!(channels.len(), 60, "none had to be touched");
    operator.is_told_once(&server).await;
    up.stop();
}

async fn grants_that_are_refused_one_after_another_are_the_apps_trouble_and_condemn_few(
    database: Database,
) {
    let world = compressed(database).await;
    let (up, server) = world.up().await;
    let order = MintRequest::of("tiktok").expires_in(0).count(60);
    world.import(&server, &order).await;
    server.channels_until(is_fresh).await;
    let operator = Operator::listening(&server).await;

    set_faults(&world, "tiktok.invalid_grant");
    let everybody = server.channels().await;
    let ids: Vec<&Value> = everybody.iter().map(|it| &it["id"]).collect();
    let path = "/api/v1/tenants/acme/channels/refresh?wait=0";
    let asked = json!({ "channel_ids": ids });
    server.post_json(path, &asked).await.of(202);
    let open = breaker_until(&server, |it| it["state"] == "open").await;
    until("five probes were sent", async || {
        let breaker = breaker(&server).await?;
        (breaker["incident"]["probes"].as_u64() >= Some(5)).then_some(())
    })
    .await;
    set_faults(&world, "");
    let is_done = |it: &Value| it["generation"] == 3 || it["state"] == "needs_reauth";
    let channels = server.channels_until(is_done).await;

    assert_eq!(open["incident"]["why"], "misconfigured", "{open}");
    let condemned = channels.iter().filter(|it| it["state"] != "active").count();
    assert!(condemned < 5, "{condemned} of 60");
    operator.is_told_once(&server).await;
    up.stop();
}

async fn an_app_that_has_nearly_spent_its_hour_is_called_slower_by_the_whole_fleet_until_it_recovers(
    database: Database,
) {
    let world = World::on(database)
        .await
        .set("TOKENFLEET_BREAKER__RAMP", "1s")
        .set("TOKENFLEET_PROVIDERS__META__REFRESHES_PER_SECOND", "40");
    let (api, server) = world.api().await;
    let scheduler = world.scheduler();
    let workers = ["data-one", "data-two"].map(|data_dir| world.worker(data_dir, &[]));
    let usage = |it: &Value| {
        (
            it["state"].clone(),
            it["usage"].clone(),
            it["per_second"].as_f64(),
        )
    };
    let due = async |scenario: &str, count| {
        let order = MintRequest::of("facebook").expires_in(3600).count(count);
        world.import(&server, &order.scenario(scenario)).await;
    };

    due("usage_garbage", 2).await;
    server.channels_until(is_fresh).await;
    let garbage = breaker_until(&server, |_| true).await;
    due("usage_90", 2).await;
    let strained = breaker_until(&server, |it| it["usage"] == 90).await;
    server.channels_until(is_fresh).await;
    let before = entries(&world).len();
    due("usage_90", 60).await;
    server.channels_until(is_fresh).await;
    let mut slowed = entries(&world).split_off(before);
    // By then every worker has heard of it.
    let heard = slowed[0].started_ms + 1000;
    slowed.retain(|it| it.started_ms > heard);
    due("usage_20", 1).await;
    server.channels_until(is_fresh).await;
    let recovered = breaker_until(&server, |it| it["per_second"].is_null()).await;
    due("usage_100", 1).await;
    let spent = breaker_until(&server, |it| it["state"] == "held").await;

    assert_eq!(usage(&garbage), (json!("closed"), Value::Null, None));
    let rate = strained["per_second"].as_f64().expect("a limit");
    assert!((20.0..40.0).contains(&rate), "half of 40: {rate}");
    assert!(!slowed.is_empty(), "sixty take longer at any limit");
    assert_rate(&slowed, 24);
    assert_eq!(usage(&recovered), (json!("closed"), Value::Null, None));
    assert_eq!(usage(&spent), (json!("held"), json!(100), None));
    assert!(spent["incident"].is_null(), "nobody is called for it");
    drop((workers, scheduler, api));
}

async fn each_request_of_a_refresh_has_its_turn_in_the_budget(database: Database) {
    let world = World::on(database)
        .await
        .set("TOKENFLEET_WORKER__CONCURRENCY", "8")
        .set("TOKENFLEET_PROVIDERS__META__REFRESHES_PER_SECOND", "20");
    let (up, server) = world.up().await;
    let order = MintRequest::of("facebook").expires_in(3600).count(20);

    world
        .import(&server, &order.scenario("no_expires_in"))
        .await;
    server.channels_until(is_fresh).await;

    let entries = entries(&world);
    assert!(entries.len() >= 40, "each is exchanged and looked at");
    let first = entries[0].started_ms;
    let lasted = entries[entries.len() - 1].started_ms - first;
    assert!(
        lasted >= 1900,
        "forty requests at twenty a second: {lasted} ms"
    );
    up.stop();
}

fn set_faults(world: &World, faults: &str) {
    let faults: Faults = faults.parse().expect("faults that exist");
    world.simulator.set_faults(faults);
}

/// The only breaker that ever met anything.
async fn breaker(server: &Server) -> Option<Value> {
    let all = server.get("/api/v1/breakers").await.of(200);
    let items = all["items"].as_array().expect("a list").clone();
    assert!(items.len() <= 1, "{items:?}");
    items.into_iter().next()
}

async fn breaker_until(server: &Server, wanted: impl Fn(&Value) -> bool) -> Value {
    until("the breaker is as wanted", async || {
        breaker(server).await.filter(|it| wanted(it))
    })
    .await
}

fn entries(world: &World) -> Vec<Entry> {
    let mut entries = world.simulator.ledger(&Filter::default());
    entries.sort_by_key(|entry| entry.started_ms);
    entries
}

/// Beside those that opened the breaker, and those that were under way then, no more
/// requests were refused than probes have room for.
fn assert_probes(entries: &[Entry]) {
    const BEFORE: usize = 10 + 16;
    let refused: Vec<i64> = entries
        .iter()
        .filter(|it| it.outcome != Outcome::Ok)
        .map(|it| it.started_ms)
        .collect();
    let (first, last) = (refused[0], refused[refused.len() - 1]);
    let every = i64::try_from(PROBE_EVERY.as_millis()).expect("a short time");
    let room = usize::try_from((last - first) / every).expect("sorted");
    assert!(
        refused.len() <= BEFORE + room + 1,
        "{} in {} ms",
        refused.len(),
        last - first
    );
}

/// No second has more refreshes than this, but for what a busy machine lets arrive late:
/// how they leave is tested where they leave.
fn assert_rate(entries: &[Entry], per_second: usize) {
    let refreshed = entries.iter().filter(|it| it.refreshed);
    let times: Vec<i64> = refreshed.map(|it| it.started_ms).collect();
    for (at, from) in times.iter().enumerate() {
        let within = times[at..].iter().take_while(|time| **time < from + 1000);
        let count = within.count();
        let most = per_second + per_second.div_ceil(10);
        assert!(count <= most, "{count} in a second");
    }
}

/// Who hears of incidents: a webhook of the tenant `platform`.
struct Operator(Receiver);

impl Operator {
    async fn listening(server: &Server) -> Self {
        let receiver = Receiver::start().await;
        let body = json!({
            "url": receiver.url("/operator"),
            "events": ["breaker.opened", "breaker.closed"],
        });
        let path = "/api/v1/tenants/platform/webhooks";
        server.post_json(path, &body).await.of(201);
        Self(receiver)
    }

    /// One event when it opened and one when it was over, whatever the number of channels.
    async fn is_told_once(&self, server: &Server) {
        breaker_until(server, |it| it["incident"].is_null()).await;
        let told = self.0.await_on("/operator", 2).await;
        let mut kinds: Vec<String> = told
            .iter()
            .map(|it| it.json()["type"].to_string())
            .collect();
        kinds.sort_unstable();
        assert_eq!(kinds, [r#""breaker.closed""#, r#""breaker.opened""#]);
        let body = told[0].json();
        assert_eq!(body["data"]["app_identity"], "tiktok:aw123fake", "{body}");
        assert_eq!(body["data"]["tenant_id"], "platform", "{body}");
    }
}
