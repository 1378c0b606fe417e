//! `tokenfleet config check`: the effective settings and where they came from.

use std::process::ExitCode;

use clap::Subcommand;
use config::Effective;
use serde_json::json;

use crate::args::Global;
use crate::output::{note, say};
use crate::parts;
use crate::table::table;

const EXAMPLES: &str = "\
Examples:
  tokenfleet config check            what is set, and by whom; secrets are hidden
  tokenfleet config check --all      also what is not set
  tokenfleet config check --json";

/// What to do with the settings.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Load the settings as every command does, and show them
    #[command(after_help = EXAMPLES)]
    Check {
        /// Also settings that are not set
        #[arg(long)]
        all: bool,
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

/// Shows the settings.
///
/// # Errors
///
/// One message about the setting that is wrong.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let Action::Check { all, json } = args.action;
    let loaded = global.load(Vec::new())?;
    // The catalogue of generic providers is known only there.
    parts::open_providers(&loaded)?;
    if json {
        let report = json!({ "settings": loaded.effective, "warnings": loaded.warnings });
        say(serde_json::to_string_pretty(&report)?);
        return Ok(ExitCode::SUCCESS);
    }
    let rows = loaded
        .effective
        .iter()
        .filter(|line| all || line.source.is_some())
        .map(row);
    say(table(&["SETTING", "VALUE", "SOURCE", "VARIABLE"], rows));
    for warning in &loaded.warnings {
        note(format_args!("warning: {warning}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(line: &Effective) -> Vec<String> {
    vec![
        line.key.clone(),
        line.value.clone(),
        line.source.clone().unwrap_or_default(),
        line.variable.clone(),
    ]
}
