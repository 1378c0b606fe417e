//! `tokenfleet webhook`: where a tenant is told what happens to its channels.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::args::Global;
use crate::data_dir;
use crate::remote::{Remote, ServerArgs};
use crate::table::Column;

const EXAMPLES: &str = "\
Examples:
  tokenfleet webhook create acme https://hooks.acme.example/in
  tokenfleet webhook create acme https://hooks.acme.example/in --event channel.refreshed
  tokenfleet webhook list acme
  tokenfleet webhook replay acme 019a… --since 2026-11-21T00:00:00Z
  tokenfleet webhook delete acme 019a…

Every message is signed by Standard Webhooks; the secret is shown once, when the webhook is made.";

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("URL", "url"),
    ("EVENTS", "events"),
    ("STATE", "state"),
    ("PENDING", "pending"),
    ("DELIVERED", "delivered"),
    ("GIVEN UP", "given_up"),
    ("LAST ERROR", "last_error"),
];

/// What is told where nothing else is asked for: transitions, and what comes to its end.
const USUAL: [&str; 5] = [
    "channel.needs_reauth",
    "channel.recovered",
    "channel.error",
    "channel.expiring",
    "webhook.disabled",
];

/// What to do with webhooks.
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
    /// Make a webhook and show its secret, this once
    Create(NewWebhook),
    /// List webhooks
    List {
        /// The tenant
        tenant: String,
    },
    /// Show one
    Show {
        /// The tenant
        tenant: String,
        /// Its id
        webhook: String,
    },
    /// Tell again what happened since then; a disabled webhook works again
    Replay {
        /// The tenant
        tenant: String,
        /// Its id
        webhook: String,
        /// From when on, RFC 3339
        #[arg(long, value_name = "TIME")]
        since: String,
    },
    /// Delete a webhook with what waits for it
    Delete {
        /// The tenant
        tenant: String,
        /// Its id
        webhook: String,
    },
}

/// Where to, and what.
#[derive(Debug, clap::Args)]
struct NewWebhook {
    /// The tenant
    tenant: String,
    /// Where it is called
    url: String,
    /// A kind of event; may be given several times [default: all but channel.refreshed]
    #[arg(long = "event", value_name = "KIND")]
    events: Vec<String>,
    /// A file with the secret, whsec_… [default: one is made]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// Works on webhooks.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let server = Remote::new(global, &args.server)?;
    match args.action {
        Action::Create(args) => create(&server, args).await?,
        Action::List { tenant } => {
            let path = ["tenants", &tenant, "webhooks"];
            let mut list = server.get(&path, &[]).await?;
            let items: Vec<Value> = serde_json::from_value(list["items"].take())?;
            server.show_all(&items, COLUMNS)?;
        }
        Action::Show { tenant, webhook } => {
            let path = ["tenants", &tenant, "webhooks", &webhook];
            server.show(&server.get(&path, &[]).await?)?;
        }
        Action::Replay {
            tenant,
            webhook,
            since,
        } => {
            let path = ["tenants", &tenant, "webhooks", &webhook, "replay"];
            let body = json!({ "since": since });
            let queued = server.call(Method::POST, &path, &[], Some(&body)).await?;
            server.show(&queued)?;
        }
        Action::Delete { tenant, webhook } => {
            let path = ["tenants", &tenant, "webhooks", &webhook];
            let answer = server.call(Method::DELETE, &path, &[], None).await?;
            server.tell(&answer, &format!("{webhook} is deleted"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(server: &Remote, args: NewWebhook) -> anyhow::Result<()> {
    let events = match args.events[..] {
        [] => json!(USUAL),
        _ => json!(args.events),
    };
    let mut body = json!({ "url": args.url, "events": events });
    if let Some(path) = args.secret_file {
        let secret = data_dir::read(&path)?;
        let secret = secret.with_context(|| format!("there is no {}", path.display()))?;
        body["secret"] = secret.expose_secret().into();
    }
    let path = ["tenants", &args.tenant, "webhooks"];
    let made = server.call(Method::POST, &path, &[], Some(&body)).await?;
    server.show(&made)
}
