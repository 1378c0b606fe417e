//! What the consent of a TikTok account brings at the API for Business
//! (`tt_user/oauth2/token`, beside contracts §4.2.a).

use secrecy::ExposeSecret as _;

use super::codes::{Problem, bad_parameter, wrong_app};
use super::flow::read;
use super::{Question, TikTokBusiness};
use crate::answer::Answer;
use crate::call::Fields;
use crate::consent::Presented;

const FIELDS: [&str; 5] = [
    "client_id",
    "client_secret",
    "grant_type",
    "auth_code",
    "redirect_uri",
];

impl TikTokBusiness {
    /// A code for the first pair.
    pub(super) fn code(&self, question: &Question<'_>) -> Answer {
        let fields = match self.check_code(question) {
            Ok(fields) => fields,
            Err(problem) => return problem.answer(question),
        };
        let presented = Presented {
            code: fields.get("auth_code").unwrap_or_default(),
            redirect_uri: fields.get("redirect_uri"),
            verifier: None,
        };
        let desk = question.desk;
        let number = desk.redeem(&presented, question.now).ok();
        let pair = number.and_then(|number| {
            desk.world.grants.with(desk.provider, number, |grant| {
                self.terms().consented(grant, question.now);
                Self::pair(grant, question)
            })
        });
        let wrong = || bad_parameter("auth_code: Invalid, expired or used.").answer(question);
        pair.unwrap_or_else(wrong)
    }

    fn check_code(&self, question: &Question<'_>) -> Result<Fields, Problem> {
        let fields = read(question.call, &FIELDS)?;
        for name in FIELDS {
            if fields.get(name).is_none() {
                let text = format!("{name}: Missing data for required field.");
                return Err(bad_parameter(text));
            }
        }
        let app = &self.settings.app;
        let (id, secret) = (fields.get("client_id"), fields.get("client_secret"));
        if id != Some(&app.id) || secret != Some(app.secret.expose_secret()) {
            return Err(wrong_app());
        }
        if fields.get("grant_type") != Some("authorization_code") {
            return Err(bad_parameter("grant_type: Must be authorization_code."));
        }
        Ok(fields)
    }
}
