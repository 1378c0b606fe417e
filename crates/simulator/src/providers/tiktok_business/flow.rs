//! The endpoints of TikTok Accounts: the rotation, and what shows whether a token lives.

use axum::http::{Method, header};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::codes::{self, Problem, bad_parameter, envelope, incorrect_token, wrong_app};
use super::{SCOPE, SCRIPT, TikTokBusiness};
use crate::answer::Answer;
use crate::call::{Call, Fields};
use crate::grants::Grant;
use crate::providers::pair::{ACCESS, REFRESH, Spent, access_left, left};
use crate::providers::tiktok::values::open_id;
use crate::providers::{Known, Question};

const FIELDS: [&str; 4] = ["client_id", "client_secret", "grant_type", "refresh_token"];

impl TikTokBusiness {
    /// A refresh token for the next pair.
    pub(super) fn refresh_token(&self, question: &Question<'_>) -> Answer {
        let checked = self
            .check(question.call)
            .and_then(|()| codes::of_special(question.special));
        if let Err(problem) = checked {
            return problem.answer(question);
        }
        let unknown = || incorrect_token().answer(question);
        let answer = question.with_grant(|grant, known| self.refresh(grant, known, question));
        answer.unwrap_or_else(unknown)
    }

    /// What the contract asks of every request, before its refresh token is looked at.
    fn check(&self, call: &Call) -> Result<(), Problem> {
        let fields = read(call, &FIELDS)?;
        let given = |name: &'static str| {
            let missing = || bad_parameter(format!("{name}: Missing data for required field."));
            fields.get(name).ok_or_else(missing)
        };
        let app = &self.settings.app;
        if given("client_id")? != app.id || given("client_secret")? != app.secret.expose_secret() {
            return Err(wrong_app());
        }
        if given("grant_type")? != "refresh_token" {
            return Err(bad_parameter("grant_type: Must be refresh_token."));
        }
        given("refresh_token").map(|_| ())
    }

    fn refresh(&self, grant: &mut Grant, known: Known, question: &Question<'_>) -> Answer {
        match self.terms().spend(grant, known, question) {
            Spent::Renewed => Self::pair(grant, question).refreshed(),
            Spent::Again => Self::pair(grant, question).reuse(),
            Spent::Refused { reuse } => Answer {
                reuse,
                ..incorrect_token().answer(question)
            },
        }
    }

    /// The newest pair of a grant as an answer.
    pub(super) fn pair(grant: &Grant, question: &Question<'_>) -> Answer {
        let world = question.desk.world;
        let account = match question.special {
            Some("open_id_mismatch") => grant.number.wrapping_add(1),
            _ => grant.number,
        };
        let mut data = json!({
            "access_token": SCRIPT.access(grant, world),
            "token_type": "Bearer",
            "scope": SCOPE,
            "expires_in": access_left(grant, question.now),
            "refresh_token_expires_in": left(grant.refresh_expires_at, question.now),
            "open_id": open_id(account, world),
        });
        if question.special != Some("no_refresh_token") {
            data["refresh_token"] = json!(SCRIPT.write(grant, REFRESH, grant.generation, world));
        }
        Answer::ok(envelope(0, "OK", &data, question).to_string())
    }

    /// Whose token it is, if it lives; an advertiser's too.
    pub(super) fn token_info(&self, question: &Question<'_>) -> Answer {
        let app_id = match self.check_info(question.call) {
            Ok(app_id) => app_id,
            Err(problem) => return problem.answer(question),
        };
        let lives = question.with_grant(|grant, known| {
            let token = grant.issued_with(ACCESS, known.generation);
            let token = token.filter(|it| !it.expired(question.now) && known.purpose == ACCESS);
            (token.is_some() && !grant.revoked).then_some(grant.number)
        });
        let Some(number) = lives.flatten() else {
            return incorrect_token().answer(question);
        };
        let creator = open_id(number, question.desk.world);
        let data = json!({"app_id": app_id, "creator_id": creator, "scope": SCOPE});
        Answer::ok(envelope(0, "OK", &data, question).to_string())
    }

    fn check_info(&self, call: &Call) -> Result<String, Problem> {
        let fields = read(call, &["app_id", "access_token"])?;
        match fields.get("app_id") {
            Some(id) if id == self.settings.app.id => Ok(id.to_owned()),
            _ => Err(wrong_app()),
        }
    }
}

/// The body's fields, if the request is written as every one of this API must be.
pub(super) fn read(call: &Call, allowed: &[&str]) -> Result<Fields, Problem> {
    if call.method != Method::POST {
        return Err(bad_parameter("Only POST is allowed."));
    }
    if !call.is("application/json") {
        return Err(bad_parameter("The content type must be application/json."));
    }
    if !call.query.is_empty() || call.headers.contains_key(header::AUTHORIZATION) {
        return Err(bad_parameter("Credentials belong in the body."));
    }
    let fields = Fields::of_json(&call.body)
        .ok_or_else(|| bad_parameter("The body must be a JSON object of strings."))?;
    match fields.unexpected(allowed) {
        Some(name) => Err(bad_parameter(format!("{name}: Unknown field."))),
        None => Ok(fields),
    }
}
