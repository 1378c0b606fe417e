//! `tokenfleet service-token`: long-lived tokens of programs.

mod ensure;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use client::{MemoryStorage, Session};
use reqwest::Method;
use serde_json::{Value, json};

use crate::args::Global;
use crate::ask;
use crate::output::{note, say};
use crate::remote::{PlaceArgs, Remote, Target};
use crate::table::Column;

const EXAMPLES: &str = "\
Examples:
  tokenfleet service-token create --server https://tokens.example.com --email ana@example.com --days 365
  tokenfleet service-token create --name bot --eternal --scope refresh --scope tokens:read
  tokenfleet service-token ensure --min-days 7 --days 90 --token-file /etc/bot/token
  tokenfleet service-token list
  tokenfleet service-token revoke ID

With --email the password is asked for, or read from standard input; the log-in ends with the command.
Without, the saved log-in counts (tokenfleet login). `token inspect` shows how long a token lives.";

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("TENANT", "tenant_id"),
    ("NAME", "name"),
    ("SCOPES", "scopes"),
    ("EXPIRES", "expires_at"),
    ("LAST USED", "last_used_at"),
    ("REVOKED", "revoked_at"),
];

/// What to do with service tokens.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// Log in as this person, for this command alone
    #[arg(long, global = true, help_heading = "Server")]
    email: Option<String>,
    /// File with the bearer token to do it with [default: the saved log-in, else
    /// `TOKENFLEET_ADMIN_TOKEN`, else the data directory's]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with = "email",
        help_heading = "Server"
    )]
    bearer_file: Option<PathBuf>,
    /// Of this tenant [default: your own]
    #[arg(long, global = true)]
    tenant: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make one; it is shown this once
    Create {
        #[command(flatten)]
        wanted: Wanted,
        /// How long it lives, 30 to 365
        #[arg(long, required_unless_present = "eternal")]
        days: Option<u32>,
        /// It never expires
        #[arg(long, conflicts_with = "days")]
        eternal: bool,
    },
    /// Make one only if the one in a file lives no longer than so many days, or not at all
    Ensure {
        #[command(flatten)]
        wanted: Wanted,
        /// The file; a new token replaces the old one in it, with mode 0600
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
        /// Days that must be left
        #[arg(long, default_value_t = 7)]
        min_days: u32,
        /// How long a new one lives, 30 to 365
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// List them
    List {
        /// Most tokens
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Revoke one; the access tokens that were made from it die with it
    Revoke {
        /// Its id
        id: String,
    },
}

/// A service token as it is asked for.
#[derive(Debug, clap::Args)]
struct Wanted {
    /// What people call it
    #[arg(long, default_value = "tokenfleet-cli")]
    name: String,
    /// What it may do, such as refresh or tokens:read; may be repeated [default: channels:read]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
}

impl Wanted {
    /// The request for one that lives so many days; `None` is eternal.
    fn body(&self, days: Option<u32>, tenant: Option<&str>) -> Value {
        let mut body = json!({ "name": self.name });
        match days {
            Some(days) => body["days"] = days.into(),
            None => body["eternal"] = true.into(),
        }
        if !self.scopes.is_empty() {
            body["scopes"] = json!(self.scopes);
        }
        if let Some(tenant) = tenant {
            body["tenant_id"] = tenant.into();
        }
        body
    }
}

/// Works on service tokens.
///
/// # Errors
///
/// If the server refuses or does not answer, or a file cannot be used.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let (server, file) = (args.place.server.as_deref(), args.bearer_file.as_deref());
    let by = By {
        target: Target::of(global, server, file)?,
        email: args.email,
        json: args.place.json,
    };
    let tenant = args.tenant.as_deref();
    match args.action {
        Action::Create { wanted, days, .. } => {
            let body = wanted.body(days, tenant);
            by.act(async |remote| show(remote, &create(remote, &body).await?))
                .await?;
        }
        Action::Ensure {
            wanted,
            token_file,
            min_days,
            days,
        } => {
            let body = wanted.body(Some(days), tenant);
            ensure::run(by, &body, &token_file, min_days).await?;
        }
        Action::List { limit } => {
            let (path, filter) = (["service-tokens"], [("tenant_id", args.tenant)]);
            by.act(async |remote| remote.list(&path, &filter, limit, COLUMNS).await)
                .await?;
        }
        Action::Revoke { id } => {
            by.act(async |remote| revoke(remote, &id).await).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// In whose name something is done.
struct By {
    target: Target,
    email: Option<String>,
    json: bool,
}

impl By {
    /// Does it; if there is an address, by a log-in that ends with it.
    async fn act<T>(
        self,
        act: impl AsyncFnOnce(&Remote) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let Some(email) = self.email else {
            return act(&Remote::at(self.target.with_right()?, self.json)).await;
        };
        let server = self.target.server.clone();
        let password = ask::password(&format!("Password of {email}"))?;
        let storage = MemoryStorage::default();
        let session = Session::log_in(server.clone(), storage, &email, &password);
        let open = Remote::at(self.target.anonymous(), self.json);
        let session = open.guarded(session).await;
        let session = session.with_context(|| format!("cannot log in as {email}"))?;
        let remote = Remote::of_session(session.clone(), &server, self.json);
        let outcome = act(&remote).await;
        // What it was for is done, or has failed.
        if let Err(error) = remote.guarded(session.log_out()).await {
            note(format_args!("the log-in could not be ended: {error:#}"));
        }
        outcome
    }
}

async fn create(remote: &Remote, body: &Value) -> anyhow::Result<Value> {
    let path = ["service-tokens"];
    remote.call(Method::POST, &path, &[], Some(body)).await
}

/// The token alone for people and scripts: `service-token create > file`.
fn show(remote: &Remote, made: &Value) -> anyhow::Result<()> {
    if remote.json() {
        return remote.show(made);
    }
    say(made["token"].as_str().unwrap_or_default());
    note(format_args!("{}; it is not shown again", told(made)));
    Ok(())
}

async fn revoke(remote: &Remote, id: &str) -> anyhow::Result<()> {
    let path = ["service-tokens", id];
    let answer = remote.call(Method::DELETE, &path, &[], None).await?;
    remote.tell(&answer, &format!("{id} is revoked"))
}

fn told(made: &Value) -> String {
    let id = made["id"].as_str().unwrap_or_default();
    match made["expires_at"].as_str() {
        Some(end) => format!("service token {id} lives until {end}"),
        None => format!("service token {id} never expires"),
    }
}
