//! A person's log-in that lasts (S4.1, S4.3).

mod file;
mod saved;
mod storage;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::Clock as _;
use domain::SystemClock;
use secrecy::{ExposeSecret as _, SecretString};

use crate::keeper::{Keeper, Renew};
use crate::living::{Age, Living};
use crate::{Bearer, ClientError, LoginPair, Server};

pub use file::FileStorage;
pub use saved::SavedLogin;
pub use storage::{MemoryStorage, SessionStorage, StorageError};

/// How long the first try of a refresh may take. A second one must reach the server within
/// its grace (`REFRESH_TOKEN_GRACE`, 10 s): within it the same refresh token brings a pair once
/// more, after it the server takes the second use for theft.
const FIRST_TRY: Duration = Duration::from_secs(5);
/// How long the second and last one may take.
const SECOND_TRY: Duration = Duration::from_secs(20);

/// A log-in that renews itself. Clones are the same one.
///
/// - A call that meets a 401 waits for one refresh, whoever else waits for it, and is sent
///   again once.
/// - Processes that share a [`SessionStorage`] take turns: who comes second finds the pair
///   that the first one got, and spends nothing.
/// - A lost answer is asked for once more, within the server's grace.
/// - Once the refresh token is dead, every call fails with [`ClientError::LogInAgain`], without
///   asking the server, until somebody has logged in again.
#[derive(Clone, Debug)]
pub struct Session {
    keeper: Keeper<FromRefreshToken>,
}

#[derive(Debug)]
struct FromRefreshToken {
    server: Server,
    storage: Arc<dyn SessionStorage>,
    memory: Mutex<Memory>,
}

/// What this process knows beside what is saved.
#[derive(Debug, Default)]
struct Memory {
    /// A refresh token that the server no longer takes.
    dead: Option<SecretString>,
    /// A log-in that could not be saved, and the refresh token that was spent for it.
    unsaved: Option<(SecretString, SavedLogin)>,
}

impl Session {
    /// Goes on with the log-in that is saved there, or will be.
    #[must_use]
    pub fn new(server: Server, storage: impl SessionStorage + 'static) -> Self {
        let renew = FromRefreshToken {
            server,
            storage: Arc::new(storage),
            memory: Mutex::default(),
        };
        Self {
            keeper: Keeper::new(renew),
        }
    }

    /// Logs in and saves it, in the place of what was saved.
    ///
    /// # Errors
    ///
    /// As [`Server::log_in`]; [`ClientError::Storage`] if it cannot be saved.
    pub async fn log_in(
        server: Server,
        storage: impl SessionStorage + 'static,
        email: &str,
        password: &SecretString,
    ) -> Result<Self, ClientError> {
        let pair = server.log_in(email, password).await?;
        let session = Self::new(server, storage);
        let renew = &session.keeper.renew;
        let saved = renew.saved(email, pair);
        let _turn = renew.turn().await?;
        renew.save(saved).await?;
        Ok(session)
    }

    /// Ends the log-in, here in any case and at the server if that can be reached. `false` if
    /// nobody was logged in.
    ///
    /// # Errors
    ///
    /// If the server could not be told: the log-in ends there when its refresh token expires.
    pub async fn log_out(&self) -> Result<bool, ClientError> {
        let renew = &self.keeper.renew;
        let _turn = renew.turn().await?;
        let Some(saved) = renew.load().await? else {
            return Ok(false);
        };
        let storage = Arc::clone(&renew.storage);
        blocking(move || storage.clear()).await?;
        match renew.server.log_out(&saved.refresh_token).await {
            // It has ended already.
            Err(error) if error.is_unauthorized() => Ok(true),
            other => other.map(|()| true),
        }
    }

    /// Waits until no refresh is under way, for a process that is about to end: the answer of
    /// a refresh that is cut off is lost, and with it the log-in.
    pub async fn settled(&self) {
        self.keeper.settled().await;
    }
}

#[async_trait]
impl Bearer for Session {
    async fn token(&self) -> Result<SecretString, ClientError> {
        self.keeper.token().await
    }

    async fn instead_of(
        &self,
        refused: &SecretString,
    ) -> Result<Option<SecretString>, ClientError> {
        self.keeper.instead_of(refused).await
    }
}

