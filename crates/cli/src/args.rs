//! The command line as a tree of types; its help teaches by example.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use config::{LoadOptions, Loaded, Override, Settings};

use crate::commands::{
    api, breaker, channel, config_check, demo, doctor, job, keys, login, migrate, queue, schedule,
    scheduler, service_token, simulate, stats, tenant, token, up, user, webhook, worker,
};

const EXAMPLES: &str = "\
Examples:
  tokenfleet demo                          a fleet of 300 channels against simulated providers
  tokenfleet up                            everything in one process, data in ./tokenfleet-data
  tokenfleet tenant create acme            on the server that runs here
  tokenfleet channel list acme --json      the same for programs
  tokenfleet login --server https://tokens.example.com --email ana@example.com
  tokenfleet config check                  every setting, its value and where it came from

Settings: flag > environment (.env is read) > tokenfleet.toml > default. docs/settings.md lists them.
Exit codes: 0 done, 1 failed, 2 wrong usage.";

/// Keeps other people's access tokens alive.
#[derive(Debug, Parser)]
#[command(name = "tokenfleet", version, about, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Global {
    /// Settings file [default: `TOKENFLEET_CONFIG`, ./tokenfleet.toml, the data directory's]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    pub(crate) config: Option<PathBuf>,
    /// Directory of database, Redis data, keys and lock files [default: ./tokenfleet-data]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Settings")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Any setting by its key, such as worker.concurrency=8
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = assignment, help_heading = "Settings")]
    pub(crate) set: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Scheduler, workers and API in one process
    Up(up::Args),
    /// `up` with simulated providers and channels that come due at once
    Demo(demo::Args),
    /// Workers alone
    Worker(worker::Args),
    /// The scheduler alone
    Scheduler(scheduler::Args),
    /// The API alone
    Api(api::Args),
    /// The database's schema
    Migrate(migrate::Args),
    /// The providers' simulator alone
    Simulate(simulate::Args),
    /// The settings
    Config(config_check::Args),
    /// Looks for what is wrong, and says how to fix it
    Doctor(doctor::Args),
    /// The master keys that seal credentials
    Keys(keys::Args),
    /// Log in to a server; the commands below use it
    Login(login::Args),
    /// Log out
    Logout(login::OutArgs),
    /// Tenants
    Tenant(tenant::Args),
    /// Channels, and refreshing them
    Channel(channel::Args),
    /// A tenant's recurring refresh
    Schedule(schedule::Args),
    /// Jobs
    Job(job::Args),
    /// The queues: pause, limits, purging, healing
    Queue(queue::Args),
    /// Apps of providers that are left alone while they are in trouble
    Breaker(breaker::Args),
    /// Job counts and refresh statistics
    Stats(stats::Args),
    /// People of a tenant
    User(user::Args),
    /// Long-lived tokens of programs
    ServiceToken(service_token::Args),
    /// Look into a token
    Token(token::Args),
    /// Where tenants are told what happens
    Webhook(webhook::Args),
}

impl Global {
    /// Loads the settings with these flags and those of a command on top.
    ///
    /// # Errors
    ///
    /// One message about the setting that is wrong.
    pub(crate) fn load(&self, more: Vec<Override>) -> anyhow::Result<Loaded> {
        let options = LoadOptions {
            config_file: self.config.clone(),
            overrides: self.overrides(more),
            ..LoadOptions::of_process()?
        };
        Ok(Settings::load(&options)?)
    }

    /// What these flags set, and `more` on top.
    pub(crate) fn overrides(&self, more: Vec<Override>) -> Vec<Override> {
        let data_dir = self
            .data_dir
            .iter()
            .map(|dir| Override::new("data_dir", "--data-dir", dir.to_string_lossy()));
        let set = self
            .set
            .iter()
            .map(|(key, value)| Override::new(key, "--set", value.as_str()));
        data_dir.chain(set).chain(more).collect()
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("must be KEY=VALUE, such as worker.concurrency=8".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_has_no_contradictions() {
        Args::command().debug_assert();
    }
}
