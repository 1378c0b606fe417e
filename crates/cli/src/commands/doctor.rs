//! `tokenfleet doctor`: looks for what is wrong, and says how to fix it.

mod breakers;
mod clocks;
mod database;
mod escrow;
mod keys;
mod providers;
mod queues;
mod redis;

use std::path::Path;
use std::process::ExitCode;

use ::config::Loaded;
use serde::Serialize;
use serde_json::json;

use crate::args::Global;
use crate::output::say;
use crate::table::table;

const EXAMPLES: &str = "\
It changes nothing. It looks at the settings, the data directory, answers in escrow, the database,
Redis, the queues, breakers, the master keys, the providers and the clocks. Exit code 1 if something
was found.

Examples:
  tokenfleet doctor
  tokenfleet doctor --json";

/// How the doctor reports.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// For programs
    #[arg(long)]
    json: bool,
}

/// What was looked at, and what was found.
#[derive(Debug, Serialize)]
struct Finding {
    /// The part.
    part: &'static str,
    /// Whether it is as it should be.
    ok: bool,
    /// What it is like.
    found: String,
    /// What to do about it; `None` if nothing is to be done.
    fix: Option<String>,
}

impl Finding {
    fn good(part: &'static str, found: impl Into<String>) -> Self {
        Self {
            part,
            ok: true,
            found: found.into(),
            fix: None,
        }
    }

    fn bad(part: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            part,
            ok: false,
            found: found.into(),
            fix: Some(fix.into()),
        }
    }
}

/// Looks at everything.
///
/// # Errors
///
/// Never for what it finds: a finding is its result.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let findings = match global.load(Vec::new()) {
        Ok(loaded) => examine(&loaded).await,
        Err(error) => vec![Finding::bad(
            "settings",
            format!("{error:#}"),
            "correct it; docs/settings.md lists all settings",
        )],
    };
    let healthy = findings.iter().all(|finding| finding.ok);
    if args.json {
        let report = json!({ "ok": healthy, "findings": findings });
        say(serde_json::to_string_pretty(&report)?);
    } else {
        say(table(
            &["PART", "", "FOUND", "FIX"],
            findings.iter().map(row),
        ));
    }
    Ok(if healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn examine(loaded: &Loaded) -> Vec<Finding> {
    let mut findings = settings(loaded);
    findings.push(data_dir(&loaded.settings.data_dir));
    findings.extend(escrow::examine(&loaded.settings.data_dir));
    let (store, of_database) = database::examine(loaded).await;
    findings.extend(of_database);
    let (redis, of_redis) = redis::examine(loaded).await;
    findings.extend(of_redis);
    findings.extend(breakers::examine(loaded).await);
    findings.push(keys::examine(loaded, store.as_ref()).await);
    findings.extend(providers::examine(loaded).await);
    findings.extend(clocks::examine(store.as_ref(), redis).await);
    if let Some(store) = store {
        store.close().await;
    }
    findings
}

fn settings(loaded: &Loaded) -> Vec<Finding> {
    if loaded.warnings.is_empty() {
        return vec![Finding::good("settings", "consistent")];
    }
    let warning =
        |warning: &String| Finding::bad("settings", warning, "see `tokenfleet config check`");
    loaded.warnings.iter().map(warning).collect()
}

/// Looks at the directory without making it.
fn data_dir(path: &Path) -> Finding {
    use std::os::unix::fs::PermissionsExt as _;
    const PART: &str = "data directory";
    let told = path.display();
    let meta = match path.metadata() {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::good(PART, format!("{told} is not there yet; `up` makes it"));
        }
        Err(error) => {
            return Finding::bad(
                PART,
                format!("{told}: {error}"),
                "choose another with TOKENFLEET_DATA_DIR",
            );
        }
    };
    if let Err(error) = tempfile::tempfile_in(path) {
        return Finding::bad(
            PART,
            format!("{told} cannot be written: {error}"),
            "give it to the user that runs tokenfleet, or set TOKENFLEET_DATA_DIR",
        );
    }
    if meta.permissions().mode() & 0o077 != 0 {
        return Finding::bad(
            PART,
            format!("{told} is open to other users, and keys lie in it"),
            format!("chmod 700 {told}"),
        );
    }
    Finding::good(PART, format!("{told} is private and can be written"))
}

fn row(finding: &Finding) -> Vec<String> {
    vec![
        finding.part.to_owned(),
        if finding.ok { "ok" } else { "LOOK" }.to_owned(),
        finding.found.clone(),
        finding.fix.clone().unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_data_directory_that_others_can_read_is_found() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let open = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(dir.path(), mode).expect("it is ours");
        };

        open(0o755);
        let found = data_dir(dir.path());
        open(0o700);
        let fine = data_dir(dir.path());

        assert!(!found.ok && found.fix.is_some_and(|fix| fix.starts_with("chmod 700")));
        assert!(fine.ok);
    }
}
