//! `tokenfleet login` and `logout`: a log-in that the other commands use.

use std::process::ExitCode;

use anyhow::Context as _;
use client::Session;
use serde_json::json;

use crate::args::Global;
use crate::ask;
use crate::output::note;
use crate::remote::{Logins, PlaceArgs, Remote, Target};

const EXAMPLES: &str = "\
Examples:
  tokenfleet login --server https://tokens.example.com --email ana@example.com
  tokenfleet login --email ana@example.com < password-file
  tokenfleet channel list acme              asks the server of the last log-in
  tokenfleet logout

The log-in is saved with mode 0600 in ~/.config/tokenfleet (XDG_CONFIG_HOME), one file per server.
It renews itself and ends after seven days without use, or with `logout`.";

/// Who logs in, and where.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// The address that you registered with; the password is asked for, or read from standard
    /// input
    #[arg(long)]
    email: String,
}

/// Logs in, and saves it.
///
/// # Errors
///
/// If the server refuses, or the log-in cannot be saved.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let target = Target::of(global, args.place.server.as_deref(), None)?;
    let logins = logins()?;
    let (server, json) = (target.server.clone(), args.place.json);
    let open = Remote::at(target.anonymous(), json);
    let password = ask::password(&format!("Password of {}", args.email))?;
    let storage = logins.at(server.address());
    let path = storage.path().to_owned();
    let session = Session::log_in(server.clone(), storage, &args.email, &password);
    let session = open.guarded(session).await;
    let session = session.with_context(|| format!("cannot log in as {}", args.email))?;
    logins.remember(Some(server.address()))?;
    let remote = Remote::of_session(session, &server, json);
    let me = remote.guarded(remote.client().me()).await?;
    let role = me.role.map(|role| role.to_string()).unwrap_or_default();
    let tenant = me.tenant_id.unwrap_or_default();
    let answer = json!({
        "server": server.address(), "correo": me.correo, "role": role, "tenant_id": tenant,
        "platform_admin": me.platform_admin, "file": path,
    });
    let sentence = format!(
        "logged in to {} as {}, {role} of {tenant}{}",
        server.address(),
        args.email,
        if me.platform_admin {
            " and platform admin"
        } else {
            ""
        }
    );
    remote.tell(&answer, &sentence)?;
    Ok(ExitCode::SUCCESS)
}

/// Where to log out.
#[derive(Debug, clap::Args)]
pub(crate) struct OutArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Ends the saved log-in.
///
/// # Errors
///
/// If the server could not be told; the saved log-in is gone all the same.
pub(crate) async fn out(global: &Global, args: OutArgs) -> anyhow::Result<ExitCode> {
    let target = Target::of(global, args.place.server.as_deref(), None)?;
    let logins = logins()?;
    let server = target.server.clone();
    let remote = Remote::at(target, args.place.json);
    let session = Session::new(server.clone(), logins.at(server.address()));
    let ended = remote.guarded(session.log_out()).await;
    if logins.last()?.as_deref() == Some(server.address()) {
        logins.remember(None)?;
    }
    if ended? {
        let answer = json!({ "server": server.address(), "logged_out": true });
        remote.tell(&answer, &format!("logged out of {}", server.address()))?;
    } else {
        note(format_args!("nobody was logged in to {}", server.address()));
    }
    Ok(ExitCode::SUCCESS)
}

fn logins() -> anyhow::Result<Logins> {
    Logins::of_user().context("there is no place for a log-in: set HOME or XDG_CONFIG_HOME")
}
