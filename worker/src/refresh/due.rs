//! When a channel is looked at next.

use std::time::Duration;

use domain::{Grant, Lifetime, Plan, Timestamp, Window, full_jitter, next_attempt_after_failure};

use super::decide::Situation;

/// Pause between two looks at a channel that needs no refresh, or that waits for a person.
pub(super) const PROBE: Duration = Duration::from_hours(24);
/// Pause after a token whose end nobody knows.
const UNKNOWN_END: Duration = Duration::from_hours(1);
/// The shortest pause after a refresh that did not extend the token.
const NOT_EXTENDED_PAUSE: Duration = Duration::from_hours(1);

impl Situation<'_> {
    pub(super) fn plan(
        &self,
        grant: &Grant,
        lifetime: Lifetime,
        expires_at: Option<Timestamp>,
    ) -> Timestamp {
        match (lifetime, expires_at) {
            (Lifetime::Never, _) => self.now.plus(PROBE.saturating_sub(full_jitter(PROBE / 10))),
            (_, Some(expires_at)) => self.window_plan(grant, expires_at).due_at,
            (_, None) => self.now.plus(UNKNOWN_END),
        }
    }

    fn window_plan(&self, grant: &Grant, expires_at: Timestamp) -> Plan {
        let issued_at = grant.issued_at.unwrap_or(self.now);
        self.provider
            .map_or(Window::GENERIC, |provider| {
                provider.window(grant, Some(expires_at.since(issued_at)))
            })
            .plan(self.channel.uid, issued_at, expires_at)
    }

    /// Whether the provider answered with a token that lives no longer than the
    /// old one and is due already: asking again at once would gain nothing.
    pub(super) fn gained_nothing(&self, plan: Timestamp, expires_at: Option<Timestamp>) -> bool {
        let no_longer = self
            .channel
            .access_expires_at
            .zip(expires_at)
            .is_some_and(|(old, new)| new <= old);
        no_longer && plan <= self.now
    }

    /// When a token is looked at again that gained nothing: after half of what is
    /// left, at least an hour, not after its end.
    pub(super) fn after_no_gain(&self, expires_at: Option<Timestamp>) -> Timestamp {
        let left = expires_at.map_or(PROBE, |expires_at| expires_at.since(self.now));
        self.now.plus((left / 2).max(NOT_EXTENDED_PAUSE).min(left))
    }

    pub(super) fn after_failure(&self) -> Timestamp {
        let latest_at = self
            .channel
            .access_expires_at
            .map(|expires_at| self.window_plan(self.grant, expires_at).latest_at);
        next_attempt_after_failure(self.now, self.channel.failures + 1, latest_at)
    }
}
