//! The binary `tokenfleet`: reads the settings, opens the pools, installs the
//! signal handlers, and hands all of it to the roles, which are libraries.

mod accounts;
mod args;
mod ask;
mod commands;
mod data_dir;
mod escrow_files;
mod fleet;
mod local;
mod logging;
mod mapping;
mod output;
mod parts;
mod redis_server;
mod remote;
mod signals;
mod table;

use std::num::NonZero;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use config::SettingsError;
use tokio::runtime::{Builder, Runtime};

use crate::args::{Args, Command, Global};

/// What clap ends with too.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = runtime(&args.command)
        .context("cannot start the runtime")
        .and_then(|runtime| runtime.block_on(run(args.global, args.command)));
    ended.unwrap_or_else(|error| {
        output::note(format_args!("error: {}", domain::chain(error.as_ref())));
        code_of(&error)
    })
}

/// Threads for this command: as many as there are cores, or as `TOKIO_WORKER_THREADS` says.
///
/// A role that calls Redis, the database and the provider for everything it does shares
/// the cores with them. Half of them finish more, for less: calls meet in one statement,
/// and no thread is woken for a moment's work.
fn runtime(command: &Command) -> std::io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    let is_caller = matches!(command, Command::Worker(_) | Command::Scheduler(_));
    if is_caller && std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        builder.worker_threads(cores.div_ceil(2));
    }
    builder.enable_all().build()
}

/// A flag with a wrong value is wrong usage, also if only the settings could tell.
fn code_of(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<SettingsError>() {
        Some(error) if error.is_wrong_usage() => ExitCode::from(WRONG_USAGE),
        _ => ExitCode::FAILURE,
    }
}

async fn run(global: Global, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => commands::up::run(&global, args).await,
        Command::Demo(args) => commands::demo::run(&global, args).await,
        Command::Worker(args) => commands::worker::run(&global, args).await,
        Command::Scheduler(args) => commands::scheduler::run(&global, args).await,
        Command::Api(args) => commands::api::run(&global, args).await,
        Command::Migrate(args) => commands::migrate::run(&global, args).await,
        Command::Simulate(args) => commands::simulate::run(args).await,
        Command::Config(args) => commands::config_check::run(&global, &args),
        Command::Doctor(args) => commands::doctor::run(&global, args).await,
        Command::Keys(args) => commands::keys::run(&global, args).await,
        Command::Login(args) => commands::login::run(&global, args).await,
        Command::Logout(args) => commands::login::out(&global, args).await,
        Command::Tenant(args) => commands::tenant::run(&global, args).await,
        Command::Channel(args) => commands::channel::run(&global, args).await,
        Command::Schedule(args) => commands::schedule::run(&global, args).await,
        Command::Job(args) => commands::job::run(&global, args).await,
        Command::Queue(args) => commands::queue::run(&global, args).await,
        Command::Stats(args) => commands::stats::run(&global, args).await,
        Command::User(args) => commands::user::run(&global, args).await,
        Command::ServiceToken(args) => commands::service_token::run(&global, args).await,
        Command::Token(args) => commands::token::run(args),
        Command::Breaker(args) => commands::breaker::run(&global, args).await,
        Command::Webhook(args) => commands::webhook::run(&global, args).await,
    }
}
