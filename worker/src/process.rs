//! This process among the others, and the proof that another one is dead.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use domain::ProcessUid;

/// Lock files of dead processes are kept this long, so that every lease they
/// may have held can be taken over on their evidence.
const KEEP_LOCKS: Duration = Duration::from_hours(24);

/// One run of this program, from its start to its end.
///
/// It holds a lock on `run/<uid>.lock` in its data directory for as long as it
/// lives; the system drops the lock however the process ends. Being able to take
/// somebody's lock is the only proof of death: silence is none.
#[derive(Debug)]
pub struct Process {
    uid: ProcessUid,
    data_dir: PathBuf,
    run_dir: PathBuf,
    lock: File,
    dead: Mutex<HashSet<ProcessUid>>,
}

/// A data directory in which no process can be told apart.
#[derive(Debug, thiserror::Error)]
#[error("could not use {path} in the data directory")]
pub struct ProcessError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl Process {
    /// Takes a new identity, locked under `data_dir`.
    ///
    /// # Errors
    ///
    /// [`ProcessError`] if the directory cannot be written or locked.
    pub fn start(data_dir: &Path) -> Result<Self, ProcessError> {
        let uid = ProcessUid::generate();
        let run_dir = data_dir.join("run");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ProcessError { path, source }
        };
        std::fs::create_dir_all(&run_dir).map_err(failed(&run_dir))?;
        forget_old_locks(&run_dir);
        let path = lock_path(&run_dir, uid);
        let lock = File::create_new(&path).map_err(failed(&path))?;
        lock.lock().map_err(failed(&path))?;
        Ok(Self {
            uid,
            data_dir: data_dir.to_owned(),
            run_dir,
            lock,
            dead: Mutex::default(),
        })
    }

    /// Who this process is.
    #[must_use]
    pub const fn uid(&self) -> ProcessUid {
        self.uid
    }

    /// Where it keeps its files.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Whether a process that wrote files into this data directory has ended: proven
    /// dead, or it took its lock file away as its last act.
    #[must_use]
    pub fn is_gone(&self, other: ProcessUid) -> bool {
        self.is_dead(other) || !lock_path(&self.run_dir, other).exists()
    }

    /// Whether the process is known to have ended.
    ///
    /// `false` also stands for "not known": a process on another machine, or
    /// with another data directory, is never proven dead.
    #[must_use]
    pub fn is_dead(&self, other: ProcessUid) -> bool {
        if other == self.uid {
            return false;
        }
        let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        if dead.contains(&other) {
            return true;
        }
        let proven = is_unlocked(&lock_path(&self.run_dir, other));
        if proven {
            dead.insert(other);
        }
        proven
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An orderly end leaves nothing open, so nobody will ask for this proof.
        drop(std::fs::remove_file(lock_path(&self.run_dir, self.uid)));
        drop(self.lock.unlock());
    }
}

fn lock_path(run_dir: &Path, uid: ProcessUid) -> PathBuf {
    run_dir.join(format!("{uid}.lock"))
}

/// Whether a process that wrote files into this data directory has ended.
pub(crate) fn has_ended(data_dir: &Path, uid: ProcessUid) -> bool {
    let lock = lock_path(&data_dir.join("run"), uid);
    is_unlocked(&lock) || !lock.exists()
}

/// Whether the file is there and nobody holds its lock.
fn is_unlocked(path: &Path) -> bool {
    let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else {
        return false;
    };
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

fn forget_old_locks(run_dir: &Path) {
    let Ok(entries) = std::fs::read_dir(run_dir) else {
        return;
    };
    let now = SystemTime::now();
    for path in entries.flatten().map(|entry| entry.path()) {
        let age = path.metadata().and_then(|meta| meta.modified());
        let old = age.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > KEEP_LOCKS));
        if old && is_unlocked(&path) {
            drop(std::fs::remove_file(&path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_dead_only_if_its_lock_can_be_taken() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let ours = Process::start(dir.path()).expect("a writable directory");
        let theirs = Process::start(dir.path()).expect("a writable directory");
        let killed = ProcessUid::generate();
        File::create_new(lock_path(&ours.run_dir, killed)).expect("a lock file left behind");

        assert!(!ours.is_dead(ours.uid()));
        assert!(!ours.is_dead(theirs.uid()));
        assert!(!ours.is_dead(ProcessUid::generate()), "never heard of");
        assert!(ours.is_dead(killed));
        assert!(ours.is_dead(killed), "and stays dead");
    }

    #[test]
    fn an_orderly_end_leaves_no_lock_behind() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let process = Process::start(dir.path()).expect("a writable directory");
        let path = lock_path(&process.run_dir, process.uid());
        assert!(path.exists());

        drop(process);

        assert!(!path.exists());
    }
}
