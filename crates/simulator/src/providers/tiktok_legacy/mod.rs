//! TikTok's OAuth v1: everything in the query, no secret, errors with status 200
//! (contracts §4.3).

mod code;

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::http::{Method, header};
use domain::Timestamp;
use serde_json::{Value, json};

use super::pair::{ACCESS, REFRESH, Script, Spent, Terms, access_left, left};
use super::tiktok::values::{log_id, open_id};
use super::{Caller, Desk, Known, Provider, Question, Refusal, Special};
use crate::answer::Answer;
use crate::call::Call;
use crate::consent::{Dialect, Pkce};
use crate::grants::{self, Grant};
use crate::world::World;
use crate::{MintError, MintRequest, Minted, Rotation, TikTokLegacySettings};

/// The name of the provider.
pub(super) const NAME: &str = "tiktok_legacy";

const REFRESH_TOKEN: &str = "oauth/refresh_token";
const CODE: &str = "oauth/access_token";
const CODE_PATH: &str = "/oauth/access_token/";
const REFRESH_PATH: &str = "/oauth/refresh_token/";
const FIELDS: [&str; 3] = ["client_key", "grant_type", "refresh_token"];

const SCRIPT: Script = Script {
    access: ("lact.", "lact_"),
    refresh: ("lrft.", "lrft_"),
};
const SCOPE: &str = "user.info.basic";

/// The old endpoint for one app.
pub(super) struct TikTokLegacy {
    settings: TikTokLegacySettings,
}

/// `error_code` as text, which scenarios and the ledger use, and `description`.
type Problem = (&'static str, Cow<'static, str>);

impl TikTokLegacy {
    /// The endpoint of one app.
    pub(super) const fn new(settings: TikTokLegacySettings) -> Self {
        Self { settings }
    }

    const fn terms(&self) -> Terms {
        Terms {
            access: self.settings.access_lifetime,
            refresh: Some(self.settings.refresh_lifetime),
            rotation: Rotation::Always(self.settings.reuse),
        }
    }

    /// A refresh token for the next pair.
    fn refresh_token(&self, question: &Question<'_>) -> Answer {
        if self.settings.rejected || question.special == Some("rejected") {
            return Answer::html(410, "410 Gone");
        }
        let checked = self
            .check(question.call)
            .and_then(|()| of_special(question.special));
        if let Err(problem) = checked {
            return answer(problem, question);
        }
        let spent = question.with_grant(|grant, known| self.refresh(grant, known, question));
        spent.unwrap_or_else(|| answer(expired(), question))
    }

    /// What the contract asks of every request, before its refresh token is looked at.
    fn check(&self, call: &Call) -> Result<(), Problem> {
        if call.method != Method::POST {
            return Err(("10002", "Only POST is allowed".into()));
        }
        if !call.body.is_empty() || call.headers.contains_key(header::AUTHORIZATION) {
            return Err(("10002", "All parameters belong in the query".into()));
        }
        if let Some(name) = call.query.unexpected(&FIELDS) {
            return Err(("10002", format!("Parameter error: {name}").into()));
        }
        let given = |name: &'static str| {
            let missing = || ("10005", Cow::from(format!("Missing parameter: {name}")));
            call.query.get(name).ok_or_else(missing)
        };
        if given("client_key")? != self.settings.client_key {
            return Err(("10003", "Client key is incorrect".into()));
        }
        if given("grant_type")? != "refresh_token" {
            return Err(("10002", "Parameter error: grant_type".into()));
        }
        given("refresh_token").map(|_| ())
    }

    fn refresh(&self, grant: &mut Grant, known: Known, question: &Question<'_>) -> Answer {
        match self.terms().spend(grant, known, question) {
            Spent::Renewed => pair(grant, question).refreshed(),
            Spent::Again => pair(grant, question).reuse(),
            Spent::Refused { reuse } => Answer {
                reuse,
                ..answer(expired(), question)
            },
        }
    }
}

