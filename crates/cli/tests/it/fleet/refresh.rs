//! S2.1 to S2.4, S2.7 and S2.8 over HTTP, with the real worker behind them.

use domain::GrantKind;
use serde_json::{Value, json};
use simulator::MintRequest;
use testkit::Database;

use super::server::{at, channel_path, members};
use super::world::{Import, import};
use super::{Server, World, until};

testkit::each_database!(
    s2_1_refresh_now_answers_with_the_result_of_the_job,
    s2_2_a_batch_answers_for_every_id_once,
    s2_3_channels_that_need_a_refresh_are_listed_by_window,
    s2_4_a_refresh_for_later_waits_until_then,
    s2_7_s2_8_s5_7_and_s5_8_the_figures_add_up,
);

/// The token of a system user that never ends.
fn eternal() -> MintRequest {
    MintRequest::of("facebook")
        .kind(GrantKind::SystemUser)
        .never_expires()
}

async fn s2_1_refresh_now_answers_with_the_result_of_the_job(database: Database) {
    let world = World::on(database).await;
    let (up, server) = world.up().await;
    let good = &world.import(&server, &MintRequest::of("tiktok")).await[0].id;
    let revoked = MintRequest::of("tiktok").scenario("invalid_grant");
    let revoked = &world.import(&server, &revoked).await[0].id;
    let eternal = world.import(&server, &eternal()).await;
    let now = |id: &str, wait| format!("{}/refresh?wait={wait}", channel_path(id));

    let refreshed = server.post(&now(good, 30)).await.of(200);
    let accepted = server.post(&now(good, 0)).await.of(202);
    let failed = server.post(&now(revoked, 30)).await.of(200);
    let refused = server.post(&now(revoked, 30)).await.of(409);
    let needless = server.post(&now(&eternal[0].id, 30)).await.of(200);

    let channel = server.channel_until(good, |it| it["generation"] == 3).await;
    let expected = [
        "channel_id",
        "generation",
        "job_id",
        "new_expires_at",
        "refreshed",
        "success",
    ];
    assert_eq!(members(&refreshed), expected);
    assert_eq!(
        (
            &refreshed["success"],
            &refreshed["refreshed"],
            &refreshed["generation"]
        ),
        (&json!(true), &json!(true), &json!(2))
    );
    assert_eq!(refreshed["channel_id"], json!(good));
    assert!(at(&channel["expires_at"]) >= at(&refreshed["new_expires_at"]));
    let job = accepted["job_id"].as_str().expect("a job goes on");
    let ended = until("the job ends", async || {
        let job = server.get(&format!("/api/v1/jobs/{job}")).await.of(200);
        (job["state"] == "completed").then_some(job)
    })
    .await;
    assert_eq!(
        ended["attempts"].as_array().map(Vec::len),
        Some(1),
        "{ended}"
    );
    assert_eq!(
        (&failed["success"], &failed["error"]),
        (&json!(false), &json!("reauth_required"))
    );
    assert_eq!(
        failed["details"]["provider_code"], "invalid_grant",
        "{failed}"
    );
    assert_eq!(refused["code"], "channel_needs_reauth");
    assert_eq!(
        (
            &needless["success"],
            &needless["refreshed"],
            &needless["details"]["reason"]
        ),
        (&json!(true), &json!(false), &json!("not_needed"))
    );
    up.stop();
}

