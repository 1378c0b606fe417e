//! `tokenfleet service-token`: long-lived tokens of programs (S3.5, S3.7).

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use domain::{Clock as _, SystemClock};
use identity::peek;
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::token::{days_left, expiry};
use crate::args::Global;
use crate::client::{Client, PlaceArgs, write_private};
use crate::output::{note, say};
use crate::table::Column;
use crate::{ask, data_dir};

const EXAMPLES: &str = "\
With --email the password is asked for, or read from standard input; without it the saved log-in
counts (tokenfleet login). A new token is printed once; nobody can look it up later.

Examples:
  tokenfleet service-token create --server URL --email ana@example.com --days 365
  tokenfleet service-token create --name reader --eternal --scope channels:read --scope jobs:read
  tokenfleet service-token ensure --token-file bot.token --min-days 7 --days 90
  tokenfleet service-token list";

const COLUMNS: &[Column] = &[
    ("ID", "id"),
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
    /// Log in as this person for this once
    #[arg(long, global = true, help_heading = "Server")]
    email: Option<String>,
    /// Of this tenant [default: the own one]
    #[arg(long, global = true)]
    tenant: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make one and print it
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
    /// Make a new one only if the one in a file has too little time left
    Ensure {
        #[command(flatten)]
        wanted: Wanted,
        /// The file, which is read and rewritten
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
        /// Fewer whole days than these are too few
        #[arg(long, default_value_t = 7)]
        min_days: i64,
        /// How long a new one lives, 30 to 365
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// List them, without their texts
    List {
        /// Most tokens
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Revoke one; the access tokens made from it die with it
    Revoke {
        /// Its id
        id: String,
    },
}

/// What a new one shall be.
#[derive(Debug, clap::Args)]
struct Wanted {
    /// What people call it
    #[arg(long, default_value = "tokenfleet-cli")]
    name: String,
    /// What it may do, once per scope [default: channels:read]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
}

/// Works on service tokens.
///
/// # Errors
///
/// If the server refuses or does not answer, or the file cannot be read or written.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let caller = Caller {
        global,
        place: &args.place,
        email: args.email.as_deref(),
    };
    match args.action {
        Action::Create {
            wanted,
            days,
            eternal: _,
        } => {
            let client = caller.client().await?;
            let made = mint(&client, &wanted, days, args.tenant).await?;
            if args.place.json() {
                say(serde_json::to_string_pretty(&made)?);
            } else {
                say(text(&made)?);
                note(format_args!("service token {}", until(&made)));
            }
        }
        Action::Ensure {
            wanted,
            token_file,
            min_days,
            days,
        } => {
            let file = token_file.display();
            if has_time_enough(&token_file, min_days)? {
                note(format_args!("{file}: kept; it has time enough"));
                return Ok(ExitCode::SUCCESS);
            }
            let client = caller.client().await?;
            let made = mint(&client, &wanted, Some(days), args.tenant).await?;
            write_private(&token_file, text(&made)?)?;
            note(format_args!("{file}: renewed; {}", until(&made)));
        }
        Action::List { limit } => {
            let client = caller.client().await?;
            let filters = [("tenant_id", args.tenant)];
            client
                .list(&["service-tokens"], &filters, limit, COLUMNS)
                .await?;
        }
        Action::Revoke { id } => {
            let client = caller.client().await?;
            let path = ["service-tokens", &id];
            let gone = client.call(Method::DELETE, &path, &[], None).await?;
            client.tell(&gone, &format!("revoked {id}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Who asks the server.
struct Caller<'a> {
    global: &'a Global,
    place: &'a PlaceArgs,
    email: Option<&'a str>,
}

impl Caller<'_> {
    async fn client(&self) -> anyhow::Result<Client> {
        let Some(email) = self.email else {
            return Client::at(self.global, self.place);
        };
        let password = ask::password(&format!("Password of {email}"))?;
        let logged_in = Client::logged_in(self.global, self.place, email, &password);
        Ok(logged_in.await?.0)
    }
}

async fn mint(
    client: &Client,
    wanted: &Wanted,
    days: Option<u32>,
    tenant: Option<String>,
) -> anyhow::Result<Value> {
    let mut body = json!({ "name": wanted.name });
    match days {
        Some(days) => body["days"] = days.into(),
        None => body["eternal"] = true.into(),
    }
    if !wanted.scopes.is_empty() {
        body["scopes"] = json!(wanted.scopes);
    }
    if let Some(tenant) = tenant {
        body["tenant_id"] = tenant.into();
    }
    client
        .call(Method::POST, &["service-tokens"], &[], Some(&body))
        .await
}

fn text(made: &Value) -> anyhow::Result<&str> {
    made["token"].as_str().context("the answer has no token")
}

fn until(made: &Value) -> String {
    match made["expires_at"].as_str() {
        Some(end) => format!("expires at {end}"),
        None => "never expires".to_owned(),
    }
}

/// Whether the token in the file has this many whole days left; a file that is not there has none.
fn has_time_enough(file: &Path, min_days: i64) -> anyhow::Result<bool> {
    let Some(token) = data_dir::read(file)? else {
        return Ok(false);
    };
    let peeked = peek(token.expose_secret());
    let peeked = peeked.with_context(|| format!("{} holds no token", file.display()))?;
    let now = SystemClock.now();
    Ok(expiry(&peeked).is_none_or(|end| days_left(end, now) >= min_days))
}
