//! What a person's consent brings at a generic provider: RFC 6749 section 4.1.3, with the
//! verifier of RFC 7636 section 4.5.

use serde_json::json;

use super::answers::{self, Problem};
use super::flow::wrapped;
use super::values::account_id;
use super::{OAuth2, Question, SCRIPT, client};
use crate::answer::Answer;
use crate::consent::{CodeProblem, Presented};
use crate::grants::Grant;
use crate::providers::pair::REFRESH;

const FIELDS: [&str; 4] = ["grant_type", "code", "redirect_uri", "code_verifier"];

impl OAuth2 {
    /// A code for the first tokens. A code that comes twice ends what its first use brought
    /// (RFC 6749 section 4.1.2).
    pub(super) fn code(&self, question: &Question<'_>) -> Answer {
        let redeemed = self.redeemed(question);
        let desk = question.desk;
        let grants = &desk.world.grants;
        let invalid = |text: &'static str| Problem::new("invalid_grant", text).answer();
        match redeemed {
            Err(problem) => problem.answer(),
            Ok(Ok(number)) => grants
                .with(desk.provider, number, |grant| self.agreed(grant, question))
                .unwrap_or_else(|| answers::invalid_grant().answer()),
            Ok(Err(CodeProblem::Used(number))) => {
                grants.with(desk.provider, number, |grant| grant.revoked = true);
                invalid("The code was used before")
            }
            Ok(Err(CodeProblem::Unknown)) => invalid("The code is unknown"),
            Ok(Err(CodeProblem::Expired)) => invalid("The code has expired"),
            Ok(Err(CodeProblem::Redirect)) => invalid("The redirect_uri does not match"),
            Ok(Err(CodeProblem::Verifier)) => invalid("The code_verifier does not match"),
        }
    }

    fn redeemed(&self, question: &Question<'_>) -> Result<Result<u32, CodeProblem>, Problem> {
        let fields = self.checked(question.call, &FIELDS)?;
        let given = |name: &'static str| {
            let missing = || {
                Problem::new(
                    "invalid_request",
                    format!("The parameter {name} is missing"),
                )
            };
            fields.get(name).ok_or_else(missing)
        };
        let presented = Presented {
            code: given("code")?,
            redirect_uri: Some(given("redirect_uri")?),
            verifier: fields.get("code_verifier"),
        };
        Ok(question.desk.redeem(&presented, question.now))
    }

    fn agreed(&self, grant: &mut Grant, question: &Question<'_>) -> Answer {
        self.terms().consented(grant, question.now);
        let world = question.desk.world;
        let mut json = self.tokens(grant, question);
        // The first refresh token is always told, also one that stays.
        let generation = self.terms().refresh_generation(grant);
        json["refresh_token"] = json!(SCRIPT.write(grant, REFRESH, generation, world));
        json["user_id"] = json!(account_id(grant.number, world));
        wrapped(&json, question)
    }

    /// Whether a request is for a code, as far as can be seen.
    pub(super) fn is_code(&self, question: &Question<'_>) -> bool {
        let fields = client::fields(question.call, self.settings.body);
        fields.is_some_and(|fields| fields.get("grant_type") == Some("authorization_code"))
    }
}
