//! What tenants are called, for readers of tokens: they come by the thousand a second, and
//! would each ask the database twice.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::Name;
use store::Tenant;

/// How long an answer of the database is believed. What this process deletes is forgotten at
/// once; a tenant that another one deletes has no channels any more, whatever is believed.
const BELIEVED: Duration = Duration::from_secs(1);
/// Tenants that are kept; more than that within a second begin anew.
const MOST: usize = 10_000;

/// Tenants that the database told of lately.
#[derive(Debug, Default)]
pub(crate) struct Tenancy(Mutex<HashMap<Name, (Instant, Tenant)>>);

impl Tenancy {
    /// The tenant of this id, if the database told of it less than a second ago.
    pub(crate) fn of(&self, id: &Name) -> Option<Tenant> {
        let known = self.known();
        let (at, tenant) = known.get(id)?;
        (at.elapsed() < BELIEVED).then(|| tenant.clone())
    }

    /// Remembers what the database said when it was asked at `at`.
    pub(crate) fn remember(&self, at: Instant, tenant: &Tenant) {
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(tenant.id.clone(), (at, tenant.clone()));
    }

    /// Forgets everything: a tenant is gone.
    pub(crate) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Name, (Instant, Tenant)>> {
        // Whoever panicked in between left a map that is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
