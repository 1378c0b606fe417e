//! What a person's consent at TikTok brings ("Fetch an access token using an authorization
//! code", beside contracts §4.1).

use super::problems::Problem;
use super::{Question, TikTok};
use crate::answer::Answer;
use crate::consent::Presented;

const FIELDS: [&str; 5] = [
    "client_key",
    "client_secret",
    "grant_type",
    "code",
    "redirect_uri",
];

impl TikTok {
    /// A code for the first pair.
    pub(super) fn code(&self, question: &Question<'_>) -> Answer {
        let presented = match self.check_code(question) {
            Ok(presented) => presented,
            Err(problem) => return self.problem(&problem, question),
        };
        let desk = question.desk;
        let number = desk.redeem(&presented, question.now).ok();
        let pair = number.and_then(|number| {
            desk.world.grants.with(desk.provider, number, |grant| {
                self.terms().consented(grant, question.now);
                Self::pair(grant, question)
            })
        });
        pair.unwrap_or_else(|| {
            let text = "Authorization code is invalid, expired or used.";
            self.problem(&Problem::new("invalid_grant", text), question)
        })
    }

    fn check_code<'q>(&self, question: &Question<'q>) -> Result<Presented<'q>, Problem> {
        let call = question.call;
        self.check_app(call, &FIELDS)?;
        let given = |name: &'static str| {
            let missing =
                || Problem::new("invalid_request", format!("{name} is missed in request."));
            call.form.get(name).ok_or_else(missing)
        };
        Ok(Presented {
            code: given("code")?,
            redirect_uri: Some(given("redirect_uri")?),
            verifier: None,
        })
    }
}
