//! `tokenfleet stats`: job counts and refresh statistics.

use std::process::ExitCode;

use serde_json::json;

use crate::args::Global;
use crate::client::{Client, ServerArgs};

const EXAMPLES: &str = "\
Examples:
  tokenfleet stats            jobs of all tenants
  tokenfleet stats acme       jobs and channels of one
  tokenfleet stats acme --json";

/// Of whom.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// The tenant [default: jobs of all tenants]
    tenant: Option<String>,
}

/// Shows the figures.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let client = Client::new(global, &args.server)?;
    let figures = match &args.tenant {
        None => json!({ "jobs": client.get(&["jobs", "status"], &[]).await? }),
        Some(tenant) => {
            let jobs = client
                .get(&["tenants", tenant, "jobs", "status"], &[])
                .await?;
            let path = ["tenants", tenant, "refresh", "statistics"];
            let mut refresh = client.get(&path, &[]).await?;
            json!({ "jobs": jobs, "refresh": refresh["statistics"].take() })
        }
    };
    client.show(&figures)?;
    Ok(ExitCode::SUCCESS)
}
