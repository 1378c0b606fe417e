//! `tokenfleet channel`: grants, and refreshing them.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::args::Global;
use crate::client::{Client, ServerArgs, minutes};
use crate::table::Column;

const EXAMPLES: &str = "\
Examples:
  tokenfleet channel import acme --provider tiktok --name \"Acme on TikTok\" --credentials grant.json
  tokenfleet channel import acme --provider facturify --name Facturas --credentials - <<< \\
      '{\"api_key\": \"…\", \"api_secret\": \"…\"}'
  tokenfleet channel list acme --state needs_reauth
  tokenfleet channel refresh acme channel_123
  tokenfleet channel refresh acme                 all that need it
  tokenfleet channel refresh acme channel_123 --later 30m";

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("PROVIDER", "provider"),
    ("NAME", "display_name"),
    ("STATE", "state"),
    ("REASON", "reason"),
    ("EXPIRES", "expires_at"),
    ("DUE", "refresh_due_at"),
    ("GEN", "generation"),
];
const ATTEMPTS: &[Column] = &[
    ("STARTED", "started_at"),
    ("JOB", "job_id"),
    ("TRY", "attempt"),
    ("OUTCOME", "outcome"),
    ("REASON", "details.reason"),
    ("CODE", "details.provider_code"),
    ("MS", "duration_ms"),
];
const EXPIRING: &[Column] = &[
    ("ID", "channel_id"),
    ("PROVIDER", "channel_type"),
    ("NAME", "display_name"),
    ("EXPIRES", "expires_at"),
    ("MINUTES", "minutes_until_expiration"),
    ("REFRESHABLE", "has_refresh_token"),
];

