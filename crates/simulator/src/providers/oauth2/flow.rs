//! The token endpoint: a refresh token for new tokens, in the provider's own way.

use serde_json::{Value, json};
use url::form_urlencoded;

use super::{OAuth2, Question, SCOPE, SCRIPT, answers, quirks};
use crate::Rotation;
use crate::answer::Answer;
use crate::grants::Grant;
use crate::providers::Known;
use crate::providers::pair::{REFRESH, Spent, access_left, left};

const FORM: &str = "application/x-www-form-urlencoded";

impl OAuth2 {
    /// A refresh token for an access token, and mostly the next refresh token.
    pub(super) fn token(&self, question: &Question<'_>) -> Answer {
        if let Err(problem) = self.check(question.call) {
            return problem.answer();
        }
        if let Some(answer) = quirks::refusal(question) {
            return answer;
        }
        let unknown = || answers::invalid_grant().answer();
        let answer = question.with_grant(|grant, known| self.refresh(grant, known, question));
        answer.unwrap_or_else(unknown)
    }

    fn refresh(&self, grant: &mut Grant, known: Known, question: &Question<'_>) -> Answer {
        match self.terms().spend(grant, known, question) {
            Spent::Renewed => wrapped(&self.tokens(grant, question), question).refreshed(),
            Spent::Again => wrapped(&self.tokens(grant, question), question).reuse(),
            Spent::Refused { reuse } => Answer {
                reuse,
                ..answers::invalid_grant().answer()
            },
        }
    }

    /// The newest tokens of a grant as a token response.
    pub(super) fn tokens(&self, grant: &Grant, question: &Question<'_>) -> Value {
        let world = question.desk.world;
        let special = question.special.unwrap_or_default();
        let mut json = json!({
            "access_token": SCRIPT.access(grant, world),
            "token_type": "Bearer",
            "expires_in": access_left(grant, question.now),
            "scope": SCOPE.join(if special == "comma_scope" { "," } else { " " }),
        });
        let tells = match self.settings.rotation {
            Rotation::Never => special == "same_refresh_token",
            Rotation::Always(_) => special != "no_refresh_token",
        };
        if tells {
            let generation = self.terms().refresh_generation(grant);
            json["refresh_token"] = json!(SCRIPT.write(grant, REFRESH, generation, world));
        }
        if grant.refresh_expires_at.is_some() {
            let name = quirks::refresh_lifetime_field(special);
            json[name] = json!(left(grant.refresh_expires_at, question.now));
        }
        quirks::bent(json, question)
    }
}

/// The tokens as HTTP: JSON with status 200, unless the scenario has it otherwise.
pub(super) fn wrapped(json: &Value, question: &Question<'_>) -> Answer {
    let special = question.special.unwrap_or_default();
    let accepts_json = question
        .call
        .header(axum::http::header::ACCEPT)
        .is_some_and(|accept| accept.contains("application/json"));
    let as_form = special == "form_encoded" || special == "form_unless_json" && !accepts_json;
    let mut answer = Answer::ok(if as_form {
        form(json)
    } else {
        json.to_string()
    });
    match special {
        "status_201" => answer.status = 201,
        "text_javascript" => answer.content_type = "text/javascript; charset=utf-8",
        _ if as_form => answer.content_type = FORM,
        _ => {}
    }
    answer
}

/// A flat object as a form.
fn form(json: &Value) -> String {
    let fields = json.as_object().into_iter().flatten();
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        match value.as_str() {
            Some(text) => form.append_pair(name, text),
            None => form.append_pair(name, &value.to_string()),
        };
    }
    form.finish()
}
