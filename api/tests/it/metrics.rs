//! S5.9: what Prometheus scrapes.

use std::time::Duration;

use api::MetricsReaders;
use domain::{Clock as _, SystemClock};
use reqwest::Method;
use testkit::Database;
use testkit::redis::Data;

use crate::breakers;
use crate::world::{Setup, World, problem, send};

testkit::each_database!(
    s5_9_the_metrics_show_channels_jobs_breakers_and_processes,
    what_does_not_answer_is_left_out_of_the_metrics,
    off_loopback_the_metrics_are_for_the_bearer_of_their_token,
    without_a_token_of_their_own_the_metrics_are_closed,
);

async fn read_by(database: Database, metrics_readers: MetricsReaders) -> World {
    let mut setup = Setup::default();
    setup.settings.metrics_readers = metrics_readers;
    World::with(database, setup).await
}

async fn scraped(world: &World) -> String {
    let answer = send(world.anonymous(Method::GET, "/metrics")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.ends_with("# EOF\n"), "{}", answer.text);
    answer.text
}

async fn s5_9_the_metrics_show_channels_jobs_breakers_and_processes(database: Database) {
    let world = read_by(database, MetricsReaders::Everybody).await;
    let tenant = testkit::tenant(&world.store).await;
    let ends = |hours| SystemClock.now().plus(Duration::from_hours(hours));
    let new = [0, 8].map(|hours| testkit::channel(tenant.uid, ends(hours)));
    let channels = testkit::channels(&world.store, new.into()).await;
    let (owner, channel) = (&tenant.id, &channels[1].id);
    let refresh = format!("/api/v1/tenants/{owner}/channels/{channel}/refresh?wait=0");
    assert_eq!(world.post(&refresh).await.status, 202);
    breakers::open(&world).await;

    let text = scraped(&world).await;

    for line in [
        "# TYPE tokenfleet_channels gauge",
        r#"tokenfleet_channels{state="active"} 2"#,
        r#"tokenfleet_channels{state="needs_reauth"} 0"#,
        r#"tokenfleet_channels_expired{state="active"} 1"#,
        "# TYPE tokenfleet_jobs_ended counter",
        r#"tokenfleet_jobs_ended_total{outcome="failed"} 0"#,
        r#"tokenfleet_queue_jobs{queue="refresh:tiktok",state="waiting"} 1"#,
        r#"tokenfleet_queue_jobs{queue="refresh:tiktok",state="delayed"} 0"#,
        r#"tokenfleet_breaker_open{app_identity="tiktok:aw123",fingerprint="0a1b2c3d"} 1"#,
        r#"tokenfleet_ready{part="database"} 1"#,
        r#"tokenfleet_ready{part="redis"} 1"#,
    ] {
        assert!(
            text.lines().any(|it| it == line),
            "{line}\nis not in\n{text}"
        );
    }
    assert!(text.contains("\ntokenfleet_longest_due_seconds "), "{text}");
    assert!(!text.contains(tenant.id.as_str()), "{text}");
}

async fn what_does_not_answer_is_left_out_of_the_metrics(database: Database) {
    let kind = database.kind();
    let mut world = read_by(database, MetricsReaders::Everybody).await;
    let another = Database::migrated(kind).await;
    let other = read_by(another, MetricsReaders::Everybody).await;
    world.redis.halt(Data::Lost).await.unwrap();
    other.store.clone().close().await;

    let without_redis = scraped(&world).await;
    let without_database = scraped(&other).await;

    assert!(without_redis.contains("tokenfleet_ready{part=\"redis\"} 0\n"));
    assert!(without_redis.contains("tokenfleet_channels{"));
    assert!(!without_redis.contains("tokenfleet_queue_jobs"));
    assert!(without_database.contains("tokenfleet_ready{part=\"database\"} 0\n"));
    assert!(without_database.contains("tokenfleet_queue_jobs{"));
    assert!(!without_database.contains("tokenfleet_channels"));
}

async fn off_loopback_the_metrics_are_for_the_bearer_of_their_token(database: Database) {
    let token = "a-token-for-metrics";
    let world = read_by(database, MetricsReaders::Bearers(token.into())).await;
    let bearing = |token| world.anonymous(Method::GET, "/metrics").bearer_auth(token);

    let nobody = send(world.anonymous(Method::GET, "/metrics")).await;
    let admin = world.get("/metrics").await;
    let theirs = send(bearing(token)).await;

    assert_eq!(nobody.problem(), problem(401, "unauthorized", &[]));
    assert_eq!(admin.problem(), problem(401, "unauthorized", &[]));
    assert_eq!(theirs.status, 200);
    assert!(!theirs.text.contains(token));
}

async fn without_a_token_of_their_own_the_metrics_are_closed(database: Database) {
    let world = read_by(database, MetricsReaders::Nobody).await;

    let closed = world.get("/metrics").await;

    assert_eq!(closed.problem(), problem(403, "forbidden", &[]));
    assert!(closed.text.contains("TOKENFLEET_API__METRICS_TOKEN"));
}
