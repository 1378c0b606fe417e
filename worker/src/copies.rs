//! The copies in Redis of the answers that the processes of one data directory keep.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cache::{Cache, CacheError};
use domain::ProcessUid;
use store::Escrow;

use crate::Process;

/// A start waits no longer for Redis.
const PATIENCE: Duration = Duration::from_secs(2);

/// Gives Redis the copies of what ended processes of this data directory keep.
///
/// To be called before anything that a start may fail at: a worker that ends because the database
/// is away leaves nobody else here who could give a Redis that was flushed its copies again, and
/// who reaches the database first would spend the same credentials once more. A Redis that does
/// not answer within 2 s is a warning in the log, if there was something to give.
pub async fn give_copies_again(process: &Arc<Process>, cache: &Cache) {
    let copies = Copies::new(Arc::clone(process), cache.clone());
    let given = tokio::time::timeout(PATIENCE, copies.again()).await;
    let answers = copies.answers().count();
    if answers > 0 && !matches!(given, Ok(Ok(()))) {
        tracing::warn!(
            answers,
            "Redis is away: answers in escrow are here alone, and it has no copies of them"
        );
    }
}

/// Where answers are kept, and where their copies go.
#[derive(Clone, Debug)]
pub(crate) struct Copies {
    pub(crate) dir: PathBuf,
    pub(crate) process: Arc<Process>,
    pub(crate) cache: Cache,
}

impl Copies {
    /// Of what lies under `escrow/` in the data directory of this process.
    pub(crate) fn new(process: Arc<Process>, cache: Cache) -> Self {
        Self {
            dir: process.data_dir().join("escrow"),
            process,
            cache,
        }
    }

    /// This process and dead ones, as far as they have left something.
    pub(crate) fn owners(&self) -> Vec<ProcessUid> {
        let dirs = paths_in(&self.dir).into_iter();
        let owners = dirs.filter_map(|dir| dir.file_name()?.to_str()?.parse().ok());
        owners
            .filter(|owner| *owner == self.process.uid() || self.process.is_gone(*owner))
            .collect()
    }

    pub(crate) fn dir_of(&self, owner: ProcessUid) -> PathBuf {
        self.dir.join(owner.to_string())
    }

    /// Gives Redis the copies of what is still here: it may have been away, or was flushed.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer: it has some of them at most.
    pub(crate) async fn again(&self) -> Result<(), CacheError> {
        for path in self.answers() {
            self.copy(&path).await?;
        }
        self.cache.deposits_kept_for().await.map(drop)
    }

    fn answers(&self) -> impl Iterator<Item = PathBuf> {
        let dirs = self.owners().into_iter().map(|owner| self.dir_of(owner));
        dirs.flat_map(|dir| answers_in(&dir))
    }

    async fn copy(&self, path: &Path) -> Result<(), CacheError> {
        let Some(text) = fs::read_to_string(path).ok() else {
            return Ok(());
        };
        let Ok(escrow) = Escrow::parse(&text) else {
            return Ok(());
        };
        let subject = escrow.attempt.channel.to_string();
        self.cache.deposit(&subject, escrow.epoch, &text).await?;
        if !path.exists() {
            // It was stored meanwhile, and its copy taken away before this one came.
            self.cache.forget_deposit(&subject, escrow.epoch).await?;
        }
        Ok(())
    }
}

/// The answers of one process.
pub(crate) fn answers_in(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let is_answer = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "json");
    paths_in(dir).into_iter().filter(is_answer)
}

/// What an ended process had begun to write, and not told anybody that it is kept.
pub(crate) fn parts_in(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let is_part = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "part");
    paths_in(dir).into_iter().filter(is_part)
}

/// What a directory holds; nothing if it is not there.
pub(crate) fn paths_in(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
