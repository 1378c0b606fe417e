//! `tokenfleet stats freshness`: what lives, and how late refreshes came.

use std::time::Duration;

use client::{Freshness, FreshnessFigures, PlatformFreshness};

use super::{one_of, path, read};
use crate::output::{note, say};
use crate::remote::Remote;
use crate::table::table;

const HEADINGS: [&str; 9] = [
    "CHANNELS",
    "VALID",
    "DEAD NOW",
    "DEAD MINUTES",
    "REFRESHED",
    "LATE (HALF)",
    "LATE (99 %)",
    "LATEST",
    "VALID %",
];

/// Of whom, and since when.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tenant [default: all tenants]
    #[arg(id = "whose", value_name = "TENANT")]
    tenant: Option<String>,
    /// The last so many hours, 1 to 24
    #[arg(long, default_value_t = 24)]
    hours: u32,
    /// A token is valid if it lives for more minutes than these
    #[arg(long, default_value_t = 5)]
    margin_minutes: u32,
}

impl Args {
    /// Shows them.
    ///
    /// # Errors
    ///
    /// If the server refuses or does not answer.
    pub(super) async fn run(self, server: &Remote, before: Option<&str>) -> anyhow::Result<()> {
        let tenant = one_of(before, self.tenant.as_deref())?;
        let query = [
            ("hours", Some(self.hours.to_string())),
            ("margin_minutes", Some(self.margin_minutes.to_string())),
        ];
        let answer = server.get(&path(tenant, "freshness"), &query).await?;
        if server.json() {
            return server.show(&answer);
        }
        if tenant.is_some() {
            show(&read(&answer)?);
        } else {
            show_platform(&read(&answer)?);
        }
        Ok(())
    }
}

fn show(freshness: &Freshness) {
    let providers = freshness.by_provider.iter();
    let providers = providers.map(|(name, figures)| row(name, figures));
    let rows = providers.chain([row("all", &freshness.all)]);
    say(table(&headings("PROVIDER"), rows));
    note(format_args!(
        "valid: for more than {} min from now; dead, refreshed and late: of the last {} h",
        freshness.margin_minutes, freshness.hours
    ));
}

fn show_platform(freshness: &PlatformFreshness) {
    show(&freshness.whole);
    let tenants = freshness.by_tenant.iter();
    let rows = tenants.map(|it| row(&it.tenant_id, &it.figures));
    say("");
    say(table(&headings("TENANT"), rows));
    let shown = freshness.by_tenant.len();
    if u64::try_from(shown).is_ok_and(|shown| shown < freshness.tenants) {
        note(format_args!(
            "the {shown} with the lowest share of {} tenants",
            freshness.tenants
        ));
    }
}

fn headings(first: &'static str) -> Vec<&'static str> {
    [&[first][..], &HEADINGS].concat()
}

fn row(name: &str, figures: &FreshnessFigures) -> Vec<String> {
    let lag = figures.lag_ms;
    vec![
        name.to_owned(),
        figures.channels.to_string(),
        figures.valid.to_string(),
        figures.dead_now.to_string(),
        figures.dead_minutes.to_string(),
        figures.refreshed.to_string(),
        span(lag.p50),
        span(lag.p99),
        span(lag.max),
        figures.valid_share.map(percent).unwrap_or_default(),
    ]
}

/// Rounded down: 100 means all of them.
fn percent(share: f64) -> String {
    format!("{:.2}", (share * 10_000.0).floor() / 100.0)
}

/// A time in its largest unit.
fn span(millis: Option<u64>) -> String {
    let Some(millis) = millis else {
        return String::new();
    };
    let secs = Duration::from_millis(millis).as_secs_f64();
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..60_000 => short(secs, "s"),
        60_000..3_600_000 => short(secs / 60.0, "min"),
        _ => short(secs / 3600.0, "h"),
    }
}

fn short(number: f64, unit: &str) -> String {
    let text = format!("{number:.1}");
    format!("{} {unit}", text.trim_end_matches(".0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let told = [40, 1000, 9_540, 120_000, 5_400_000].map(|millis| span(Some(millis)));

        assert_eq!(told, ["40 ms", "1 s", "9.5 s", "2 min", "1.5 h"]);
        assert_eq!(span(None), "");
    }

    #[test]
    fn a_hundred_percent_are_all() {
        assert_eq!(
            [1.0, 0.999_999, 0.5, 0.0].map(percent),
            ["100.00", "99.99", "50.00", "0.00"]
        );
    }
}
