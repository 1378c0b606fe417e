//! The private `redis-server` of `up`: a child process in the data directory that nobody else
//! can reach, with an append-only file.
//!
//! It listens on a socket in that directory, or, where the path is too long for one, on a free
//! loopback port with a random password. A server that a killed `up` left behind is recognised by
//! both: only the one that was started for this directory answers at its socket, or knows its
//! password. It is shut down before a new one starts.

mod dialogue;
mod endpoint;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::SecretString;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::redis_server::endpoint::Endpoint;

const DIR: &str = "redis";
const CONF: &str = "redis.conf";
const LOG: &str = "redis.log";
/// Names under which distributions install it; the first on the path is used.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];
/// Reading a large append-only file takes a while.
const START_LIMIT: Duration = Duration::from_mins(2);
const STOP_LIMIT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// The child of this process, 0 if there is none: for the end that leaves no time for anything.
static CHILD: AtomicI32 = AtomicI32::new(0);

/// A running server; [`RedisServer::stop`] ends it.
#[derive(Debug)]
pub(crate) struct RedisServer {
    endpoint: Endpoint,
    stop: CancellationToken,
    keeper: JoinHandle<()>,
}

impl RedisServer {
    /// Starts a server for this data directory and waits until it answers.
    ///
    /// # Errors
    ///
    /// If no program is installed, a server of an earlier run cannot be ended, or
    /// the new one does not start.
    pub(crate) async fn start(data_dir: &Path) -> anyhow::Result<Self> {
        let program = program().context(
            "redis-server is not installed; install it (apt-get install redis-server), or set REDIS_URL",
        )?;
        let dir = data_dir.join(DIR);
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        end_earlier(&dir).await?;
        let endpoint = Endpoint::choose(&dir)?;
        write_conf(&dir, &endpoint)?;
        let site = Site {
            program,
            dir,
            endpoint: endpoint.clone(),
        };
        let child = site.spawn().await?;
        let stop = CancellationToken::new();
        let keeper = tokio::spawn(keep(site, child, stop.clone()));
        Ok(Self {
            endpoint,
            stop,
            keeper,
        })
    }

    /// Its address, with the password where it has one.
    pub(crate) fn url(&self) -> SecretString {
        self.endpoint.url()
    }

    /// Ends the server; what it holds is on disk afterwards.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if self.keeper.await.is_err() {
            tracing::warn!("the keeper of the private redis-server panicked");
        }
    }
}

/// Asks the child to end without waiting for it.
pub(crate) fn terminate_now() {
    if let Some(pid) = Pid::from_raw(CHILD.load(Ordering::SeqCst)) {
        // It may be gone already, which is what is wanted.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// The program's path, if one of [`PROGRAMS`] is installed.
pub(crate) fn program() -> Option<PathBuf> {
    PROGRAMS.iter().find_map(|name| config::on_path(name))
}

/// Whether a server of this data directory answers, and where: for `doctor`.
pub(crate) async fn running(data_dir: &Path) -> Option<SecretString> {
    let endpoint = Endpoint::of_conf(&data_dir.join(DIR).join(CONF))?;
    let answers = dialogue::ask(&endpoint, "PING").await.is_ok();
    answers.then(|| endpoint.url())
}

/// Where and how the server is started, also a second time.
struct Site {
    program: PathBuf,
    dir: PathBuf,
    endpoint: Endpoint,
}

impl Site {
    async fn spawn(&self) -> anyhow::Result<Child> {
        let child = self
            .command()
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        CHILD.store(pid_of(&child), Ordering::SeqCst);
        self.await_answer(child).await
    }

    /// With `setpriv`, the server ends when this process does, however that ends.
    fn command(&self) -> Command {
        let mut command = match config::on_path("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "TERM"]).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command
            .arg(CONF)
            .current_dir(&self.dir)
            // Ctrl-C in a terminal goes to the whole group; the server must outlive the workers.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    async fn await_answer(&self, mut child: Child) -> anyhow::Result<Child> {
        let limit = Instant::now() + START_LIMIT;
        while Instant::now() < limit {
            if dialogue::ask(&self.endpoint, "PING").await.is_ok() {
                return Ok(child);
            }
            if let Some(status) = child.try_wait()? {
                CHILD.store(0, Ordering::SeqCst);
                bail!("redis-server ended with {status}: {}", self.last_words());
            }
            sleep(POLL).await;
        }
        // It answers nobody, so it holds nothing that would be lost.
        let _ = child.kill().await;
        Err(anyhow!(
            "redis-server did not answer within {} s: {}",
            START_LIMIT.as_secs(),
            self.last_words()
        ))
    }

    fn last_words(&self) -> String {
        let path = self.dir.join(LOG);
        let log = std::fs::read_to_string(&path).unwrap_or_default();
        let last = log.trim_end().lines().next_back().unwrap_or("no log");
        format!("{last} (log: {})", path.display())
    }
}

/// Starts the server again when it ends by itself: Redis may be away, but not for good.
async fn keep(site: Site, mut child: Child, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return end(child).await,
            status = child.wait() => {
                CHILD.store(0, Ordering::SeqCst);
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                tracing::error!(%status, said = site.last_words(), "the private redis-server ended; starting it again");
            }
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(RESTART_PAUSE) => {}
            }
            match site.spawn().await {
                Ok(again) => {
                    child = again;
                    break;
                }
                Err(error) => tracing::error!("the private redis-server does not start: {error:#}"),
            }
        }
    }
}

