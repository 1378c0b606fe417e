//! Freshness as the API shows it (S5.7).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Name, TenantUid};
use schemars::JsonSchema;
use serde::Serialize;
use store::{Freshness, FreshnessFigures, Lags, Store, StoreError};

/// Tenants that are shown, those with the lowest share of valid channels.
const TENANTS_MAX: usize = 50;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    /// The last so many hours.
    pub(crate) hours: u32,
    /// For how much longer than now a valid token lives, in minutes.
    pub(crate) margin_minutes: u32,
}

/// How fresh channels are.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct FreshnessView {
    /// `dead_minutes`, `refreshed` and `lag_ms` are of the last so many hours.
    hours: u32,
    /// A token is valid if it lives for more minutes than these.
    margin_minutes: u32,
    /// Of all of them.
    all: FiguresView,
    /// By provider, those that occur.
    by_provider: BTreeMap<String, FiguresView>,
}

/// How fresh the channels of all tenants are, up to ten seconds ago, or longer if they are many.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct PlatformFreshness {
    #[serde(flatten)]
    whole: FreshnessView,
    /// How many tenants have such channels.
    tenants: usize,
    /// The 50 tenants with the lowest `valid_share`, the lowest first; of equal ones that with
    /// more dead minutes. Tenants without channels to be kept alive come last.
    by_tenant: Vec<TenantFreshness>,
}

/// How fresh the channels of one tenant are.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct TenantFreshness {
    /// Its id.
    tenant_id: Name,
    #[serde(flatten)]
    figures: FiguresView,
}

/// How fresh some channels are.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct FiguresView {
    /// Channels that are to be kept alive: `active`, `error` or `needs_reauth`, with an expiry.
    channels: u64,
    /// Those whose access token lives for longer than the margin.
    valid: u64,
    /// `valid` of `channels`, from 0 to 1; null without channels.
    #[schemars(range(min = 0, max = 1))]
    valid_share: Option<f64>,
    /// Those whose access token has ended.
    dead_now: u64,
    /// For how many minutes tokens were dead, added up to a tenth: those that are, and those that
    /// a refresh replaced. A token that had ended when it was imported counts from the import.
    #[schemars(range(min = 0))]
    dead_minutes: f64,
    /// Refreshes that brought new tokens.
    refreshed: u64,
    /// From the time when a channel was due to its new tokens, in milliseconds. Refreshes that
    /// came before their channel was due, on demand, do not count.
    lag_ms: LagView,
}

/// How late refreshes came, in milliseconds; nulls if there was none.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct LagView {
    /// Half of them were no later. An upper bound: 1, 2, 5, 10 or 30 s, 1, 2, 5, 10 or 30 min,
    /// 1 h, or `max`.
    p50: Option<u64>,
    /// 99 of 100 were no later; an upper bound as `p50` is.
    p99: Option<u64>,
    /// The latest, exactly.
    max: Option<u64>,
}

impl FreshnessView {
    /// Of a tenant's channels.
    pub(super) async fn read(
        store: &Store,
        tenant: TenantUid,
        span: Span,
    ) -> Result<Self, StoreError> {
        Ok(Self::of(&span.read(store, Some(tenant)).await?, span))
    }

    fn of(freshness: &Freshness, span: Span) -> Self {
        let by_provider = freshness.by_provider.iter();
        Self {
            hours: span.hours,
            margin_minutes: span.margin_minutes,
            all: FiguresView::of(&freshness.all),
            by_provider: by_provider
                .map(|(provider, figures)| (provider.clone(), FiguresView::of(figures)))
                .collect(),
        }
    }
}

impl PlatformFreshness {
    /// Of all channels.
    pub(super) async fn read(store: &Store, span: Span) -> Result<Self, StoreError> {
        let freshness = span.read(store, None).await?;
        let mut worst: Vec<_> = freshness.by_tenant.iter().collect();
        worst.sort_by(|(_, a), (_, b)| worse(a, b));
        worst.truncate(TENANTS_MAX);
        let uids: Vec<TenantUid> = worst.iter().map(|(uid, _)| **uid).collect();
        let mut names = store.tenant_names(&uids).await?;
        let by_tenant = worst.into_iter().filter_map(|(uid, figures)| {
            Some(TenantFreshness {
                // One that has just been deleted is left out.
                tenant_id: names.remove(uid)?,
                figures: FiguresView::of(figures),
            })
        });
        Ok(Self {
            whole: FreshnessView::of(&freshness, span),
            tenants: freshness.by_tenant.len(),
            by_tenant: by_tenant.collect(),
        })
    }
}

/// The order of those that need a look: shares without a fraction, and none for none.
fn worse(a: &FreshnessFigures, b: &FreshnessFigures) -> std::cmp::Ordering {
    let share = |it: &FreshnessFigures| it.valid_share().unwrap_or(f64::INFINITY);
    share(a)
        .total_cmp(&share(b))
        .then_with(|| Reverse(a.dead).cmp(&Reverse(b.dead)))
}

impl Span {
    async fn read(self, store: &Store, tenant: Option<TenantUid>) -> Result<Freshness, StoreError> {
        let window = Duration::from_hours(self.hours.into());
        let margin = Duration::from_mins(self.margin_minutes.into());
        store.freshness(tenant, window, margin).await
    }
}

impl FiguresView {
    fn of(figures: &FreshnessFigures) -> Self {
        Self {
            channels: figures.channels,
            valid: figures.valid,
            valid_share: figures.valid_share(),
            dead_now: figures.dead_now,
            dead_minutes: minutes(figures.dead),
            refreshed: figures.refreshed,
            lag_ms: LagView::of(&figures.lags),
        }
    }
}

impl LagView {
    fn of(lags: &Lags) -> Self {
        Self {
            p50: lags.within(50).map(millis),
            p99: lags.within(99).map(millis),
            max: lags.longest().map(millis),
        }
    }
}

/// To a tenth, so that seconds show.
fn minutes(duration: Duration) -> f64 {
    (duration.as_secs_f64() / 6.0).round() / 10.0
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(channels: u64, valid: u64, dead_secs: u64) -> FreshnessFigures {
        FreshnessFigures {
            channels,
            valid,
            dead: Duration::from_secs(dead_secs),
            ..FreshnessFigures::default()
        }
    }

    #[test]
    fn the_lowest_share_comes_first_and_then_the_most_dead_minutes() {
        let ordered = [
            figures(2, 0, 0),
            figures(2, 1, 60),
            figures(4, 2, 0),
            figures(1, 1, 0),
            figures(0, 0, 60),
        ];

        let mut sorted = ordered.clone();
        sorted.reverse();
        sorted.sort_by(worse);

        assert_eq!(sorted, ordered);
    }

    #[test]
    fn dead_minutes_are_told_to_a_tenth() {
        let told = [0, 2, 3, 6, 5400].map(|secs| minutes(Duration::from_secs(secs)));

        assert_eq!(
            told.map(|it| it.to_string()),
            ["0", "0", "0.1", "0.1", "90"]
        );
    }
}
