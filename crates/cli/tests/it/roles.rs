//! Schedulers, workers and the API as processes of their own, several of each.

use serde_json::Value;
use simulator::{MintRequest, Running as Simulated, Simulator, SimulatorConfig};
use testkit::redis::RedisServer;
use testkit::{Database, Kind};

use crate::harness::{ADMIN_TOKEN, MASTER_KEYS, Running, Site, until};

testkit::each_database!(
    two_schedulers_and_three_workers_call_the_provider_once_per_generation,
    the_channels_of_a_killed_worker_are_refreshed_by_another,
);

const CHANNELS: u32 = 30;

/// A fleet that shares a database and a Redis, with providers that are simulated.
struct Fleet {
    site: Site,
    simulator: Simulated,
    api: Running,
    _redis: Vec<RedisServer>,
    _database: Database,
}

impl Fleet {
    async fn start(database: Database) -> Self {
        let redis = RedisServer::start().await;
        let redis = redis.expect("redis-server is installed");
        let url = redis.url();
        Self::on(database, vec![redis], &url).await
    }

    /// One whose Redis servers are reached by this address.
    async fn on(database: Database, redis: Vec<RedisServer>, url: &str) -> Self {
        let simulator = Simulator::start(SimulatorConfig::default())
            .await
            .expect("a free port");
        let site = Site::new()
            .env("DATABASE_URL", database.url())
            .env("REDIS_URL", url)
            .env("TOKENFLEET_MASTER_KEYS", MASTER_KEYS)
            .env("TOKENFLEET_ADMIN_TOKEN", ADMIN_TOKEN)
            .signing()
            .env("TOKENFLEET_QUEUE__LEASE", "5s")
            .env("TOKENFLEET_SCHEDULER__INTERVAL", "100ms")
            .env("TIKTOK_BASE_URL", simulator.base_url("tiktok"))
            // The same app, so that the doctor asks for it.
            .env(
                "TIKTOK_LEGACY_BASE_URL",
                simulator.base_url("tiktok_legacy"),
            )
            .env("TIKTOK_CLIENT_KEY", simulator::TIKTOK_CLIENT_KEY)
            .env("TIKTOK_CLIENT_SECRET", simulator::TIKTOK_CLIENT_SECRET)
            .env("META_BASE_URL", simulator.base_url("facebook"))
            .env("META_APP_ID", simulator::META_APP_ID)
            .env("META_APP_SECRET", simulator::META_APP_SECRET);
        site.ok(&["migrate", "up"]);
        let api = site.start(&["api", "--bind", "127.0.0.1:0"], "the API is up");
        let site = site.env("TOKENFLEET_SERVER", api.url());
        site.ok(&["tenant", "create", "acme"]);
        Self {
            site,
            simulator,
            api,
            _redis: redis,
            _database: database,
        }
    }

    fn import(&self, order: &MintRequest) {
        for (number, minted) in self
            .simulator
            .mint(order)
            .expect("a good order")
            .iter()
            .enumerate()
        {
            let file = self.site.path("grant.json");
            std::fs::write(&file, minted.import_form().to_string()).expect("it is writable");
            let name = format!("{}-{number}", order.provider);
            self.site.ok(&[
                "channel",
                "import",
                "acme",
                "--id",
                &name,
                "--name",
                &name,
                "--provider",
                &order.provider,
                "--credentials",
                "grant.json",
            ]);
        }
    }

    fn scheduler(&self) -> Running {
        self.site.start(&["scheduler"], "looking for due channels")
    }

    fn worker(&self) -> Running {
        self.site.start(&["worker"], "working")
    }

    fn await_all_fresh(&self) {
        until("every channel is fresh", || {
            let channels = self
                .site
                .json(&["channel", "list", "acme", "--limit", "200"]);
            let channels = channels.as_array().expect("a list");
            channels
                .iter()
                .all(|it| it["generation"].as_i64() > Some(1))
        });
    }
}

async fn two_schedulers_and_three_workers_call_the_provider_once_per_generation(
    database: Database,
) {
    let fleet = Fleet::start(database).await;
    fleet.import(&MintRequest::of("tiktok").expires_in(0).count(CHANNELS));

    let running = [
        fleet.scheduler(),
        fleet.scheduler(),
        fleet.worker(),
        fleet.worker(),
        fleet.worker(),
    ];
    fleet.await_all_fresh();

    let ledger = fleet.simulator.summary();
    assert_eq!(ledger.refreshes, u64::from(CHANNELS));
    assert_eq!(
        (ledger.reuses, ledger.overlaps, ledger.generations_doubled),
        (0, 0, 0)
    );
    for process in running {
        process.stop();
    }
    fleet.api.stop();
}

async fn the_channels_of_a_killed_worker_are_refreshed_by_another(database: Database) {
    let fleet = Fleet::start(database).await;
    let order = MintRequest::of("facebook").expires_in(86_400);
    fleet.import(&order.count(CHANNELS));
    let scheduler = fleet.scheduler();
    let mut first = fleet.worker();
    until("the first worker is at work", || {
        fleet.simulator.summary().requests > 0
    });

    first.signal("KILL");
    first.wait();
    let second = fleet.worker();
    fleet.await_all_fresh();

    second.stop();
    scheduler.stop();
    fleet.api.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_roles_work_on_a_cluster() {
    testkit::run_on(Kind::Sqlite, async |database| {
        let node = RedisServer::start_cluster().await;
        let node = node.expect("redis-server is installed");
        let url = format!("redis+cluster://127.0.0.1:{}", node.port());
        refreshes(Fleet::on(database, vec![node], &url).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_roles_work_behind_sentinels() {
    testkit::run_on(Kind::Sqlite, async |database| {
        let master = RedisServer::start().await;
        let master = master.expect("redis-server is installed");
        let sentinel = RedisServer::start_sentinel_of(&master, "main").await;
        let sentinel = sentinel.expect("Redis can be a Sentinel");
        let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
        refreshes(Fleet::on(database, vec![master, sentinel], &url).await);
    })
    .await;
}

/// One channel is refreshed by itself, one on demand, and the doctor finds nothing.
fn refreshes(fleet: Fleet) {
    fleet.import(&MintRequest::of("tiktok").expires_in(0));
    fleet.import(&MintRequest::of("facebook").expires_in(5_000_000));
    let running = [fleet.scheduler(), fleet.worker()];

    let answer = fleet
        .site
        .json(&["channel", "refresh", "acme", "facebook-0"]);
    fleet.await_all_fresh();

    assert!(answer["job_id"].is_string(), "{answer}");
    let report = fleet.site.run(&["doctor", "--json"]).out;
    let report: Value = serde_json::from_str(&report).expect("it prints JSON");
    let findings = report["findings"].as_array().expect("a list");
    let bad: Vec<_> = findings.iter().filter(|it| it["ok"] == false).collect();
    assert_eq!(bad, Vec::<&Value>::new());
    for process in running {
        process.stop();
    }
    fleet.api.stop();
}
