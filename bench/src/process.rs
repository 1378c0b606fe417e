//! Processes that a benchmark starts, and what they cost.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

/// `USER_HZ`: the kernel counts a process's time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

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
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
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
    let mut total = parent.own + parent.reaped;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(child) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process may end between the two reads.
        if let Ok(stat) = Stat::read(child)
            && stat.parent == pid
        {
            total += stat.own;
        }
    }
    Ok(total)
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
            parent: fields[1].parse()?,
            own: ticks(11)?,
            reaped: ticks(13)?,
        })
    }
}
