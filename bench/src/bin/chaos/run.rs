//! One run, from an empty database to its line.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;
use store::{Store, StoreOptions};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use vault::{KeyRing, Vault};

use crate::check::{self, Evidence, Findings};
use crate::draw::Draw;
use crate::fleet::Fleet;
use crate::people::People;
use crate::plan::{self, Database, Shape, Step};
use crate::progress::Progress;
use crate::quiet::{self, Quiet};
use crate::report;
use crate::strike::{self, Chronicle};

/// How long the fleet may take to be ready for its first channel.
const START_LIMIT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(100);

/// A fleet, what goes wrong with it, and who lives with it.
pub(crate) struct Run {
    seed: u64,
    shape: Shape,
    plan: Vec<Step>,
    fleet: Arc<Fleet>,
    people: Arc<People>,
    chronicle: Arc<Chronicle>,
    progress: Progress,
}

impl Run {
    /// Starts what the fleet stands on.
    ///
    /// # Errors
    ///
    /// If a server does not start.
    pub(crate) async fn new(
        seed: u64,
        shape: Shape,
        program: &Path,
        progress: Progress,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            seed,
            shape,
            plan: plan::plan(seed, &shape),
            fleet: Fleet::new(seed, &shape, program).await?,
            people: Arc::new(People::new()?),
            chronicle: Arc::new(Chronicle::default()),
            progress,
        })
    }

    /// Runs the fleet through its plan, waits until it is quiet, ends it and checks everything.
    ///
    /// # Errors
    ///
    /// If the harness itself fails; what the fleet does wrong stands in the line.
    pub(crate) async fn whole(&self, channels: u32) -> anyhow::Result<Value> {
        if self.shape.database == Database::Postgres {
            self.open().await?.migrate_up().await?;
        }
        let stop = CancellationToken::new();
        let tender = tokio::spawn(strike::tend(Arc::clone(&self.fleet), stop.clone()));
        let _stops = stop.clone().drop_guard();
        self.until_ready().await?;
        self.through_the_plan(channels).await?;

        let store = self.open().await?;
        let quiet = quiet::wait(&self.fleet, &self.people, &store).await?;
        let took = quiet.after.as_secs_f64();
        self.progress.say(&format!("quiet after {took:.1} s"));
        stop.cancel();
        tender.await??;
        let late = quiet::end_in_order(&self.fleet).await?;
        let findings = self.findings(&store, &quiet, late).await?;
        store.close().await;
        Ok(self.line(&quiet, &findings))
    }

    /// Leaves databases and logs where they are, and says where; to be called last.
    pub(crate) fn keep(&mut self) {
        if let Some(fleet) = Arc::get_mut(&mut self.fleet) {
            fleet.dir.disable_cleanup(true);
            self.progress.say(&fleet.dir.path().display());
        }
    }

    async fn until_ready(&self) -> anyhow::Result<()> {
        let begin = Instant::now();
        while !self.fleet.is_ready() {
            if begin.elapsed() > START_LIMIT {
                bail!("the fleet does not start; is the program of this version?")
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// People live with the fleet while all goes wrong that the plan has.
    async fn through_the_plan(&self, channels: u32) -> anyhow::Result<()> {
        let mut draw = Draw::of(self.seed);
        self.people.begin(&self.fleet, channels, &mut draw).await?;
        self.progress.say(&format!("{} steps", self.plan.len()));
        let stop = CancellationToken::new();
        let _stops = stop.clone().drop_guard();
        let (people, fleet) = (Arc::clone(&self.people), Arc::clone(&self.fleet));
        let living = tokio::spawn(people.live(fleet, draw, stop.clone()));
        strike::strike(
            (&self.fleet, &self.chronicle),
            &self.plan,
            self.shape.length,
            self.progress,
        )
        .await?;
        stop.cancel();
        living.await??;
        self.progress.say(&"the last fault is over");
        Ok(())
    }

    async fn findings(
        &self,
        store: &Store,
        quiet: &Quiet,
        late: Vec<String>,
    ) -> anyhow::Result<Findings> {
        let vault = Vault::new(KeyRing::parse(&self.fleet.keys)?, "chaos")?;
        let evidence = Evidence::of(&self.fleet, &self.chronicle);
        let connected = self.people.connected();
        let mut findings = check::check(&evidence, &connected, store, &vault).await?;
        findings.violations.extend(self.fleet.faults());
        findings.violations.extend(late);
        findings.violations.extend(quiet.forgotten.iter().cloned());
        for line in findings.lines.iter().chain(&findings.violations) {
            self.progress.say(line);
        }
        Ok(findings)
    }

    fn line(&self, quiet: &Quiet, findings: &Findings) -> Value {
        let connected = self.people.connected().len();
        report::line(
            (self.seed, &self.shape),
            &self.plan,
            &self.fleet,
            (connected, quiet, findings),
        )
    }

    /// The harness's own way into the database, which no fault cuts off.
    async fn open(&self) -> anyhow::Result<Store> {
        let options = StoreOptions {
            url: self.fleet.base.url(),
            max_connections: 4,
            clock: None,
        };
        Ok(Store::connect(options).await?)
    }
}
