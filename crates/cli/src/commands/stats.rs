//! `tokenfleet stats`: job counts and refresh statistics, how fresh everything is, what comes.

mod forecast;
mod freshness;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::args::Global;
use crate::remote::{Remote, ServerArgs};

const EXAMPLES: &str = "\
Examples:
  tokenfleet stats                     jobs and channels of all tenants
  tokenfleet stats acme                jobs and channels of one
  tokenfleet stats acme --json
  tokenfleet stats freshness           of all tenants: what lives, and how late refreshes came
  tokenfleet stats freshness acme --hours 1 --margin-minutes 15
  tokenfleet stats forecast acme       calls of the next day, and grants that end soon
  tokenfleet stats -- freshness        jobs and channels of a tenant of this name";

/// Of what, and of whom.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// The tenant [default: all of them]
    tenant: Option<String>,
    #[command(subcommand)]
    about: Option<About>,
}

#[derive(Debug, Subcommand)]
enum About {
    /// Show how fresh channels are, and how late they were refreshed
    Freshness(freshness::Args),
    /// Show the calls of the next 24 hours, and the grants that need a person soon
    Forecast(forecast::Args),
}

/// Shows the figures.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let server = Remote::new(global, &args.server)?;
    let tenant = args.tenant.as_deref();
    match args.about {
        None => of_jobs(&server, tenant).await?,
        Some(About::Freshness(freshness)) => freshness.run(&server, tenant).await?,
        Some(About::Forecast(forecast)) => forecast.run(&server, tenant).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn of_jobs(server: &Remote, tenant: Option<&str>) -> anyhow::Result<()> {
    let figures = match tenant {
        None => {
            let jobs = server.get(&["jobs", "status"], &[]).await?;
            let mut channels = server.get(&["refresh", "statistics"], &[]).await?;
            json!({ "jobs": jobs, "channels": channels["statistics"].take() })
        }
        Some(tenant) => {
            let jobs = server
                .get(&["tenants", tenant, "jobs", "status"], &[])
                .await?;
            let path = ["tenants", tenant, "refresh", "statistics"];
            let mut refresh = server.get(&path, &[]).await?;
            json!({ "jobs": jobs, "refresh": refresh["statistics"].take() })
        }
    };
    server.show(&figures)
}

/// The tenant may stand on either side of the word, once.
fn one_of<'t>(before: Option<&'t str>, behind: Option<&'t str>) -> anyhow::Result<Option<&'t str>> {
    if let (Some(one), Some(two)) = (before, behind) {
        bail!("name one tenant, not {one} and {two}");
    }
    Ok(behind.or(before))
}

/// Where these figures are, of a tenant or of all.
fn path<'p>(tenant: Option<&'p str>, name: &'p str) -> Vec<&'p str> {
    match tenant {
        Some(tenant) => vec!["tenants", tenant, "stats", name],
        None => vec!["stats", name],
    }
}

/// The shape of an answer.
fn read<T: DeserializeOwned>(answer: &Value) -> anyhow::Result<T> {
    T::deserialize(answer).context("the answer has another form; is the server of this version?")
}
