//! The provider's stand-in: the peer's own, for both, so that neither pays for our strict simulator.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use testkit::redis::free_port;
use tokenfleet_bench::process::Process;

use crate::Args;

/// Where cargo puts it without a target directory of somebody's own.
const BUILT: &str = "mock/target/release/mainjob-mock";
const START: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// A running stand-in; it ends when this is dropped.
pub(crate) struct StandIn {
    /// What `TIKTOK_BASE_URL` is set to.
    pub(crate) url: String,
    process: Process,
}

impl StandIn {
    /// Starts one that answers after so many milliseconds.
    pub(crate) async fn start(args: &Args, latency_ms: u32) -> anyhow::Result<Self> {
        let program = program(args)?;
        let port = free_port()?;
        let arguments = [port.to_string(), latency_ms.to_string()];
        let process = Process::start(&program, &arguments.each_ref().map(String::as_str), &[])?;
        let give_up_at = Instant::now() + START;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure!(
                Instant::now() < give_up_at,
                "{} does not answer",
                program.display()
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(Self {
            url: format!("http://127.0.0.1:{port}/tiktok"),
            process,
        })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

fn program(args: &Args) -> anyhow::Result<PathBuf> {
    let program = args.stand_in.clone();
    let program = program.unwrap_or_else(|| args.peer.join(BUILT));
    let manifest = args.peer.join("mock/Cargo.toml");
    ensure!(
        Path::is_file(&program),
        "no stand-in at {}: cargo build --release --manifest-path {}, or name it by --stand-in",
        program.display(),
        manifest.display()
    );
    Ok(program)
}
