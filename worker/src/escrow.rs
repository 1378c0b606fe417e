//! Answers that the database has not confirmed: kept in a file, with a copy in Redis,
//! until they are stored.
//!
//! Until the database is late, an answer is a line in the journal. The file is written and flushed before anything else; it lies under the process's
//! own name, so that whoever proves the process dead knows what it left. The copy
//! serves workers on other machines: who finds an open intent looks at it, and at the
//! files that he can see, before he spends the same credentials again. A Redis that lost
//! its copies gets them again for as long as the files are there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache::{Cache, CacheError};
use domain::{ChannelUid, ProcessUid};
use futures::future::join_all;
use store::{Escrow, Restored, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::Process;
use crate::copies::{Copies, answers_in, parts_in, paths_in};
use crate::journal::{self, Journal, Left, Line, journals_in};

/// Pause between two looks at what is kept.
const ROUND: Duration = Duration::from_secs(2);
/// A Redis that lost its copies has those of all living processes again after this: a round,
/// and the time in which they find it again.
const COPIES_ARE_BACK: Duration = Duration::from_secs(5);

/// The files and copies of one process, and of those that it survived.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    copies: Copies,
    store: Store,
    journal: Arc<Journal>,
    /// Whether the last answer is not in the journal.
    unnoted: Arc<AtomicBool>,
}

impl Keeper {
    /// Keeps answers under `escrow/<uid of the process>/` in the data directory.
    pub(crate) fn new(process: Arc<Process>, cache: Cache, store: Store) -> Self {
        let copies = Copies::new(process, cache);
        let journal = Journal::in_dir(copies.dir_of(copies.process.uid()));
        Self {
            copies,
            store,
            journal: Arc::new(journal),
            unnoted: Arc::default(),
        }
    }

    /// Notes the text of an answer in the journal, before the database is asked to store it.
    ///
    /// It is a copy into the memory of the system, and does not wait for the disk. `None` if the
    /// file system does not take it, which is told in the log once.
    pub(crate) fn note(&self, answer: String) -> Option<Line> {
        let noted = self.journal.note(answer);
        let was_unnoted = self.unnoted.swap(noted.is_err(), Ordering::Relaxed);
        noted
            .inspect_err(|error| {
                if !was_unnoted {
                    tracing::error!(%error, "answers are in memory alone until they are stored");
                }
            })
            .ok()
    }

    /// The answer is stored: its line is not needed any more.
    pub(crate) fn is_stored(&self, line: Line) {
        self.journal.is_stored(line);
    }

    /// Takes the journal away, unless there are answers in it that are not stored.
    pub(crate) fn close(&self) {
        self.journal.close();
    }

    /// Keeps an answer; after this it survives the end of the process.
    ///
    /// A disk that does not take it is told in the log: the copy in Redis and the
    /// memory of the caller are what is left then.
    pub(crate) async fn keep(&self, escrow: &Escrow) {
        let (text, path) = (
            escrow.to_text(),
            self.path(self.copies.process.uid(), escrow),
        );
        let written = {
            let (text, path) = (text.clone(), path.clone());
            tokio::task::spawn_blocking(move || write(&path, &text)).await
        };
        match written {
            Ok(Ok(())) => tracing::warn!(path = %path.display(), "an answer is kept in escrow"),
            Ok(Err(error)) => {
                tracing::error!(%error, path = %path.display(), "an answer is not in escrow");
            }
            Err(error) => tracing::error!(%error, "an answer is not in escrow"),
        }
        let subject = escrow.attempt.channel.to_string();
        if let Err(error) = self
            .copies
            .cache
            .deposit(&subject, escrow.epoch, &text)
            .await
        {
            tracing::warn!(%error, "no copy of an answer in escrow");
        }
    }

    /// Forgets an answer that is stored, or no longer fits.
    pub(crate) async fn forget(&self, escrow: &Escrow) {
        self.remove(&self.path(self.copies.process.uid(), escrow), escrow)
            .await;
    }

