//! `tokenfleet queue`: what stands in the queues, and what they may give out.

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::args::Global;
use crate::remote::{Remote, ServerArgs};
use crate::table::Column;

const EXAMPLES: &str = "\
Limits hold for the whole fleet, outlast restarts, and bind nobody but the queue or tenant they name.

Examples:
  tokenfleet queue list
  tokenfleet queue pause refresh:tiktok
  tokenfleet queue pause refresh:tiktok --tenant acme
  tokenfleet queue limit refresh:tiktok --rate 600/60 --burst 20
  tokenfleet queue limit refresh:tiktok --tenant acme --at-once 2 --weight 3
  tokenfleet queue purge refresh:tiktok --filter state=failed --dry-run
  tokenfleet queue purge refresh:tiktok --tenant acme --yes
  tokenfleet queue heal refresh:tiktok";

const COLUMNS: &[Column] = &[
    ("QUEUE", "queue"),
    ("WAITING", "waiting"),
    ("DELAYED", "delayed"),
    ("ACTIVE", "active"),
    ("LIMITED TENANTS", "limited_tenants"),
];

/// What to do with queues.
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
    /// List all queues
    List,
    /// Show a queue with its limits, or the limits of a tenant in it
    Show(Whose),
    /// Stop claims; what runs goes on
    Pause(Whose),
    /// Allow claims again
    Resume(Whose),
    /// Set limits; what is not named stays
    Limit {
        #[command(flatten)]
        whose: Whose,
        /// Share of the tenant beside the others
        #[arg(long, requires = "tenant")]
        weight: Option<u32>,
        /// Jobs at once, 0 for any number
        #[arg(long)]
        at_once: Option<u32>,
        /// Jobs per seconds, such as 600/60; 0 for any number
        #[arg(long, value_name = "JOBS/SECONDS", value_parser = rate)]
        rate: Option<(u32, u32)>,
        /// Jobs that may begin at once after a rest
        #[arg(long, requires = "rate")]
        burst: Option<u32>,
    },
    /// Remove jobs without a trace; what is due comes back with a later sweep
    Purge {
        #[command(flatten)]
        whose: Whose,
        /// Only these: state=…
        #[arg(long, value_name = "FIELD=VALUE", value_parser = state)]
        filter: Option<String>,
        /// Only count them
        #[arg(long)]
        dry_run: bool,
        /// They may go
        #[arg(long, required_unless_present = "dry_run", conflicts_with = "dry_run")]
        yes: bool,
    },
    /// Put jobs back that stand nowhere, and drop what is retained too long
    Heal {
        /// Such as refresh:tiktok
        queue: String,
    },
}

/// A queue, or a tenant in it.
#[derive(Debug, clap::Args)]
struct Whose {
    /// Such as refresh:tiktok
    queue: String,
    /// Only this tenant
    #[arg(long)]
    tenant: Option<String>,
}

impl Whose {
    fn limits(&self) -> Vec<&str> {
        match &self.tenant {
            Some(tenant) => vec!["queues", &self.queue, "tenants", tenant, "limits"],
            None => vec!["queues", &self.queue, "limits"],
        }
    }
}

fn state(text: &str) -> Result<String, String> {
    let value = text.strip_prefix("state=").filter(|it| !it.is_empty());
    value
        .map(str::to_owned)
        .ok_or_else(|| "must be state=…".to_owned())
}

fn rate(text: &str) -> Result<(u32, u32), String> {
    let parse = || match text.split_once('/') {
        Some((jobs, seconds)) => Some((jobs.parse().ok()?, seconds.parse().ok()?)),
        None if text == "0" => Some((0, 0)),
        None => None,
    };
    parse().ok_or_else(|| "must be JOBS/SECONDS, such as 600/60, or 0".to_owned())
}

/// Works on queues.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let server = Remote::new(global, &args.server)?;
    let (whose, change) = match args.action {
        Action::List => {
            server.list(&["queues"], &[], u32::MAX, COLUMNS).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Action::Heal { queue } => {
            let path = ["queues", &queue, "heal"];
            server.show(&server.call(Method::POST, &path, &[], None).await?)?;
            return Ok(ExitCode::SUCCESS);
        }
        Action::Purge {
            whose,
            filter,
            dry_run,
            yes: _,
        } => {
            purge(&server, &whose, filter, dry_run).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Action::Show(whose) => {
            let path = match &whose.tenant {
                Some(_) => whose.limits(),
                None => vec!["queues", &whose.queue],
            };
            server.show(&server.get(&path, &[]).await?)?;
            return Ok(ExitCode::SUCCESS);
        }
        Action::Pause(whose) => (whose, json!({ "paused": true })),
        Action::Resume(whose) => (whose, json!({ "paused": false })),
        Action::Limit {
            whose,
            weight,
            at_once,
            rate,
            burst,
        } => (whose, limits(weight, at_once, rate, burst)),
    };
    let answer = server
        .call(Method::PATCH, &whose.limits(), &[], Some(&change))
        .await?;
    server.show(&answer)?;
    Ok(ExitCode::SUCCESS)
}

/// Removes call by call what matches.
async fn purge(
    server: &Remote,
    whose: &Whose,
    state: Option<String>,
    is_dry_run: bool,
) -> anyhow::Result<()> {
    let mut body = json!({ "dry_run": is_dry_run });
    for (field, value) in [("state", state), ("tenant_id", whose.tenant.clone())] {
        if let Some(value) = value {
            body[field] = value.into();
        }
    }
    let path = ["queues", &whose.queue, "purge"];
    let mut removed = 0;
    loop {
        let answer = server.call(Method::POST, &path, &[], Some(&body)).await?;
        if is_dry_run {
            return server.show(&answer);
        }
        let of_call = answer["removed"].as_u64().unwrap_or_default();
        removed += of_call;
        // Running jobs match until they have ended: who only meets such stops.
        if of_call == 0 || answer["more"] != true {
            let running = &answer["running"];
            return server.show(&json!({ "removed": removed, "running": running }));
        }
    }
}

/// What the API takes; 0 lifts a limit.
fn limits(
    weight: Option<u32>,
    at_once: Option<u32>,
    rate: Option<(u32, u32)>,
    burst: Option<u32>,
) -> Value {
    let mut change = json!({});
    if let Some(weight) = weight {
        change["weight"] = weight.into();
    }
    if let Some(jobs) = at_once {
        change["at_once"] = (jobs > 0).then_some(jobs).into();
    }
    if let Some((jobs, seconds)) = rate {
        change["rate"] = match jobs {
            0 => Value::Null,
            _ => json!({ "jobs": jobs, "per_seconds": seconds, "burst": burst.unwrap_or(1) }),
        };
    }
    change
}
