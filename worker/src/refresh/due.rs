//! When a channel is looked at next.

use std::time::Duration;

use domain::{
    Grant, Lifetime, Margin, Plan, Timestamp, Window, full_jitter, next_attempt_after_failure,
};

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

    /// When a token is looked at next that the provider answered with.
    ///
    /// One that lives no longer than the old one and is due already would gain
    /// nothing by being asked for again at once: half of what is left is waited for,
    /// at least an hour, not beyond its end.
    pub(super) fn due_at(&self, plan: Timestamp, expires_at: Option<Timestamp>) -> Timestamp {
        if plan > self.now || !self.lives_no_longer(expires_at) {
            return plan;
        }
        let left = expires_at.map_or(PROBE, |expires_at| expires_at.since(self.now));
        self.now.plus((left / 2).max(NOT_EXTENDED_PAUSE).min(left))
    }

    /// Whether an exchange did what it is for. Where tokens rotate, or come in two
    /// steps, a shorter life is in the nature of the new token.
    pub(super) fn extends(
        &self,
        grant: &Grant,
        lifetime: Lifetime,
        expires_at: Option<Timestamp>,
    ) -> bool {
        let in_two_steps = self.provider.is_some_and(|provider| {
            let known = match lifetime {
                Lifetime::For(duration) => Some(duration),
                _ => None,
            };
            matches!(provider.window(grant, known).target, Margin::AfterIssue(_))
        });
        self.is_rotating() || in_two_steps || !self.lives_no_longer(expires_at)
    }

    fn lives_no_longer(&self, expires_at: Option<Timestamp>) -> bool {
        self.channel
            .access_expires_at
            .zip(expires_at)
            .is_some_and(|(old, new)| new <= old)
    }

    pub(super) fn after_failure(&self) -> Timestamp {
        let latest_at = self
            .channel
            .access_expires_at
            .map(|expires_at| self.window_plan(self.grant, expires_at).latest_at);
        next_attempt_after_failure(self.now, self.channel.failures + 1, latest_at)
    }
}
