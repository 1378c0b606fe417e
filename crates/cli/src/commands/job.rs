//! `tokenfleet job`: units of queued work.

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;

use crate::args::Global;
use crate::client::{Client, ServerArgs};
use crate::table::Column;

const EXAMPLES: &str = "\
Examples:
  tokenfleet job list                        of all tenants
  tokenfleet job list acme --state failed
  tokenfleet job show JOB                    with its attempts
  tokenfleet job retry JOB";

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("STATE", "state"),
    ("TENANT", "tenant_id"),
    ("CHANNEL", "channel_id"),
    ("TRY", "attempt"),
    ("OF", "max_attempts"),
    ("RUNS AT", "run_at"),
    ("FINISHED", "finished_at"),
    ("ERROR", "error"),
];

/// What to do with jobs.
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
    /// List jobs
    List {
        /// The tenant [default: all]
        tenant: Option<String>,
        /// waiting, delayed, active, completed, failed or cancelled
        #[arg(long)]
        state: Option<String>,
        /// Only of this channel
        #[arg(long, requires = "tenant")]
        channel: Option<String>,
        /// Most jobs
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show a job with its attempts
    Show {
        /// Its id
        job: String,
    },
    /// Run a failed job again
    Retry {
        /// Its id
        job: String,
    },
    /// Cancel a job; one that has sent its request still stores the answer
    Cancel {
        /// Its id
        job: String,
    },
}

/// Works on jobs.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let client = Client::new(global, &args.server)?;
    match args.action {
        Action::List {
            tenant,
            state,
            channel,
            limit,
        } => {
            let path = match &tenant {
                Some(tenant) => vec!["tenants", tenant, "jobs"],
                None => vec!["jobs"],
            };
            let filters = [("state", state), ("channel", channel)];
            client.list(&path, &filters, limit, COLUMNS).await?;
        }
        Action::Show { job } => client.show(&client.get(&["jobs", &job], &[]).await?)?,
        Action::Retry { job } => {
            let path = ["jobs", &job, "retry"];
            client.show(&client.call(Method::POST, &path, &[], None).await?)?;
        }
        Action::Cancel { job } => {
            let path = ["jobs", &job];
            client.show(&client.call(Method::DELETE, &path, &[], None).await?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
