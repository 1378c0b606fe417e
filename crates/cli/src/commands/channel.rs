//! `tokenfleet channel`: grants, and refreshing them.

mod connect;
mod import;

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use crate::args::Global;
use crate::remote::{Remote, ServerArgs, minutes};
use crate::table::Column;

const EXAMPLES: &str = "\
Examples:
  tokenfleet channel import acme --provider tiktok --name \"Acme on TikTok\" --credentials grant.json
  tokenfleet channel import acme --provider facturify --name Facturas --credentials - <<< \\
      '{\"api_key\": \"…\", \"api_secret\": \"…\"}'
  tokenfleet channel connect acme --provider tiktok --name \"Acme on TikTok\"
  tokenfleet channel list acme --state needs_reauth
  tokenfleet channel connect acme --channel channel_123
  tokenfleet channel refresh acme channel_123
  tokenfleet channel refresh acme                 all that need it
  tokenfleet channel refresh acme channel_123 --later 30m
  tokenfleet channel token acme channel_123 --min-ttl 300";

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
    ("CAUSE", "details.cause"),
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
    Import(import::Args),
    /// Make a link with which somebody connects an account, or a channel again
    Connect(connect::Args),
    /// Show the account that was connected again and waits for an owner's word, or give it
    Account(connect::Account),
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
    /// Print a token that works now
    Token {
        #[command(flatten)]
        which: Which,
        /// Seconds that it must live
        #[arg(long, default_value_t = 60, value_name = "SECONDS")]
        min_ttl: u32,
    },
    /// Say that the token of a generation does not work; it is refreshed once
    Report {
        #[command(flatten)]
        which: Which,
        /// As `token --json` shows it
        #[arg(long)]
        generation: i64,
    },
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

/// Works on channels.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let server = Remote::new(global, &args.server)?;
    match args.action {
        Action::Import(new) => new.run(&server).await?,
        Action::Connect(link) => link.run(&server).await?,
        Action::Account(account) => account.run(&server).await?,
        Action::List(list) => list.run(&server).await?,
        Action::Expiring { tenant, within } => {
            let query = [("refresh_before_minutes", within.map(|m| m.to_string()))];
            let path = ["tenants", &tenant, "channels", "needing-refresh"];
            let answer = server.get(&path, &query).await?;
            let found = answer["channels"].as_array();
            server.show_all(found.map_or(&[], Vec::as_slice), EXPIRING)?;
        }
        Action::Show(which) => server.show(&server.get(&which.path(), &[]).await?)?,
        Action::Refresh {
            tenant,
            channels,
            wait,
            later,
        } => return refresh(&server, &tenant, &channels, (wait, later)).await,
        Action::Pause(which) => patch(&server, &which, true).await?,
        Action::Resume(which) => patch(&server, &which, false).await?,
        Action::Token { which, min_ttl } => token(&server, &which, min_ttl).await?,
        Action::Report { which, generation } => {
            let path = [&which.path()[..], &["token", "report"]].concat();
            let body = json!({ "generation": generation });
            let answer = server.call(Method::POST, &path, &[], Some(&body)).await?;
            server.show(&answer)?;
        }
        Action::Attempts { which, limit } => {
            let path = [&which.path()[..], &["attempts"]].concat();
            server.list(&path, &[], limit, ATTEMPTS).await?;
        }
        Action::Delete { which, .. } => {
            let path = which.path();
            let answer = server.call(Method::DELETE, &path, &[], None).await?;
            server.tell(&answer, &format!("{} is deleted", which.channel))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl List {
    async fn run(self, server: &Remote) -> anyhow::Result<()> {
        let within = self.expiring_within.map(|minutes| minutes.to_string());
        let filters = [
            ("state", self.state),
            ("provider", self.provider),
            ("expiring_within_minutes", within),
        ];
        let path = ["tenants", &self.tenant, "channels"];
        server.list(&path, &filters, self.limit, COLUMNS).await
    }
}

impl Which {
    fn path(&self) -> [&str; 4] {
        ["tenants", &self.tenant, "channels", &self.channel]
    }
}

/// The token alone for people and scripts: `$(tokenfleet channel token acme shop)`.
async fn token(server: &Remote, which: &Which, min_ttl: u32) -> anyhow::Result<()> {
    let path = [&which.path()[..], &["token"]].concat();
    let query = [("min_ttl", Some(min_ttl.to_string()))];
    let token = server.get(&path, &query).await?;
    let text = token["access_token"].as_str().unwrap_or_default();
    server.tell(&token, text)
}

/// Exit code 1 if a refresh ended without fresh credentials.
async fn refresh(
    server: &Remote,
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
            server.call(Method::POST, &path, &[], Some(&body)).await?
        }
        (_, Some(_)) => anyhow::bail!("--later takes exactly one channel"),
        ([channel], None) => {
            let path = ["tenants", tenant, "channels", channel, "refresh"];
            server.call(Method::POST, &path, &wait, None).await?
        }
        (channels, None) => {
            let path = ["tenants", tenant, "channels", "refresh"];
            let body = match channels {
                [] => json!({}),
                some => json!({ "channel_ids": some }),
            };
            server.call(Method::POST, &path, &wait, Some(&body)).await?
        }
    };
    server.show(&answer)?;
    let failed = answer["success"] == json!(false) || answer["failed"].as_u64() > Some(0);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn patch(server: &Remote, which: &Which, paused: bool) -> anyhow::Result<()> {
    let body = json!({ "paused": paused });
    let path = which.path();
    let changed = server.call(Method::PATCH, &path, &[], Some(&body)).await?;
    server.show(&changed)
}
