//! What all requests share.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::{Clock, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::consent::Consents;
use crate::grants::{self, Grants};
use crate::ledger::{Ledger, Summary};
use crate::providers::{self, Provider};
use crate::token::TokenMint;
use crate::{FaultKind, Faults, Latency, Scenario, ScenarioError, SimulatorConfig};

/// How many repeated generations a summary names.
const REPEATED_MAX: usize = 1000;

/// Something to change that is not there, or cannot be so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No grant has this id.
    #[error("there is no grant '{id}'")]
    Grant {
        /// What stood there.
        id: String,
    },
    /// No provider has this name.
    #[error(
        "'{name}' is no provider of the simulator; one of {}",
        providers::known()
    )]
    Provider {
        /// What stood there.
        name: String,
    },
    /// The grant's provider has no such scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

/// The providers, their grants, the faults and the ledger.
pub(crate) struct World {
    /// `http://host:port`, without a slash at its end.
    pub(crate) origin: String,
    pub(crate) tokens: TokenMint,
    pub(crate) providers: Vec<Box<dyn Provider>>,
    pub(crate) grants: Grants,
    pub(crate) consents: Consents,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) slow: Duration,
    pub(crate) stop: CancellationToken,
    pub(crate) lifetimes: MetaLifetimes,
    latency: Latency,
    faults: RwLock<Faults>,
}

/// Full lifetimes of Meta's tokens, which a fleet's first tokens are measured by.
pub(crate) struct MetaLifetimes {
    pub(crate) user: Duration,
    pub(crate) page: Duration,
    pub(crate) system_user: Duration,
    pub(crate) instagram: Duration,
}

impl World {
    /// A world without grants that is reached at `origin`.
    pub(crate) fn new(config: SimulatorConfig, origin: String) -> Self {
        let tokens = TokenMint::new(config.seed);
        let providers = providers::registry(&config, &origin);
        let names = providers.iter().map(|provider| provider.name()).collect();
        Self {
            origin,
            tokens,
            providers,
            grants: Grants::new(),
            consents: Consents::new(config.consent),
            ledger: Ledger::new(names, config.ledger_capacity),
            clock: config.clock,
            retry_after: config.retry_after,
            slow: config.slow,
            stop: CancellationToken::new(),
            lifetimes: MetaLifetimes {
                user: config.facebook.user_lifetime,
                page: config.facebook.page_lifetime,
                system_user: config.facebook.system_user_lifetime,
                instagram: config.instagram.lifetime,
            },
            latency: config.latency,
            faults: RwLock::new(config.faults),
        }
    }

    /// The clock's instant.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The index of the provider with this name or synonym.
    pub(crate) fn provider(&self, name: &str) -> Option<usize> {
        let name = providers::canonical(name);
        self.providers.iter().position(|p| p.name() == name)
    }

    /// The index of the provider that a path belongs to.
    pub(crate) fn provider_at(&self, path: &str) -> Option<usize> {
        let path = path.strip_prefix('/')?;
        self.providers.iter().position(|provider| {
            let rest = path.strip_prefix(provider.mount());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The address of a provider; one that answers 404 if it is not simulated.
    pub(crate) fn base_url(&self, name: &str) -> String {
        let mount = self.provider(name).map(|at| self.providers[at].mount());
        format!("{}/{}", self.origin, mount.unwrap_or(name))
    }

    /// How long the request with this number is thought about.
    pub(crate) fn latency(&self, seq: u64) -> Duration {
        if self.latency.jitter.is_zero() {
            return self.latency.fixed;
        }
        self.latency.fixed + self.latency.jitter.mul_f64(self.tokens.draw(seq, 0))
    }

    /// The fault that the request with this number meets by rate.
    pub(crate) fn fault(&self, provider: usize, seq: u64) -> Option<FaultKind> {
        let faults = self.faults.read().unwrap_or_else(PoisonError::into_inner);
        let draw = |label| self.tokens.draw(seq, label);
        faults.draw(self.providers[provider].name(), draw(1), draw(2))
    }

    /// A copy of the faults that are on.
    pub(crate) fn faults(&self) -> Faults {
        let faults = self.faults.read().unwrap_or_else(PoisonError::into_inner);
        faults.clone()
    }

    /// Replaces the faults for all requests from now on.
    pub(crate) fn set_faults(&self, faults: Faults) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Takes a provider down, or puts it up again.
    pub(crate) fn set_down(&self, provider: usize, down: bool) {
        let mut faults = self.faults.write().unwrap_or_else(PoisonError::into_inner);
        *faults = faults.with_down(self.providers[provider].name(), down);
    }

    /// Totals, with what the grants know.
    pub(crate) fn summary(&self) -> Summary {
        let name = |provider: usize| self.providers[provider].name();
        let (sums, repeated) = self.grants.usage(REPEATED_MAX, name);
        Summary {
            generations: sums.pairs,
            generations_repeated: sums.repeated,
            generations_doubled: sums.doubled,
            repeated,
            ..self.ledger.summary()
        }
    }

    /// Forgets all requests.
    pub(crate) fn clear_ledger(&self) {
        self.ledger.clear();
        self.grants.each(|grant| grant.usage.clear());
    }

    /// Ends a grant.
    pub(crate) fn revoke(&self, id: &str) -> Result<(), ControlError> {
        let found = grants::parse_id(id).and_then(|(name, number)| {
            let provider = self.provider(name)?;
            self.grants
                .with(provider, number, |grant| grant.revoked = true)
        });
        found.ok_or_else(|| no_grant(id))
    }

    /// Takes a provider down, or puts it up again.
    pub(crate) fn set_down_by_name(&self, name: &str, down: bool) -> Result<(), ControlError> {
        let index = self.provider(name).ok_or_else(|| no_provider(name))?;
        self.set_down(index, down);
        Ok(())
    }

    /// Replaces a grant's scenario.
    pub(crate) fn set_scenario(&self, id: &str, text: &str) -> Result<(), ControlError> {
        let known = grants::parse_id(id);
        let found = known.and_then(|(name, number)| Some((self.provider(name)?, number)));
        let (provider, number) = found.ok_or_else(|| no_grant(id))?;
        let scenario = Scenario::parse(&*self.providers[provider], text)?;
        let set = self.grants.with(provider, number, |grant| {
            grant.scenario = scenario;
            grant.acted = 0;
        });
        set.ok_or_else(|| no_grant(id))
    }
}

/// The error for an unknown id.
pub(crate) fn no_grant(id: &str) -> ControlError {
    ControlError::Grant { id: id.to_owned() }
}

/// The error for an unknown name.
pub(crate) fn no_provider(name: &str) -> ControlError {
    ControlError::Provider {
        name: name.to_owned(),
    }
}
