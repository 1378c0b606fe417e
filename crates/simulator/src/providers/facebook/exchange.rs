//! `oauth/access_token` with `fb_exchange_token` (contracts §1.1 and §1.4).

use axum::http::Method;
use domain::GrantKind;

use super::values::write;
use super::{Facebook, Question, USER};
use crate::answer::Answer;
use crate::grants::{Grant, Issued};
use crate::providers::Known;
use crate::providers::graph::{self, GraphError, token_json};

impl Facebook {
    /// A living token for another one, with a new end.
    pub(super) fn exchange(&self, question: &Question<'_>) -> Result<Answer, GraphError> {
        let call = question.call;
        if call.method != Method::GET && call.method != Method::POST {
            return Err(graph::method(&call.method));
        }
        let query = &call.query;
        self.check_app(query.get("client_id"), query.get("client_secret"))?;
        match query.get("grant_type") {
            Some("fb_exchange_token") => {}
            Some(_) => return Err(GraphError::new(100, "Invalid grant_type parameter")),
            None => return Err(GraphError::new(100, "Missing grant_type parameter")),
        }
        if query.get("fb_exchange_token").is_none() {
            return Err(GraphError::new(
                100,
                "fb_exchange_token parameter not specified",
            ));
        }
        let sixty_days = match query.get("set_token_expires_in_60_days") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                return Err(GraphError::new(
                    100,
                    "Param set_token_expires_in_60_days must be a boolean",
                ));
            }
        };
        let exchanged =
            question.with_grant(|grant, known| self.renew(grant, known, question, sixty_days));
        exchanged.unwrap_or_else(|| Err(GraphError::new(190, graph::CANNOT_PARSE)))
    }

    fn renew(
        &self,
        grant: &mut Grant,
        known: Known,
        question: &Question<'_>,
        sixty_days: bool,
    ) -> Result<Answer, GraphError> {
        graph::of_special(question.special)?;
        let old = self.living(grant, known, question.now)?;
        refuse_wrong_kind(grant, known, old, sixty_days)?;

        let new = self.successor(grant, old, question);
        grant.issued.retain(|token| *token != old);
        if question.special != Some("same_token") {
            grant.generation += 1;
            // The one before lives on, and being in use it is not the next to be forgotten.
            grant.issue(old);
        }
        grant.issue(new);
        let value = write(grant, USER, new.generation, question.desk.world);
        let left = new
            .expires_at
            .filter(|_| question.special != Some("no_expires_in"));
        Ok(token_json(&value, left, question.now).refreshed())
    }

    fn successor(&self, grant: &Grant, old: Issued, question: &Question<'_>) -> Issued {
        let lifetime = match grant.kind {
            Some(GrantKind::SystemUser) => self.settings.system_user_lifetime,
            _ => self.settings.user_lifetime,
        };
        let lifetime = grant
            .renewed_secs
            .map_or(lifetime, std::time::Duration::from_secs);
        let same = question.special == Some("same_token");
        Issued {
            purpose: USER,
            generation: if same {
                old.generation
            } else {
                grant.generation + 1
            },
            issued_at: question.now,
            expires_at: match question.special {
                Some("not_advanced") => old.expires_at,
                _ => Some(question.now.plus(lifetime)),
            },
        }
    }
}

/// Each kind of token has its own way to live on; the wrong one is a bug of the caller.
fn refuse_wrong_kind(
    grant: &Grant,
    known: Known,
    old: Issued,
    sixty_days: bool,
) -> Result<(), GraphError> {
    let expiring_system_user =
        grant.kind == Some(GrantKind::SystemUser) && old.expires_at.is_some();
    let problem = if known.purpose != USER {
        "A page access token cannot be exchanged: derive it again from the token of its person"
    } else if old.expires_at.is_none() {
        "This token never expires and cannot be exchanged"
    } else if expiring_system_user && !sixty_days {
        "set_token_expires_in_60_days is required to refresh an expiring system user token"
    } else if !expiring_system_user && sixty_days {
        "set_token_expires_in_60_days is for system user tokens only"
    } else {
        return Ok(());
    };
    Err(GraphError::new(100, format!("(#100) {problem}")))
}
