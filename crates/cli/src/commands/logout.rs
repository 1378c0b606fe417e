//! `tokenfleet logout`: ends and forgets a saved log-in.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::args::Global;
use crate::client::{self, Client, Logins, PlaceArgs};
use crate::output::note;

/// Where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Ends the log-in at the server and forgets it here.
///
/// # Errors
///
/// If there is none, or the server does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let base = client::base(&client::load(global, args.place.server())?)?;
    let logins = Logins::of_user().context("a user without a home has no saved log-ins")?;
    let _lock = logins.lock()?;
    let login = logins.at(&base)?;
    let login = login.with_context(|| format!("there is no saved log-in at {base}"))?;
    let client = Client::showing(base, &login)?;
    client.log_out(&login).await?;
    logins.keep(client.base(), None)?;
    note(format_args!("logged out at {}", client.base()));
    Ok(ExitCode::SUCCESS)
}