    /// Stores what is known anywhere of answers to earlier requests for this channel.
    ///
    /// `true` if one was stored. To be asked under a lease that found an open intent,
    /// before anything is sent.
    ///
    /// # Errors
    ///
    /// What kept it from being known: nothing must be sent then.
    pub(crate) async fn redeem(
        &self,
        channel: ChannelUid,
        epoch: i64,
    ) -> Result<bool, RedeemError> {
        let files = self.files_of(channel).into_iter();
        let mut known: Vec<_> = files.map(|(path, escrow)| (Some(path), escrow)).collect();
        known.extend(self.lines_of(channel).map(|escrow| (None, escrow)));
        for text in self.copies.cache.deposits(&channel.to_string()).await? {
            match Escrow::parse(&text) {
                Ok(escrow) => {
                    let path = self.path(self.copies.process.uid(), &escrow);
                    known.push((Some(path), escrow));
                }
                Err(error) => tracing::error!(%error, "a copy in Redis is skipped"),
            }
        }
        if known.is_empty() && self.copies.cache.deposits_kept_for().await? < COPIES_ARE_BACK {
            return Err(RedeemError::CopiesLost);
        }
        // Of several answers that of the later request counts.
        known.sort_unstable_by_key(|(_, escrow)| std::cmp::Reverse(escrow.epoch));
        let mut stored = false;
        for (path, escrow) in known {
            let restored = self.store.restore(escrow.clone(), Some(epoch)).await?;
            stored |= restored == Restored::Stored;
            let Some(path) = path else { continue };
            if !matches!(restored, Restored::Held { .. }) {
                self.remove(&path, &escrow).await;
            }
        }
        Ok(stored)
    }

    /// What the journals of the others in this data directory have of a channel. What is in our
    /// own is being stored by whoever received it.
    fn lines_of(&self, channel: ChannelUid) -> impl Iterator<Item = Escrow> + use<> {
        let own = self.copies.dir_of(self.copies.process.uid());
        let others = paths_in(&self.copies.dir).into_iter();
        let journals = others
            .filter(move |owner| *owner != own)
            .flat_map(|owner| journals_in(&owner));
        journals.flat_map(move |path| journal::read_of(&path, channel).answers)
    }

