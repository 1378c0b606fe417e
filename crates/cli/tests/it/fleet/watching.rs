//! Jobs, queues and breakers from the command line, and what happens to them as it happens.

use serde_json::{Value, json};
use simulator::MintRequest;
use testkit::Database;
use testkit::redis::{Data, free_port};

use super::{Server, World, until};
use crate::harness::{ADMIN_TOKEN, Running};

testkit::each_database!(
    jobs_are_watched_through_restarts_of_redis_and_of_the_server,
    queues_are_listed_and_purged_and_breakers_reset,
);

/// What a watcher has told of jobs so far: what happened, to which channel's.
fn seen(watch: &Running) -> Vec<Value> {
    let said = watch.said();
    let lines = said.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect()
}

/// Refreshes the channel until a watcher tells that it completed once more than before: who
/// has just come back may have missed the first.
async fn refreshed(server: &Server, watch: &Running, id: &str) {
    let ends = || {
        let ended = |it: &Value| it["event"] == "completed" && it["channel_id"] == id;
        seen(watch).iter().filter(|it| ended(it)).count()
    };
    let before = ends();
    until("it is seen to complete", async || {
        let path = format!("/api/v1/tenants/acme/channels/{id}/refresh?wait=5");
        server.post(&path).await;
        (ends() > before).then_some(())
    })
    .await;
}

async fn told(watch: &Running, word: &str) {
    until(word, async || {
        let said = seen(watch).iter().any(|it| it["event"] == word);
        said.then_some(())
    })
    .await;
}

async fn jobs_are_watched_through_restarts_of_redis_and_of_the_server(database: Database) {
    let mut world = World::on(database).await;
    let bind = format!("127.0.0.1:{}", free_port().expect("a free port"));
    let up = ["up", "--bind", bind.as_str()];
    let running = world.site.start(&up, "Ctrl-C stops it.");
    let url = running.url();
    let server = Server::new(&url, ADMIN_TOKEN);
    let acme = json!({ "id": "acme" });
    server.post_json("/api/v1/tenants", &acme).await.of(201);
    let minted = world.import(&server, &MintRequest::of("tiktok")).await;
    let channel = minted[0].id.as_str();
    let common = ["job", "watch", "acme", "--server", url.as_str()];
    let watch = [&common[..], &["--json"]].concat();
    let mut watch = world.site.start(&watch, "watching");
    let table = [&common[..], &["--queue", "refresh:tiktok"]].concat();
    let table = world.site.start(&table, "TIME");

    refreshed(&server, &watch, channel).await;
    let redis = world.redis.as_mut().expect("one of its own");
    redis.halt(Data::Lost).await.expect("it runs");
    told(&watch, "away").await;
    redis.resume().await.expect("the port is still ours");
    told(&watch, "back").await;
    refreshed(&server, &watch, channel).await;
    running.stop();
    told(&watch, "end").await;
    let running = world.site.start(&up, "Ctrl-C stops it.");
    refreshed(&server, &watch, channel).await;

    let first = &seen(&watch)[..2];
    assert_eq!(first[0], json!({ "event": "watching" }));
    assert_eq!(
        (&first[1]["tenant_id"], &first[1]["queue"]),
        (&json!("acme"), &json!("refresh:tiktok"))
    );
    let shown = table.said();
    for part in ["completed", channel, "Redis answers again"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    watch.signal("INT");
    assert_eq!(watch.wait(), None, "Ctrl-C ends it");
    running.stop();
}

async fn queues_are_listed_and_purged_and_breakers_reset(database: Database) {
    let world = World::on(database).await;
    let (up, server) = world.up().await;
    let minted = world.import(&server, &MintRequest::of("tiktok")).await;
    let later = format!(
        "/api/v1/tenants/acme/channels/{}/refresh/schedule",
        minted[0].id
    );
    let delay = json!({ "delay_minutes": 30 });
    server.post_json(&later, &delay).await.of(200);
    let url = up.url();
    let with_url = |command: &str| {
        let words = command.split(' ').map(str::to_owned);
        let mut words: Vec<String> = words.collect();
        words.extend(["--server".to_owned(), url.clone()]);
        words
    };
    let run = |command: &str| {
        let words = with_url(command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        world.site.run(&words)
    };
    let told = |command: &str| {
        let ended = run(&format!("{command} --json"));
        assert_eq!(ended.code, Some(0), "{command}: {}", ended.err);
        serde_json::from_str::<Value>(&ended.out).expect("it prints JSON")
    };

    let queues = told("queue list");
    let found = told("job list acme --queue refresh:tiktok");
    let unsure = run("queue purge refresh:tiktok");
    let dry = told("queue purge refresh:tiktok --filter state=delayed --dry-run");
    let purged = told("queue purge refresh:tiktok --tenant acme --yes");
    let left = told("job list acme --queue refresh:tiktok --state delayed");
    let breakers = told("breaker list");
    let unknown = run("breaker reset 00000000");

    let queues = queues.as_array().expect("a list");
    assert!(queues.iter().any(|it| it["queue"] == "webhook"));
    assert_eq!(found[0]["state"], "delayed");
    assert_eq!(unsure.code, Some(2), "{}", unsure.out);
    assert_eq!((&dry["matched"], &dry["removed"]), (&json!(1), &json!(0)));
    assert_eq!(purged, json!({ "removed": 1, "running": 0 }));
    assert_eq!(left, json!([]));
    assert!(breakers.is_array());
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("(404)"), "{}", unknown.err);
    up.stop();
}
