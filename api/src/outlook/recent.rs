//! Answers that are dear to make, kept for a moment.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// An answer is good for so many times what it took to make: however large the fleet is and however
/// often the same is asked, its figures keep the database busy for a tenth of the time at most.
const REST: u32 = 9;

/// The last answers by what was asked.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    good_for: Duration,
    /// With the time up to which they are good.
    answers: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// Answers that are given again for so long after they were made, or longer if they are dear.
    pub(super) fn good_for(good_for: Duration) -> Self {
        Self {
            good_for,
            answers: Mutex::default(),
        }
    }

    /// The answer that is there, else the one that is made. Who asks meanwhile waits: one answer
    /// is made at a time, whatever is asked.
    pub(super) async fn get<E>(
        &self,
        asked: K,
        make: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let mut answers = self.answers.lock().await;
        let begun_at = Instant::now();
        answers.retain(|_, (good_until, _)| *good_until > begun_at);
        if let Some((_, answer)) = answers.get(&asked) {
            return Ok(answer.clone());
        }
        let answer = make.await?;
        let good_for = self.after(begun_at.elapsed());
        answers.insert(asked, (Instant::now() + good_for, answer.clone()));
        Ok(answer)
    }

    /// For how long an answer is good that took so long.
    fn after(&self, took: Duration) -> Duration {
        self.good_for.max(took * REST)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn who_asks_the_same_shares_one_answer() {
        let recent = Recent::good_for(Duration::from_hours(1));
        let count = AtomicU32::new(0);
        let ask = |asked: u32| {
            let make = async {
                tokio::task::yield_now().await;
                Ok::<_, ()>(count.fetch_add(1, Ordering::Relaxed))
            };
            recent.get(asked, make)
        };

        let together = join_all([ask(7), ask(7), ask(8), ask(7)]).await;

        assert_eq!(together, [Ok(0), Ok(0), Ok(1), Ok(0)]);
    }

    #[tokio::test]
    async fn what_is_too_old_or_failed_is_made_anew() {
        let recent = Recent::good_for(Duration::ZERO);

        let answers = [
            recent.get((), async { Err("away") }).await,
            recent.get((), async { Ok(1) }).await,
            recent.get((), async { Ok(2) }).await,
        ];

        assert_eq!(answers, [Err("away"), Ok(1), Ok(2)]);
    }

    #[test]
    fn what_is_dear_is_kept_for_longer() {
        let recent = Recent::<(), ()>::good_for(Duration::from_secs(10));

        let kept = [0, 1, 2, 60].map(|secs| recent.after(Duration::from_secs(secs)).as_secs());

        assert_eq!(kept, [10, 10, 18, 540]);
    }
}
