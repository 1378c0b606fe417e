//! The API in front of a real worker and of providers as strict as their contracts.

use std::sync::Arc;
use std::time::Duration;

use api::ApiSettings;
use cache::{Cache, CacheOptions};

use providers::{Egress, FacturifySettings, MetaSettings, ProviderSettings, TikTokSettings};
use reqwest::Method;
use serde_json::{Value, json};
use simulator::{MintRequest, Running, Simulator, SimulatorConfig};
use tempfile::TempDir;
use testkit::Database;
use tokio_util::sync::{CancellationToken, DropGuard};
use worker::Process;

use crate::world::{Setup, World, reveal, settings};

testkit::each_database!(
    s2_1_a_channel_of_each_provider_is_refreshed,
    s2_2_many_channels_are_refreshed_at_once_and_each_only_once,
    s3_8_a_two_level_token_of_another_api_is_kept_fresh,
    s5_5_the_timeline_tells_every_attempt_with_its_code_trace_and_duration,
    a_provider_that_repeats_the_token_in_its_error_leaks_it_nowhere,
);

/// A world with a worker, at simulated providers.
pub(crate) struct Fleet {
    pub(crate) world: World,
    pub(crate) sim: Running,
    _stop: DropGuard,
    _data: TempDir,
}

impl Fleet {
    pub(crate) async fn start(database: Database) -> Self {
        Self::with(database, SimulatorConfig::default(), settings()).await
    }

    /// One with other providers, or another API.
    pub(crate) async fn with(
        database: Database,
        config: SimulatorConfig,
        settings: ApiSettings,
    ) -> Self {
        let sim = Simulator::start(config).await.unwrap();
        let setup = Setup {
            providers: providers(&sim),
            settings,
            ..Setup::default()
        };
        let world = World::with(database, setup).await;
        let data = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let deps = worker::Deps {
            store: world.store.clone(),
            queues: world.queues.clone(),
            cache: Cache::open(CacheOptions::new(world.redis.url())).unwrap(),
            vault: Arc::clone(&world.vault),
            providers: Arc::clone(&world.providers),
            webhooks: worker::Webhooks {
                egress: Egress::new(Duration::from_secs(5), Duration::from_secs(5), true).unwrap(),
                retry_base: Duration::from_secs(5),
                max_attempts: 8,
                disable_after: Duration::from_hours(1),
            },
            process: Arc::new(Process::start(data.path()).unwrap()),
            settings: worker::Settings {
                concurrency: 3,
                refresh_lease: Duration::from_secs(90),
                provider_timeout: Duration::from_secs(30),
                takeover_grace: Duration::from_mins(10),
                drain: Duration::from_secs(5),
                queues: None,
                breaker: worker::BreakerSettings::default(),
                backoff: domain::Backoff::REFRESH,
            },
        };
        tokio::spawn(worker::run(deps, stop.clone(), drop));
        Self {
            world,
            sim,
            _stop: stop.drop_guard(),
            _data: data,
        }
    }

    /// Imports a minted grant as a tenant would; what was imported.
    pub(crate) async fn import(&self, id: &str, order: &MintRequest) -> Value {
        let minted = self.sim.mint(order).unwrap().remove(0);
        let credentials = minted.import_form();
        let body = json!({
            "id": id, "provider": minted.provider, "display_name": id,
            "credentials": credentials,
        });
        let answer = self
            .world
            .post_json("/api/v1/tenants/t1/channels", body)
            .await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!(answer.json().get("warning"), None);
        credentials
    }
}

fn providers(sim: &Running) -> ProviderSettings {
    ProviderSettings {
        meta: MetaSettings {
            base_url: sim.base_url("facebook"),
            app_id: Some(simulator::META_APP_ID.to_owned()),
            app_secret: Some(simulator::META_APP_SECRET.into()),
            ..MetaSettings::default()
        },
        tiktok: TikTokSettings {
            base_url: sim.base_url("tiktok"),
            client_key: Some(simulator::TIKTOK_CLIENT_KEY.to_owned()),
            client_secret: Some(simulator::TIKTOK_CLIENT_SECRET.into()),
            ..TikTokSettings::default()
        },
        facturify: FacturifySettings {
            base_url: sim.base_url("facturify"),
            ..FacturifySettings::default()
        },
        allow_private: true,
        ..ProviderSettings::default()
    }
}

async fn s2_1_a_channel_of_each_provider_is_refreshed(database: Database) {
    let fleet = Fleet::start(database).await;
    let world = &fleet.world;
    world.tenant("t1").await;

    for order in [
        MintRequest::of("facebook").expires_in(3600),
        MintRequest::of("tiktok").expires_in(3600),
        MintRequest::of("facturify"),
    ] {
        let provider = order.provider.as_str();
        fleet.import(provider, &order).await;
        let path = format!("/api/v1/tenants/t1/channels/{provider}");
        let answer = world.post(&format!("{path}/refresh?wait=30")).await;

        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["refreshed"], true, "{}", answer.text);
        let channel = world.get(&path).await.json();
        assert_eq!(channel["generation"], 2, "{channel}");
        assert_eq!(channel["expires_at"], answer.json()["new_expires_at"]);
    }
}

