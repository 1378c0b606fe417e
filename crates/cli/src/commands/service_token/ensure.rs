//! `service-token ensure`: a new token in a file before the old one ends (S3.7).

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use client::{ClientError, FixedToken};
use domain::{Clock as _, SystemClock};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{By, create, told};
use crate::commands::token::inspect;
use crate::output::{note, say};

/// A file that holds a service token, or nothing yet.
pub(super) struct TokenFile {
    path: PathBuf,
    token: Option<Held>,
}

struct Held {
    text: SecretString,
    /// `None` is eternal.
    days_left: Option<i64>,
}

impl TokenFile {
    /// Reads it. A file that holds something else is somebody's, and is not overwritten.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or holds something else.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let token = match std::fs::read_to_string(path) {
            Ok(text) => held(text.trim())
                .with_context(|| format!("{} holds something else than a token", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let path = path.to_owned();
        Ok(Self { path, token })
    }

    /// Replaces what is in it: completely, or not at all.
    fn write(&self, token: &str) -> anyhow::Result<()> {
        let told = || self.told();
        // Made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(self.directory()).with_context(told)?;
        writeln!(file, "{token}").with_context(told)?;
        file.as_file().sync_all().with_context(told)?;
        file.persist(&self.path).with_context(told)?;
        Ok(())
    }

    fn directory(&self) -> &Path {
        let parent = self.path.parent();
        parent
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
    }

    fn told(&self) -> String {
        format!("cannot write {}", self.path.display())
    }
}

/// The token in a text; `None` if it is empty.
fn held(text: &str) -> anyhow::Result<Option<Held>> {
    if text.is_empty() {
        return Ok(None);
    }
    let Some(seen) = inspect(text, SystemClock.now()) else {
        bail!("it is no JSON Web Token");
    };
    Ok(Some(Held {
        text: text.into(),
        days_left: seen["days_left"].as_i64(),
    }))
}

/// Leaves the token where it is, if it lives long enough and the server takes it; else makes
/// a new one. The old one lives on to its end, for those who have read it already.
pub(super) async fn run(by: By, wanted: &Value, path: &Path, min_days: u32) -> anyhow::Result<()> {
    let file = TokenFile::read(path)?;
    let is_long = |held: &&Held| held.days_left.is_none_or(|days| days >= min_days.into());
    if let Some(held) = file.token.as_ref().filter(is_long)
        && is_taken(&by.target.server, held).await
    {
        answer(by.json, path, (false, held.days_left), "lives long enough");
        return Ok(());
    }
    // Before anything is made: a token that cannot be kept is lost.
    tempfile::tempfile_in(file.directory()).with_context(|| file.told())?;
    let json = by.json;
    let made = by.act(async |remote| create(remote, wanted).await).await?;
    let token = made["token"].as_str();
    let token = token.context("the server's answer holds no token")?;
    file.write(token)
        .with_context(|| told(&made) + " and could not be kept: revoke it")?;
    let days_left = held(token)?.and_then(|held| held.days_left);
    answer(json, path, (true, days_left), &told(&made));
    Ok(())
}

/// Whether the server takes it. One that does not answer is not asked for another one.
async fn is_taken(server: &client::Server, held: &Held) -> bool {
    let me = server.client(FixedToken(held.text.clone())).me().await;
    match me {
        Err(ClientError::Refused(problem)) if problem.status == 401 => false,
        Err(error) => {
            note(format_args!("could not ask whether it is revoked: {error}"));
            true
        }
        Ok(_) => true,
    }
}

fn answer(json: bool, path: &Path, (renewed, days_left): (bool, Option<i64>), why: &str) {
    if json {
        say(json!({ "file": path, "renewed": renewed, "days_left": days_left }));
        return;
    }
    let what = if renewed {
        "has a new token"
    } else {
        "is left as it is"
    };
    say(format_args!("{} {what}: {why}", path.display()));
}
