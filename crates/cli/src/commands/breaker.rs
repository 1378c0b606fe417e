//! `tokenfleet breaker`: the providers' apps that the fleet calls, and which it leaves alone.

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;

use crate::args::Global;
use crate::remote::{Remote, ServerArgs};
use crate::table::Column;

const EXAMPLES: &str = "\
While a provider is in trouble its breaker is open: jobs wait, tokens that live are served.

Examples:
  tokenfleet breaker list
  tokenfleet breaker reset 0a1b2c3d       close it at once, and forget what was seen";

const COLUMNS: &[Column] = &[
    ("APP", "app_identity"),
    ("FINGERPRINT", "fingerprint"),
    ("STATE", "state"),
    ("UNTIL", "until"),
    ("WHY", "incident.why"),
    ("SAMPLE", "incident.sample"),
    ("PER SECOND", "per_second"),
    ("USAGE %", "usage"),
    ("HEARD OF", "told_at"),
];

/// What to do with breakers.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the apps that the fleet called within the last week
    List,
    /// Close a breaker at once
    Reset {
        /// As `list` shows it
        fingerprint: String,
    },
}

/// Works on breakers.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let server = Remote::new(global, &args.server)?;
    match args.action {
        Action::List => server.list(&["breakers"], &[], u32::MAX, COLUMNS).await?,
        Action::Reset { fingerprint } => {
            let path = ["breakers", &fingerprint];
            let answer = server.call(Method::DELETE, &path, &[], None).await?;
            server.tell(&answer, &format!("{fingerprint} is closed"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
