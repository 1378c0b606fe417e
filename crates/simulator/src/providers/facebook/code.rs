//! `oauth/access_token` with a code: what a person's consent brings, and a business's
//! (Facebook Login's manual flow; Facebook Login for Business with a configuration).

use axum::http::Method;
use domain::GrantKind;

use super::values::write;
use super::{Facebook, Question, USER};
use crate::answer::Answer;
use crate::consent::{CodeProblem, Presented};
use crate::grants::{Grant, Issued};
use crate::providers::graph::{self, GraphError, token_json};

const FIELDS: [&str; 4] = ["client_id", "client_secret", "redirect_uri", "code"];

impl Facebook {
    /// A code for a short-lived token of a person, or for a system user's token.
    pub(super) fn code(&self, question: &Question<'_>) -> Result<Answer, GraphError> {
        let call = question.call;
        if call.method != Method::GET && call.method != Method::POST {
            return Err(graph::method(&call.method));
        }
        let query = &call.query;
        self.check_app(query.get("client_id"), query.get("client_secret"))?;
        if let Some(name) = query.unexpected(&FIELDS) {
            let text = format!("The parameter {name} is not taken here, or given twice");
            return Err(GraphError::new(100, text));
        }
        let Some(redirect_uri) = query.get("redirect_uri") else {
            return Err(GraphError::new(191, "Missing redirect_uri parameter."));
        };
        let presented = Presented {
            code: query.get("code").unwrap_or_default(),
            redirect_uri: Some(redirect_uri),
            verifier: None,
        };
        let desk = question.desk;
        let number = desk.redeem(&presented, question.now).map_err(refusal)?;
        let grants = &desk.world.grants;
        let issued = grants.with(desk.provider, number, |grant| self.agreed(grant, question));
        issued.ok_or_else(|| refusal(CodeProblem::Unknown))
    }

    fn agreed(&self, grant: &mut Grant, question: &Question<'_>) -> Answer {
        let lifetime = match grant.kind {
            Some(GrantKind::SystemUser) => self.settings.system_user_lifetime,
            _ => self.settings.short_lifetime,
        };
        grant.revoked = false;
        grant.generation += 1;
        grant.issue(Issued {
            purpose: USER,
            generation: grant.generation,
            issued_at: question.now,
            expires_at: Some(question.now.plus(lifetime)),
        });
        let value = write(grant, USER, grant.generation, question.desk.world);
        token_json(&value, Some(question.now.plus(lifetime)), question.now)
    }
}

/// Facebook says of every bad code that it is a bad parameter; the subcode says why.
fn refusal(problem: CodeProblem) -> GraphError {
    let (subcode, label, text) = match problem {
        CodeProblem::Unknown | CodeProblem::Verifier => {
            return GraphError::new(100, "Invalid verification code format.");
        }
        CodeProblem::Expired => (36007, "100/36007", "This authorization code has expired."),
        CodeProblem::Redirect => (
            36008,
            "100/36008",
            "Error validating verification code. Please make sure your redirect_uri is identical \
             to the one you used in the OAuth dialog request",
        ),
        CodeProblem::Used(_) => (36009, "100/36009", "This authorization code has been used."),
    };
    GraphError::sub(100, subcode, label, text.to_owned())
}
