//! S5.7 and S5.8 over HTTP.

use std::time::Duration;

use domain::{AttemptRecord, ChannelState, Clock as _, Name};
use insta::{allow_duplicates, assert_json_snapshot};
use serde_json::json;
use store::{Change, Channel, Finish, Finished, LeaseOutcome, NewChannel, Store, Tenant};
use testkit::{Database, TestClock};

use crate::world::{Setup, World, problem};

testkit::each_database!(
    s5_7_freshness_is_shown_of_a_tenant_and_of_all,
    s5_8_the_forecast_is_shown_of_a_tenant_and_of_all,
    what_stats_are_not_shown_of_is_named,
);

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

async fn at_a_standing_clock(database: Database) -> (World, TestClock) {
    let clock = TestClock::start();
    let setup = Setup {
        clock: Some(clock.clone()),
        ..Setup::default()
    };
    (World::with(database, setup).await, clock)
}

/// A channel whose token ends then, and is due six minutes before.
fn ending(clock: &TestClock, tenant: &Tenant, id: &str, ends: Duration) -> NewChannel {
    NewChannel {
        id: id.parse::<Name>().unwrap(),
        display_name: format!("Channel {id}"),
        ..testkit::channel(tenant.uid, clock.now().plus(ends))
    }
}

/// Stores tokens for a day, as a worker that took 100 ms does.
async fn refresh(store: &Store, clock: &TestClock, channel: &Channel) {
    let lease = match store.lease(testkit::lease_request(channel)).await.unwrap() {
        LeaseOutcome::Leased(lease) => lease,
        other => panic!("not leased: {other:?}"),
    };
    let change = Change::Stored {
        sealed: testkit::sealed("second"),
        facts: testkit::facts(clock.now().plus(DAY)),
    };
    let finish = testkit::finish(&lease, channel.id.as_str(), change);
    let duration = Duration::from_millis(100);
    let finish = Finish {
        attempt: AttemptRecord {
            started_at: clock.now().minus(duration),
            duration,
            ..finish.attempt.clone()
        },
        ..finish
    };
    assert_eq!(store.finish(finish).await.unwrap(), Finished::Stored);
}

