//! The PostgreSQL server of this process, or of the whole run.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, bail};
use sea_orm::sqlx::{Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

const SCRIPT: &str = include_str!("../postgres.sh");
const SERVER: &str = "TOKENFLEET_TEST_POSTGRES";
/// Any number: who holds this lock makes the template.
const TEMPLATE_LOCK: i64 = 0x74_6573_746b;

static CLUSTER: OnceLock<Cluster> = OnceLock::new();

/// A server on which every test gets a database of its own.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Address of its database `postgres`.
    url: String,
    /// The server ends when this does: the kernel closes it with the process.
    _lifeline: Option<ChildStdin>,
}

impl Cluster {
    /// The server; the first call starts it.
    pub(crate) fn get() -> &'static Self {
        CLUSTER.get_or_init(|| Self::open().unwrap_or_else(|cause| panic!("{cause:#}")))
    }

    fn open() -> anyhow::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "tests have no settings file")]
        if let Ok(url) = std::env::var(SERVER) {
            return Ok(Self {
                url,
                _lifeline: None,
            });
        }
        start(&std::env::temp_dir())
    }

    /// The address of one of its databases.
    pub(crate) fn url_of(&self, database: &str) -> String {
        let (before, after) = self
            .url
            .split_once("/postgres?")
            .or_else(|| self.url.strip_suffix("/postgres").map(|url| (url, "")))
            .unwrap_or_else(|| panic!("{SERVER} must name the database postgres"));
        format!("{before}/{database}?{after}")
    }

    /// Makes an empty database.
    pub(crate) async fn create(&self) -> anyhow::Result<String> {
        self.create_from("template0").await
    }

    /// Makes a database with all tables in it.
    pub(crate) async fn create_migrated(&self) -> anyhow::Result<String> {
        let template = self.template().await?;
        self.create_from(&template).await
    }

    /// Takes a database away, whoever is connected.
    pub(crate) async fn drop_database(&self, name: &str) -> anyhow::Result<()> {
        self.execute(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            .await
    }

    async fn create_from(&self, template: &str) -> anyhow::Result<String> {
        let name = format!("test_{}", Uuid::now_v7().as_simple());
        self.execute(format!("CREATE DATABASE {name} TEMPLATE {template}"))
            .await?;
        Ok(name)
    }

    /// A database with all tables and no rows; whoever comes first makes it.
    async fn template(&self) -> anyhow::Result<String> {
        let name = format!("tokenfleet_{}", migration::latest());
        let mut db = self.connect().await?;
        let lock = format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})");
        db.execute(sea_orm::sqlx::AssertSqlSafe(lock)).await?;
        let exists = format!("SELECT 1 FROM pg_database WHERE datname = '{name}'");
        let found = db
            .fetch_optional(sea_orm::sqlx::AssertSqlSafe(exists))
            .await?;
        if found.is_none() {
            let made = self.create().await?;
            crate::database::migrate(&self.url_of(&made)).await?;
            self.execute(format!("ALTER DATABASE {made} RENAME TO {name}"))
                .await?;
        }
        db.close().await?;
        Ok(name)
    }

    async fn execute(&self, statement: String) -> anyhow::Result<()> {
        let mut db = self.connect().await?;
        db.execute(sea_orm::sqlx::AssertSqlSafe(statement)).await?;
        db.close().await?;
        Ok(())
    }

    async fn connect(&self) -> anyhow::Result<PgConnection> {
        PgConnection::connect(&self.url)
            .await
            .context("the PostgreSQL server for tests does not answer")
    }
}

/// Starts a server that lives as long as this process.
fn start(temp: &Path) -> anyhow::Result<Cluster> {
    let directory = temp.join(format!(
        "tokenfleet-postgres-{}",
        Uuid::now_v7().as_simple()
    ));
    let mut script = command()
        .args(["sh", "-c", SCRIPT, "postgres.sh"])
        .arg(&directory)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("sh does not start")?;
    let lifeline = script.stdin.take();
    let mut url = String::new();
    let stdout = script.stdout.take().context("no output")?;
    BufReader::new(stdout).read_line(&mut url)?;
    if url.is_empty() {
        drop(lifeline);
        let output = script.wait_with_output()?;
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(Cluster {
        url: url.trim().to_owned(),
        _lifeline: lifeline,
    })
}

/// PostgreSQL refuses to run as root: then it runs as its own user.
fn command() -> Command {
    // The owner of the own process directory is whoever runs it.
    let root = std::os::unix::fs::MetadataExt::uid(
        &std::fs::metadata("/proc/self").expect("Linux shows every process to itself"),
    ) == 0;
    if root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]);
        command
    } else {
        Command::new("env")
    }
}
