//! Saved log-ins, one per server, in a file that belongs to the user alone.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

const FILE: &str = "logins.json";
const LOCK: &str = "logins.lock";

/// A log-in at one server.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// Who.
    pub(crate) email: String,
    /// Says who it is, for minutes.
    pub(crate) access: SecretString,
    /// Brings the next pair, once.
    pub(crate) refresh: SecretString,
}

/// [`Login`] as the file has it.
#[derive(Clone, Serialize, Deserialize)]
struct Saved {
    email: String,
    access_token: String,
    refresh_token: String,
}

/// The file of saved log-ins.
#[derive(Clone, Debug)]
pub(crate) struct Logins {
    directory: PathBuf,
}

impl Logins {
    /// Those of this user; `None` for a user without a home.
    pub(crate) fn of_user() -> Option<Self> {
        config::user_directory().map(|directory| Self { directory })
    }

    /// The log-in at a server; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the file is there and cannot be read.
    pub(crate) fn at(&self, server: &Url) -> anyhow::Result<Option<Login>> {
        let saved = self.read()?.remove(&key(server));
        Ok(saved.map(|saved| Login {
            email: saved.email,
            access: saved.access_token.into(),
            refresh: saved.refresh_token.into(),
        }))
    }

    /// Keeps the log-in at a server in the place of an earlier one; `None` forgets it.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(crate) fn keep(&self, server: &Url, login: Option<&Login>) -> anyhow::Result<()> {
        let mut all = self.read()?;
        match login {
            Some(login) => {
                let saved = Saved {
                    email: login.email.clone(),
                    access_token: login.access.expose_secret().to_owned(),
                    refresh_token: login.refresh.expose_secret().to_owned(),
                };
                all.insert(key(server), saved);
            }
            None => drop(all.remove(&key(server))),
        }
        let text = serde_json::to_string_pretty(&all)?;
        write_private(&self.directory.join(FILE), &text)
    }

    /// Waits until no other command of this user changes the log-ins; they wait until
    /// the file is dropped.
    ///
    /// # Errors
    ///
    /// If the directory cannot be written.
    pub(crate) fn lock(&self) -> anyhow::Result<File> {
        let path = self.directory.join(LOCK);
        let told = || format!("cannot lock {}", path.display());
        make_private(&self.directory)?;
        let file = private().truncate(false).open(&path).with_context(told)?;
        file.lock().with_context(told)?;
        Ok(file)
    }

    fn read(&self) -> anyhow::Result<BTreeMap<String, Saved>> {
        let path = self.directory.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(BTreeMap::new());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        // What serde says may quote a token.
        serde_json::from_str(&text).map_err(|_| {
            anyhow::anyhow!(
                "{} cannot be read; remove it and log in again",
                path.display()
            )
        })
    }
}

/// A server is known by its origin.
fn key(server: &Url) -> String {
    server.origin().ascii_serialization()
}

/// Writes a text that only this user may read, whole or not at all; makes its directory.
///
/// # Errors
///
/// If it cannot be written.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let told = || format!("cannot write {}", path.display());
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    make_private(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory).with_context(told)?;
    writeln!(file, "{text}").with_context(told)?;
    file.as_file().sync_all().with_context(told)?;
    file.persist(path).with_context(told)?;
    Ok(())
}

fn make_private(directory: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("cannot make {}", directory.display()))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn login(access: &str) -> Login {
        Login {
            email: "ana@example.com".to_owned(),
            access: access.into(),
            refresh: "refresh".into(),
        }
    }

    #[test]
    fn a_log_in_is_kept_per_server_in_a_file_of_its_owner_alone() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let logins = Logins {
            directory: parent.path().join("tokenfleet"),
        };
        let [one, other] = ["http://127.0.0.1:8000/x", "https://fleet.example.com"]
            .map(|url| Url::parse(url).expect("an address"));
        let access = |url: &Url| {
            let login = logins.at(url).expect("it can be read")?;
            Some(login.access.expose_secret().to_owned())
        };

        logins.keep(&one, Some(&login("a"))).expect("written");
        logins.keep(&other, Some(&login("b"))).expect("written");
        logins.keep(&one, Some(&login("c"))).expect("written");

        assert_eq!(access(&one), Some("c".to_owned()));
        assert_eq!(access(&other), Some("b".to_owned()));
        let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode(&logins.directory.join(FILE)) & 0o777, 0o600);
        assert_eq!(mode(&logins.directory) & 0o777, 0o700);
        logins.keep(&one, None).expect("written");
        assert_eq!(access(&one), None);
    }
}
