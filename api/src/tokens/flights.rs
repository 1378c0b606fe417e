//! One refresh on demand per channel and process, however many wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::ChannelUid;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tracing::Instrument as _;

type Flight = Shared<BoxFuture<'static, ()>>;

/// The refreshes that are waited for at the moment.
#[derive(Clone, Default)]
pub(crate) struct Flights {
    live: Arc<Mutex<HashMap<ChannelUid, Flight>>>,
}

impl Flights {
    /// The flight of a channel; it starts one if none is under way. It goes on when
    /// nobody waits any more.
    pub(crate) fn join(
        &self,
        channel: ChannelUid,
        start: impl FnOnce() -> BoxFuture<'static, ()>,
    ) -> Flight {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = live.get(&channel) {
            return flight.clone();
        }
        let landing = Landing {
            flights: self.clone(),
            channel,
        };
        let flying = start();
        let task = async move {
            let _landing = landing;
            flying.await;
        };
        let task = tokio::spawn(task.in_current_span());
        let flight = task.map(drop).boxed().shared();
        live.insert(channel, flight.clone());
        flight
    }
}

/// Takes the flight off the board, however it ends.
struct Landing {
    flights: Flights,
    channel: ChannelUid,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let live = self.flights.live.lock();
        live.unwrap_or_else(PoisonError::into_inner)
            .remove(&self.channel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn all_who_ask_while_a_flight_is_under_way_share_it() {
        let (flights, channel) = (Flights::default(), ChannelUid::generate());
        let (started, land) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let start = || {
            let (started, land) = (Arc::clone(&started), Arc::clone(&land));
            async move {
                started.fetch_add(1, Ordering::SeqCst);
                land.notified().await;
            }
            .boxed()
        };

        let waiting: Vec<Flight> = (0..100).map(|_| flights.join(channel, start)).collect();
        land.notify_one();
        join_all(waiting).await;

        assert_eq!(started.load(Ordering::SeqCst), 1);
        land.notify_one();
        flights.join(channel, start).await;
        assert_eq!(started.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_flight_that_crashes_is_not_waited_for_again() {
        let (flights, channel) = (Flights::default(), ChannelUid::generate());

        flights
            .join(channel, || async { panic!("planted") }.boxed())
            .await;
        flights.join(channel, || async {}.boxed()).await;

        assert!(flights.live.lock().unwrap().is_empty());
    }
}
