//! Closed-loop load over plain HTTP/1.1, as cheap as can be: the server is to be measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What is sent, and for how long.
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    /// Whole requests, sent in turn.
    pub(crate) requests: Arc<[Vec<u8>]>,
    pub(crate) connections: u32,
    pub(crate) duration: Duration,
}

impl Load {
    /// Runs it: how long it took, and the milliseconds of each answer.
    pub(crate) async fn run(self) -> anyhow::Result<(Duration, Vec<f64>)> {
        let begun = Instant::now();
        let end = begun + self.duration;
        let mut running = JoinSet::new();
        for first in 0..self.connections {
            let (address, requests) = (self.address, Arc::clone(&self.requests));
            let (first, step) = (usize::try_from(first)?, usize::try_from(self.connections)?);
            running.spawn(async move {
                let order = (first..).step_by(step);
                let order = order.map(|place| place % requests.len());
                connection(address, &requests, order, end).await
            });
        }
        let mut latencies = Vec::new();
        while let Some(ended) = running.join_next().await {
            latencies.extend(ended??);
        }
        Ok((begun.elapsed(), latencies))
    }
}

async fn connection(
    address: SocketAddr,
    requests: &[Vec<u8>],
    order: impl Iterator<Item = usize>,
    end: Instant,
) -> anyhow::Result<Vec<f64>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut latencies = Vec::new();
    let mut buffer = Vec::with_capacity(4096);
    for place in order {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        stream.write_all(&requests[place]).await?;
        answer(&mut stream, &mut buffer).await?;
        latencies.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(latencies)
}

/// Reads one answer to its end; it must be a 200 of announced length.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
    buffer.clear();
    let mut whole = None;
    while whole.is_none_or(|whole| buffer.len() < whole) {
        ensure!(stream.read_buf(buffer).await? > 0, "the server hung up");
        if whole.is_none() {
            whole = length(buffer)?;
        }
    }
    Ok(())
}

/// The length of head and body, once the head is there.
fn length(buffer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&buffer[..end])?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("{}", String::from_utf8_lossy(buffer));
    }
    let body = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    let body: usize = body.context("no length")?.trim().parse()?;
    Ok(Some(end + 4 + body))
}
