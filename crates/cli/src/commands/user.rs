//! `tokenfleet user`: people, and how they come in.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use client::Call;
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::args::Global;
use crate::output::{note, say};
use crate::remote::{Remote, ServerArgs, Target};
use crate::table::Column;
use crate::{ask, data_dir};

const EXAMPLES: &str = "\
Passwords are asked for, or read from standard input, a line each.

Examples:
  tokenfleet user register --name Ana --email ana@example.com    the first one is platform admin
  tokenfleet user invite acme eva@example.com --name Eva --role operator > invitation.txt
  tokenfleet user accept --token-from invitation.txt
  tokenfleet user list acme
  tokenfleet user change acme USER --role owner
  tokenfleet user change acme USER --disable
  tokenfleet user password";

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "nombre"),
    ("EMAIL", "correo"),
    ("ROLE", "role"),
    ("PLATFORM ADMIN", "platform_admin"),
    ("DISABLED", "disabled_at"),
    ("CREATED", "created_at"),
];
const INVITATIONS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "nombre"),
    ("EMAIL", "correo"),
    ("ROLE", "role"),
    ("EXPIRES", "expires_at"),
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
    /// Register, with a tenant of your own
    Register {
        /// What people call the person
        #[arg(long)]
        name: String,
        /// The address to log in with
        #[arg(long)]
        email: String,
        /// File with the bootstrap token that the server printed, for the first one off loopback
        #[arg(long, value_name = "FILE")]
        bootstrap_token_file: Option<PathBuf>,
    },
    /// Accept an invitation
    Accept {
        /// File with the invitation's token
        #[arg(long, value_name = "FILE")]
        token_from: PathBuf,
    },
    /// Tell who you are there
    Me,
    /// Change your password; all your other log-ins end
    Password,
    /// List the people of a tenant
    List {
        /// The tenant
        tenant: String,
        /// Most people
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Invite somebody; the invitation is shown this once
    Invite {
        /// The tenant
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
    /// List invitations that nobody has accepted
    Invitations {
        /// The tenant
        tenant: String,
        /// Most invitations
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Take an invitation back
    Withdraw {
        /// The tenant
        tenant: String,
        /// The invitation
        invitation: String,
    },
    /// Change what somebody is called or may do
    Change(Change),
    /// Delete somebody with all log-ins
    Delete {
        /// The tenant
        tenant: String,
        /// The person
        user: String,
        /// The person may go
        #[arg(long, required = true)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Change {
    /// The tenant
    tenant: String,
    /// The person
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
    /// Whether the person may do everything in every tenant
    #[arg(long, value_name = "true|false")]
    platform_admin: Option<bool>,
}

/// Works on people.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let place = &args.server.place;
    let target = Target::of(
        global,
        place.server.as_deref(),
        args.server.token_file.as_deref(),
    )?;
    let anybodys = matches!(args.action, Action::Register { .. } | Action::Accept { .. });
    let target = if anybodys {
        target.anonymous()
    } else {
        target.with_right()?
    };
    let remote = Remote::at(target, place.json);
    match args.action {
        Action::Register {
            name,
            email,
            bootstrap_token_file: file,
        } => register(&remote, (&name, &email), file.as_deref()).await?,
        Action::Accept { token_from } => accept(&remote, &token_from).await?,
        Action::Me => remote.show(&remote.get(&["me"], &[]).await?)?,
        Action::Password => password(&remote).await?,
        Action::List { tenant, limit } => {
            let path = ["tenants", &tenant, "users"];
            remote.list(&path, &[], limit, COLUMNS).await?;
        }
        Action::Invite {
            tenant,
            email,
            name,
            role,
        } => {
            let body = json!({ "nombre": name, "correo": email, "role": role });
            invite(&remote, &tenant, &body).await?;
        }
        Action::Invitations { tenant, limit } => {
            let path = ["tenants", &tenant, "invitations"];
            remote.list(&path, &[], limit, INVITATIONS).await?;
        }
        Action::Withdraw { tenant, invitation } => {
            let path = ["tenants", &tenant, "invitations", &invitation];
            let answer = remote.call(Method::DELETE, &path, &[], None).await?;
            remote.tell(&answer, &format!("{invitation} is withdrawn"))?;
        }
        Action::Change(change) => change.run(&remote).await?,
        Action::Delete { tenant, user, .. } => {
            let path = ["tenants", &tenant, "users", &user];
            let answer = remote.call(Method::DELETE, &path, &[], None).await?;
            remote.tell(&answer, &format!("{user} is deleted"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn register(
    remote: &Remote,
    (name, email): (&str, &str),
    bootstrap_token: Option<&Path>,
) -> anyhow::Result<()> {
    let mut body = json!({ "nombre": name, "correo": email });
    if let Some(file) = bootstrap_token {
        body["bootstrap_token"] = secret_in(file)?;
    }
    let password = ask::new_password(&format!("Password for {email}"))?;
    body["password"] = password.expose_secret().into();
    let call = Call::outside(Method::POST, &["auth", "register"]).body(body);
    remote.show(&remote.send_open(&call).await?)
}

async fn accept(remote: &Remote, invitation: &Path) -> anyhow::Result<()> {
    let mut body = json!({ "token": secret_in(invitation)? });
    let password = ask::new_password("Password")?;
    body["password"] = password.expose_secret().into();
    let call = Call::outside(Method::POST, &["auth", "accept-invitation"]).body(body);
    remote.show(&remote.send_open(&call).await?)
}

fn secret_in(file: &Path) -> anyhow::Result<Value> {
    let secret = data_dir::read(file)?;
    let secret = secret.with_context(|| format!("there is no {}", file.display()))?;
    Ok(secret.expose_secret().into())
}

async fn password(remote: &Remote) -> anyhow::Result<()> {
    let current = ask::password("Present password")?;
    let new = ask::new_password("New password")?;
    let change = remote.client().change_password(&current, &new);
    remote.guarded(change).await?;
    remote.tell(&json!({ "changed": true }), "the password is changed")
}

/// The invitation alone for people and scripts.
async fn invite(remote: &Remote, tenant: &str, body: &Value) -> anyhow::Result<()> {
    let path = ["tenants", tenant, "users"];
    let made = remote.call(Method::POST, &path, &[], Some(body)).await?;
    if remote.json() {
        return remote.show(&made);
    }
    say(made["invitation_token"].as_str().unwrap_or_default());
    let text = |name: &str| made[name].as_str().unwrap_or_default();
    note(format_args!(
        "send it to {}; tokenfleet user accept takes it until {}",
        text("correo"),
        text("expires_at")
    ));
    Ok(())
}

impl Change {
    async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let disabled = (self.disable || self.enable).then_some(self.disable);
        let mut body = json!({});
        for (field, value) in [
            ("nombre", self.name.map(Into::into)),
            ("role", self.role.map(Into::into)),
            ("disabled", disabled.map(Into::into)),
            ("platform_admin", self.platform_admin.map(Into::into)),
        ] {
            if let Some(value) = value {
                body[field] = value;
            }
        }
        let path = ["tenants", &self.tenant, "users", &self.user];
        let changed = remote.call(Method::PATCH, &path, &[], Some(&body)).await?;
        remote.show(&changed)
    }
}
