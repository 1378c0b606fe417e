//! A log-in in a file of its own, shared by the processes of one person.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{SavedLogin, SessionStorage, StorageError};

const PRIVATE_DIR: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;
/// Longer than the two tries of a refresh together.
const PATIENCE: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(20);

/// A file with mode 0600, replaced by renaming; beside it stands its lock, `….lock`.
#[derive(Clone, Debug)]
pub struct FileStorage {
    path: PathBuf,
}

impl FileStorage {
    /// The log-in in this file; it and its directory need not be there yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn directory(&self) -> &Path {
        let parent = self.path.parent();
        parent
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
    }

    fn lock_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".lock");
        name.into()
    }

    fn told(&self, source: std::io::Error) -> StorageError {
        StorageError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

impl SessionStorage for FileStorage {
    fn lock(&self) -> Result<Box<dyn Send>, StorageError> {
        let told = |source| self.told(source);
        DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE_DIR)
            .create(self.directory())
            .map_err(told)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE_FILE)
            .open(self.lock_path())
            .map_err(told)?;
        let start = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Box::new(lock)),
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(LOOK);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StorageError::Busy {
                        path: self.lock_path(),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(told(error)),
            }
        }
    }

    fn load(&self) -> Result<Option<SavedLogin>, StorageError> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.told(error)),
        };
        // The parser's own message may quote what it read.
        let login = serde_json::from_slice(&text).map_err(|_| StorageError::Unreadable {
            path: self.path.clone(),
        })?;
        Ok(Some(login))
    }

    fn save(&self, login: &SavedLogin) -> Result<(), StorageError> {
        let told = |source| self.told(source);
        // Made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(self.directory()).map_err(told)?;
        let text = serde_json::to_vec_pretty(login).expect("texts and numbers are JSON");
        file.write_all(&text).map_err(told)?;
        // The last refresh token is spent: this one must be there after a power cut.
        file.as_file().sync_all().map_err(told)?;
        file.persist(&self.path)
            .map_err(|error| told(error.error))?;
        File::open(self.directory())
            .and_then(|directory| directory.sync_all())
            .map_err(told)
    }

    fn clear(&self) -> Result<(), StorageError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.told(error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use domain::Timestamp;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn login(access_token: &str) -> SavedLogin {
        SavedLogin {
            server: "https://tokens.example.com".to_owned(),
            email: "ana@example.com".to_owned(),
            access_token: access_token.into(),
            refresh_token: "planted-refresh".into(),
            obtained_at: Timestamp::from_secs(1_764_216_000),
            expires_in: 900,
        }
    }

    #[test]
    fn s4_3_a_saved_log_in_is_read_again_and_belongs_to_its_owner_alone() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let storage = FileStorage::new(parent.path().join("new/login.json"));
        let before = storage.load().expect("nothing is no error");

        let turn = storage.lock().expect("nobody has it");
        storage.save(&login("one")).expect("it is writable");
        storage.save(&login("two")).expect("it is writable");
        drop(turn);

        let saved = storage
            .load()
            .expect("it is readable")
            .expect("it is there");
        let mode = |path: &Path| {
            let metadata = path.metadata().expect("it is there");
            metadata.permissions().mode() & 0o777
        };
        assert!(before.is_none());
        assert_eq!(saved.access_token.expose_secret(), "two");
        assert_eq!(saved.obtained_at, login("").obtained_at);
        assert_eq!(mode(storage.path()), PRIVATE_FILE);
        assert_eq!(mode(storage.directory()), PRIVATE_DIR);
        storage.clear().expect("it is writable");
        storage.clear().expect("nothing is no error");
        assert!(storage.load().expect("nothing is no error").is_none());
    }

    #[test]
    fn the_lock_is_held_by_one_at_a_time() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let storage = FileStorage::new(parent.path().join("login.json"));
        let turn = storage.lock().expect("nobody has it");
        let (told, hear) = std::sync::mpsc::channel();

        let other = storage.clone();
        let second = std::thread::spawn(move || {
            let turn = other.lock().expect("the first lets go of it");
            told.send("second").expect("somebody listens");
            drop(turn);
        });
        let early = hear.try_recv();
        drop(turn);
        second.join().expect("it ends");

        assert!(early.is_err());
        assert_eq!(hear.try_recv(), Ok("second"));
    }

    #[test]
    fn what_is_no_log_in_is_told_without_being_quoted() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let storage = FileStorage::new(parent.path().join("login.json"));
        std::fs::write(storage.path(), "{\"access_token\": \"planted\"").expect("it is writable");

        let error = storage.load().expect_err("it is cut");

        let told = format!("{error} {error:?}");
        assert!(
            told.contains("holds no log-in") && !told.contains("planted"),
            "{told}"
        );
    }

    #[test]
    fn a_saved_log_in_hides_its_tokens_from_debug() {
        let shown = format!("{:?}", login("planted-access"));

        assert!(!shown.contains("planted"), "{shown}");
    }
}
