//! `tokenfleet login`: a log-in that later commands use.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::args::Global;
use crate::client::{Client, Logins, PlaceArgs};
use crate::{ask, output};

const EXAMPLES: &str = "\
The password is asked for, or read from standard input. What is saved is a pair of tokens that
renews itself, in the user's configuration directory, for its owner alone.

Examples:
  tokenfleet login --server https://fleet.example.com --email ana@example.com
  tokenfleet tenant list --server https://fleet.example.com";

/// Where, and as whom.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// The address with which the person registered
    #[arg(long)]
    email: String,
}

/// Logs in and saves it.
///
/// # Errors
///
/// If the server refuses or does not answer, or there is no place to save it.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let logins = Logins::of_user();
    let logins = logins.context("there is nowhere to save it: set HOME or XDG_CONFIG_HOME")?;
    let password = ask::password(&format!("Password of {}", args.email))?;
    let (client, login) = Client::logged_in(global, &args.place, &args.email, &password).await?;
    let _lock = logins.lock()?;
    logins.keep(client.base(), Some(&login))?;
    output::note(format_args!(
        "logged in at {} as {}",
        client.base(),
        login.email
    ));
    Ok(ExitCode::SUCCESS)
}
