//! A whole fleet of real processes against simulated providers, from the
//! request that imports a channel to the token that the provider issued.

mod breaker;
mod crash;
mod drain;
mod escrow;
mod facturify;
mod faults;
mod flush;
mod input;
mod keys;
mod leftovers;
mod lifecycle;
mod refresh;
mod restart;
mod roles;
mod samples;
mod schedule;
mod secrets;
mod server;
mod watching;
mod webhooks;
mod world;

use std::time::{Duration, Instant};

pub(crate) use server::Server;
pub(crate) use world::World;

/// Longer than anything takes, also where many tests share two cores.
const LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// Looks until there is something to see, for a bounded time.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(start.elapsed() < LIMIT, "not in time: {what}");
        tokio::time::sleep(POLL).await;
    }
}
