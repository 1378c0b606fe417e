//! The task that blocks on Redis until there is work.

use std::sync::Arc;
use std::time::Duration;

use super::desk::Desk;

/// What an answer may take beyond the time that it blocks; then the connection
/// is silent, and another is opened.
const SLACK: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(200);

/// Waits for the marker while there are free slots and nothing to fill them
/// with: one connection per consumer, one command per `safety_poll`.
pub(super) async fn wake_up(desk: Arc<Desk>) {
    let poll = desk.core.settings.safety_poll;
    let link = desk.core.link.sibling(poll + SLACK);
    let mut pop = redis::cmd("BLPOP");
    pop.arg(desk.core.keys.wake()).arg(poll.as_secs_f64());
    let mut idle = desk.idle.subscribe();
    loop {
        tokio::select! {
            () = desk.gone.cancelled() => return,
            () = desk.options.shutdown.cancelled() => return,
            changed = idle.wait_for(|idle| *idle) => if changed.is_err() {
                return;
            }
        }
        let popped = tokio::select! {
            () = desk.gone.cancelled() => return,
            () = desk.options.shutdown.cancelled() => return,
            popped = link.query::<redis::Value>(&pop) => popped,
        };
        // With or without a marker: a look now and then finds what no marker told of.
        desk.kick();
        if popped.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