async fn s2_2_a_batch_answers_for_every_id_once(database: Database) {
    let world = World::on(database).await;
    let (up, server) = world.up().await;
    let minted = world
        .import(&server, &MintRequest::of("tiktok").count(3))
        .await;
    let dying = world
        .import(&server, &MintRequest::of("tiktok").expires_in(1800))
        .await;
    let [a, b, untouched] = [0, 1, 2].map(|place| minted[place].id.as_str());
    let path = "/api/v1/tenants/acme/channels/refresh";

    let ids = json!({ "channel_ids": [a, "nobody", b, a, "nobody"] });
    let answer = server
        .post_json(&format!("{path}?wait=30"), &ids)
        .await
        .of(200);
    let all = server.post(&format!("{path}?wait=30")).await.of(200);
    let unwaited = server
        .post_json(&format!("{path}?wait=0"), &ids)
        .await
        .of(202);

    let told = ["batch_id", "failed", "processed", "results", "succeeded"];
    assert_eq!(members(&answer), told);
    assert_eq!(
        (
            &answer["processed"],
            &answer["succeeded"],
            &answer["failed"]
        ),
        (&json!(3), &json!(2), &json!(1))
    );
    let results = answer["results"].as_array().expect("a list");
    let shown = |it: &Value| {
        (
            it["channel_id"].clone(),
            it["success"].clone(),
            it["error"].clone(),
        )
    };
    let results: Vec<_> = results.iter().map(shown).collect();
    let good = |id: &str| (json!(id), json!(true), Value::Null);
    let missing = (json!("nobody"), json!(false), json!("not_found"));
    assert_eq!(results, [good(a), missing, good(b)]);
    let shown = |it: &Value| it["channel_id"].clone();
    let all: Vec<_> = all["results"]
        .as_array()
        .expect("a list")
        .iter()
        .map(shown)
        .collect();
    assert_eq!(all, [json!(dying[0].id)], "without ids, those that need it");
    assert_eq!(members(&unwaited), ["batch_id"]);
    let batch = unwaited["batch_id"].as_str().expect("an id");
    let ended = until("the batch ends", async || {
        let batch = server
            .get(&format!("/api/v1/batches/{batch}"))
            .await
            .of(200);
        (batch["pending"] == 0).then_some(batch)
    })
    .await;
    assert_eq!(
        (&ended["processed"], &ended["succeeded"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(server.channel(untouched).await["generation"], 1);
    up.stop();
}

async fn s2_3_channels_that_need_a_refresh_are_listed_by_window(database: Database) {
    let world = World::on(database).await;
    let (up, server) = world.up().await;
    let soon = world
        .import(&server, &MintRequest::of("tiktok").expires_in(1800))
        .await;
    world
        .import(&server, &MintRequest::of("tiktok").expires_in(7200))
        .await;
    let path = "/api/v1/tenants/acme/channels/needing-refresh";

    let hour = server.get(path).await.of(200);
    let minutes = server
        .get(&format!("{path}?refresh_before_minutes=10"))
        .await
        .of(200);
    let hours = server
        .get(&format!("{path}?refresh_before_minutes=180"))
        .await
        .of(200);

    assert_eq!(hour["success"], true);
    let [info] = hour["channels"].as_array().expect("a list").as_slice() else {
        panic!("one channel: {hour}");
    };
    let expected = [
        "channel_id",
        "channel_type",
        "display_name",
        "expires_at",
        "has_refresh_token",
        "local_name",
        "minutes_until_expiration",
    ];
    assert_eq!(members(info), expected);
    assert_eq!(
        (
            &info["channel_id"],
            &info["channel_type"],
            &info["has_refresh_token"]
        ),
        (&json!(soon[0].id), &json!("tiktok"), &json!(true))
    );
    let left = info["minutes_until_expiration"].as_i64();
    assert!(left.is_some_and(|left| (25..30).contains(&left)), "{info}");
    assert_eq!(minutes["channels"], json!([]));
    assert_eq!(hours["channels"].as_array().map(Vec::len), Some(2));
    up.stop();
}

async fn s2_4_a_refresh_for_later_waits_until_then(database: Database) {
    let world = World::on(database).await;
    let (up, server) = world.up().await;
    let id = &world.import(&server, &MintRequest::of("tiktok")).await[0].id;
    let path = format!("{}/refresh/schedule", channel_path(id));
    let created_at = at(&server.channel(id).await["created_at"]);

    let later = server
        .post_json(&path, &json!({ "delay_minutes": 30 }))
        .await
        .of(200);
    let job = format!("/api/v1/jobs/{}", later["job_id"].as_str().expect("a job"));
    let delayed = server.get(&job).await.of(200);
    let much_later = server
        .post_json(&path, &json!({ "delay_minutes": 90 }))
        .await
        .of(200);
    let at_once = server
        .post_json(&path, &json!({ "delay_minutes": 0 }))
        .await
        .of(200);

    assert_eq!(members(&later), ["job_id", "run_at"]);
    let minutes = at(&later["run_at"]).since(created_at).as_secs() / 60;
    assert_eq!(minutes, 30, "{later}");
    assert_eq!(
        (&delayed["state"], &delayed["channel_id"]),
        (&json!("delayed"), &json!(id))
    );
    assert_eq!(much_later, later, "a later wish leaves the job where it is");
    assert_eq!(
        at_once["job_id"], later["job_id"],
        "an earlier one moves it"
    );
    server.channel_until(id, |it| it["generation"] == 2).await;
    until("the job is completed", async || {
        (server.get(&job).await.of(200)["state"] == "completed").then_some(())
    })
    .await;
    up.stop();
}

async fn s2_7_s2_8_s5_7_and_s5_8_the_figures_add_up(database: Database) {
    let world = World::on(database).await;
    let (up, server) = world.up().await;
    let due = world
        .import(&server, &MintRequest::of("tiktok").expires_in(0).count(4))
        .await;
    world
        .import(&server, &MintRequest::of("tiktok").expires_in(1800))
        .await;
    let revoked = MintRequest::of("tiktok")
        .expires_in(0)
        .scenario("invalid_grant");
    world.import(&server, &revoked).await;
    let eternal = &world.import(&server, &eternal()).await[0].id;
    let key = json!({ "api_key": "key_ok-figures", "api_secret": "secret_ok-figures" });
    import(&server, vec![Import::new("facturas", "facturify", &key)]).await;
    server
        .channel_until("facturas", |it| it["generation"] == 3)
        .await;
    // It came without an end, so the provider is asked once; that is no refresh.
    server
        .channel_until(eternal, |it| it["state"] == "never_expires")
        .await;
    let later = format!("{}/refresh/schedule", channel_path(&due[0].id));
    server
        .post_json(&later, &json!({ "delay_minutes": 30 }))
        .await
        .of(200);
    let jobs = "/api/v1/tenants/acme/jobs/status";

    let of_tenant = until("the jobs have ended", async || {
        let status = server.get(jobs).await.of(200);
        (status["jobs_waiting"] == 0 && status["jobs_active"] == 0).then_some(status)
    })
    .await;
    let of_platform = server.get("/api/v1/jobs/status").await.of(200);
    let path = "/api/v1/tenants/acme/refresh/statistics";
    let statistics = server.get(path).await.of(200)["statistics"].clone();

    assert_eq!(
        of_tenant,
        json!({
            "jobs_active": 0, "jobs_waiting": 0, "jobs_delayed": 1,
            "jobs_completed": 7, "jobs_failed": 1, "jobs_cancelled": 0,
        })
    );
    assert_eq!(of_platform, of_tenant, "there is only one tenant");
    let next_expiry = statistics["next_expiry"].clone();
    assert_eq!(
        statistics,
        json!({
            "total_channels": 8,
            "channels_needing_refresh": 1,
            "channels_with_refresh_token": 8,
            "urgent_channels": 1,
            "by_state": {
                "active": 6, "needs_reauth": 1, "paused": 0, "error": 0, "never_expires": 1,
            },
            "by_provider": { "facebook": 1, "facturify": 1, "tiktok": 6 },
            "refreshed_24h": 6,
            "failed_24h": 1,
            "next_expiry": next_expiry,
        })
    );
    at(&next_expiry);
    fresh_as_figured(&server).await;
    up.stop();
}

/// What the workers did is told, and what they will do.
async fn fresh_as_figured(server: &Server) {
    let stats = async |what: &str| {
        let path = format!("/api/v1/tenants/acme/stats/{what}");
        server.get(&path).await.of(200)
    };
    let all = &stats("freshness").await["all"];
    let forecast = stats("forecast").await;

    let figures = ["channels", "valid", "dead_now", "refreshed"].map(|it| all[it].as_u64());
    assert_eq!(figures, [7, 6, 1, 6].map(Some), "{all}");
    assert!(all["lag_ms"]["max"].is_u64(), "{all}");
    let calls = &forecast["calls"]["by_provider"];
    assert_eq!(calls["facebook"]["total"], 1, "{calls}");
    assert!(calls["tiktok"]["total"].as_u64() >= Some(5), "{calls}");
    assert_eq!(forecast["need_person"]["waiting_now"], 1);
}
