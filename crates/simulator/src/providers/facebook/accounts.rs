//! `{user}/accounts`: the pages of a person, each with its token (contracts §1.2, §1.5).

use std::time::Duration;

use axum::http::Method;
use domain::GrantKind;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use serde_json::json;
use sha2::Sha256;

use super::values::{page_id, user_id, write};
use super::{Facebook, OTHER_PAGE, PAGE, Question, USER};
use crate::answer::Answer;
use crate::grants::{Grant, Issued};
use crate::providers::Known;
use crate::providers::graph::{self, GraphError, graph_json, without_version};
use crate::token::hex;

impl Facebook {
    /// Derives the tokens of the person's pages.
    pub(super) fn accounts(&self, question: &Question<'_>) -> Result<Answer, GraphError> {
        let call = question.call;
        if call.method != Method::GET {
            return Err(graph::method(&call.method));
        }
        let Some(token) = question.caller.presented() else {
            return Err(GraphError::new(
                2500,
                "An active access token must be used to query information about the current user.",
            ));
        };
        self.check_proof(token, call.query.get("appsecret_proof"))?;
        let path = without_version(&call.path);
        let user = path.strip_suffix("/accounts").unwrap_or_default();
        let derived = question.with_grant(|grant, known| self.derive(grant, known, question, user));
        derived.unwrap_or_else(|| Err(GraphError::new(190, graph::CANNOT_PARSE)))
    }

    fn derive(
        &self,
        grant: &mut Grant,
        known: Known,
        question: &Question<'_>,
        user: &str,
    ) -> Result<Answer, GraphError> {
        graph::of_special(question.special)?;
        let token = self.living(grant, known, question.now)?;
        let world = question.desk.world;
        let own = user_id(grant.number, world);
        if known.purpose != USER || !(user == "me" || user == own) {
            return Err(graph::unknown_object(user));
        }
        grant.generation += 1;
        let page = Issued {
            purpose: PAGE,
            generation: grant.generation,
            issued_at: question.now,
            expires_at: self.page_end(grant, token, question),
        };
        grant.issue(page);

        let page_id = page_id(grant.number, world);
        let mut pages = vec![json!({
            // The first page is not always the right one.
            "id": another(&page_id),
            "name": "Another page",
            "access_token": write(grant, OTHER_PAGE, grant.generation, world),
        })];
        if question.special != Some("page_missing") {
            pages.push(json!({
                "id": page_id,
                "name": world.display_name(grant.number),
                "access_token": write(grant, PAGE, grant.generation, world),
            }));
        }
        Ok(graph_json(json!({ "data": pages }).to_string()).refreshed())
    }

    /// Derived from a long-lived token, a page's token has no end.
    fn page_end(
        &self,
        grant: &Grant,
        from: Issued,
        question: &Question<'_>,
    ) -> Option<domain::Timestamp> {
        if let Some(secs) = grant
            .renewed_secs
            .filter(|_| grant.kind == Some(GrantKind::Page))
        {
            return Some(question.now.plus(Duration::from_secs(secs)));
        }
        let ends = from.expires_at?;
        let short_lived = ends.since(from.issued_at) < self.settings.user_lifetime / 2;
        let hour = question.now.plus(self.settings.page_lifetime);
        short_lived.then(|| hour.min(ends))
    }

    fn check_proof(&self, token: &str, proof: Option<&str>) -> Result<(), GraphError> {
        let Some(proof) = proof else {
            let problem = "API calls from the server require an appsecret_proof argument";
            return if self.settings.require_proof {
                Err(GraphError::new(100, problem))
            } else {
                Ok(())
            };
        };
        if proof == app_secret_proof(self.settings.app.secret.expose_secret(), token) {
            return Ok(());
        }
        Err(GraphError::new(
            100,
            "Invalid appsecret_proof provided in the API argument",
        ))
    }
}

fn app_secret_proof(secret: &str, token: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .expect("HMAC takes keys of any length")
        .chain_update(token);
    hex(&mac.finalize().into_bytes())
}

/// An id that differs from this one in its last digit.
fn another(page_id: &str) -> String {
    let (rest, last) = page_id.split_at(page_id.len() - 1);
    format!("{rest}{}", if last == "1" { "2" } else { "1" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_the_contracts_test_vector() {
        assert_eq!(
            app_secret_proof("app_secret_fake", "EAA_ok"),
            "9496cd0f1ec0eab9903e7787494e194ffb8b73bebf81fb891a08e1d762f74aa5"
        );
    }
}
