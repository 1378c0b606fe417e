//! `tokenfleet stats`: job counts and refresh statistics.

use std::process::ExitCode;

use serde_json::json;

use crate::args::Global;
use crate::remote::{Remote, ServerArgs};

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
    let server = Remote::new(global, &args.server)?;
    let figures = match &args.tenant {
        None => json!({ "jobs": server.get(&["jobs", "status"], &[]).await? }),
        Some(tenant) => {
            let jobs = server
                .get(&["tenants", tenant, "jobs", "status"], &[])
                .await?;
            let path = ["tenants", tenant, "refresh", "statistics"];
            let mut refresh = server.get(&path, &[]).await?;
            json!({ "jobs": jobs, "refresh": refresh["statistics"].take() })
        }
    };
    server.show(&figures)?;
    Ok(ExitCode::SUCCESS)
}
