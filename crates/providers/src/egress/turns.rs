//! One call at a time for those who share a name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Who is calling. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    /// Names without anybody who holds or awaits the turn are swept with each use.
    by_name: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
}

/// Leave to call; the next one's turn comes when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Turns {
    /// The turn under this name; `None` if it does not come within `patience`.
    pub(super) async fn take(&self, name: String, patience: Duration) -> Option<Turn> {
        let turn = self.of(name).acquire_owned();
        let permit = timeout(patience, turn).await.ok()?;
        Some(Turn(permit.expect("nobody closes it")))
    }

    fn of(&self, name: String) -> Arc<Semaphore> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        by_name.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = by_name.get(&name).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(Semaphore::new(1));
        by_name.insert(name, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn one_name_has_one_turn_and_others_are_not_held_up() {
        let turns = Turns::default();
        let first = turns.take("a".to_owned(), SOON).await;

        let second = turns.take("a".to_owned(), SOON).await;
        let other = turns.take("b".to_owned(), SOON).await;
        drop(first);
        let after = turns.take("a".to_owned(), SOON).await;

        assert!(second.is_none());
        assert!(other.is_some() && after.is_some());
    }

    #[tokio::test]
    async fn names_of_the_past_are_forgotten() {
        let turns = Turns::default();
        for name in 0..100 {
            drop(turns.take(name.to_string(), SOON).await);
        }

        let _last = turns.take("last".to_owned(), SOON).await;

        assert_eq!(turns.by_name.lock().unwrap().len(), 1);
    }
}
