//! TikTok's endpoints: the rotation, and one API call that shows whether a token lives.

use axum::http::{Method, header};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::problems::{self, Problem, invalid_client, invalid_grant};
use super::values::{log_id, open_id};
use super::{CODE, Known, NAME, Question, SCOPE, SCRIPT, TOKEN_PATH, TikTok};
use crate::answer::Answer;
use crate::call::Call;
use crate::grants::Grant;
use crate::providers::pair::{ACCESS, REFRESH, Spent, access_left, left};

const FORM: &str = "application/x-www-form-urlencoded";
const FIELDS: [&str; 4] = ["client_key", "client_secret", "grant_type", "refresh_token"];

impl TikTok {
    /// A refresh token for the next pair, or a code for the first.
    pub(super) fn token(&self, question: &Question<'_>) -> Answer {
        let call = question.call;
        if call.path != TOKEN_PATH {
            let here = format!("{}/{NAME}{TOKEN_PATH}", question.desk.world.origin);
            return Answer {
                status: 301,
                code: Some("redirect"),
                ..Answer::ok("")
            }
            .header("location", here);
        }
        if call.method != Method::POST {
            let problem = Problem {
                status: Some(405),
                ..Problem::new("invalid_request", "Only POST is allowed.")
            };
            return self.problem(&problem, question).header("allow", "POST");
        }
        if question.caller.endpoint == CODE {
            return self.code(question);
        }
        if let Err(problem) = self
            .check(call)
            .and_then(|()| problems::of_special(question.special))
        {
            return self.problem(&problem, question);
        }
        let unknown = || self.problem(&invalid_grant(), question);
        let answer = question.with_grant(|grant, known| self.refresh(grant, known, question));
        answer.unwrap_or_else(unknown)
    }

    /// What the contract asks of every request, before its refresh token is looked at.
    fn check(&self, call: &Call) -> Result<(), Problem> {
        self.check_app(call, &FIELDS)?;
        match call.form.get("refresh_token") {
            Some(_) => Ok(()),
            None => Err(Problem::new(
                "invalid_request",
                "Refresh token is missed in request.",
            )),
        }
    }

    /// Everything but what is presented.
    pub(super) fn check_app(&self, call: &Call, fields: &[&str]) -> Result<(), Problem> {
        let wrong = |description: String| Err(Problem::new("invalid_request", description));
        if !call.is(FORM) {
            return wrong(format!("The content type must be {FORM}."));
        }
        if !call.query.is_empty() || call.headers.contains_key(header::AUTHORIZATION) {
            return wrong("Credentials belong in the body.".to_owned());
        }
        if let Some(name) = call.form.unexpected(fields) {
            return wrong(format!("The parameter {name} is unknown or given twice."));
        }
        let given = |name| call.form.get(name);
        let Some(key) = given("client_key") else {
            return wrong("Client key is missed in request.".to_owned());
        };
        let Some(secret) = given("client_secret") else {
            return wrong("Client secret is missed in request.".to_owned());
        };
        let app = &self.settings.app;
        if key != app.id || secret != app.secret.expose_secret() {
            return Err(invalid_client());
        }
        match given("grant_type") {
            Some("authorization_code") if fields.contains(&"code") => Ok(()),
            Some("refresh_token") if fields.contains(&"refresh_token") => Ok(()),
            Some(_) => {
                let text = "The grant type is not supported.";
                Err(Problem::new("unsupported_grant_type", text))
            }
            None => wrong("Grant type is missed in request.".to_owned()),
        }
    }

    fn refresh(&self, grant: &mut Grant, known: Known, question: &Question<'_>) -> Answer {
        match self.terms().spend(grant, known, question) {
            Spent::Renewed => Self::pair(grant, question).refreshed(),
            Spent::Again => Self::pair(grant, question).reuse(),
            Spent::Refused { reuse } => Answer {
                reuse,
                ..self.problem(&invalid_grant(), question)
            },
        }
    }

    /// The newest pair of a grant as an answer.
    pub(super) fn pair(grant: &Grant, question: &Question<'_>) -> Answer {
        let world = question.desk.world;
        let open_id = match question.special {
            Some("open_id_mismatch") => open_id(grant.number.wrapping_add(1), world),
            _ => open_id(grant.number, world),
        };
        let expires_in = access_left(grant, question.now);
        let access = SCRIPT.access(grant, world);
        let refresh_expires_in = left(grant.refresh_expires_at, question.now);
        let refresh = match question.special {
            Some("no_refresh_token") => String::new(),
            _ => format!(
                r#""refresh_token":"{}","#,
                SCRIPT.write(grant, REFRESH, grant.generation, world)
            ),
        };
        let log_id = log_id(question);
        Answer::ok(format!(
            r#"{{"access_token":"{access}","expires_in":{expires_in},"open_id":"{open_id}","refresh_expires_in":{refresh_expires_in},{refresh}"scope":"{SCOPE}","token_type":"Bearer"}}"#
        ))
        .header("x-tt-logid", log_id)
    }

    /// A refusal.
    pub(super) fn problem(&self, problem: &Problem, question: &Question<'_>) -> Answer {
        let log_id = log_id(question);
        let json = json!({
            "error": problem.error,
            "error_description": problem.description,
            "log_id": log_id,
        });
        let status = problem.status.unwrap_or(self.settings.error_status);
        Answer::error(status, problem.error, &json).header("x-tt-logid", log_id)
    }

    /// An API call, which shows whether an access token lives.
    pub(super) fn user_info(question: &Question<'_>) -> Answer {
        let now = question.now;
        let lives = question.with_grant(|grant, known| {
            let token = grant.issued_with(ACCESS, known.generation);
            let token = token.filter(|token| !token.expired(now) && known.purpose == ACCESS);
            (token.is_some() && !grant.revoked).then_some(grant.number)
        });
        let log_id = log_id(question);
        match lives.flatten() {
            Some(number) => Answer::ok(
                json!({
                    "data": {"user": {"open_id": open_id(number, question.desk.world)}},
                    "error": {"code": "ok", "message": "", "log_id": log_id},
                })
                .to_string(),
            ),
            None => Answer::error(
                401,
                "access_token_invalid",
                &json!({"error": {
                    "code": "access_token_invalid",
                    "message": "The access token is invalid or not found in the request.",
                    "log_id": log_id,
                }}),
            ),
        }
    }
}