/// SIGTERM makes Redis write what it holds; only if it hangs is it killed.
async fn end(mut child: Child) {
    terminate_now();
    if timeout(STOP_LIMIT, child.wait()).await.is_err() {
        tracing::warn!("the private redis-server does not end; killing it");
        let _ = child.kill().await;
    }
    CHILD.store(0, Ordering::SeqCst);
}

/// Shuts down the server that a killed `up` left behind for this directory.
async fn end_earlier(dir: &Path) -> anyhow::Result<()> {
    let Some(endpoint) = Endpoint::of_conf(&dir.join(CONF)) else {
        return Ok(());
    };
    match dialogue::ask(&endpoint, "PING").await {
        Err(error) if is_nobody(&error) => return Ok(()),
        // It answers, if only that it is still loading; or it is about to end.
        Err(error) if error.kind() == io::ErrorKind::Other || is_ending(&error) => {}
        Err(error) if endpoint.is_port() && error.kind() == io::ErrorKind::PermissionDenied => {
            // Somebody else took the port: not ours, and left alone.
            return Ok(());
        }
        Err(error) => {
            return Err(error).context(format!(
                "a redis-server of an earlier run does not answer in {}; end it by hand",
                dir.display()
            ));
        }
        Ok(_) => {}
    }
    tracing::info!("ending the redis-server that an earlier run left behind");
    // The server closes the connection instead of an answer.
    let _ = dialogue::ask(&endpoint, "SHUTDOWN").await;
    let limit = Instant::now() + STOP_LIMIT;
    while !dialogue::ask(&endpoint, "PING")
        .await
        .is_err_and(|error| is_nobody(&error))
    {
        if Instant::now() > limit {
            bail!(
                "the redis-server of an earlier run in {} does not end",
                dir.display()
            );
        }
        sleep(POLL).await;
    }
    Ok(())
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// The server that `up` takes along when it is killed may still accept a connection.
fn is_ending(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::UnexpectedEof
    )
}

/// The directory belongs to its owner alone, so the password in the file does too.
fn write_conf(dir: &Path, endpoint: &Endpoint) -> anyhow::Result<()> {
    let conf = format!(
        "# Written at each start of tokenfleet.\n\
         {}\n\
         daemonize no\n\
         dir ./\n\
         logfile {LOG}\n\
         databases 1\n\
         maxmemory-policy noeviction\n\
         appendonly yes\n\
         appendfsync everysec\n\
         save \"\"\n",
        endpoint.directives()
    );
    let path = dir.join(CONF);
    std::fs::write(&path, conf).with_context(|| format!("cannot write {}", path.display()))
}

fn pid_of(child: &Child) -> i32 {
    child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .unwrap_or(0)
}