async fn s2_2_many_channels_are_refreshed_at_once_and_each_only_once(database: Database) {
    let fleet = Fleet::start(database).await;
    let world = &fleet.world;
    world.tenant("t1").await;
    for n in 0..40 {
        let order = MintRequest::of("tiktok").expires_in(600);
        fleet.import(&format!("c{n}"), &order).await;
    }

    let path = "/api/v1/tenants/t1/channels/refresh?wait=60";
    let (one, other) = tokio::join!(world.post(path), world.post(path));

    assert_eq!(
        (one.status, other.status),
        (200, 200),
        "{} {}",
        one.text,
        other.text
    );
    let (one, other) = (one.json(), other.json());
    // Whoever came first took all; the other may have found some of them done.
    assert!(
        one["succeeded"] == 40 || other["succeeded"] == 40,
        "{one} {other}"
    );
    assert_eq!((&one["failed"], &other["failed"]), (&json!(0), &json!(0)));
    let channels = world.get("/api/v1/tenants/t1/channels").await.json();
    let channels = channels["items"].as_array().unwrap();
    assert!(channels.iter().all(|channel| channel["generation"] == 2));
    let summary = fleet.sim.summary();
    assert_eq!((summary.reuses, summary.overlaps), (0, 0));
}

async fn s3_8_a_two_level_token_of_another_api_is_kept_fresh(database: Database) {
    let fleet = Fleet::start(database).await;
    let world = &fleet.world;
    world.tenant("t1").await;
    let service_token = fleet.import("a", &MintRequest::of("service_token")).await;

    let path = "/api/v1/tenants/t1/channels/a";
    let refreshed = world.post(&format!("{path}/refresh?wait=30")).await.json();
    let token = world.request(Method::GET, &format!("{path}/token?min_ttl=300"));
    let token = reveal(token).await;

    assert_eq!(refreshed["success"], true, "{refreshed}");
    let channel = world.get(path).await;
    assert_eq!(channel.json()["state"], "active");
    assert_eq!(
        (token.status, token.json()["degraded"].clone()),
        (200, Value::Null)
    );
    assert!(
        token.json()["ttl"]
            .as_u64()
            .is_some_and(|ttl| (600..=900).contains(&ttl))
    );
    let secret = service_token["service_token"].as_str().unwrap();
    assert!(!token.text.contains(secret) && !channel.text.contains(secret));
}

async fn s5_5_the_timeline_tells_every_attempt_with_its_code_trace_and_duration(
    database: Database,
) {
    let fleet = Fleet::start(database).await;
    let world = &fleet.world;
    world.tenant("t1").await;
    let twice = MintRequest::of("tiktok")
        .expires_in(600)
        .scenario("status_500:1");
    fleet.import("twice", &twice).await;
    let dead = MintRequest::of("facebook")
        .expires_in(3600)
        .scenario("190_460");
    fleet.import("dead", &dead).await;
    let channel = |id: &str| format!("/api/v1/tenants/t1/channels/{id}");
    let timeline = async |id: &str| {
        let answer = world.get(&format!("{}/attempts", channel(id))).await.json();
        answer["items"].as_array().unwrap().clone()
    };

    let refreshed = world
        .post(&format!("{}/refresh?wait=60", channel("twice")))
        .await;
    let refused = world
        .post(&format!("{}/refresh?wait=60", channel("dead")))
        .await;
    let (twice, dead) = (timeline("twice").await, timeline("dead").await);

    let told = |items: &[Value]| {
        let told = |it: &Value| json!([it["outcome"], it["attempt"], it["ends_job"]]);
        items.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(refreshed.json()["success"], true, "{}", refreshed.text);
    assert_eq!(
        told(&twice),
        [
            json!(["refreshed", 2, true]),
            json!(["retryable", 1, false])
        ]
    );
    assert_eq!(twice[1]["details"]["http_status"], 500, "{twice:?}");
    assert!(
        twice
            .iter()
            .all(|it| it["duration_ms"].is_u64() && it["started_at"].is_string())
    );
    assert!(
        twice
            .iter()
            .all(|it| it["job_id"] == refreshed.json()["job_id"])
    );
    assert_eq!(refused.json()["success"], false, "{}", refused.text);
    let details = &dead[0]["details"];
    assert_eq!(
        json!([details["provider_code"], details["provider_subcode"]]),
        json!(["190", "460"])
    );
    assert!(
        details["trace_id"].is_string() && details["provider_message"].is_string(),
        "{details}"
    );
}

async fn a_provider_that_repeats_the_token_in_its_error_leaks_it_nowhere(database: Database) {
    let fleet = Fleet::start(database).await;
    let world = &fleet.world;
    world.tenant("t1").await;
    let order = MintRequest::of("tiktok").expires_in(3600).scenario("echo");
    let credentials = fleet.import("a", &order).await;

    let path = "/api/v1/tenants/t1/channels/a";
    let refreshed = world.post(&format!("{path}/refresh?wait=3")).await;
    let job = refreshed.json()["job_id"].as_str().unwrap().to_owned();
    let answers = [
        world.get(path).await,
        world.get(&format!("{path}/attempts")).await,
        world.get(&format!("/api/v1/jobs/{job}")).await,
        world.get("/api/v1/tenants/t1/jobs").await,
        refreshed,
    ];

    let attempts = answers[1].json();
    assert_ne!(attempts["items"], json!([]), "the provider was asked");
    for name in ["access_token", "refresh_token"] {
        let secret = credentials[name].as_str().unwrap();
        for answer in &answers {
            assert!(!answer.text.contains(secret), "{}", answer.text);
        }
    }
}
