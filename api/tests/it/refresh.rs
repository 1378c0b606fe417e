//! S2.1, S2.3 and S2.4 over HTTP.

use std::time::Duration;

use domain::{AttemptOutcome, ChannelState, Details, ErrorClass, Timestamp};
use insta::{allow_duplicates, assert_json_snapshot};
use serde_json::json;
use store::{Change, Failure, LastError, LeaseOutcome};
use testkit::Database;

use crate::stub_worker::{Ending, StubWorker};
use crate::world::{World, problem};

testkit::each_database!(
    s2_1_a_refresh_answers_when_it_is_done,
    s2_1_a_job_that_failed_answers_200_without_success,
    s2_1_a_token_that_is_too_young_is_not_needed,
    s2_1_without_waiting_the_answer_is_a_job,
    s2_1_when_the_wait_is_over_the_answer_is_the_job_and_it_goes_on,
    s2_1_a_throttled_job_says_when_it_is_tried_again,
    s2_1_a_providers_pause_outlives_the_job_that_was_told,
    s2_1_two_callers_share_one_job,
    s2_1_a_channel_that_needs_a_person_or_is_paused_conflicts,
    s2_1_a_channel_that_never_expires_needs_nothing,
    s2_1_a_channel_in_error_is_probed,
    s2_1_a_job_that_redis_forgot_is_still_waited_for,
    s2_1_a_waiting_caller_gets_its_job_when_the_process_ends,
    s2_1_with_redis_away_the_wish_stands_on_the_row,
    s2_3_channels_within_the_window_are_listed_first_to_end_first,
    s2_3_the_window_is_the_schedules_if_none_is_given,
    s2_4_a_later_refresh_stands_in_the_queue_and_on_the_row,
    s2_4_an_earlier_job_stays_where_it_is,
    s2_4_refresh_now_moves_a_later_job_to_now,
    s2_4_refresh_now_keeps_the_id_that_was_promised_before_a_flush,
);

const CHANNEL: &str = "/api/v1/tenants/t1/channels/a";

async fn world_with_channel(database: Database) -> World {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 7200).await;
    world
}

