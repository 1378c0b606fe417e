//! Where a log-in is kept between calls, and between processes.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::SavedLogin;

/// A saved log-in that can be neither read nor written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A file or its directory does not let itself be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// What is there was not written by this program, or not completely.
    #[error("{} holds no log-in", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// Another process has held the lock for longer than any refresh takes.
    #[error("another process does not let go of {}", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
}

/// A place for one log-in. Its calls may block; they are made off the runtime.
pub trait SessionStorage: Debug + Send + Sync {
    /// Waits for the right to change what is saved, which ends when the answer is dropped.
    /// Everybody who shares the place takes it before a refresh.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if it cannot be had.
    fn lock(&self) -> Result<Box<dyn Send>, StorageError>;

    /// What is saved; `None` if nobody has logged in.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if it cannot be read.
    fn load(&self) -> Result<Option<SavedLogin>, StorageError>;

    /// Saves a log-in in the place of the last one: completely, or not at all.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if it cannot be written.
    fn save(&self, login: &SavedLogin) -> Result<(), StorageError>;

    /// Forgets what is saved.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if it cannot be taken away.
    fn clear(&self) -> Result<(), StorageError>;
}

/// A log-in that ends with the process. Clones are the same place.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage(Arc<Mutex<Option<SavedLogin>>>);

impl MemoryStorage {
    fn place(&self) -> MutexGuard<'_, Option<SavedLogin>> {
        // What is in it is replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionStorage for MemoryStorage {
    /// A session refreshes once at a time by itself.
    fn lock(&self) -> Result<Box<dyn Send>, StorageError> {
        Ok(Box::new(()))
    }

    fn load(&self) -> Result<Option<SavedLogin>, StorageError> {
        Ok(self.place().clone())
    }

    fn save(&self, login: &SavedLogin) -> Result<(), StorageError> {
        *self.place() = Some(login.clone());
        Ok(())
    }

    fn clear(&self) -> Result<(), StorageError> {
        *self.place() = None;
        Ok(())
    }
}
