//! Where log-ins are kept: a file per server in the user's configuration directory.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::Context as _;
use client::{FileStorage, SessionStorage as _};

/// The directory of this user's log-ins.
#[derive(Clone, Debug)]
pub(crate) struct Logins {
    directory: PathBuf,
}

impl Logins {
    /// Those of the user who runs this process; `None` if there is no home directory.
    pub(crate) fn of_user() -> Option<Self> {
        let directory = config::user_directory()?;
        Some(Self { directory })
    }

    /// The place of the log-in at a server, which may be empty.
    pub(crate) fn at(&self, server: &str) -> FileStorage {
        let name: String = server
            .trim_end_matches('/')
            .chars()
            .map(|letter| match letter {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => letter,
                _ => '_',
            })
            .collect();
        FileStorage::new(self.directory.join(format!("login-{name}.json")))
    }

    /// The place of the log-in at a server, if there is one.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub(crate) fn living_at(&self, server: &str) -> anyhow::Result<Option<FileStorage>> {
        let storage = self.at(server);
        // Two addresses may have one file name; a token is for one server.
        let saved = storage.load().context("the saved log-in cannot be used")?;
        let ours = saved.is_some_and(|login| login.server == server.trim_end_matches('/'));
        Ok(ours.then_some(storage))
    }

    /// The server of the last log-in.
    ///
    /// # Errors
    ///
    /// If the file is there and cannot be read.
    pub(crate) fn last(&self) -> anyhow::Result<Option<String>> {
        let path = self.last_file();
        match std::fs::read_to_string(&path) {
            Ok(server) => Ok(Some(server.trim().to_owned()).filter(|it| !it.is_empty())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Remembers the server of the last log-in; `None` forgets it.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(crate) fn remember(&self, server: Option<&str>) -> anyhow::Result<()> {
        let path = self.last_file();
        let text = server.map_or_else(String::new, |server| format!("{server}\n"));
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn last_file(&self) -> PathBuf {
        self.directory.join("server")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_file_of_its_own() {
        let logins = Logins {
            directory: PathBuf::from("/c"),
        };

        let path = |server: &str| logins.at(server).path().display().to_string();

        assert_eq!(
            path("https://tokens.example.com/"),
            "/c/login-https___tokens.example.com.json"
        );
        assert_eq!(
            path("http://127.0.0.1:8000"),
            "/c/login-http___127.0.0.1_8000.json"
        );
    }
}
