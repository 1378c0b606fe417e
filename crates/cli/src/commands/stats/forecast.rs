//! `tokenfleet stats forecast`: calls of the next day, and grants that end soon.

use client::{EndingGrant, Forecast, ProviderCalls};

use super::{one_of, path, read};
use crate::output::{note, say};
use crate::remote::Remote;
use crate::table::table;

/// Of whom, and how far ahead.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tenant [default: all tenants]
    #[arg(id = "whose", value_name = "TENANT")]
    tenant: Option<String>,
    /// Grants that end within so many days, 1 to 90
    #[arg(long, default_value_t = 7)]
    days: u32,
}

impl Args {
    /// Shows it.
    ///
    /// # Errors
    ///
    /// If the server refuses or does not answer.
    pub(super) async fn run(self, server: &Remote, before: Option<&str>) -> anyhow::Result<()> {
        let tenant = one_of(before, self.tenant.as_deref())?;
        let query = [("days", Some(self.days.to_string()))];
        let answer = server.get(&path(tenant, "forecast"), &query).await?;
        if server.json() {
            return server.show(&answer);
        }
        show(&read(&answer)?);
        Ok(())
    }
}

fn show(forecast: &Forecast) {
    let headings = [
        "PROVIDER",
        "CALLS IN 24 H",
        "IN THE NEXT HOUR",
        "MOST IN AN HOUR",
        "WHICH BEGINS",
    ];
    say(table(
        &headings,
        forecast.calls.by_provider.iter().map(calls),
    ));
    let people = &forecast.need_person;
    note(format_args!(
        "{} calls in 24 h; {} grants end within {} d; {} channels wait for a person now",
        forecast.calls.total, people.total, people.days, people.waiting_now
    ));
    if people.items.is_empty() {
        return;
    }
    say("");
    let headings = ["ENDS", "TENANT", "CHANNEL", "PROVIDER", "NAME"];
    say(table(&headings, people.items.iter().map(ending)));
    if u64::try_from(people.items.len()).is_ok_and(|shown| shown < people.total) {
        note(format_args!("the first {} of them", people.items.len()));
    }
}

fn calls((provider, calls): (&String, &ProviderCalls)) -> Vec<String> {
    let (hour, most) = busiest(&calls.by_hour);
    vec![
        provider.clone(),
        calls.total.to_string(),
        calls.by_hour[0].to_string(),
        most.to_string(),
        match hour {
            0 => "now".to_owned(),
            hour => format!("in {hour} h"),
        },
    ]
}

/// The first of the hours with the most calls, and how many it has.
fn busiest(by_hour: &[u64; 24]) -> (usize, u64) {
    let hours = by_hour.iter().copied().enumerate();
    hours.fold(
        (0, 0),
        |busiest, hour| {
            if hour.1 > busiest.1 { hour } else { busiest }
        },
    )
}

fn ending(grant: &EndingGrant) -> Vec<String> {
    vec![
        grant.ends_at.to_string(),
        grant.tenant_id.clone(),
        grant.channel_id.clone(),
        grant.provider.clone(),
        grant.display_name.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equally_busy_hours_the_first_is_told() {
        let mut hours = [0; 24];
        (hours[3], hours[9]) = (7, 7);

        assert_eq!(busiest(&hours), (3, 7));
        assert_eq!(busiest(&[0; 24]), (0, 0));
    }
}
