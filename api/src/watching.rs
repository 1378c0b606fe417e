//! What happens in the queues, read once per process for any number of watchers.
//!
//! A watcher of a queue needs a connection of its own. So one task reads all queues as long as
//! anybody watches, and passes on what it sees; who reads too slowly is told what was missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use queue::{JobEvent, Queue, QueueName, Watch};
use tokio::sync::{Mutex, broadcast};

use crate::App;
use crate::problem::Problem;

/// What a slow watcher may lag behind before it misses something.
const BACKLOG: usize = 4096;
/// Watchers of one process.
const MOST: usize = 100;
/// How often it is looked whether anybody still watches, and whether Redis answers again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a watcher is told.
#[derive(Clone, Debug)]
pub(crate) enum Sight {
    /// Something happened to a job.
    Job(JobEvent),
    /// Redis does not answer.
    Away,
    /// It answers again; whether it has kept what happened meanwhile.
    Back {
        /// If not, that is known to nobody.
        kept: bool,
    },
    /// A queue was flushed: what happened in it just before is known to nobody.
    Flushed(QueueName),
}

/// Those who watch. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchers(Reading);

/// Where the task tells what it sees; `None` while there is no task.
type Reading = Arc<Mutex<Option<Arc<Board>>>>;

impl Watchers {
    /// Tells of everything that happens from now on.
    ///
    /// # Errors
    ///
    /// 503 if Redis is away, or too many watch already.
    pub(crate) async fn join(&self, app: &App) -> Result<broadcast::Receiver<Sight>, Problem> {
        let mut reading = self.0.lock().await;
        if let Some(board) = reading.as_ref() {
            return board.seat();
        }
        let queues: Vec<Queue> = app.queue_names().map(|it| app.queues.queue(&it)).collect();
        let watches = try_join_all(queues.iter().map(Queue::watch)).await?;
        let board = Arc::new(Board::default());
        let seat = board.seat()?;
        tokio::spawn(read(Arc::clone(&self.0), watches, Arc::clone(&board)));
        *reading = Some(board);
        Ok(seat)
    }
}

/// Reads all queues until nobody watches any more.
async fn read(reading: Reading, watches: Vec<Watch>, board: Arc<Board>) {
    let all = watches.into_iter().map(|watch| follow(watch, &board));
    tokio::select! {
        _ = join_all(all) => {}
        () = abandoned(&reading, &board) => {}
    }
}

/// Ends when nobody watches.
async fn abandoned(reading: &Reading, board: &Board) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut reading = reading.lock().await;
        if board.sights.receiver_count() == 0 {
            *reading = None;
            return;
        }
    }
}

/// Passes on what happens in one queue.
async fn follow(mut watch: Watch, board: &Board) {
    let mut gaps = 0;
    loop {
        let seen = watch.next().await;
        if watch.gaps() > gaps {
            gaps = watch.gaps();
            board.tell(Sight::Flushed(watch.queue().clone()));
        }
        match seen {
            Ok(event) => board.tell(Sight::Job(event)),
            Err(error) => {
                tracing::debug!(%error, "a queue cannot be watched");
                board.note_away();
                loop {
                    tokio::time::sleep(LOOK_EVERY).await;
                    if watch.resume().await.is_ok() {
                        break;
                    }
                }
                board.note_back(watch.gaps() == gaps);
                gaps = watch.gaps();
            }
        }
    }
}

/// Tells the watchers; of an outage once, however many queues notice it.
#[derive(Debug)]
struct Board {
    sights: broadcast::Sender<Sight>,
    /// Queues that cannot be watched at the moment.
    away: AtomicUsize,
    /// Whether none of them has lost anything.
    kept: AtomicBool,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            sights: broadcast::Sender::new(BACKLOG),
            away: AtomicUsize::new(0),
            kept: AtomicBool::new(true),
        }
    }
}

impl Board {
    /// A place for one more watcher; who came before was told of an outage already.
    fn seat(&self) -> Result<broadcast::Receiver<Sight>, Problem> {
        if self.away.load(Ordering::Relaxed) > 0 {
            let detail = "Redis does not answer at the moment.";
            return Err(Problem::retry_later("unavailable", detail, LOOK_EVERY));
        }
        if self.sights.receiver_count() >= MOST {
            let detail = format!("{MOST} watch already; ask another process, or later.");
            let pause = Duration::from_secs(30);
            return Err(Problem::retry_later("too_many_watchers", detail, pause));
        }
        Ok(self.sights.subscribe())
    }

    fn tell(&self, sight: Sight) {
        // An error means that nobody watches, which ends the task soon.
        let _ = self.sights.send(sight);
    }

    fn note_away(&self) {
        if self.away.fetch_add(1, Ordering::Relaxed) == 0 {
            self.tell(Sight::Away);
        }
    }

    fn note_back(&self, kept: bool) {
        self.kept.fetch_and(kept, Ordering::Relaxed);
        if self.away.fetch_sub(1, Ordering::Relaxed) == 1 {
            let kept = self.kept.swap(true, Ordering::Relaxed);
            self.tell(Sight::Back { kept });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_that_many_queues_notice_is_told_once() {
        let board = Board::default();
        let mut seat = board.seat().expect("nobody watches");

        for _ in 0..3 {
            board.note_away();
        }
        board.note_back(true);
        board.note_back(false);
        board.note_back(true);
        board.note_away();
        board.note_back(true);

        let told = std::iter::from_fn(|| seat.try_recv().ok());
        let told: Vec<String> = told.map(|sight| format!("{sight:?}")).collect();
        let expected = [
            "Away",
            "Back { kept: false }",
            "Away",
            "Back { kept: true }",
        ];
        assert_eq!(told, expected);
    }
}
