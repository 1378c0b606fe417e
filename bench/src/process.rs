//! Processes that a benchmark starts, and what they cost.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

/// `USER_HZ`: the kernel counts a process's time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a process may take to end what it has started itself.
const GRACE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// A process that ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a command with these variables and no others but `PATH`.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn start(
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let child = command(program, arguments, variables)
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child })
    }

    /// Starts a command and waits for the first line on its standard output or error with `needle`.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or ends without that line.
    pub fn start_until(
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, String)],
        needle: &str,
    ) -> anyhow::Result<(Self, String)> {
        let mut child = command(program, arguments, variables)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stderr = child.stderr.take().context("its standard error is piped")?;
        let mut lines = BufReader::new(stderr).lines();
        for line in lines.by_ref() {
            let line = line?;
            if line.contains(needle) {
                // Somebody must read the rest, or the process would stand still.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok((Self { child }, line));
            }
        }
        bail!("{} ended without saying '{needle}'", program.display())
    }

    /// Starts a command whose standard output and error are appended to a file.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or the file not be written.
    pub fn start_logged(
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, String)],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let file = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let child = command(program, arguments, variables)
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child })
    }

    /// Kills it: it gets no time for anything.
    ///
    /// # Errors
    ///
    /// If it cannot be waited for.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        // It may have ended by itself.
        drop(self.child.kill());
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end in order; [`Process::ended`] says when it has.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn ask_to_end(&self) -> anyhow::Result<()> {
        Ok(kill_process(self.id()?, Signal::TERM)?)
    }

    /// How it has ended; `None` while it runs.
    ///
    /// # Errors
    ///
    /// If it cannot be asked.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Stops it until [`Process::resume`].
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn pause(&self) -> anyhow::Result<()> {
        Ok(kill_process(self.id()?, Signal::STOP)?)
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn resume(&self) -> anyhow::Result<()> {
        Ok(kill_process(self.id()?, Signal::CONT)?)
    }

    /// Checks that it has not ended by itself.
    ///
    /// # Errors
    ///
    /// If it has: what depends on it would be waited for in vain.
    pub fn ensure_runs(&self) -> anyhow::Result<()> {
        let state = Stat::read(self.pid())?.state;
        ensure!(state != "Z", "process {} has ended", self.pid());
        Ok(())
    }

    /// Whether it has ended within [`GRACE`].
    fn has_ended(&mut self) -> bool {
        let give_up_at = Instant::now() + GRACE;
        while Instant::now() < give_up_at {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(POLL);
        }
        false
    }

    fn id(&self) -> anyhow::Result<Pid> {
        let raw = i32::try_from(self.child.id())?;
        Pid::from_raw(raw).context("a process has an id")
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // One that is paused ends only by force.
        let asked = self.id().map(|pid| kill_process(pid, Signal::TERM));
        if !matches!(asked, Ok(Ok(()))) || !self.has_ended() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Runs a command to its end, as [`Process::start`] starts it, and says what it wrote to its
/// standard output; its errors are ours. It is ended if the future is dropped.
///
/// # Errors
///
/// If it cannot be started, or fails.
pub async fn output(
    program: &Path,
    arguments: &[&str],
    variables: &[(&str, String)],
) -> anyhow::Result<String> {
    let mut child = command(program, arguments, variables)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let stdout = child.stdout.take();
    let mut process = Process { child };
    let mut stdout = stdout.context("its standard output is piped")?;
    let read = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let text = read.await??;
    let status = process.child.wait()?;
    ensure!(
        status.success(),
        "{} failed ({status}): {text}",
        program.display()
    );
    Ok(text)
}

/// Carries out a benchmark until it ends or we are told to stop; what it holds is
/// dropped by then, and with it the processes that it started.
///
/// # Errors
///
/// Those of the benchmark; or that it was stopped.
pub async fn until_stopped<T>(
    benchmark: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = benchmark => done,
        _ = terminate.recv() => bail!("stopped by SIGTERM"),
        _ = tokio::signal::ctrl_c() => bail!("stopped by SIGINT"),
    }
}

fn command(program: &Path, arguments: &[&str], variables: &[(&str, String)]) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// CPU time of a process so far, user and system.
///
/// # Errors
///
/// If there is no such process.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = Stat::read(pid)?;
    Ok(stat.own)
}

/// CPU time of a process and of all its children, those it has already reaped included.
///
/// # Errors
///
/// If there is no such process.
pub fn cpu_with_children(pid: u32) -> anyhow::Result<Duration> {
    let parent = Stat::read(pid)?;
    let children = children(pid)?.filter_map(|child| cpu(child).ok());
    Ok(parent.own + parent.reaped + children.sum::<Duration>())
}

/// CPU time of a process to the nanosecond, without threads that have ended.
///
/// # Errors
///
/// If there is no such process.
pub fn cpu_exact(pid: u32) -> anyhow::Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        // A thread may end between the two reads.
        if let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) {
            let ran = text.split(' ').next().unwrap_or_default();
            nanos += ran.parse::<u64>().context("no time in a schedstat")?;
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// CPU time of a process and of its children that live, to the nanosecond.
///
/// # Errors
///
/// If there is no such process.
pub fn cpu_exact_with_children(pid: u32) -> anyhow::Result<Duration> {
    // One that ends between the two reads is left out.
    let children = children(pid)?.filter_map(|child| cpu_exact(child).ok());
    Ok(cpu_exact(pid)? + children.sum::<Duration>())
}

/// CPU time of this process to the nanosecond.
#[must_use]
pub fn own_cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}

/// The processes whose parent this is.
fn children(parent: u32) -> anyhow::Result<impl Iterator<Item = u32>> {
    let processes = fs::read_dir("/proc")?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // A process may end between the two reads.
    Ok(pids.filter(move |pid| Stat::read(*pid).is_ok_and(|stat| stat.parent == parent)))
}

/// The most memory that a process had resident so far, in MiB.
///
/// # Errors
///
/// If there is no such process.
pub fn peak_resident_mib(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    let kib: f64 = kib.context("no VmHWM in its status")?.trim().parse()?;
    Ok(kib / 1024.0)
}

struct Stat {
    state: String,
    parent: u32,
    own: Duration,
    reaped: Duration,
}

impl Stat {
    /// Reads `/proc/PID/stat`; see proc(5).
    fn read(pid: u32) -> anyhow::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let after_name = text.rsplit_once(") ").context("no name in its stat")?.1;
        let fields: Vec<&str> = after_name.split(' ').collect();
        let ticks = |from: usize| -> anyhow::Result<Duration> {
            let sum = fields[from].parse::<f64>()? + fields[from + 1].parse::<f64>()?;
            Ok(Duration::from_secs_f64(sum / TICKS_PER_SECOND))
        };
        Ok(Self {
            state: fields[0].to_owned(),
            parent: fields[1].parse()?,
            own: ticks(11)?,
            reaped: ticks(13)?,
        })
    }
}