    /// What all processes of this data directory have of a channel: one that stands
    /// still is not dead, and what it keeps may be the only living token.
    fn files_of(&self, channel: ChannelUid) -> Vec<(PathBuf, Escrow)> {
        let of_channel = format!("{channel}-");
        let owners = paths_in(&self.copies.dir).into_iter();
        let files = owners.flat_map(|owner| answers_in(&owner));
        files
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with(&of_channel))
            })
            .filter_map(|path| {
                let escrow = Escrow::parse(&fs::read_to_string(&path).ok()?).ok()?;
                Some((path, escrow))
            })
            .collect()
    }

    /// Stores what a dead process left; it must be proven dead.
    pub(crate) async fn inherit(&self, dead: ProcessUid) {
        self.store_files_of(dead).await;
    }

    /// Stores what this process and dead ones left, and sees to the copies, until it stops.
    ///
    /// The copies do not wait for the database: it may keep us waiting for long, and who can
    /// reach it needs them meanwhile.
    pub(crate) async fn run(&self, stopping: CancellationToken) {
        let storing = async {
            loop {
                self.round().await;
                tokio::time::sleep(ROUND).await;
            }
        };
        let copying = async {
            loop {
                if let Err(error) = self.copies.again().await {
                    tracing::debug!(%error, "no copies of answers in escrow for now");
                }
                tokio::time::sleep(ROUND).await;
            }
        };
        tokio::select! {
            () = storing => {}
            () = copying => {}
            () = stopping.cancelled() => {}
        }
    }

    /// One look at everything that is kept here.
    pub(crate) async fn round(&self) {
        for owner in self.copies.owners() {
            self.store_files_of(owner).await;
        }
    }

    async fn store_files_of(&self, owner: ProcessUid) {
        let dir = self.copies.dir_of(owner);
        for path in answers_in(&dir) {
            if let Err(error) = self.store_file(&path).await {
                tracing::warn!(%error, "answers in escrow wait for the database");
                break;
            }
        }
        if owner != self.copies.process.uid() {
            for path in journals_in(&dir) {
                if let Err(error) = self.store_journal(&path).await {
                    tracing::warn!(%error, "answers of a killed process wait for the database");
                    break;
                }
            }
            for path in parts_in(&dir) {
                drop(fs::remove_file(path));
            }
            // It stays if something is left in it, such as a damaged file.
            drop(fs::remove_dir(&dir));
        }
    }

    /// Hands in what a process that ended had on its way; most of it was stored by itself.
    async fn store_journal(&self, path: &Path) -> Result<(), StoreError> {
        let Left { answers, damaged } = journal::read(path);
        let (mut stored, mut wait) = (0_u32, false);
        let restoring = answers
            .into_iter()
            .map(|escrow| self.store.restore(escrow, None));
        for restored in join_all(restoring).await {
            match restored? {
                Restored::Stored => stored += 1,
                Restored::Held { .. } => wait = true,
                Restored::Outdated | Restored::Gone => {}
            }
        }
        if stored > 0 {
            tracing::warn!(
                stored,
                "answers that a killed process had received are stored"
            );
        }
        if wait {
            return Ok(());
        }
        if damaged > 0 {
            let aside = path.with_extension("damaged");
            tracing::error!(damaged, path = %aside.display(), "lines of a journal are skipped");
            drop(fs::rename(path, aside));
        } else {
            drop(fs::remove_file(path));
        }
        Ok(())
    }

    /// Hands one file in; one that cannot be read is named and set aside.
    async fn store_file(&self, path: &Path) -> Result<(), StoreError> {
        let Ok(text) = fs::read_to_string(path) else {
            // Somebody else was faster.
            return Ok(());
        };
        let escrow = match Escrow::parse(&text) {
            Ok(escrow) => escrow,
            Err(error) => {
                let aside = path.with_extension("damaged");
                tracing::error!(%error, path = %aside.display(), "a file in escrow is skipped");
                drop(fs::rename(path, aside));
                return Ok(());
            }
        };
        match self.store.restore(escrow.clone(), None).await? {
            Restored::Held { until } => {
                tracing::debug!(%until, path = %path.display(), "an answer in escrow waits");
            }
            restored => {
                let channel = escrow.attempt.channel;
                tracing::info!(channel.uid = %channel, outcome = ?restored, "an answer left escrow");
                self.remove(path, &escrow).await;
            }
        }
        Ok(())
    }

    async fn remove(&self, path: &Path, escrow: &Escrow) {
        drop(fs::remove_file(path));
        let subject = escrow.attempt.channel.to_string();
        if let Err(error) = self
            .copies
            .cache
            .forget_deposit(&subject, escrow.epoch)
            .await
        {
            tracing::debug!(%error, "a copy of an answer stays until it is found outdated");
        }
    }

    fn path(&self, owner: ProcessUid, escrow: &Escrow) -> PathBuf {
        let name = format!("{}-{}.json", escrow.attempt.channel, escrow.epoch);
        self.copies.dir_of(owner).join(name)
    }
}

/// Why it is not known whether an answer is kept somewhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedeemError {
    /// Redis, where the copies are.
    #[error("the copies of answers cannot be read")]
    Cache(#[from] CacheError),
    /// Redis lost its data a moment ago: copies may be missing whose owners live.
    #[error("the copies of answers are not all back yet")]
    CopiesLost,
    /// The database, where they go.
    #[error("an answer in escrow is not stored")]
    Store(#[from] StoreError),
}

/// Writes a file that is there in full or not at all, also after a power cut.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let part = path.with_extension("part");
    let mut file = File::create(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    File::open(dir)?.sync_all()?;
    // The directory of the process may be new as well.
    match dir.parent() {
        Some(above) => File::open(above)?.sync_all(),
        None => Ok(()),
    }
}
