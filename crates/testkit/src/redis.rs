//! A private Redis server for one test.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Says the server's process id, and ends the server when our end of its input is
/// closed: by us, or because this process is gone.
const SCRIPT: &str = r#"
exec 3<&0
redis-server "$@" 3<&- </dev/null >/dev/null 2>&1 &
server=$!
echo $server
{ cat; kill -9 $server; } <&3 >/dev/null 2>&1 &
watch=$!
wait $server
kill $watch
"#;

/// A `redis-server` on a free loopback port, which ends when this is dropped.
///
/// It writes nothing to disk by itself, and keeps its files in a directory of its own.
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    port: u16,
    dir: TempDir,
    arguments: Vec<String>,
}

/// The server, and the shell that watches it.
#[derive(Debug)]
struct Process {
    shell: Child,
    pid: u32,
}

/// What a restart does to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// They are saved before, and loaded after.
    Kept,
    /// They are gone, as after a crash without persistence.
    Lost,
}

impl RedisServer {
    /// Starts one, and waits until it answers.
    ///
    /// # Errors
    ///
    /// If `redis-server` is not installed, or does not answer within 20 s.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts one with more arguments, such as `["--maxmemory-policy", "allkeys-lru"]`.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub async fn start_with(arguments: &[&str]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("no directory for Redis")?;
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Self::start_in(dir, arguments).await
    }

    /// Starts a cluster of one, which keeps all slots.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub async fn start_cluster() -> anyhow::Result<Self> {
        let node = Self::start_with(&["--cluster-enabled", "yes"]).await?;
        let mut redis = node.connection().await?;
        let mut all = redis::cmd("CLUSTER");
        all.arg("ADDSLOTS").arg((0..16_384).collect::<Vec<u16>>());
        all.query_async::<()>(&mut redis).await?;
        let began_at = Instant::now();
        while began_at.elapsed() < START_TIMEOUT {
            let mut info = redis::cmd("CLUSTER");
            let info: String = info.arg("INFO").query_async(&mut redis).await?;
            if info.contains("cluster_state:ok") {
                return Ok(node);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the cluster is not complete")
    }

    /// Starts a Sentinel that watches a master under this name, alone.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub async fn start_sentinel_of(master: &Self, name: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("no directory for the Sentinel")?;
        let file = dir.path().join("sentinel.conf");
        let monitor = format!("sentinel monitor {name} 127.0.0.1 {} 1\n", master.port);
        std::fs::write(&file, monitor).context("no file for the Sentinel")?;
        let file = file.to_string_lossy().into_owned();
        Self::start_in(dir, vec![file, "--sentinel".to_owned()]).await
    }

    /// An argument that is no option must be the first: it is a file of settings.
    async fn start_in(dir: TempDir, arguments: Vec<String>) -> anyhow::Result<Self> {
        // Somebody else may take the free port before Redis does.
        for _ in 0..5 {
            let port = free_port()?;
            let mut process = spawn(port, dir.path(), &arguments)?;
            if answers(&mut process, port).await? {
                return Ok(Self {
                    process,
                    port,
                    dir,
                    arguments,
                });
            }
        }
        bail!("redis-server ended at once, five times; is it installed?")
    }

    /// Its address, database 0.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Its port on the loopback interface.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id, to pause it for instance.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// A connection to look at it with.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub async fn connection(&self) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
        let config =
            redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(20)));
        redis::Client::open(self.url())?
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    /// Ends it; the port stays ours to be used by [`RedisServer::resume`].
    ///
    /// # Errors
    ///
    /// If the data are to be kept and cannot be saved.
    pub async fn halt(&mut self, data: Data) -> anyhow::Result<()> {
        if data == Data::Kept {
            let mut connection = self.connection().await?;
            redis::cmd("SAVE")
                .query_async::<()>(&mut connection)
                .await?;
        }
        self.end();
        if data == Data::Lost {
            let _ = std::fs::remove_file(self.dir.path().join("dump.rdb"));
        }
        Ok(())
    }

    /// Starts it again on the same port, after [`RedisServer::halt`].
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        self.process = spawn(self.port, self.dir.path(), &self.arguments)?;
        if !answers(&mut self.process, self.port).await? {
            bail!("redis-server did not come back on port {}", self.port)
        }
        Ok(())
    }

    fn end(&mut self) {
        drop(self.process.shell.stdin.take());
        // The shell cannot be waited for twice, and nobody else waits for it.
        let _ = self.process.shell.wait();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.end();
    }
}

/// A loopback port that nobody uses; somebody may before we do.
///
/// # Errors
///
/// If there is none.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

fn spawn(port: u16, dir: &Path, arguments: &[String]) -> anyhow::Result<Process> {
    let is_file = arguments.first().is_some_and(|it| !it.starts_with("--"));
    let (file, options) = arguments.split_at(usize::from(is_file));
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT, "redis"])
        .args(file)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(dir)
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("sh cannot be started")?;
    let mut pid = String::new();
    let output = shell.stdout.take().context("sh has no output")?;
    BufReader::new(output).read_line(&mut pid)?;
    let pid = pid
        .trim()
        .parse()
        .context("sh did not start redis-server")?;
    Ok(Process { shell, pid })
}

/// Whether it answers; `false` if it has ended.
async fn answers(process: &mut Process, port: u16) -> anyhow::Result<bool> {
    let client = redis::Client::open(url(port))?;
    let give_up_at = Instant::now() + START_TIMEOUT;
    while Instant::now() < give_up_at {
        if process.shell.try_wait()?.is_some() {
            return Ok(false);
        }
        if answering(&client).await == Some(process.pid) {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bail!("redis-server does not answer on port {port}; is it installed?")
}

/// The process that answers: somebody else's server may have taken the port first.
async fn answering(client: &redis::Client) -> Option<u32> {
    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
    let mut info = redis::cmd("INFO");
    let info: String = info.arg("server").query_async(&mut connection).await.ok()?;
    let line = info.lines().find(|line| line.starts_with("process_id:"))?;
    line["process_id:".len()..].trim().parse().ok()
}

fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/0")
}
