//! SIGTERM and SIGINT: the first drains, the second stops at once.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::redis_server;

/// What a shell expects of a program that a signal ended.
const STOPPED_BY_SIGNAL: i32 = 130;

/// A token that fires at the first signal. The second ends the process: jobs
/// come back after their lease, which is what leases are for.
///
/// # Errors
///
/// If the system refuses to deliver signals.
pub(crate) fn shutdown() -> anyhow::Result<CancellationToken> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let shutdown = CancellationToken::new();
    let fired = shutdown.clone();
    tokio::spawn(async move {
        next(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping: what runs is finished, what waits stays queued");
        fired.cancel();
        next(&mut terminate, &mut interrupt).await;
        tracing::warn!("stopping at once");
        redis_server::terminate_now();
        std::process::exit(STOPPED_BY_SIGNAL);
    });
    Ok(shutdown)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
