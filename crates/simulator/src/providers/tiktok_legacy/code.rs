//! What a person's consent brought at TikTok's first OAuth: `oauth/access_token`, whose
//! parameters stand in the query like all others (beside contracts §4.3).

use axum::http::{Method, header};
use secrecy::ExposeSecret as _;

use super::{Problem, Question, TikTokLegacy, answer, pair};
use crate::answer::Answer;
use crate::consent::Presented;

const FIELDS: [&str; 4] = ["client_key", "client_secret", "code", "grant_type"];

impl TikTokLegacy {
    /// A code for the first pair. It was not asked to which address it had been given.
    pub(super) fn code(&self, question: &Question<'_>) -> Answer {
        if self.settings.rejected {
            return Answer::html(410, "410 Gone");
        }
        let code = match self.check_code(question) {
            Ok(code) => code,
            Err(problem) => return answer(problem, question),
        };
        let presented = Presented {
            code,
            redirect_uri: None,
            verifier: None,
        };
        let desk = question.desk;
        let number = desk.redeem(&presented, question.now).ok();
        let tokens = number.and_then(|number| {
            desk.world.grants.with(desk.provider, number, |grant| {
                self.terms().consented(grant, question.now);
                pair(grant, question)
            })
        });
        let expired = || answer(("10007", "Authorization code expired".into()), question);
        tokens.unwrap_or_else(expired)
    }

    fn check_code<'q>(&self, question: &Question<'q>) -> Result<&'q str, Problem> {
        let call = question.call;
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
            let missing = || ("10005", format!("Missing parameter: {name}").into());
            call.query.get(name).ok_or_else(missing)
        };
        let secret = self.settings.client_secret.expose_secret();
        if given("client_key")? != self.settings.client_key || given("client_secret")? != secret {
            return Err(("10013", "Client key or secret is incorrect".into()));
        }
        if given("grant_type")? != "authorization_code" {
            return Err(("10002", "Parameter error: grant_type".into()));
        }
        given("code")
    }
}
