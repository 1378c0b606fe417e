//! Instagram's endpoints: the refresh, and the profile that shows whether a token lives.

use axum::http::Method;
use serde_json::json;

use super::values::{account_id, write};
use super::{Instagram, TOKEN};
use crate::answer::Answer;
use crate::grants::{Grant, Issued};
use crate::providers::graph::{self, GraphError, graph_json, token_json};
use crate::providers::{Known, Question};

/// What Facebook's tokens begin with, which are of the wrong family here.
const FACEBOOK: &str = "EAA";

impl Instagram {
    /// A living token for another one, with a new end.
    pub(super) fn refresh(&self, question: &Question<'_>) -> Result<Answer, GraphError> {
        let call = question.call;
        if call.method != Method::GET {
            let name = call.method.as_str().to_ascii_lowercase();
            return Err(graph::instagram_method(&name));
        }
        let query = &call.query;
        if let Some(name) = query.unexpected(&["grant_type", "access_token"]) {
            let text = format!("The parameter {name} is not taken here, or given twice");
            return Err(GraphError::new(100, text));
        }
        match query.get("grant_type") {
            Some("ig_refresh_token") => {}
            Some(_) => return Err(GraphError::new(100, "Invalid grant_type parameter")),
            None => return Err(GraphError::new(100, "Missing grant_type parameter")),
        }
        let token = presented(question)?;
        let renewed = question.with_grant(|grant, known| self.renew(grant, known, question));
        renewed.unwrap_or_else(|| Err(unknown(token)))
    }

    fn renew(
        &self,
        grant: &mut Grant,
        known: Known,
        question: &Question<'_>,
    ) -> Result<Answer, GraphError> {
        graph::of_special(question.special)?;
        let old = living(grant, known, question)?;
        if question.special == Some("method_get") {
            return Err(graph::instagram_method("get"));
        }
        if question.now < old.issued_at.plus(self.settings.min_age) {
            let text = "The access token must be at least 24 hours old to be refreshed";
            return Err(GraphError::new(100, text));
        }

        let new = self.successor(grant, old, question);
        grant.issued.retain(|token| *token != old);
        if new.generation != old.generation {
            grant.generation = new.generation;
            // The one before lives on until its own end.
            grant.issue(old);
        }
        grant.issue(new);
        let value = write(grant, new.generation, question.desk.world);
        let ends = new.expires_at;
        let ends = ends.filter(|_| question.special != Some("no_expires_in"));
        Ok(token_json(&value, ends, question.now).refreshed())
    }

    fn successor(&self, grant: &Grant, old: Issued, question: &Question<'_>) -> Issued {
        let lifetime = grant
            .renewed_secs
            .map_or(self.settings.lifetime, std::time::Duration::from_secs);
        Issued {
            purpose: TOKEN,
            generation: match question.special {
                Some("same_token") => old.generation,
                _ => grant.generation + 1,
            },
            issued_at: question.now,
            expires_at: match question.special {
                Some("not_advanced") => old.expires_at,
                _ => Some(question.now.plus(lifetime)),
            },
        }
    }

    /// Whose token it is, if it lives.
    pub(super) fn profile(question: &Question<'_>) -> Result<Answer, GraphError> {
        if question.call.method != Method::GET {
            let name = question.call.method.as_str().to_ascii_lowercase();
            return Err(graph::instagram_method(&name));
        }
        let token = presented(question)?;
        let lives = question.with_grant(|grant, known| {
            let errors = graph::of_special(question.special);
            errors.and_then(|()| living(grant, known, question))?;
            Ok(grant.number)
        });
        let number = lives.unwrap_or_else(|| Err(unknown(token)))?;
        let id = account_id(number, question.desk.world);
        let json = json!({"user_id": id, "username": format!("demo.{number}"), "id": id});
        Ok(graph_json(json.to_string()))
    }
}

fn presented<'q>(question: &'q Question<'_>) -> Result<&'q str, GraphError> {
    let missing = "An access token is required to request this resource.";
    let token = question.caller.presented();
    token.ok_or_else(|| GraphError::new(100, missing))
}

/// A value that is no token here.
fn unknown(value: &str) -> GraphError {
    if value.starts_with(FACEBOOK) {
        return graph::instagram_method("get");
    }
    GraphError::new(190, graph::CANNOT_PARSE)
}

/// The presented token, if it is one of the grant and lives.
pub(super) fn living(
    grant: &Grant,
    known: Known,
    question: &Question<'_>,
) -> Result<Issued, GraphError> {
    if question.special == Some("dead_method_get") {
        return Err(graph::instagram_method("get"));
    }
    if grant.revoked {
        let text = "Error validating access token: The user has not authorized the application.";
        return Err(GraphError::new(190, text));
    }
    match grant.issued_with(known.purpose, known.generation) {
        Some(token) if !token.expired(question.now) => Ok(token),
        other => Err(graph::expired(other, question.now).without_subcode()),
    }
}
