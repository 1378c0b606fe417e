//! A budget as one process spends it: who may prepare a request, and when each request may leave.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cache::{Cache, Drawn};
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::line::Taken;

/// A turn may be used so late; then it is lost, for later it would be part of a burst.
const LATE: Duration = Duration::from_millis(20);
/// The turns of a second are spread over this: a second in which all are late, and the next ones
/// in time, has no more than it may, with as much again for the way to the provider.
const SECOND: Duration = Duration::from_millis(1000 + 2 * 20);
/// Turns that are drawn at once lie within this time.
const HANDFUL: Duration = Duration::from_millis(50);
/// Longest pause between two draws: the rate may have changed meanwhile.
const DRAW_PAUSE: Duration = Duration::from_millis(500);
/// So much of the budget may hold a lease and have nothing sent yet.
const PREPARED: Duration = Duration::from_millis(100);
/// One waits for its turn while another one takes its lease.
const PREPARED_MIN: u32 = 2;

/// The turns of one budget in this process.
#[derive(Debug)]
pub(super) struct Turns {
    name: String,
    cache: Cache,
    /// Held by the one that draws; the others wait in line.
    handful: Mutex<Handful>,
    /// Requests that wait for their turn.
    waiting: AtomicU32,
    /// Refreshes that were let in and have not had their turn.
    prepared: AtomicU32,
    /// Told when one of them has.
    freed: Notify,
}

/// Turns that were drawn and not used.
#[derive(Debug)]
struct Handful {
    next: Instant,
    each: Duration,
    left: u32,
    /// Of the last draw.
    drawn: u32,
    /// Of those, how many nobody wanted in time.
    lost: u32,
    /// Requests that left without a turn: they take the next ones.
    owed: u32,
}

impl Turns {
    /// None is drawn yet.
    pub(super) fn new(name: String, cache: Cache) -> Self {
        Self {
            name,
            cache,
            handful: Mutex::new(Handful::empty()),
            waiting: AtomicU32::new(0),
            prepared: AtomicU32::new(0),
            freed: Notify::new(),
        }
    }

    /// Lets one more refresh in, or waits a moment for room. Whoever is let in calls
    /// [`Turns::had`] once.
    pub(super) async fn let_in(&self, per_second: f64) -> Taken {
        let most = share(per_second, PREPARED).max(PREPARED_MIN);
        let one_more = |prepared| (prepared < most).then_some(prepared + 1);
        let order = Ordering::Relaxed;
        let Ok(before) = self.prepared.fetch_update(order, order, one_more) else {
            // When nobody tells of room the next look finds it.
            let _ = timeout(DRAW_PAUSE, self.freed.notified()).await;
            return Taken::Not;
        };
        // The rate may have risen: there may be room for more than one.
        if before + 1 < most {
            self.freed.notify_one();
        }
        Taken::Granted
    }

    /// A refresh that was let in had its turn, or wants none any more.
    pub(super) fn had(&self) {
        self.prepared.fetch_sub(1, Ordering::Relaxed);
        self.freed.notify_one();
    }

    /// Waits for the next turn; the request must leave at once then. `Not` if it was missed.
    pub(super) async fn take(&self, per_second: f64) -> Taken {
        let waiting = Waiting::begin(&self.waiting);
        let Some(at) = self.next(per_second).await else {
            return Taken::Not;
        };
        drop(waiting);
        sleep_until(at).await;
        if at.elapsed() > LATE {
            return Taken::Not;
        }
        Taken::Granted
    }

    /// A request leaves that cannot wait: the budget has one less later.
    pub(super) async fn owe(&self) {
        self.handful.lock().await.owed += 1;
    }

    async fn next(&self, per_second: f64) -> Option<Instant> {
        let mut handful = self.handful.lock().await;
        if let Some(at) = handful.take(Instant::now()) {
            return Some(at);
        }
        let most = share(per_second, HANDFUL);
        let want = handful.wanted(self.waiting.load(Ordering::Relaxed), most);
        let paced = per_second / SECOND.as_secs_f64();
        let Ok(drawn) = self.cache.draw(&self.name, paced, want).await else {
            // Nothing is claimed while Redis is away: what runs may go on.
            return Some(Instant::now());
        };
        if drawn.turns == 0 {
            sleep(drawn.wait.min(DRAW_PAUSE)).await;
            return None;
        }
        let now = Instant::now();
        handful.fill(&drawn, now);
        handful.take(now)
    }
}

impl Handful {
    fn empty() -> Self {
        Self {
            next: Instant::now(),
            each: Duration::ZERO,
            left: 0,
            drawn: 0,
            lost: 0,
            owed: 0,
        }
    }

    /// The next turn that is not too late.
    fn take(&mut self, now: Instant) -> Option<Instant> {
        let late = now.saturating_duration_since(self.next + LATE).as_micros();
        let lost = late.div_ceil(self.each.as_micros().max(1));
        let lost = u32::try_from(lost).unwrap_or(u32::MAX).min(self.left);
        self.lost += lost;
        self.pass(lost);
        let at = (self.left > 0).then_some(self.next)?;
        self.pass(1);
        Some(at)
    }

    /// How many to draw: as many as wait, or as were used of the last ones, and more if all were.
    fn wanted(&self, waiting: u32, most: u32) -> u32 {
        let used = self.drawn.saturating_sub(self.lost);
        let wanted = if self.lost == 0 { used * 2 } else { used };
        wanted.max(waiting).clamp(1, most.max(1)) + self.owed.min(most)
    }

    /// Puts what was drawn in; what is owed is paid first.
    fn fill(&mut self, drawn: &Drawn, now: Instant) {
        let paid = self.owed.min(drawn.turns);
        *self = Self {
            next: now + drawn.wait,
            each: drawn.each,
            left: drawn.turns,
            drawn: drawn.turns - paid,
            lost: 0,
            owed: self.owed - paid,
        };
        self.pass(paid);
    }

    fn pass(&mut self, turns: u32) {
        self.next += self.each * turns;
        self.left -= turns;
    }
}

/// Counts who waits, also if he gives up.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many requests a rate allows in this time; at least 1.
fn share(per_second: f64, time: Duration) -> u32 {
    let whole = (per_second * time.as_secs_f64()).ceil().clamp(1.0, 1e6);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was clamped to a small whole number"
    )]
    let whole = whole as u32;
    whole
}

#[cfg(test)]
mod tests;
