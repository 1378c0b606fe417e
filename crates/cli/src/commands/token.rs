//! `tokenfleet token`: looks into a token, without a key and without a server.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use domain::{Clock as _, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::output::{note, say};
use crate::table::of_fields;

const EXAMPLES: &str = "\
Examples:
  tokenfleet token inspect eyJhbGciOi…
  tokenfleet token inspect - < service-token-file
  tokenfleet token inspect - --json < file | jq .days_left

The signature is not checked, so nothing is proven: whoever made the token could write what he liked.";

const DAY_SECS: i64 = 86_400;

/// What to do with a token.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Tell what a JSON Web Token says of itself, and how long it lives
    Inspect {
        /// The token; - reads standard input, so that it stands in no command line
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
/// If it is no JSON Web Token.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Action::Inspect { token, json } = args.action;
    let token = if token == "-" { from_stdin()? } else { token };
    let seen = inspect(token.trim(), SystemClock.now())
        .context("this is no JSON Web Token (three parts with dots between, RFC 7519)")?;
    if json {
        say(serde_json::to_string_pretty(&seen)?);
    } else {
        say(of_fields(&seen));
        note("the signature was not checked");
    }
    Ok(ExitCode::SUCCESS)
}

fn from_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.context("cannot read standard input")?;
    Ok(text)
}

/// What a token says of itself; `None` if it is none.
pub(crate) fn inspect(token: &str, now: Timestamp) -> Option<Value> {
    let peeked = identity::peek(token)?;
    let expires_at = expiry(&peeked.claims);
    let left = expires_at.map(|end| (end.as_millis() - now.as_millis()).div_euclid(1000));
    Some(json!({
        "expires_at": expires_at,
        "days_left": left.map(|secs| secs.div_euclid(DAY_SECS)),
        "seconds_left": left,
        "expired": left.is_some_and(|secs| secs <= 0),
        "header": peeked.header,
        "claims": peeked.claims,
    }))
}

/// The end of a token with these claims; RFC 7519 allows fractions of seconds.
fn expiry(claims: &serde_json::Map<String, Value>) -> Option<Timestamp> {
    let end = claims.get("exp")?;
    #[expect(clippy::cast_possible_truncation, reason = "far-off ends saturate")]
    let whole = end
        .as_i64()
        .or_else(|| Some(end.as_f64()?.floor() as i64))?;
    Some(Timestamp::from_secs(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"alg":"HS256","typ":"JWT"}` and `{"sub":"bot","exp":1764216000}`.
    const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9\
                         .eyJzdWIiOiJib3QiLCJleHAiOjE3NjQyMTYwMDB9.c2ln";

    #[test]
    fn s3_6_a_token_tells_its_claims_and_the_days_that_are_left() {
        let end = Timestamp::from_secs(1_764_216_000);
        let at = |before: u64| {
            let now = end.minus(std::time::Duration::from_secs(before));
            inspect(TOKEN, now).expect("it is a token")
        };

        let seen = at(10 * 86_400 + 5);

        let expected = json!({
            "expires_at": "2025-11-27T04:00:00.000Z",
            "days_left": 10,
            "seconds_left": 864_005,
            "expired": false,
            "header": { "alg": "HS256", "typ": "JWT" },
            "claims": { "sub": "bot", "exp": 1_764_216_000 },
        });
        assert_eq!(seen, expected);
        assert_eq!(at(0)["expired"], json!(true));
        assert_eq!(inspect("eyJ.no.token", end), None);
    }
}
