//! A table full of channels, some of which become due together.

use std::time::Duration;

use anyhow::Context as _;
use domain::{Clock as _, Timestamp};
use entity::channels::Column;
use queue::{ConnectOptions, Queues};
use sea_orm::{ConnectionTrait as _, DbBackend, IdenStatic as _, Iterable as _};
use store::{NewChannel, Retention, Store, StoreOptions};
use tempfile::TempDir;
use testkit::TestClock;
use testkit::redis::RedisServer;
use tokenfleet_bench::database::{self, Scratch};

/// Every channel is a copy of its tenant's first.
const TENANTS: u32 = 100;
/// As large as that of a TikTok grant.
const ENVELOPE_BYTES: usize = 400;
/// From one sweep to the next.
const STEP: Duration = Duration::from_secs(1);
/// When what no sweep finds is due, and over how long it is spread.
const REST: Duration = Duration::from_hours(2);

/// One statement for both databases; what is in braces stands for every column.
const COPY: &str = "
    WITH RECURSIVE series (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n < {copies}),
    numbered AS (
        SELECT n * {tenants} + CAST(first.local_name AS bigint) AS number, first.*
        FROM series CROSS JOIN channels AS first
    ),
    timed AS (
        SELECT CASE
            WHEN number % {stride} < {sweeps} THEN {from} + {step} * (number % {stride})
            ELSE {rest} + number * 7919 % {spread}
        END AS at, numbered.* FROM numbered
    )
    INSERT INTO channels ({columns}) SELECT {values} FROM timed";

/// How many channels, and how many of them become due at each of how many sweeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filling {
    pub(crate) channels: u32,
    pub(crate) due: u32,
    pub(crate) sweeps: u32,
}

/// A filled table, and a scheduler of its own.
pub(crate) struct Filled {
    pub(crate) filling: Filling,
    pub(crate) database: Scratch,
    pub(crate) redis: RedisServer,
    pub(crate) scheduler: scheduler::Deps,
    clock: TestClock,
    _directory: TempDir,
}

impl Filled {
    /// Fills a database of this kind, and leaves it as autovacuum and a checkpoint would.
    pub(crate) async fn new(kind: &str, filling: Filling) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let database = Scratch::of(kind, directory.path()).await?;
        let clock = TestClock::start();
        let store = Store::connect(StoreOptions {
            url: database.url.clone(),
            max_connections: 2,
            clock: Some(std::sync::Arc::new(clock.clone())),
        })
        .await?;
        store.migrate_up().await?;
        first_channels(&store, &clock).await?;
        fill(&database.url, filling, clock.now()).await?;
        let redis = RedisServer::start().await?;
        let queues = Queues::connect(ConnectOptions::new(redis.url())).await?;
        Ok(Self {
            filling,
            database,
            redis,
            scheduler: scheduler::Deps {
                store,
                queues,
                interval: STEP,
                retention: Retention::default(),
            },
            clock,
            _directory: directory,
        })
    }

    /// Moves the scheduler's clock to where the next sweep's channels are due.
    pub(crate) fn let_some_become_due(&self) {
        self.clock.advance(STEP);
    }

    /// Takes away the jobs of earlier sweeps, so that every sweep finds the same queue.
    pub(crate) async fn forget_jobs(&self) -> anyhow::Result<()> {
        let mut connection = self.redis.connection().await?;
        let flush = redis::cmd("FLUSHALL");
        Ok(flush.query_async(&mut connection).await?)
    }
}

/// One channel per tenant, never due; its local name is its number.
async fn first_channels(store: &Store, clock: &TestClock) -> anyhow::Result<()> {
    let mut channels = Vec::new();
    for number in 0..TENANTS {
        let tenant = testkit::tenant(store).await;
        let mut channel = testkit::channel(tenant.uid, clock.now().plus(4 * REST));
        channel.facts.refresh_due_at = None;
        channel.sealed.envelope = vec![0xe5; ENVELOPE_BYTES];
        channels.push(NewChannel {
            local_name: Some(number.to_string()),
            ..channel
        });
    }
    testkit::channels(store, channels).await;
    Ok(())
}

/// Copies the first channels until there are enough.
async fn fill(url: &str, filling: Filling, now: Timestamp) -> anyhow::Result<()> {
    let db = database::connect(url).await?;
    let backend = db.get_database_backend();
    let columns: Vec<&str> = Column::iter().map(|column| column.as_str()).collect();
    let values: Vec<String> = Column::iter()
        .map(|column| value(column, backend))
        .collect();
    let millis = |at: Timestamp| at.as_millis().to_string();
    let statement = COPY
        .replace("{copies}", &(filling.channels / TENANTS - 1).to_string())
        .replace("{tenants}", &TENANTS.to_string())
        .replace("{stride}", &(filling.channels / filling.due).to_string())
        .replace("{sweeps}", &filling.sweeps.to_string())
        .replace("{from}", &millis(now.plus(STEP)))
        .replace("{step}", &STEP.as_millis().to_string())
        .replace("{rest}", &millis(now.plus(REST)))
        .replace("{spread}", &REST.as_millis().to_string())
        .replace("{columns}", &columns.join(", "))
        .replace("{values}", &values.join(", "));
    let filled = db.execute_unprepared(&statement).await;
    filled.context("the table could not be filled")?;
    database::tidy(&db).await?;
    Ok(db.close().await?)
}

/// What a copy has in a column: its own number, its time, or what the first one has.
fn value(column: Column, backend: DbBackend) -> String {
    let text = match (column, backend) {
        // In the order of their making, as uids of version 7 are.
        (Column::Uid, DbBackend::Postgres) => "CAST(lpad(to_hex(number), 32, '0') AS uuid)",
        (Column::Uid, _) => "unhex(printf('%032x', number))",
        (Column::Id, _) => "'channel_' || number",
        (Column::RefreshDueAt | Column::NextHandoutAt, _) => "at",
        (Column::AccessExpiresAt, _) => "at + 1800000",
        (other, _) => other.as_str(),
    };
    text.to_owned()
}
