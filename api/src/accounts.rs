//! What the API needs to know people and programs by.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::{Clock, Role, Scope, SystemClock, TenantUid};
use identity::{Digest, Passwords, Tokens};
use secrecy::SecretString;
use store::{Familiar, ServiceToken};

use crate::caller::Who;

/// How long an answer of the database about a log-in or a service token is believed.
/// What is ended by this process is forgotten at once; by another one, after this.
const BELIEVED: Duration = Duration::from_secs(1);
/// Answers that are kept; more than that within a second begin anew.
const MOST: usize = 10_000;

/// What the API needs to know people and programs by.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// Makes and reads tokens.
    pub tokens: Tokens,
    /// Hashes and verifies passwords.
    pub passwords: Passwords,
    /// When tokens begin and end.
    pub clock: Arc<dyn Clock>,
    /// How long after its use a refresh token gets one more pair; zero is strict.
    pub refresh_grace: Duration,
    /// How long an invitation can be accepted.
    pub invitation_lifetime: Duration,
    /// Whether people may register themselves after the first one.
    pub open_registration: bool,
    /// What the first one must bring; `None` where only this machine reaches the API.
    pub bootstrap_token: Option<SecretString>,
}

impl Accounts {
    /// Accounts of a server that only this machine reaches, with registration closed.
    #[must_use]
    pub fn new(tokens: Tokens, passwords: Passwords) -> Self {
        Self {
            tokens,
            passwords,
            clock: Arc::new(SystemClock),
            refresh_grace: Duration::from_secs(10),
            invitation_lifetime: Duration::from_hours(7 * 24),
            open_registration: false,
            bootstrap_token: None,
        }
    }
}

/// What the database says of a caller whose token was signed by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A person whose log-in lives.
    Person {
        tenant: TenantUid,
        role: Role,
        platform_admin: bool,
    },
    /// A service token that lives.
    Program {
        tenant: TenantUid,
        scopes: Vec<Scope>,
        digest: [u8; 32],
    },
}

impl Standing {
    /// Whether it is that of the service token with this digest.
    pub(crate) fn is_of(&self, presented: Digest) -> bool {
        matches!(self, Self::Program { digest, .. } if *digest == presented.0)
    }
}

impl From<Familiar> for Standing {
    fn from(person: Familiar) -> Self {
        Self::Person {
            tenant: person.tenant,
            role: person.role,
            platform_admin: person.platform_admin,
        }
    }
}

impl From<ServiceToken> for Standing {
    fn from(token: ServiceToken) -> Self {
        Self::Program {
            tenant: token.tenant,
            scopes: token.scopes,
            digest: token.digest,
        }
    }
}

/// What the database said lately, so that a busy caller does not cost a query per request.
#[derive(Debug, Default)]
pub(crate) struct Standings(Mutex<HashMap<Who, (Instant, Standing)>>);

impl Standings {
    /// What the database said of this caller less than a second ago.
    pub(crate) fn of(&self, who: Who) -> Option<Standing> {
        let known = self.known();
        let (at, standing) = known.get(&who)?;
        (at.elapsed() < BELIEVED).then(|| standing.clone())
    }

    /// Remembers what the database said when it was asked at `at`.
    pub(crate) fn remember(&self, who: Who, at: Instant, standing: Standing) {
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(who, (at, standing));
    }

    /// Forgets everything: somebody's rights have changed.
    pub(crate) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Who, (Instant, Standing)>> {
        // Whoever panicked in between left a map that is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
