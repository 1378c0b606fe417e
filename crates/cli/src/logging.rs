//! Log lines: where they go and what they look like.

use std::fs::OpenOptions;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Mutex;

use anyhow::Context as _;
use config::{Loaded, Log, LogFormat};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// At the usual level, what our libraries say of their own comings and goings is no news.
const USUAL: &str = "info";
const QUIETER: &str = "info,apalis_core=warn,sea_orm_migration=warn,sqlx::postgres::notice=warn";

/// Logs to standard error from here on.
///
/// # Errors
///
/// If the filter is wrong, or something logs already.
pub(crate) fn to_stderr(settings: &Log) -> anyhow::Result<()> {
    let json = match settings.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    start(
        settings,
        json,
        std::io::stderr().is_terminal(),
        std::io::stderr,
    )
}

/// Logs what works in the settings, but probably not as meant.
pub(crate) fn warn_of(loaded: &Loaded) {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
}

/// Logs to a file from here on, so that progress on the terminal stays readable.
///
/// # Errors
///
/// If the file cannot be opened, the filter is wrong, or something logs already.
pub(crate) fn to_file(settings: &Log, path: &Path) -> anyhow::Result<()> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write the log file {}", path.display()))?;
    let json = settings.format == LogFormat::Json;
    start(settings, json, false, Mutex::new(file))
}

fn start<W>(settings: &Log, json: bool, colours: bool, writer: W) -> anyhow::Result<()>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = match settings.filter.as_str() {
        USUAL => QUIETER,
        other => other,
    };
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("setting log.filter: {:?} is no filter", settings.filter))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A full disk would else be told on standard error, and a standard error that is full
        // itself end whoever says something.
        .log_internal_errors(false)
        .with_writer(writer);
    let started = if json {
        lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .try_init()
    } else {
        lines.with_ansi(colours).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}
