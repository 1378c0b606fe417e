//! The data directory: private, writable, and used by one `up` at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use rustix::fs::Mode;
use rustix::process::umask;
use secrecy::{ExposeSecret, SecretString};
use vault::KeyRing;

const PRIVATE_DIR: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;
const LOCK: &str = "up.lock";
const MASTER_KEYS: &str = "master-keys";
const ADMIN_TOKEN: &str = "admin-token";
const JWT_SECRET: &str = "jwt-secret";
const REFRESH_TOKEN_SECRET: &str = "refresh-token-secret";
const DATABASE: &str = "tokenfleet.db";

/// A directory that exists, belongs to its owner alone and can be written.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Held as long as this value lives; the system drops it however the process ends.
    _lock: Option<File>,
}

impl DataDir {
    /// Makes the directory if it is not there. From here on every file that this
    /// process makes belongs to its owner alone.
    ///
    /// # Errors
    ///
    /// If it cannot be made or written.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        // Also for what others write: SQLite, and the redis-server that inherits it.
        umask(Mode::RWXG | Mode::RWXO);
        DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE_DIR)
            .create(path)
            .with_context(|| format!("cannot make {}", told(path)))?;
        tempfile::tempfile_in(path).with_context(|| format!("cannot write to {}", told(path)))?;
        Ok(Self {
            path: path.canonicalize()?,
            _lock: None,
        })
    }

    /// The same, for this process alone.
    ///
    /// # Errors
    ///
    /// Also if another `up` uses it.
    pub(crate) fn claim(path: &Path) -> anyhow::Result<Self> {
        let dir = Self::open(path)?;
        let mut lock = private()
            .truncate(false)
            .read(true)
            .open(dir.path.join(LOCK))
            .with_context(|| format!("cannot lock {}", told(path)))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // The number is a courtesy; without it the message still says enough.
                let _ = lock.read_to_string(&mut owner);
                bail!(
                    "another tokenfleet (process {}) uses {}; stop it, or choose another directory",
                    owner.trim(),
                    told(path)
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", told(path)));
            }
        }
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Self {
            _lock: Some(lock),
            ..dir
        })
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The embedded database in it.
    pub(crate) fn database_url(&self) -> SecretString {
        format!("sqlite:{}", database_file(&self.path).display()).into()
    }

    /// Makes a master key and keeps it here.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(crate) fn make_master_key(&self) -> anyhow::Result<(SecretString, PathBuf)> {
        let key = KeyRing::generate("k1");
        let path = master_keys_file(&self.path);
        write(&path, &key)?;
        Ok((key, path))
    }

    /// Adds a master key to those kept here, after the others. They are replaced as a
    /// whole: a crash leaves the old ones or all of them.
    ///
    /// # Errors
    ///
    /// If there are none yet, or the file cannot be written.
    pub(crate) fn add_master_key(&self, key: &SecretString) -> anyhow::Result<PathBuf> {
        let path = master_keys_file(&self.path);
        let told = || format!("cannot write {}", path.display());
        let Some(keys) = read(&path)? else {
            bail!("{} is not there yet: `up` makes it", path.display());
        };
        let mut file = tempfile::NamedTempFile::new_in(&self.path).with_context(told)?;
        let (keys, key) = (keys.expose_secret(), key.expose_secret());
        writeln!(file, "{keys},{key}").with_context(told)?;
        file.as_file().sync_all().with_context(told)?;
        file.persist(&path).with_context(told)?;
        File::open(&self.path)
            .and_then(|dir| dir.sync_all())
            .with_context(told)?;
        Ok(path)
    }

    /// The file of the admin token.
    pub(crate) fn admin_token_file(&self) -> PathBuf {
        admin_token_file(&self.path)
    }

    /// The admin token kept here; made if there is none.
    ///
    /// # Errors
    ///
    /// If the file can neither be read nor written.
    pub(crate) fn admin_token(&self) -> anyhow::Result<SecretString> {
        kept(&self.admin_token_file(), "tfa_")
    }

    /// What signs access tokens, kept here; made if there is none.
    ///
    /// # Errors
    ///
    /// If the file can neither be read nor written.
    pub(crate) fn jwt_secret(&self) -> anyhow::Result<SecretString> {
        kept(&jwt_secret_file(&self.path), "")
    }

    /// What signs refresh tokens, kept here; made if there is none.
    ///
    /// # Errors
    ///
    /// If the file can neither be read nor written.
    pub(crate) fn refresh_token_secret(&self) -> anyhow::Result<SecretString> {
        kept(&refresh_token_secret_file(&self.path), "")
    }
}