/// What to do with channels.
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
    /// Import a grant
    Import(Import),
    /// List channels
    List(List),
    /// List channels whose token ends soon
    Expiring {
        /// The tenant
        tenant: String,
        /// How soon [default: the tenant's schedule, else 60]
        #[arg(long, value_name = "MINUTES", value_parser = minutes)]
        within: Option<u64>,
    },
    /// Show one channel
    Show(Which),
    /// Refresh one channel, or all of a tenant that need it
    Refresh {
        /// The tenant
        tenant: String,
        /// The channels [default: all that need it]
        channels: Vec<String>,
        /// Seconds to wait for the result, 0 to 60
        #[arg(long, default_value_t = 30, value_name = "SECONDS")]
        wait: u32,
        /// Not now but in so long; one channel only
        #[arg(long, value_name = "MINUTES", value_parser = minutes)]
        later: Option<u64>,
    },
    /// Stop keeping it fresh
    Pause(Which),
    /// Keep it fresh again
    Resume(Which),
    /// Its history, newest first
    Attempts {
        #[command(flatten)]
        which: Which,
        /// Most attempts
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Delete it with its credentials
    Delete {
        #[command(flatten)]
        which: Which,
        /// Its credentials may go
        #[arg(long, required = true)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The tenant
    tenant: String,
    /// The channel
    channel: String,
}

#[derive(Debug, clap::Args)]
struct List {
    /// The tenant
    tenant: String,
    /// Only in this state
    #[arg(long)]
    state: Option<String>,
    /// Only of this provider
    #[arg(long)]
    provider: Option<String>,
    /// Only those whose token ends within this time
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    expiring_within: Option<u64>,
    /// Most channels
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

#[derive(Debug, clap::Args)]
struct Import {
    /// The tenant
    tenant: String,
    /// Its id [default: made up]
    #[arg(long)]
    id: Option<String>,
    /// facebook, tiktok, facturify, …
    #[arg(long)]
    provider: String,
    /// What people call it
    #[arg(long)]
    name: String,
    /// What your own system calls it
    #[arg(long)]
    local_name: Option<String>,
    /// JSON file with the credentials; - reads standard input, so that none is in a command line
    #[arg(long, value_name = "FILE")]
    credentials: PathBuf,
}

/// Works on channels.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let client = Client::new(global, &args.server)?;
    match args.action {
        Action::Import(new) => import(&client, new).await?,
        Action::List(list) => list.run(&client).await?,
        Action::Expiring { tenant, within } => {
            let query = [("refresh_before_minutes", within.map(|m| m.to_string()))];
            let path = ["tenants", &tenant, "channels", "needing-refresh"];
            let answer = client.get(&path, &query).await?;
            let found = answer["channels"].as_array();
            client.show_all(found.map_or(&[], Vec::as_slice), EXPIRING)?;
        }
        Action::Show(which) => client.show(&client.get(&which.path(), &[]).await?)?,
        Action::Refresh {
            tenant,
            channels,
            wait,
            later,
        } => return refresh(&client, &tenant, &channels, (wait, later)).await,
        Action::Pause(which) => patch(&client, &which, true).await?,
        Action::Resume(which) => patch(&client, &which, false).await?,
        Action::Attempts { which, limit } => {
            let path = [
                "tenants",
                &which.tenant,
                "channels",
                &which.channel,
                "attempts",
            ];
            client.list(&path, &[], limit, ATTEMPTS).await?;
        }
        Action::Delete { which, .. } => {
            let path = which.path();
            let answer = client.call(Method::DELETE, &path, &[], None).await?;
            client.tell(&answer, &format!("{} is deleted", which.channel))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl List {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let within = self.expiring_within.map(|minutes| minutes.to_string());
        let filters = [
            ("state", self.state),
            ("provider", self.provider),
            ("expiring_within_minutes", within),
        ];
        let path = ["tenants", &self.tenant, "channels"];
        client.list(&path, &filters, self.limit, COLUMNS).await
    }
}

impl Which {
    fn path(&self) -> [&str; 4] {
        ["tenants", &self.tenant, "channels", &self.channel]
    }
}

async fn import(client: &Client, new: Import) -> anyhow::Result<()> {
    let mut body = json!({
        "provider": new.provider,
        "display_name": new.name,
        "credentials": credentials(&new.credentials)?,
    });
    for (field, value) in [("id", new.id), ("local_name", new.local_name)] {
        if let Some(value) = value {
            body[field] = value.into();
        }
    }
    let path = ["tenants", &new.tenant, "channels"];
    let made = client.call(Method::POST, &path, &[], Some(&body)).await?;
    client.show(&made)
}

fn credentials(file: &Path) -> anyhow::Result<Value> {
    let told = || format!("cannot read the credentials in {}", file.display());
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file).with_context(told)?;
    }
    // The parser's own message may quote what it read.
    serde_json::from_str(&text).map_err(|error| {
        anyhow::anyhow!(
            "{}: no JSON at line {}, column {}",
            told(),
            error.line(),
            error.column()
        )
    })
}

/// Exit code 1 if a refresh ended without fresh credentials.
async fn refresh(
    client: &Client,
    tenant: &str,
    channels: &[String],
    (wait, later): (u32, Option<u64>),
) -> anyhow::Result<ExitCode> {
    let wait = [("wait", Some(wait.to_string()))];
    let answer = match (channels, later) {
        ([channel], Some(minutes)) => {
            let path = [
                "tenants", tenant, "channels", channel, "refresh", "schedule",
            ];
            let body = json!({ "delay_minutes": minutes });
            client.call(Method::POST, &path, &[], Some(&body)).await?
        }
        (_, Some(_)) => anyhow::bail!("--later takes exactly one channel"),
        ([channel], None) => {
            let path = ["tenants", tenant, "channels", channel, "refresh"];
            client.call(Method::POST, &path, &wait, None).await?
        }
        (channels, None) => {
            let path = ["tenants", tenant, "channels", "refresh"];
            let body = match channels {
                [] => json!({}),
                some => json!({ "channel_ids": some }),
            };
            client.call(Method::POST, &path, &wait, Some(&body)).await?
        }
    };
    client.show(&answer)?;
    let failed = answer["success"] == json!(false) || answer["failed"].as_u64() > Some(0);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn patch(client: &Client, which: &Which, paused: bool) -> anyhow::Result<()> {
    let body = json!({ "paused": paused });
    let path = which.path();
    let changed = client.call(Method::PATCH, &path, &[], Some(&body)).await?;
    client.show(&changed)
}
