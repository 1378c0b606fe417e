//! `tokenfleet token inspect`: what a token says of itself (S3.6).

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use domain::{Clock as _, SystemClock, Timestamp};
use identity::{Peeked, peek};
use serde_json::{Value, json};

use crate::output::say;
use crate::table::of_fields;

const EXAMPLES: &str = "\
No key is needed, and nothing is proven: whoever made the token could write what he liked.

Examples:
  tokenfleet token inspect eyJhbGciOiJIUzI1NiIs…
  tokenfleet token inspect - < bot.token";

/// What to do with a token.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the claims of a JSON Web Token, and the days that are left
    #[command(after_help = EXAMPLES)]
    Inspect {
        /// The token; `-` reads it from standard input
        token: String,
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
    },
}

/// Looks into a token.
///
/// # Errors
///
/// If the text is no token.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Action::Inspect { mut token, json } = args.action;
    if token == "-" {
        token.clear();
        std::io::stdin()
            .read_to_string(&mut token)
            .context("cannot read standard input")?;
    }
    let peeked = peek(token.trim()).context("this is no JSON Web Token")?;
    let seen = view(&peeked, SystemClock.now());
    if json {
        say(serde_json::to_string_pretty(&seen)?);
    } else {
        say(of_fields(&seen));
    }
    Ok(ExitCode::SUCCESS)
}

fn view(peeked: &Peeked, now: Timestamp) -> Value {
    let end = expiry(peeked);
    json!({
        "expires_at": end,
        "expired": end.is_some_and(|end| end <= now),
        "days_left": end.map(|end| days_left(end, now)),
        "header": peeked.header,
        "claims": peeked.claims,
    })
}

/// When a token ends; `None` never does.
pub(super) fn expiry(peeked: &Peeked) -> Option<Timestamp> {
    let seconds = peeked.claims.get("exp")?;
    let whole = seconds.as_i64();
    // RFC 7519 allows fractions; they do not matter here.
    #[expect(clippy::cast_possible_truncation, reason = "a float saturates")]
    let whole = whole.or_else(|| seconds.as_f64().map(|seconds| seconds as i64));
    whole.map(Timestamp::from_secs)
}

/// Whole days until then, rounded down; negative once it is over.
pub(super) fn days_left(end: Timestamp, now: Timestamp) -> i64 {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    end.as_millis()
        .saturating_sub(now.as_millis())
        .div_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_6_days_left_are_whole_and_negative_once_it_is_over() {
        let now = Timestamp::from_secs(1_764_216_000);
        let in_hours = |hours: i64| Timestamp::from_secs(1_764_216_000 + hours * 3600);

        assert_eq!(days_left(in_hours(24 * 90), now), 90);
        assert_eq!(days_left(in_hours(47), now), 1);
        assert_eq!(days_left(in_hours(1), now), 0);
        assert_eq!(days_left(in_hours(-1), now), -1);
    }
}
