//! `tokenfleet schedule`: a tenant's recurring refresh.

use std::process::ExitCode;

use clap::Subcommand;
use domain::Misfire;
use reqwest::Method;
use serde_json::json;

use crate::args::Global;
use crate::remote::{Remote, ServerArgs, minutes};

const EXAMPLES: &str = "\
Examples:
  tokenfleet schedule set acme --every 2h
  tokenfleet schedule set acme --every 120 --refresh-before 60
  tokenfleet schedule set acme --every 1d --misfire skip
  tokenfleet schedule cancel acme";

/// What to do with a schedule.
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
    /// Make it, or change it
    Set {
        /// The tenant
        tenant: String,
        /// Time between two runs, 1m to 30d
        #[arg(long, value_name = "MINUTES", value_parser = minutes)]
        every: u64,
        /// How far ahead each run looks
        #[arg(long, value_name = "MINUTES", value_parser = minutes)]
        refresh_before: Option<u64>,
        /// What becomes of a run that comes more than a minute late: `once` makes up for all
        /// that were missed, `skip` waits for the next
        #[arg(long, value_name = "POLICY", default_value = "once")]
        misfire: Misfire,
    },
    /// Show it
    Show {
        /// The tenant
        tenant: String,
    },
    /// Cancel it
    Cancel {
        /// The tenant
        tenant: String,
    },
}

/// Works on a schedule.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let server = Remote::new(global, &args.server)?;
    let answer = match &args.action {
        Action::Set {
            tenant,
            every,
            refresh_before,
            misfire,
        } => {
            let mut body = json!({ "interval_minutes": every, "misfire": misfire });
            if let Some(minutes) = refresh_before {
                body["refresh_before_minutes"] = (*minutes).into();
            }
            let path = ["tenants", tenant, "schedule"];
            server.call(Method::PUT, &path, &[], Some(&body)).await?
        }
        Action::Show { tenant } => server.get(&["tenants", tenant, "schedule"], &[]).await?,
        Action::Cancel { tenant } => {
            let path = ["tenants", tenant, "schedule"];
            server.call(Method::DELETE, &path, &[], None).await?
        }
    };
    server.show(&answer)?;
    Ok(ExitCode::SUCCESS)
}