/// The secret in this file; if there is none, 256 random bits after `prefix`, which stay there.
fn kept(path: &Path, prefix: &str) -> anyhow::Result<SecretString> {
    if let Some(secret) = read(path)? {
        return Ok(secret);
    }
    let bytes: [u8; 32] = rand::rng().random();
    let secret = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)).into();
    write(path, &secret)?;
    Ok(secret)
}

/// The file of what signs access tokens, in a data directory that need not exist.
pub(crate) fn jwt_secret_file(dir: &Path) -> PathBuf {
    dir.join(JWT_SECRET)
}

/// The file of what signs refresh tokens, in a data directory that need not exist.
pub(crate) fn refresh_token_secret_file(dir: &Path) -> PathBuf {
    dir.join(REFRESH_TOKEN_SECRET)
}

/// The file of the admin token in a data directory that need not exist.
pub(crate) fn admin_token_file(dir: &Path) -> PathBuf {
    dir.join(ADMIN_TOKEN)
}

/// The file of the master keys in a data directory that need not exist.
pub(crate) fn master_keys_file(dir: &Path) -> PathBuf {
    dir.join(MASTER_KEYS)
}

/// The embedded database's file in a data directory that need not exist.
pub(crate) fn database_file(dir: &Path) -> PathBuf {
    dir.join(DATABASE)
}

/// A secret from a file of one; `None` if there is no such file.
///
/// # Errors
///
/// If it is there and cannot be read, or is empty.
pub(crate) fn read(path: &Path) -> anyhow::Result<Option<SecretString>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    };
    if text.trim().is_empty() {
        bail!("{} is empty", path.display());
    }
    Ok(Some(text.trim().into()))
}

/// Writes a secret where nothing is yet. It is on disk when this returns, for
/// what it seals may be stored next.
fn write(path: &Path, secret: &SecretString) -> anyhow::Result<()> {
    let told = || format!("cannot write {}", path.display());
    let mut file = private().create_new(true).open(path).with_context(told)?;
    writeln!(file, "{}", secret.expose_secret()).with_context(told)?;
    file.sync_all().with_context(told)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(PRIVATE_FILE);
    options
}

fn told(path: &Path) -> String {
    format!(
        "the data directory {} (setting data_dir, TOKENFLEET_DATA_DIR, --data-dir)",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn a_directory_is_claimed_by_one_at_a_time() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let path = parent.path().join("data");

        let first = DataDir::claim(&path).expect("nobody uses it");
        let second = DataDir::claim(&path).expect_err("the first uses it");
        drop(first);
        let third = DataDir::claim(&path);

        assert!(
            second.to_string().starts_with(&format!(
                "another tokenfleet (process {}) uses the data directory",
                std::process::id()
            )),
            "{second}"
        );
        assert!(third.is_ok());
    }

    #[test]
    fn directory_and_secrets_belong_to_their_owner_alone() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let dir = DataDir::claim(&parent.path().join("data")).expect("nobody uses it");

        let (_, keys) = dir.make_master_key().expect("it can be written");
        dir.admin_token().expect("it can be written");

        assert_eq!(mode(dir.path()), PRIVATE_DIR);
        assert_eq!(mode(&keys), PRIVATE_FILE);
        assert_eq!(mode(&dir.admin_token_file()), PRIVATE_FILE);
    }

    #[test]
    fn what_was_made_once_is_read_again() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let dir = DataDir::open(parent.path()).expect("it can be written");

        let made = dir.make_master_key().expect("it can be written").0;
        let token = dir.admin_token().expect("it can be written");

        let kept = || {
            let keys = read(&master_keys_file(dir.path())).expect("it can be read");
            keys.expect("it is there").expose_secret().to_owned()
        };
        assert_eq!(kept(), made.expose_secret());
        let added = KeyRing::generate("k2");
        dir.add_master_key(&added).expect("it can be written");
        let both = format!("{},{}", made.expose_secret(), added.expose_secret());
        assert_eq!(kept(), both);
        assert_eq!(mode(&master_keys_file(dir.path())), PRIVATE_FILE);
        let again = dir.admin_token().expect("it can be read");
        assert_eq!(again.expose_secret(), token.expose_secret());
        assert!(dir.make_master_key().is_err(), "a key is never overwritten");
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let path = parent.path().join("file");
        std::fs::write(&path, "").expect("it can be written");

        let error = DataDir::open(&path).expect_err("a file is no directory");

        assert!(error.to_string().contains("TOKENFLEET_DATA_DIR"), "{error}");
    }
}