async fn s5_7_freshness_is_shown_of_a_tenant_and_of_all(database: Database) {
    let (world, clock) = at_a_standing_clock(database).await;
    let (one, two) = (world.tenant("t1").await, world.tenant("t2").await);
    let new = vec![
        ending(&clock, &one, "late", HOUR),
        ending(&clock, &one, "soon", 2 * HOUR + MINUTE),
        ending(&clock, &two, "good", 5 * HOUR),
    ];
    let channels = testkit::channels(&world.store, new).await;
    clock.advance(HOUR + 3 * MINUTE / 2);
    refresh(&world.store, &clock, &channels[0]).await;

    let of_tenant = world
        .get("/api/v1/tenants/t1/stats/freshness?hours=2&margin_minutes=60")
        .await;
    let of_all = world.get("/api/v1/stats/freshness").await;

    assert_eq!((of_tenant.status, of_all.status), (200, 200));
    let (of_tenant, of_all) = (of_tenant.json(), of_all.json());
    for answer in [&of_tenant, &of_all] {
        assert_eq!(answer["by_provider"], json!({"tiktok": answer["all"]}));
    }
    allow_duplicates! { assert_json_snapshot!(of_tenant, {".by_provider" => "[the same]"}, @r#"
    {
      "all": {
        "channels": 2,
        "dead_minutes": 1.5,
        "dead_now": 0,
        "lag_ms": {
          "max": 450000,
          "p50": 450000,
          "p99": 450000
        },
        "refreshed": 1,
        "valid": 1,
        "valid_share": 0.5
      },
      "by_provider": "[the same]",
      "hours": 2,
      "margin_minutes": 60
    }
    "#); }
    allow_duplicates! { assert_json_snapshot!(of_all, {".by_provider" => "[the same]"}, @r#"
    {
      "all": {
        "channels": 3,
        "dead_minutes": 1.5,
        "dead_now": 0,
        "lag_ms": {
          "max": 450000,
          "p50": 450000,
          "p99": 450000
        },
        "refreshed": 1,
        "valid": 3,
        "valid_share": 1.0
      },
      "by_provider": "[the same]",
      "by_tenant": [
        {
          "channels": 2,
          "dead_minutes": 1.5,
          "dead_now": 0,
          "lag_ms": {
            "max": 450000,
            "p50": 450000,
            "p99": 450000
          },
          "refreshed": 1,
          "tenant_id": "t1",
          "valid": 2,
          "valid_share": 1.0
        },
        {
          "channels": 1,
          "dead_minutes": 0.0,
          "dead_now": 0,
          "lag_ms": {
            "max": null,
            "p50": null,
            "p99": null
          },
          "refreshed": 0,
          "tenant_id": "t2",
          "valid": 1,
          "valid_share": 1.0
        }
      ],
      "hours": 24,
      "margin_minutes": 5,
      "tenants": 2
    }
    "#); }
}

async fn s5_8_the_forecast_is_shown_of_a_tenant_and_of_all(database: Database) {
    let (world, clock) = at_a_standing_clock(database).await;
    let (one, two) = (world.tenant("t1").await, world.tenant("t2").await);
    let mut ends = ending(&clock, &one, "ends", 2 * HOUR + 6 * MINUTE);
    ends.facts.refresh_expires_at = Some(clock.now().plus(3 * DAY));
    let mut waits = ending(&clock, &two, "waits", HOUR);
    waits.facts.state = ChannelState::NeedsReauth;
    let later = ending(&clock, &two, "later", 30 * DAY);
    testkit::channels(&world.store, vec![ends, waits, later]).await;

    let of_tenant = world.get("/api/v1/tenants/t1/stats/forecast").await;
    let of_all = world.get("/api/v1/stats/forecast?days=2").await.json();

    assert_eq!(of_tenant.status, 200, "{}", of_tenant.text);
    let of_tenant = of_tenant.json();
    let mut third = [0; 24];
    third[2] = 1;
    assert_eq!(
        of_tenant["calls"]["by_provider"]["tiktok"]["by_hour"],
        json!(third)
    );
    let hours = ".calls.by_provider.tiktok.by_hour";
    allow_duplicates! { assert_json_snapshot!(of_tenant, {hours => "[hours]"}, @r#"
    {
      "calls": {
        "by_provider": {
          "tiktok": {
            "by_hour": "[hours]",
            "total": 1
          }
        },
        "total": 1
      },
      "need_person": {
        "by_provider": {
          "tiktok": 1
        },
        "days": 7,
        "items": [
          {
            "channel_id": "ends",
            "display_name": "Channel ends",
            "ends_at": "2026-01-04T12:00:00.000Z",
            "provider": "tiktok",
            "tenant_id": "t1"
          }
        ],
        "total": 1,
        "waiting_now": 0
      }
    }
    "#); }
    assert_eq!(of_all["calls"]["total"], 1);
    assert_eq!(of_all["need_person"]["total"], 0);
    assert_eq!(of_all["need_person"]["waiting_now"], 1);
}

async fn what_stats_are_not_shown_of_is_named(database: Database) {
    let world = World::start(database).await;
    world.tenant("t1").await;

    for (query, fields) in [
        ("freshness?hours=0", &["hours"][..]),
        (
            "freshness?hours=25&margin_minutes=-1",
            &["hours", "margin_minutes"],
        ),
        ("freshness?margin_minutes=1441", &["margin_minutes"]),
        ("freshness?hours=1.5", &["hours"]),
        ("freshness?days=1", &["days"]),
        ("forecast?days=0", &["days"]),
        ("forecast?days=91", &["days"]),
        ("forecast?days=soon", &["days"]),
    ] {
        for address in ["/api/v1/stats", "/api/v1/tenants/t1/stats"] {
            let answer = world.get(&format!("{address}/{query}")).await;

            assert_eq!(
                answer.problem(),
                problem(422, "invalid_input", fields),
                "{query}"
            );
        }
    }
}
