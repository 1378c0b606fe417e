//! The PostgreSQL server of this process, or of the whole run; and one to measure on.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, bail, ensure};
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
    /// What runs the server, if we started it.
    script: Option<Script>,
}

/// `postgres.sh` at work. The server ends when its standard input does: the
/// kernel closes that with the process.
#[derive(Debug)]
struct Script {
    shell: Child,
    pid: u32,
    directory: PathBuf,
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // The shell cannot be waited for twice, and nobody else waits for it.
        let _ = self.shell.wait();
    }
}

impl Script {
    /// Runs `pg_ctl`, which stands beside the program that the server was started from.
    fn control(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let data = self.directory.join("data");
        let options = fs::read_to_string(data.join("postmaster.opts"))?;
        let server = options.split(' ').next().unwrap_or_default();
        let status = command()
            .arg(Path::new(server).with_file_name("pg_ctl"))
            .args(arguments)
            .arg("--pgdata")
            .arg(&data)
            .arg("--log")
            .arg(self.directory.join("log"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("pg_ctl does not start")?;
        ensure!(status.success(), "pg_ctl {arguments:?}: {status}");
        Ok(())
    }
}

impl Cluster {
    /// The server; the first call starts it.
    pub(crate) fn get() -> &'static Self {
        CLUSTER.get_or_init(|| Self::open().unwrap_or_else(|cause| panic!("{cause:#}")))
    }

    fn open() -> anyhow::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "tests have no settings file")]
        if let Ok(url) = std::env::var(SERVER) {
            return Ok(Self { url, script: None });
        }
        start(&[])
    }

    /// One of its own, with PostgreSQL's own settings, on this port of the loopback interface.
    pub(crate) fn as_installed(port: u16) -> anyhow::Result<Self> {
        start(&[&port.to_string()])
    }

    /// The process id of the postmaster, if we started it.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.script.as_ref().map(|script| script.pid)
    }

    /// Ends the server at once, as a crash does, if we started it; [`Cluster::resume`] starts it again.
    pub(crate) fn halt(&mut self) -> anyhow::Result<()> {
        self.script()?.control(&["stop", "--mode=immediate"])
    }

    /// Starts it on the data that it had, and waits until it answers.
    pub(crate) fn resume(&mut self) -> anyhow::Result<()> {
        let script = self.script()?;
        script.control(&["start", "--wait", "--silent"])?;
        script.pid = postmaster(&script.directory)?;
        Ok(())
    }

    fn script(&mut self) -> anyhow::Result<&mut Script> {
        self.script.as_mut().context("somebody else's server")
    }

    /// The address of one of its databases.
    pub(crate) fn url_of(&self, database: &str) -> String {
        if let Some(before) = self.url.strip_suffix("/postgres") {
            return format!("{before}/{database}");
        }
        let (before, after) = self
            .url
            .split_once("/postgres?")
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

    pub(crate) async fn execute(&self, statement: String) -> anyhow::Result<()> {
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

/// Starts a server that lives no longer than this process.
fn start(arguments: &[&str]) -> anyhow::Result<Cluster> {
    let directory = std::env::temp_dir().join(format!(
        "tokenfleet-postgres-{}",
        Uuid::now_v7().as_simple()
    ));
    let mut shell = command()
        .args(["sh", "-c", SCRIPT, "postgres.sh"])
        .arg(&directory)
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("sh does not start")?;
    let mut url = String::new();
    let stdout = shell.stdout.take().context("no output")?;
    BufReader::new(stdout).read_line(&mut url)?;
    if url.is_empty() {
        let output = shell.wait_with_output()?;
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(Cluster {
        url: url.trim().to_owned(),
        script: Some(Script {
            shell,
            pid: postmaster(&directory)?,
            directory,
        }),
    })
}

/// The first line of its lock file; see "postmaster.pid" in PostgreSQL's documentation.
fn postmaster(directory: &Path) -> anyhow::Result<u32> {
    let file = fs::read_to_string(directory.join("data/postmaster.pid"))?;
    let first = file.lines().next().unwrap_or_default();
    first.trim().parse().context("no postmaster in its file")
}

/// PostgreSQL refuses to run as root: then it runs as its own user.
fn command() -> Command {
    // The owner of the own process directory is whoever runs it.
    let root = std::os::unix::fs::MetadataExt::uid(
        &std::fs::metadata("/proc/self").expect("Linux shows every process to itself"),
    ) == 0;
    if root {
        // Not `runuser`: it stays in between, and when a terminal or `timeout` ends the whole
        // group, it kills the script two seconds later, at work or not.
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=postgres",
            "--regid=postgres",
            "--init-groups",
            "--",
        ]);
        command
    } else {
        Command::new("env")
    }
}
