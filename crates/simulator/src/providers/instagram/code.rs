//! What a person's consent at Instagram brings: a token for an hour, which is taken for
//! one of 60 days (contracts §2, "first acquisition").

use axum::http::Method;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::values::{account_id, write};
use super::{Instagram, TOKEN};
use crate::answer::Answer;
use crate::consent::{CodeProblem, Presented};
use crate::grants::{Grant, Issued};
use crate::providers::graph::{self, GraphError, token_json};
use crate::providers::{Known, Question};

const FIELDS: [&str; 5] = [
    "client_id",
    "client_secret",
    "grant_type",
    "redirect_uri",
    "code",
];

impl Instagram {
    /// A code for a short-lived token.
    pub(super) fn code(&self, question: &Question<'_>) -> Answer {
        let presented = match self.check_code(question) {
            Ok(presented) => presented,
            Err(text) => return refused(&text),
        };
        let desk = question.desk;
        let grants = &desk.world.grants;
        match desk.redeem(&presented, question.now) {
            Ok(number) => grants
                .with(desk.provider, number, |grant| self.agreed(grant, question))
                .unwrap_or_else(|| refused(UNKNOWN)),
            Err(CodeProblem::Redirect) => refused(
                "Error validating verification code. Please make sure your redirect_uri is \
                 identical to the one you used in the OAuth dialog request",
            ),
            Err(_) => refused(UNKNOWN),
        }
    }

    fn check_code<'q>(&self, question: &Question<'q>) -> Result<Presented<'q>, String> {
        let call = question.call;
        if call.method != Method::POST {
            return Err("Only POST is supported".to_owned());
        }
        if let Some(name) = call.form.unexpected(&FIELDS) {
            return Err(format!("Unknown field {name}"));
        }
        let given = |name: &'static str| {
            let missing = || format!("Missing required field {name}");
            call.form.get(name).ok_or_else(missing)
        };
        let app = &self.settings.app;
        if given("client_id")? != app.id {
            return Err("Invalid platform app".to_owned());
        }
        if given("client_secret")? != app.secret.expose_secret() {
            return Err("Error validating client secret.".to_owned());
        }
        if given("grant_type")? != "authorization_code" {
            return Err("Invalid grant_type: authorization_code is supported".to_owned());
        }
        Ok(Presented {
            code: given("code")?,
            redirect_uri: Some(given("redirect_uri")?),
            verifier: None,
        })
    }

    fn agreed(&self, grant: &mut Grant, question: &Question<'_>) -> Answer {
        grant.revoked = false;
        let token = next(grant, question, self.settings.short_lifetime);
        let world = question.desk.world;
        let json = json!({
            "access_token": write(grant, token.generation, world),
            "user_id": account_id(grant.number, world),
            "permissions": ["instagram_business_basic"],
        });
        Answer::ok(json.to_string())
    }

    /// A short-lived token for a long-lived one.
    pub(super) fn lengthen(&self, question: &Question<'_>) -> Result<Answer, GraphError> {
        let call = question.call;
        if call.method != Method::GET {
            let name = call.method.as_str().to_ascii_lowercase();
            return Err(graph::instagram_method(&name));
        }
        let query = &call.query;
        let known = ["grant_type", "client_secret", "access_token"];
        if let Some(name) = query.unexpected(&known) {
            let text = format!("The parameter {name} is not taken here, or given twice");
            return Err(GraphError::new(100, text));
        }
        if query.get("grant_type") != Some("ig_exchange_token") {
            return Err(GraphError::new(100, "Invalid grant_type parameter"));
        }
        if query.get("client_secret") != Some(self.settings.app.secret.expose_secret()) {
            return Err(graph::BAD_SECRET);
        }
        let lengthened = question.with_grant(|grant, known| self.longer(grant, known, question));
        lengthened.unwrap_or_else(|| Err(GraphError::new(190, graph::CANNOT_PARSE)))
    }

    fn longer(
        &self,
        grant: &mut Grant,
        known: Known,
        question: &Question<'_>,
    ) -> Result<Answer, GraphError> {
        let old = super::flow::living(grant, known, question)?;
        let life = old.expires_at.map(|end| end.since(old.issued_at));
        if life.is_none_or(|life| life > self.settings.short_lifetime) {
            let text = "Only a short-lived access token can be exchanged";
            return Err(GraphError::new(100, text));
        }
        let token = next(grant, question, self.settings.lifetime);
        let value = write(grant, token.generation, question.desk.world);
        Ok(token_json(&value, token.expires_at, question.now))
    }
}

const UNKNOWN: &str = "Matching code was not found or was already used";

fn next(grant: &mut Grant, question: &Question<'_>, lifetime: std::time::Duration) -> Issued {
    grant.generation += 1;
    let token = Issued {
        purpose: TOKEN,
        generation: grant.generation,
        issued_at: question.now,
        expires_at: Some(question.now.plus(lifetime)),
    };
    grant.issue(token);
    token
}

/// This endpoint has an error form of its own.
fn refused(text: &str) -> Answer {
    let json = json!({"error_type": "OAuthException", "code": 400, "error_message": text});
    Answer::error(400, "400", &json)
}
