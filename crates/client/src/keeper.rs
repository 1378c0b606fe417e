//! One token for many callers, and at most one renewal of it under way.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::Backoff;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use secrecy::{ExposeSecret as _, SecretString};

use crate::ClientError;
use crate::living::{Age, Living};

/// Pauses between renewals that fail, so that a server that is down is not stormed.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(500),
    cap: Duration::from_secs(30),
};

/// The least pause after a refusal that does not pass by itself.
const SETTLED: Duration = Duration::from_secs(5);

/// A token that came after a refusal and is refused as well is not renewed within this time: the
/// next one would fare no better, and every request would ask for one.
const UNEASY: Duration = Duration::from_secs(1);

/// How a token is renewed.
#[async_trait]
pub(crate) trait Renew: Debug + Send + Sync + 'static {
    /// Whether a token is renewed ahead of its end, while its callers go on with it. Not where
    /// a renewal spends something and its caller may end before the answer comes.
    const AHEAD: bool;

    /// Another token than `known`.
    async fn renew(&self, known: Option<SecretString>) -> Result<Living, ClientError>;
}

/// A renewal that any number of callers wait for.
type Flight = Shared<BoxFuture<'static, Result<Living, ClientError>>>;

/// Keeps a token; clones keep the same one.
#[derive(Debug)]
pub(crate) struct Keeper<R> {
    pub(crate) renew: Arc<R>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    living: Option<Living>,
    flight: Option<Flight>,
    /// Whether the renewal that is under way was caused by a refusal.
    was_refused: bool,
    /// When a token last came after a refusal.
    eased_at: Option<Instant>,
    failures: u32,
    /// Until when, and why, nobody asks again.
    pause: Option<(Instant, ClientError)>,
}

impl<R> Clone for Keeper<R> {
    fn clone(&self) -> Self {
        Self {
            renew: Arc::clone(&self.renew),
            state: Arc::clone(&self.state),
        }
    }
}

impl<R: Renew> Keeper<R> {
    pub(crate) fn new(renew: R) -> Self {
        Self {
            renew: Arc::new(renew),
            state: Arc::default(),
        }
    }

    /// A token that can be sent, renewed first if it must be.
    pub(crate) async fn token(&self) -> Result<SecretString, ClientError> {
        let flight = {
            let mut state = lock(&self.state);
            let now = Instant::now();
            if let Some(living) = &state.living {
                let token = living.token.clone();
                match living.age(now) {
                    Age::Fresh => return Ok(token),
                    Age::Stale => {
                        if R::AHEAD && state.may_ask(now).is_ok() {
                            drop(self.join(&mut state));
                        }
                        return Ok(token);
                    }
                    Age::Ended => {}
                }
            }
            state.may_ask(now)?;
            self.join(&mut state)
        };
        flight.await.map(|living| living.token)
    }

    /// Another token than `refused`; `None` if that is the answer to a refusal itself.
    pub(crate) async fn instead_of(
        &self,
        refused: &SecretString,
    ) -> Result<Option<SecretString>, ClientError> {
        let flight = {
            let mut state = lock(&self.state);
            let now = Instant::now();
            let living = state.living.as_ref();
            if let Some(living) = living.filter(|it| !same(&it.token, refused)) {
                return Ok(Some(living.token.clone()));
            }
            if state.flight().is_none() {
                state.may_ask(now)?;
                let uneasy = |at: Instant| now.duration_since(at) < UNEASY;
                if state.eased_at.is_some_and(uneasy) {
                    return Ok(None);
                }
                state.was_refused = true;
            }
            self.join(&mut state)
        };
        flight.await.map(|living| Some(living.token))
    }

    /// Waits until no renewal is under way.
    pub(crate) async fn settled(&self) {
        let flight = lock(&self.state).flight.clone();
        if let Some(flight) = flight {
            // Its callers are told how it ended.
            drop(flight.await);
        }
    }

    /// The renewal that is under way, else one that begins. It runs as a task: a caller that
    /// gives up must not take the answer with it.
    fn join(&self, state: &mut State) -> Flight {
        if let Some(flight) = state.flight() {
            return flight.clone();
        }
        let (renew, shared) = (Arc::clone(&self.renew), Arc::clone(&self.state));
        let known = state.living.as_ref().map(|living| living.token.clone());
        let task = tokio::spawn(async move {
            let outcome = renew.renew(known).await;
            lock(&shared).settle(&outcome);
            outcome
        });
        let flight = async move { task.await.unwrap_or(Err(ClientError::Interrupted)) };
        let flight = flight.boxed().shared();
        state.flight = Some(flight.clone());
        flight
    }
}

impl State {
    /// The renewal that is under way. One that panicked is none.
    fn flight(&self) -> Option<&Flight> {
        self.flight.as_ref().filter(|it| it.peek().is_none())
    }

    /// The last error, as long as nobody is to ask again.
    fn may_ask(&self, now: Instant) -> Result<(), ClientError> {
        match &self.pause {
            Some((until, error)) if now < *until => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn settle(&mut self, outcome: &Result<Living, ClientError>) {
        self.flight = None;
        let was_refused = std::mem::take(&mut self.was_refused);
        match outcome {
            Ok(living) => {
                if was_refused {
                    self.eased_at = Some(Instant::now());
                }
                self.living = Some(living.clone());
                self.failures = 0;
                self.pause = None;
            }
            // No server is asked before it is said again, so nobody is to be spared.
            Err(ClientError::LogInAgain { .. }) => {
                self.living = None;
                self.pause = None;
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                // The whole ceiling would make all wait alike; from its half on they spread.
                let ceiling = BACKOFF.ceiling(self.failures);
                let pause = ceiling / 2 + domain::full_jitter(ceiling / 2);
                let least = if error.is_transient() {
                    error.retry_after().unwrap_or_default()
                } else {
                    SETTLED
                };
                let pause = pause.max(least);
                self.pause = Some((Instant::now() + pause, error.clone()));
            }
        }
    }
}

fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Whoever panicked in between left a state that is whole.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
