//! A place in the fleet: the process that runs there at the moment, and those before it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bench::process::Process;
use domain::{Clock as _, SystemClock, Timestamp};
use tokenfleet_bench as bench;

use crate::link::Link;
use crate::plan::{Other, Seat};

/// As `RestartSec=1` of a service manager.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// How a process is started.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(&'static str, String)>,
    /// What it says once it works.
    pub(crate) ready: &'static str,
}

/// What a process talks to the others through; `None` where there is no network.
#[derive(Debug)]
pub(crate) struct Links {
    pub(crate) provider: Link,
    pub(crate) redis: Option<Link>,
    pub(crate) database: Option<Link>,
}

/// One life of a process.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) killed_at: Option<Timestamp>,
    /// From when until when it stood still.
    pub(crate) pauses: Vec<(Timestamp, Option<Timestamp>)>,
}

/// A place in the fleet. Somebody has to [`Place::tend`] it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) seat: Seat,
    pub(crate) data_dir: PathBuf,
    pub(crate) links: Links,
    command: Command,
    log: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    process: Option<Process>,
    /// Where the log of this life begins.
    log_from: u64,
    /// When it is to be started; `None` if it must stay away.
    start_at: Option<Instant>,
    lives: Vec<Life>,
    /// How it ended by itself after it had worked.
    faults: Vec<String>,
}

impl Links {
    fn all(&self) -> impl Iterator<Item = &Link> {
        let others = self.redis.iter().chain(&self.database);
        std::iter::once(&self.provider).chain(others)
    }

    /// The one to this other.
    pub(crate) fn to(&self, other: Other) -> Option<&Link> {
        match other {
            Other::Provider => Some(&self.provider),
            Other::Redis => self.redis.as_ref(),
            Other::Database => self.database.as_ref(),
        }
    }
}

impl Place {
    /// An empty place; [`Place::tend`] fills it.
    pub(crate) fn new(seat: Seat, data_dir: PathBuf, links: Links, command: Command) -> Self {
        let log = data_dir.with_file_name(format!("{seat}.log"));
        let state = State {
            start_at: Some(Instant::now()),
            ..State::default()
        };
        Self {
            seat,
            data_dir,
            links,
            command,
            log,
            state: Mutex::new(state),
        }
    }

    /// Starts the process if it should run and does not, as a service manager does.
    ///
    /// # Errors
    ///
    /// If it cannot be started at all.
    pub(crate) fn tend(&self) -> anyhow::Result<()> {
        let mut state = self.state();
        if let Some(process) = &mut state.process
            && let Some(status) = process.ended()?
        {
            state.process = None;
            state.start_at = Some(Instant::now() + RESTART_PAUSE);
            // One that cannot start yet is started again; one that worked must not end.
            if self.said_since(state.log_from, self.command.ready) {
                let fault = format!("{} ended by itself with {status}", self.seat);
                state.faults.push(fault);
            }
        }
        let due = state.start_at.is_some_and(|at| at <= Instant::now());
        if state.process.is_none() && due {
            self.start(&mut state)?;
        }
        Ok(())
    }

    /// Kills it; it is started again after this time.
    ///
    /// # Errors
    ///
    /// If it cannot be waited for.
    pub(crate) fn kill(&self, away: Duration) -> anyhow::Result<()> {
        let mut state = self.state();
        state.start_at = Some(Instant::now() + away);
        let Some(mut process) = state.process.take() else {
            return Ok(());
        };
        // It may have gone on for a moment after it was told to end, but not before.
        if let Some(life) = state.lives.last_mut() {
            life.killed_at = Some(SystemClock.now());
        }
        process.kill()
    }

    /// Stops it, and says which life; `None` if it does not run.
    pub(crate) fn pause(&self) -> Option<usize> {
        let mut state = self.state();
        state.process.as_ref()?.pause().ok()?;
        let life = state.lives.last_mut()?;
        life.pauses.push((SystemClock.now(), None));
        Some(state.lives.len())
    }

    /// Lets this life go on, if it is the present one.
    pub(crate) fn resume(&self, life: usize) {
        let mut state = self.state();
        let present = life == state.lives.len() && state.process.is_some();
        let Some((_, until)) = state.lives[life - 1].pauses.last_mut() else {
            return;
        };
        *until = Some(SystemClock.now());
        if present && let Some(process) = &state.process {
            // Whether it has ended meanwhile is found out by the next look.
            drop(process.resume());
        }
    }

    /// Asks it to end in order, and not to come back.
    pub(crate) fn ask_to_end(&self) {
        let mut state = self.state();
        state.start_at = None;
        if let Some(process) = &state.process {
            drop(process.ask_to_end());
        }
    }

    /// Whether it has ended after it was asked to; in order or not.
    ///
    /// # Errors
    ///
    /// If it cannot be asked.
    pub(crate) fn has_ended(&self) -> anyhow::Result<bool> {
        let mut state = self.state();
        let Some(process) = &mut state.process else {
            return Ok(true);
        };
        let Some(status) = process.ended()? else {
            return Ok(false);
        };
        state.process = None;
        if !status.success() {
            let fault = format!("{} was asked to end and did so with {status}", self.seat);
            state.faults.push(fault);
        }
        Ok(true)
    }

    /// Whether it runs and has said that it works.
    pub(crate) fn is_ready(&self) -> bool {
        let state = self.state();
        state.process.is_some() && self.said_since(state.log_from, self.command.ready)
    }

    /// All its lives so far.
    pub(crate) fn lives(&self) -> Vec<Life> {
        self.state().lives.clone()
    }

    /// What it did that no process should.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = self.state().faults.clone();
        if fs::read_to_string(&self.log).is_ok_and(|log| log.contains("panicked at")) {
            faults.push(format!("{} panicked, see its log", self.seat));
        }
        faults
    }

    fn start(&self, state: &mut State) -> anyhow::Result<()> {
        state.log_from = fs::metadata(&self.log).map_or(0, |file| file.len());
        state.lives.push(Life {
            killed_at: None,
            pauses: Vec::new(),
        });
        let number = u32::try_from(state.lives.len()).context("a run has not so many lives")?;
        for link in self.links.all() {
            link.begin_life(number);
        }
        let arguments: Vec<&str> = self.command.arguments.iter().map(String::as_str).collect();
        let Command {
            program, variables, ..
        } = &self.command;
        let process = Process::start_logged(program, &arguments, variables, &self.log)?;
        state.process = Some(process);
        state.start_at = None;
        Ok(())
    }

    fn said_since(&self, from: u64, words: &str) -> bool {
        let log = fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let since = log.get(from..).unwrap_or_default();
        String::from_utf8_lossy(since).contains(words)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Files in escrow under a data directory: answers that are not stored yet.
pub(crate) fn in_escrow(data_dir: &Path) -> Vec<PathBuf> {
    let entries = |dir: &Path| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let owners = entries(&data_dir.join("escrow"));
    let files = owners.iter().flat_map(|owner| entries(owner));
    // The journal of a process that has nothing on its way is empty.
    let holds_something = |path: &PathBuf| path.metadata().is_ok_and(|file| file.len() > 0);
    files.filter(holds_something).collect()
}