#[async_trait]
impl Renew for FromRefreshToken {
    /// A command that ends while a refresh is under way would lose the answer.
    const AHEAD: bool = false;

    async fn renew(&self, known: Option<SecretString>) -> Result<Living, ClientError> {
        let _turn = self.turn().await?;
        let saved = self.load().await?;
        let saved = saved.ok_or_else(|| self.server.log_in_again())?;
        if self.is_dead(&saved.refresh_token) {
            return Err(self.server.log_in_again());
        }
        let is_known = known.is_some_and(|known| same(&known, &saved.access_token));
        if !is_known && let Some(living) = living(&saved) {
            return Ok(living);
        }
        let asked_at = Instant::now();
        let pair = self.refresh(&saved.refresh_token).await?;
        let lifetime = Duration::from_secs(pair.expires_in);
        let living = Living::new(pair.access_token.clone(), asked_at, lifetime);
        let fresh = self.saved(&saved.email, pair);
        if let Err(error) = self.save(fresh.clone()).await {
            // What is on disk is spent, but this process can go on.
            tracing::warn!(%error, "a refreshed log-in could not be saved");
            self.memory().unsaved = Some((saved.refresh_token, fresh));
        }
        Ok(living)
    }
}

impl FromRefreshToken {
    /// Spends a refresh token; twice if nobody knows whether the first answer was lost.
    async fn refresh(&self, token: &SecretString) -> Result<LoginPair, ClientError> {
        let first = self.server.refresh(token, FIRST_TRY).await;
        let outcome = match first {
            Err(error) if may_be_lost(&error) => self.server.refresh(token, SECOND_TRY).await,
            other => other,
        };
        match outcome {
            Err(error) if error.is_unauthorized() => {
                self.memory().dead = Some(token.clone());
                Err(self.server.log_in_again())
            }
            other => other,
        }
    }

    /// The right to refresh, until it is dropped.
    async fn turn(&self) -> Result<Box<dyn Send>, ClientError> {
        let storage = Arc::clone(&self.storage);
        blocking(move || storage.lock()).await
    }

    /// What is saved, or came of it and could not be saved.
    async fn load(&self) -> Result<Option<SavedLogin>, ClientError> {
        let storage = Arc::clone(&self.storage);
        let saved = blocking(move || storage.load()).await?;
        let memory = self.memory();
        Ok(match (&saved, &memory.unsaved) {
            (Some(saved), Some((spent, fresh))) if same(&saved.refresh_token, spent) => {
                Some(fresh.clone())
            }
            _ => saved,
        })
    }

    async fn save(&self, login: SavedLogin) -> Result<(), ClientError> {
        let storage = Arc::clone(&self.storage);
        blocking(move || storage.save(&login)).await?;
        self.memory().unsaved = None;
        Ok(())
    }

    fn saved(&self, email: &str, pair: LoginPair) -> SavedLogin {
        SavedLogin {
            server: self.server.address().to_owned(),
            email: email.to_owned(),
            access_token: pair.access_token,
            refresh_token: pair.refresh_token,
            obtained_at: SystemClock.now(),
            expires_in: pair.expires_in,
        }
    }

    fn is_dead(&self, refresh_token: &SecretString) -> bool {
        let memory = self.memory();
        memory
            .dead
            .as_ref()
            .is_some_and(|it| same(it, refresh_token))
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        // Whoever panicked in between left a memory that is whole.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the server may have done it, and its answer did not arrive. A proxy that speaks for
/// a server that does not answer knows no more than we do.
fn may_be_lost(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Unreadable { .. } => true,
        ClientError::Refused(problem) => matches!(problem.status, 502 | 504),
        _ => false,
    }
}

/// A saved access token, if it can be sent. The clock of the machine may have been set since;
/// then the server says 401.
fn living(saved: &SavedLogin) -> Option<Living> {
    let elapsed = SystemClock.now().since(saved.obtained_at);
    let asked_at = Instant::now().checked_sub(elapsed)?;
    let lifetime = Duration::from_secs(saved.expires_in);
    let living = Living::new(saved.access_token.clone(), asked_at, lifetime);
    (living.age(Instant::now()) != Age::Ended).then_some(living)
}

fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, ClientError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| ClientError::Interrupted)??)
}
