//! What `/readyz` asks beside the database and Redis.

use std::fmt;
use std::sync::Arc;

type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Named checks of this process, such as "this queue was polled lately".
///
/// A check answers at once, from what the process knows already: `/readyz` is
/// asked every few seconds.
#[derive(Clone, Default)]
pub struct Health {
    checks: Vec<(String, Check)>,
}

impl Health {
    /// The same, with one more check; `name` is what the answer shows.
    ///
    /// The check says in one sentence what is wrong, without a secret: everybody may read it.
    #[must_use]
    pub fn with(
        mut self,
        name: impl Into<String>,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push((name.into(), Arc::new(check)));
        self
    }

    /// Asks every check, in the order in which they were added.
    pub(crate) fn ask(&self) -> impl Iterator<Item = (&str, Result<(), String>)> {
        self.checks
            .iter()
            .map(|(name, check)| (name.as_str(), check()))
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.checks.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}
