//! What TikTok refuses, in its own words, and the refusals that a scenario can call.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::providers::Special;

/// `error`, `error_description`, and the status if it is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) error: &'static str,
    pub(super) description: Cow<'static, str>,
    pub(super) status: Option<u16>,
}

impl Problem {
    /// A problem with the usual status.
    pub(super) fn new(error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            error,
            description: description.into(),
            status: None,
        }
    }
}

/// Every problem of [`PROBLEMS`], and the answers that are none.
pub(super) static SPECIALS: LazyLock<Vec<Special>> = LazyLock::new(|| {
    let problems = PROBLEMS.iter().map(|row| Special::everywhere(row.0, row.2));
    problems.chain(OTHERS).collect()
});

/// The refresh token is not accepted, for whatever reason.
pub(super) fn invalid_grant() -> Problem {
    Problem::new("invalid_grant", "Refresh token is invalid or expired.")
}

/// The app is not who it says.
pub(super) fn invalid_client() -> Problem {
    Problem::new("invalid_client", "Client key or secret is incorrect.")
}

/// Fails if the scenario is one of the problems.
pub(super) fn of_special(special: Option<&'static str>) -> Result<(), Problem> {
    let found = special.and_then(|name| PROBLEMS.iter().find(|row| row.0 == name));
    found.map_or(Ok(()), |&(_, error, description, status)| {
        Err(Problem {
            status,
            ..Problem::new(error, description)
        })
    })
}

type Row = (&'static str, &'static str, &'static str, Option<u16>);

/// Scenario, `error`, `error_description`, status if it is not the usual one.
#[rustfmt::skip]
const PROBLEMS: [Row; 12] = [
    ("invalid_grant_200", "invalid_grant", "Refresh token is invalid or expired.", Some(200)),
    ("invalid_grant_400", "invalid_grant", "Refresh token is invalid or expired.", Some(400)),
    ("access_denied", "access_denied", "The user denied the request.", None),
    ("invalid_client_200", "invalid_client", "Client key or secret is incorrect.", Some(200)),
    ("unauthorized_client", "unauthorized_client", "The client may not use this grant type.", None),
    ("invalid_scope", "invalid_scope", "The scope is invalid.", None),
    ("invalid_request", "invalid_request", "The request is malformed.", None),
    ("invalid_request_secret", "invalid_request", "Client secret is missed in request.", None),
    ("unsupported_grant_type", "unsupported_grant_type", "The grant type is not supported.", None),
    ("server_error_200", "server_error", "Something went wrong.", Some(200)),
    ("temporarily_unavailable", "temporarily_unavailable", "Please try again.", None),
    ("rate_limit_200", "rate_limit_exceeded", "Too many requests.", Some(200)),
];

#[rustfmt::skip]
const OTHERS: [Special; 4] = [
    Special::everywhere("open_id_mismatch", "rotated, but the answer names another account"),
    Special::everywhere("no_refresh_token", "not rotated, and the answer has no refresh_token"),
    Special::everywhere("same_refresh_token", "not rotated, and the answer repeats the refresh token"),
    Special::everywhere("grace", "rotated; for a minute the token before brings the same pair again"),
];