impl Provider for TikTokLegacy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn specials(&self) -> &'static [Special] {
        &SPECIALS
    }

    fn identify<'c>(&self, call: &'c Call, desk: Desk<'_>) -> Caller<'c> {
        if call.path == CODE_PATH {
            return Caller {
                endpoint: CODE,
                refreshes: false,
                presented: call.query.get("code").map(Cow::Borrowed),
                grant: None,
            };
        }
        let here = call.path == REFRESH_PATH;
        let presented = call.query.get("refresh_token").filter(|_| here);
        Caller {
            endpoint: if here { REFRESH_TOKEN } else { "unknown" },
            refreshes: here,
            presented: presented.map(Cow::Borrowed),
            grant: presented.and_then(|value| SCRIPT.read(value, desk)),
        }
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        match question.caller.endpoint {
            REFRESH_TOKEN => self.refresh_token(question),
            CODE => self.code(question),
            _ => Answer::html(404, "404 Not Found"),
        }
    }

    fn dialect(&self, call: &Call) -> Option<Dialect<'_>> {
        (call.path == "/platform/oauth/connect/").then(|| Dialect {
            client: ("client_key", &self.settings.client_key),
            required: &["scope"],
            optional: &[],
            pkce: Pkce::Unknown,
        })
    }

    fn refuse(&self, refusal: Refusal, question: &Question<'_>) -> Answer {
        let problem = match refusal {
            Refusal::ServerError => ("10001", "System error".into()),
            Refusal::InvalidClient => ("10003", "Client key is incorrect".into()),
            Refusal::InvalidGrant => expired(),
            Refusal::Echo => {
                let token = question.caller.presented().unwrap_or_default();
                ("10002", format!("Parameter error: {token}").into())
            }
            // The code table knows no throttling, so it comes by status.
            Refusal::Throttled => {
                let answer = Answer::html(429, "429 Too Many Requests");
                return match question.desk.world.retry_after {
                    Some(after) => answer.header("retry-after", after.as_secs().to_string()),
                    None => answer,
                };
            }
        };
        answer(problem, question)
    }

    fn endow(
        &self,
        grant: &mut Grant,
        order: &MintRequest,
        now: Timestamp,
    ) -> Result<(), MintError> {
        self.terms().endow(grant, order, now)
    }

    fn minted(&self, grant: &Grant, world: &World) -> Minted {
        let access = grant.newest(ACCESS);
        Minted {
            id: grants::id(NAME, grant.number),
            provider: NAME,
            external_id: Some(open_id(grant.number, world)),
            display_name: world.display_name(grant.number),
            issued_at: access.map(|token| token.issued_at),
            expires_at: access.and_then(|token| token.expires_at),
            refresh_expires_at: grant.refresh_expires_at,
            refreshable: true,
            credentials: SCRIPT.credentials(grant, &self.terms(), SCOPE, world),
        }
    }
}

/// The newest pair of a grant as an answer.
fn pair(grant: &Grant, question: &Question<'_>) -> Answer {
    let world = question.desk.world;
    let account = match question.special {
        Some("open_id_mismatch") => grant.number.wrapping_add(1),
        _ => grant.number,
    };
    let number = |secs: u64| match question.special {
        Some("numeric_strings") => json!(secs.to_string()),
        _ => json!(secs),
    };
    let mut data = json!({
        "access_token": SCRIPT.access(grant, world),
        "captcha": "",
        "desc_url": "",
        "description": "",
        "error_code": 0,
        "expires_in": number(access_left(grant, question.now)),
        "open_id": open_id(account, world),
        "refresh_expires_in": number(left(grant.refresh_expires_at, question.now)),
        "scope": SCOPE,
    });
    if question.special != Some("no_refresh_token") {
        data["refresh_token"] = json!(SCRIPT.write(grant, REFRESH, grant.generation, world));
    }
    let message = match question.special {
        // Success needs both: the message, and no code.
        Some("message_error") => "error",
        _ => "success",
    };
    envelope(&data, message, question)
}

/// A refusal: its status is 200 as well.
fn answer((code, description): Problem, question: &Question<'_>) -> Answer {
    let number: u32 = code.parse().expect("every code is a number");
    let data = json!({
        "captcha": "",
        "desc_url": "",
        "description": description,
        "error_code": number,
    });
    Answer {
        code: Some(code),
        ..envelope(&data, "error", question)
    }
}

fn envelope(data: &Value, message: &str, question: &Question<'_>) -> Answer {
    let json = json!({"data": data, "message": message}).to_string();
    Answer::ok(json).header("x-tt-logid", log_id(question))
}

fn expired() -> Problem {
    ("10010", "Refresh token expired".into())
}

/// Fails if the scenario is one of the codes.
fn of_special(special: Option<&'static str>) -> Result<(), Problem> {
    let found = special.and_then(|name| CODES.iter().find(|row| row.0 == name));
    found.map_or(Ok(()), |&(code, description)| {
        Err((code, description.into()))
    })
}

/// Every code of [`CODES`], and the answers that are none.
static SPECIALS: LazyLock<Vec<Special>> = LazyLock::new(|| {
    let codes = CODES.iter().map(|row| Special::everywhere(row.0, row.1));
    codes.chain(OTHERS).collect()
});

/// Scenario, which is `error_code`, and `description`; the last one is in no table.
#[rustfmt::skip]
const CODES: [(&str, &str); 13] = [
    ("10001", "System error"),
    ("10002", "Parameter error"),
    ("10003", "Client key is incorrect"),
    ("10004", "The application has no permission"),
    ("10005", "Missing parameter"),
    ("10007", "Authorization code expired"),
    ("10008", "Access token is invalid"),
    ("10010", "Refresh token expired"),
    ("10013", "Client key or secret is incorrect"),
    ("10014", "Client key does not match"),
    ("10015", "Client key does not exist"),
    ("10020", "Refresh count exceeded"),
    ("10999", "Something else"),
];

#[rustfmt::skip]
const OTHERS: [Special; 7] = [
    Special::everywhere("numeric_strings", "expires_in and refresh_expires_in are strings"),
    Special::everywhere("message_error", "rotated and error_code 0, but message is \"error\""),
    Special::everywhere("rejected", "410 with a page of HTML: the endpoint is retired"),
    Special::everywhere("open_id_mismatch", "rotated, but the answer names another account"),
    Special::everywhere("no_refresh_token", "not rotated, and the answer has no refresh_token"),
    Special::everywhere("same_refresh_token", "not rotated, and the answer repeats the refresh token"),
    Special::everywhere("grace", "rotated; for a minute the token before brings the same pair again"),
];