async fn s2_1_a_refresh_answers_when_it_is_done(database: Database) {
    let world = world_with_channel(database).await;
    let _worker = StubWorker::start(&world, Ending::Fresh);

    let answer = world.post(&format!("{CHANNEL}/refresh?wait=30")).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    allow_duplicates! { assert_json_snapshot!(answer.json(), {".job_id" => "[job]", ".new_expires_at" => "[time]"}, @r#"
    {
      "channel_id": "a",
      "generation": 2,
      "job_id": "[job]",
      "new_expires_at": "[time]",
      "refreshed": true,
      "success": true
    }
    "#); }
    assert_eq!(world.get(CHANNEL).await.json()["generation"], 2);
    let timeline = world.get(&format!("{CHANNEL}/attempts")).await.json();
    assert_eq!(timeline["items"][0]["outcome"], "refreshed");
    assert_eq!(timeline["items"][0]["job_id"], answer.json()["job_id"]);
}

async fn s2_1_a_job_that_failed_answers_200_without_success(database: Database) {
    let world = world_with_channel(database).await;
    let _worker = StubWorker::start(&world, Ending::Revoked);

    let answer = world.post(&format!("{CHANNEL}/refresh")).await;
    let channel = world.get(CHANNEL).await.json();

    assert_eq!(answer.status, 200, "{}", answer.text);
    allow_duplicates! { assert_json_snapshot!(answer.json(), {".job_id" => "[job]", ".new_expires_at" => "[time]"}, @r#"
    {
      "channel_id": "a",
      "details": {
        "provider_code": "invalid_grant",
        "reason": "revoked"
      },
      "error": "reauth_required",
      "job_id": "[job]",
      "refreshed": false,
      "success": false
    }
    "#); }
    assert_eq!(channel["state"], "needs_reauth");
    assert_eq!(channel["last_error"]["error"], "reauth_required");
}

async fn s2_1_a_token_that_is_too_young_is_not_needed(database: Database) {
    let world = world_with_channel(database).await;
    let _worker = StubWorker::start(&world, Ending::TooYoung);

    let answer = world.post(&format!("{CHANNEL}/refresh")).await;

    let json = answer.json();
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(
        (&json["success"], &json["refreshed"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(json["details"], json!({"reason": "not_needed"}));
}

async fn s2_1_without_waiting_the_answer_is_a_job(database: Database) {
    let world = world_with_channel(database).await;

    let answer = world.post(&format!("{CHANNEL}/refresh?wait=0")).await;

    assert_eq!(answer.status, 202);
    allow_duplicates! { assert_json_snapshot!(answer.json(), {".job_id" => "[job]"}, @r#"
    {
      "job_id": "[job]",
      "state": "waiting"
    }
    "#); }
}

async fn s2_1_when_the_wait_is_over_the_answer_is_the_job_and_it_goes_on(database: Database) {
    let world = world_with_channel(database).await;

    let answer = world.post(&format!("{CHANNEL}/refresh?wait=1")).await;
    let job = format!("/api/v1/jobs/{}", answer.json()["job_id"].as_str().unwrap());
    let _worker = StubWorker::start(&world, Ending::Fresh);

    assert_eq!(answer.status, 202);
    world
        .until(&job, |answer| answer.json()["state"] == "completed")
        .await;
}

async fn s2_1_a_throttled_job_says_when_it_is_tried_again(database: Database) {
    let world = world_with_channel(database).await;
    let pause = Duration::from_secs(90);
    let _worker = StubWorker::start(&world, Ending::Throttled(pause));

    let answer = world.post(&format!("{CHANNEL}/refresh?wait=2")).await;

    let json = answer.json();
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(json["state"], "delayed");
    let retry_at = Timestamp::parse(json["retry_at"].as_str().unwrap()).unwrap();
    let left = retry_at.since(world.store.now().await.unwrap());
    assert!(left > Duration::from_secs(80) && left <= pause, "{left:?}");
}

async fn s2_1_a_providers_pause_outlives_the_job_that_was_told(database: Database) {
    let world = world_with_channel(database).await;
    let retry_at = world
        .store
        .now()
        .await
        .unwrap()
        .plus(Duration::from_secs(90));
    throttle(&world, retry_at).await;

    let answer = world.post(&format!("{CHANNEL}/refresh?wait=0")).await;

    let json = answer.json();
    assert_eq!(json["state"], "delayed", "{}", answer.text);
    assert_eq!(json["retry_at"], json!(retry_at));
}

/// The provider asked for a pause, and the job that it told is gone.
async fn throttle(world: &World, retry_at: Timestamp) {
    let tenant = world.store.tenant(&"t1".parse().unwrap()).await.unwrap();
    let id = "a".parse().unwrap();
    let channel = world.store.channel(tenant.unwrap().uid, &id).await.unwrap();
    let request = testkit::lease_request(&channel.unwrap());
    let LeaseOutcome::Leased(lease) = world.store.lease(request).await.unwrap() else {
        panic!("no lease");
    };
    let details = Details {
        retry_at: Some(retry_at),
        ..Details::default()
    };
    let change = Change::Failed(Failure {
        state: None,
        next_handout_at: None,
        error: LastError {
            class: ErrorClass::RateLimited,
            in_a_row: 1,
            at: lease.leased_at,
            details,
        },
        counts_as_failure: false,
        no_answer: false,
    });
    let finish = testkit::finish(&lease, "gone", change);
    world.store.finish(finish).await.unwrap();
}

async fn s2_1_two_callers_share_one_job(database: Database) {
    let world = world_with_channel(database).await;

    let one = world.post(&format!("{CHANNEL}/refresh?wait=0")).await;
    let other = world.post(&format!("{CHANNEL}/refresh?wait=0")).await;

    assert_eq!(one.json()["job_id"], other.json()["job_id"]);
}

async fn s2_1_a_channel_that_needs_a_person_or_is_paused_conflicts(database: Database) {
    let world = world_with_channel(database).await;
    world.patch_json(CHANNEL, json!({"paused": true})).await;

    let paused = world.post(&format!("{CHANNEL}/refresh")).await;
    let later = json!({"delay_minutes": 1});
    let paused_later = world
        .post_json(&format!("{CHANNEL}/refresh/schedule"), later)
        .await;
    world.patch_json(CHANNEL, json!({"paused": false})).await;
    let worker = StubWorker::start(&world, Ending::Revoked);
    world.post(&format!("{CHANNEL}/refresh")).await;
    worker.set(Ending::Fresh);
    let revoked = world.post(&format!("{CHANNEL}/refresh")).await;

    assert_eq!(paused.problem(), problem(409, "channel_paused", &[]));
    assert_eq!(paused_later.problem(), problem(409, "channel_paused", &[]));
    assert_eq!(revoked.problem(), problem(409, "channel_needs_reauth", &[]));
}

async fn s2_1_a_channel_that_never_expires_needs_nothing(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    set_state(&world, &tenant, ChannelState::NeverExpires).await;

    let answer = world.post(&format!("{CHANNEL}/refresh")).await;

    assert_eq!(answer.status, 200);
    allow_duplicates! { assert_json_snapshot!(answer.json(), @r#"
    {
      "channel_id": "a",
      "details": {
        "reason": "not_needed"
      },
      "generation": 1,
      "refreshed": false,
      "success": true
    }
    "#); }
}

async fn s2_1_a_channel_in_error_is_probed(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    set_state(&world, &tenant, ChannelState::Error).await;
    let _worker = StubWorker::start(&world, Ending::Fresh);

    let answer = world.post(&format!("{CHANNEL}/refresh")).await;

    assert_eq!(answer.json()["refreshed"], true, "{}", answer.text);
}

/// A channel `a` that was stored in this state.
async fn set_state(world: &World, tenant: &store::Tenant, state: ChannelState) {
    let now = world.store.now().await.unwrap();
    let mut channel = testkit::channel(tenant.uid, now.plus(Duration::from_hours(2)));
    channel.id = "a".parse().unwrap();
    channel.facts.state = state;
    if state == ChannelState::NeverExpires {
        channel.facts.access_expires_at = None;
    }
    testkit::channels(&world.store, vec![channel]).await;
}

async fn s2_1_a_job_that_redis_forgot_is_still_waited_for(database: Database) {
    let world = world_with_channel(database).await;
    let tenant = world.store.tenant(&"t1".parse().unwrap()).await.unwrap();
    let channel = world.channel(&tenant.unwrap(), "a").await;
    let waiting = world.request(reqwest::Method::POST, &format!("{CHANNEL}/refresh?wait=30"));
    let waiting = tokio::spawn(crate::world::send(waiting));
    let job = loop {
        let queue = world.queues.queue(&jobs::refresh_queue(&channel.provider));
        if let Some(job) = queue.find(&jobs::refresh_key(channel.uid)).await.unwrap() {
            break job;
        }
        tokio::task::yield_now().await;
    };

    flush(&world).await;
    let record = testkit::attempt(&channel, &job.id.to_string());
    world.store.record(record).await.unwrap();
    let answer = waiting.await.unwrap();

    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["job_id"], job.id.to_string());
}

async fn flush(world: &World) {
    let mut connection = world.redis.connection().await.unwrap();
    redis::cmd("FLUSHALL")
        .query_async::<()>(&mut connection)
        .await
        .unwrap();
}

async fn s2_1_a_waiting_caller_gets_its_job_when_the_process_ends(database: Database) {
    let mut world = world_with_channel(database).await;
    let waiting = world.request(reqwest::Method::POST, &format!("{CHANNEL}/refresh?wait=60"));
    let waiting = tokio::spawn(crate::world::send(waiting));
    let path = "/api/v1/tenants/t1/jobs/status";
    world
        .until(path, |status| status.json()["jobs_waiting"] == 1)
        .await;

    world.shutdown.cancel();
    (&mut world.server).await.unwrap();
    // Who was left waiting gets an answer when the 60 seconds of the call are over, not before.
    let answer = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    let answer = answer.unwrap().unwrap();

    assert_eq!(answer.status, 202, "{}", answer.text);
}

async fn s2_1_with_redis_away_the_wish_stands_on_the_row(database: Database) {
    let mut world = world_with_channel(database).await;
    world.redis.halt(testkit::redis::Data::Lost).await.unwrap();

    let answer = world.post(&format!("{CHANNEL}/refresh?wait=0")).await;
    let job = answer.json()["job_id"].as_str().unwrap().to_owned();
    world.redis.resume().await.unwrap();
    let shown = world
        .until(&format!("/api/v1/jobs/{job}"), |shown| shown.status == 200)
        .await;

    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(shown.json()["state"], "delayed");
    assert_eq!(shown.json()["channel_id"], "a");
}

async fn s2_3_channels_within_the_window_are_listed_first_to_end_first(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "later", 5400).await;
    world.tiktok(&tenant, "soon", 1830).await;
    world.tiktok(&tenant, "much-later", 86_400).await;
    let path = "/api/v1/tenants/t1/channels/needing-refresh";

    let usual = world.get(path).await;
    let wide = world
        .get(&format!("{path}?refresh_before_minutes=120"))
        .await;

    allow_duplicates! { assert_json_snapshot!(usual.json(), {".channels[].expires_at" => "[time]"}, @r#"
    {
      "channels": [
        {
          "channel_id": "soon",
          "channel_type": "tiktok",
          "display_name": "soon",
          "expires_at": "[time]",
          "has_refresh_token": true,
          "local_name": null,
          "minutes_until_expiration": 30
        }
      ],
      "success": true
    }
    "#); }
    let ids: Vec<_> = wide.json()["channels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|channel| channel["channel_id"].clone())
        .collect();
    assert_eq!(ids, ["soon", "later"]);
}

async fn s2_3_the_window_is_the_schedules_if_none_is_given(database: Database) {
    let world = World::start(database).await;
    let tenant = world.tenant("t1").await;
    world.tiktok(&tenant, "a", 5400).await;
    let body = json!({"interval_minutes": 120, "refresh_before_minutes": 100});
    world.put_json("/api/v1/tenants/t1/schedule", body).await;

    let answer = world
        .get("/api/v1/tenants/t1/channels/needing-refresh")
        .await;

    assert_eq!(answer.json()["channels"][0]["channel_id"], "a");
}

async fn s2_4_a_later_refresh_stands_in_the_queue_and_on_the_row(database: Database) {
    let world = world_with_channel(database).await;
    let before = world.store.now().await.unwrap();

    let path = format!("{CHANNEL}/refresh/schedule");
    let answer = world.post_json(&path, json!({"delay_minutes": 30})).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let json = answer.json();
    let run_at = Timestamp::parse(json["run_at"].as_str().unwrap()).unwrap();
    let delay = run_at.since(before);
    assert!(delay >= Duration::from_mins(30) && delay < Duration::from_mins(31));
    let job = format!("/api/v1/jobs/{}", json["job_id"].as_str().unwrap());
    let queued = world.get(&job).await.json();
    assert_eq!(queued["state"], "delayed");
    assert_eq!(queued["run_at"], json["run_at"]);
    flush(&world).await;
    let promised = world.get(&job).await.json();
    assert_eq!(promised["state"], "delayed");
    assert_eq!(promised["run_at"], json["run_at"]);
}

async fn s2_4_an_earlier_job_stays_where_it_is(database: Database) {
    let world = world_with_channel(database).await;
    let path = format!("{CHANNEL}/refresh/schedule");

    let early = world.post_json(&path, json!({"delay_minutes": 10})).await;
    let late = world.post_json(&path, json!({"delay_minutes": 60})).await;

    assert_eq!(late.json(), early.json());
}

async fn s2_4_refresh_now_moves_a_later_job_to_now(database: Database) {
    let world = world_with_channel(database).await;
    let path = format!("{CHANNEL}/refresh/schedule");
    let later = world.post_json(&path, json!({"delay_minutes": 10})).await;
    let _worker = StubWorker::start(&world, Ending::Fresh);

    let now = world.post(&format!("{CHANNEL}/refresh")).await;

    assert_eq!(now.status, 200, "{}", now.text);
    assert_eq!(now.json()["job_id"], later.json()["job_id"]);
    let id = later.json()["job_id"].as_str().unwrap().to_owned();
    let record = world.store.job_result(&id).await.unwrap().unwrap();
    assert_eq!(record.outcome, AttemptOutcome::Refreshed);
}

async fn s2_4_refresh_now_keeps_the_id_that_was_promised_before_a_flush(database: Database) {
    let world = world_with_channel(database).await;
    let path = format!("{CHANNEL}/refresh/schedule");
    let later = world.post_json(&path, json!({"delay_minutes": 10})).await;
    flush(&world).await;
    let _worker = StubWorker::start(&world, Ending::Fresh);

    let now = world.post(&format!("{CHANNEL}/refresh")).await;

    assert_eq!(now.status, 200, "{}", now.text);
    assert_eq!(now.json()["job_id"], later.json()["job_id"]);
}
