//! `tokenfleet job`: units of queued work.

mod watch;

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::args::Global;
use crate::remote::{Remote, ServerArgs};
use crate::table::Column;

const EXAMPLES: &str = "\
Examples:
  tokenfleet job list                        of all tenants
  tokenfleet job list acme --state failed
  tokenfleet job show JOB                    with its attempts
  tokenfleet job retry JOB
  tokenfleet job retry --tenant acme --dry-run             how many failed ones there are
  tokenfleet job cancel --tenant acme --filter state=delayed --filter channel=page_7
  tokenfleet job retry --all-tenants --filter queue=refresh:tiktok --dry-run
  tokenfleet job watch acme                  what happens, as it happens
  tokenfleet job watch --queue refresh:tiktok --json       an object a line";

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
        /// Only in this queue [default: all but webhook]
        #[arg(long)]
        queue: Option<String>,
        /// Most jobs
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show a job with its attempts
    Show {
        /// Its id
        job: String,
    },
    /// Show what happens to jobs, as it happens
    Watch(watch::Args),
    /// Run failed jobs again
    Retry(Which),
    /// Cancel jobs; one that has sent its request still stores the answer
    Cancel(Which),
    /// Run delayed jobs now, or as early as their provider allows
    Promote(Which),
}

/// One job, or all that match, of a tenant or of all.
#[derive(Debug, clap::Args)]
#[group(id = "which", required = true, args = ["job", "tenant", "all_tenants"])]
struct Which {
    /// Its id
    job: Option<String>,
    /// All that match, of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// All that match, of all tenants
    #[arg(long, requires = "sure")]
    all_tenants: bool,
    /// Only these: state=…, channel=… or queue=…
    #[arg(long, value_name = "FIELD=VALUE", value_parser = filter, conflicts_with = "job")]
    filter: Vec<(String, String)>,
    /// Only count them
    #[arg(long, group = "sure", conflicts_with = "job")]
    dry_run: bool,
    /// Yes, those of all tenants
    #[arg(long, group = "sure", conflicts_with_all = ["job", "tenant", "dry_run"])]
    yes: bool,
}

fn filter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field @ ("state" | "channel" | "queue"), value)) if !value.is_empty() => {
            Ok((field.to_owned(), value.to_owned()))
        }
        _ => Err("must be state=…, channel=… or queue=…".to_owned()),
    }
}

/// Works on jobs.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let server = Remote::new(global, &args.server)?;
    match args.action {
        Action::List {
            tenant,
            state,
            channel,
            queue,
            limit,
        } => {
            let path = match &tenant {
                Some(tenant) => vec!["tenants", tenant, "jobs"],
                None => vec!["jobs"],
            };
            let filters = [("state", state), ("channel", channel), ("queue", queue)];
            server.list(&path, &filters, limit, COLUMNS).await?;
        }
        Action::Show { job } => server.show(&server.get(&["jobs", &job], &[]).await?)?,
        Action::Watch(watch) => watch.run(&server).await?,
        Action::Retry(which) => change(&server, which, (Method::POST, "retry")).await?,
        Action::Cancel(which) => change(&server, which, (Method::DELETE, "cancel")).await?,
        Action::Promote(which) => change(&server, which, (Method::POST, "promote")).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Changes one job, or call by call all that match.
async fn change(server: &Remote, which: Which, how: (Method, &str)) -> anyhow::Result<()> {
    let (method, verb) = how;
    if let Some(job) = &which.job {
        let path = match method {
            Method::DELETE => vec!["jobs", job],
            _ => vec!["jobs", job, verb],
        };
        return server.show(&server.call(method, &path, &[], None).await?);
    }
    let path = match &which.tenant {
        Some(tenant) => vec!["tenants", tenant, "jobs", verb],
        None => vec!["jobs", verb],
    };
    let mut body = json!({ "dry_run": which.dry_run });
    for (field, value) in &which.filter {
        body[field] = value.as_str().into();
    }
    let mut sums = [("matched", 0), ("changed", 0), ("refused", 0)];
    let mut cursor = [("cursor", None)];
    loop {
        let answer = server.call(Method::POST, &path, &cursor, Some(&body));
        let answer = answer.await?;
        for (field, sum) in &mut sums {
            *sum += answer[*field].as_u64().unwrap_or_default();
        }
        match answer["next_cursor"].as_str() {
            Some(next) => cursor[0].1 = Some(next.to_owned()),
            None => break,
        }
    }
    let sums = sums
        .into_iter()
        .map(|(field, sum)| (field.to_owned(), sum.into()));
    let mut shown: Map<String, Value> = sums.collect();
    shown.insert("dry_run".to_owned(), which.dry_run.into());
    server.show(&Value::Object(shown))
}
