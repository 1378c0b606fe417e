//! `tokenfleet user`: people of a tenant.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::args::Global;
use crate::client::{Client, ServerArgs};
use crate::table::Column;
use crate::{ask, data_dir};

const EXAMPLES: &str = "\
Passwords are asked for, or read from standard input, a line each.

Examples:
  tokenfleet user register --name Ana --email ana@example.com
  tokenfleet user invite acme eva@example.com --name Eva --role operator
  tokenfleet user accept --token-from invitation.txt
  tokenfleet user list acme
  tokenfleet user change acme USER --role owner
  tokenfleet user password";

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "nombre"),
    ("E-MAIL", "correo"),
    ("ROLE", "role"),
    ("PLATFORM", "platform_admin"),
    ("DISABLED", "disabled_at"),
];

/// What to do with people.
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
    /// Register; the first one is platform admin
    Register {
        /// What people call the person
        #[arg(long)]
        name: String,
        /// The address with which the person will log in
        #[arg(long)]
        email: String,
        /// File with the bootstrap token that the server printed, for the first one off loopback
        #[arg(long, value_name = "FILE")]
        bootstrap_token_file: Option<PathBuf>,
    },
    /// Invite somebody; prints a token for that person
    Invite {
        /// Into which tenant
        tenant: String,
        /// The address with which the person will log in
        email: String,
        /// What people call the person
        #[arg(long)]
        name: String,
        /// viewer, operator or owner
        #[arg(long, default_value = "viewer")]
        role: String,
    },
    /// Accept an invitation
    Accept {
        /// File with the invitation's token
        #[arg(long, value_name = "FILE")]
        token_from: PathBuf,
    },
    /// List the people of a tenant
    List {
        /// The tenant
        tenant: String,
        /// Most people
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Change somebody
    Change {
        /// The tenant
        tenant: String,
        /// The person's id
        user: String,
        /// What people call the person
        #[arg(long)]
        name: Option<String>,
        /// viewer, operator or owner
        #[arg(long)]
        role: Option<String>,
        /// The person may log in no more, and is out at once
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// The person may log in again
        #[arg(long)]
        enable: bool,
    },
    /// Take somebody away
    Delete {
        /// The tenant
        tenant: String,
        /// The person's id
        user: String,
        /// Really
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Change the own password; ends all other log-ins
    Password,
    /// Who the server takes this one for
    Me,
}

/// Works on people.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let client = match &args.action {
        // Who comes in has no token yet.
        Action::Register { .. } | Action::Accept { .. } => Client::nobody(global, &args.server)?,
        _ => Client::new(global, &args.server)?,
    };
    match args.action {
        Action::Register {
            name,
            email,
            bootstrap_token_file,
        } => {
            let mut body = json!({ "nombre": name, "correo": email });
            if let Some(file) = bootstrap_token_file {
                body["bootstrap_token"] = secret_from(&file)?;
            }
            body["password"] = new_password("Password")?;
            client.show(&client.enter("register", &body).await?)?;
        }
        Action::Accept { token_from } => {
            let mut body = json!({ "token": secret_from(&token_from)? });
            body["password"] = new_password("Password")?;
            client.show(&client.enter("accept-invitation", &body).await?)?;
        }
        Action::Invite {
            tenant,
            email,
            name,
            role,
        } => {
            let body = json!({ "nombre": name, "correo": email, "role": role });
            let path = ["tenants", &tenant, "users"];
            let made = client.call(Method::POST, &path, &[], Some(&body)).await?;
            let token = made["invitation_token"].as_str();
            client.tell(&made, token.context("the answer has no token")?)?;
        }
        Action::List { tenant, limit } => {
            let path = ["tenants", &tenant, "users"];
            client.list(&path, &[], limit, COLUMNS).await?;
        }
        Action::Change {
            tenant,
            user,
            name,
            role,
            disable,
            enable,
        } => {
            let body = change(name, role, (disable, enable));
            let path = ["tenants", &tenant, "users", &user];
            client.show(&client.call(Method::PATCH, &path, &[], Some(&body)).await?)?;
        }
        Action::Delete { tenant, user, .. } => {
            let path = ["tenants", &tenant, "users", &user];
            let gone = client.call(Method::DELETE, &path, &[], None).await?;
            client.tell(&gone, &format!("deleted {user}"))?;
        }
        Action::Password => password(&client).await?,
        Action::Me => client.show(&client.get(&["me"], &[]).await?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn change(name: Option<String>, role: Option<String>, (off, on): (bool, bool)) -> Value {
    let mut body = json!({});
    for (field, value) in [("nombre", name), ("role", role)] {
        if let Some(value) = value {
            body[field] = value.into();
        }
    }
    if off || on {
        body["disabled"] = off.into();
    }
    body
}

async fn password(client: &Client) -> anyhow::Result<()> {
    let current = ask::password("Present password")?;
    let mut body = json!({ "current": current.expose_secret() });
    body["new"] = new_password("New password")?;
    let path = ["me", "password"];
    let done = client.call(Method::POST, &path, &[], Some(&body)).await?;
    client.tell(&done, "changed; all other log-ins have ended")
}

fn new_password(prompt: &str) -> anyhow::Result<Value> {
    Ok(ask::new_password(prompt)?.expose_secret().into())
}

fn secret_from(file: &std::path::Path) -> anyhow::Result<Value> {
    let secret = data_dir::read(file)?;
    let secret = secret.with_context(|| format!("there is no {}", file.display()))?;
    Ok(secret.expose_secret().into())
}
