//! `debug_token`: what kind a token is and whether it lives (contracts §1.3).

use axum::http::Method;
use domain::{GrantKind, Timestamp};
use serde_json::{Value, json};

use super::values::{business_id, page_id, user_id};
use super::{Facebook, PAGE, Question, WHATSAPP};
use crate::answer::Answer;
use crate::grants::{Grant, Issued};
use crate::providers::Known;
use crate::providers::graph::{self, GraphError, graph_json};

/// How long user data may be read after the person's consent.
const DATA_ACCESS_SECS: i64 = 90 * 86_400;

impl Facebook {
    /// Tells about a token; the status is 200 also for a dead one.
    pub(super) fn debug(&self, question: &Question<'_>) -> Result<Answer, GraphError> {
        let call = question.call;
        if call.method != Method::GET {
            return Err(graph::method(&call.method));
        }
        let Some((id, secret)) = call
            .query
            .get("access_token")
            .and_then(|t| t.split_once('|'))
        else {
            return Err(GraphError::new(
                100,
                "(#100) You must provide an app access token, or a user access token that is an \
                 owner or developer of the app",
            ));
        };
        self.check_app(Some(id), Some(secret))?;
        if call.query.get("input_token").is_none() {
            return Err(GraphError::new(
                100,
                "(#100) The parameter input_token is required",
            ));
        }
        let told = question.with_grant(|grant, known| self.tell(grant, known, question));
        let data =
            told.unwrap_or_else(|| self.dead(&GraphError::new(190, graph::CANNOT_PARSE), None));
        Ok(graph_json(json!({ "data": data }).to_string()))
    }

    fn tell(&self, grant: &mut Grant, known: Known, question: &Question<'_>) -> Value {
        let token = match self.living(grant, known, question.now) {
            Ok(token) => token,
            Err(error) => {
                let known = grant.issued_with(known.purpose, known.generation);
                return self.dead(&error, known);
            }
        };
        if let Err(error) = graph::of_special(question.special)
            && error.ends_the_grant()
        {
            return self.dead(&error, Some(token));
        }
        self.alive(grant, token, question)
    }

    fn alive(&self, grant: &Grant, token: Issued, question: &Question<'_>) -> Value {
        let world = question.desk.world;
        let user_id = user_id(grant.number, world);
        let is_page = token.purpose == PAGE;
        let kind = match grant.kind {
            _ if is_page => "PAGE",
            Some(GrantKind::SystemUser) => "SYSTEM_USER",
            _ => "USER",
        };
        let consent = match question.special {
            Some("data_access_expired") => secs(question.now) - DATA_ACCESS_SECS - 86_400,
            _ => secs(token.issued_at),
        };
        let (scopes, target) = match grant.guise {
            Some(WHATSAPP) => (
                [
                    "whatsapp_business_management",
                    "whatsapp_business_messaging",
                ],
                business_id(grant.number, world),
            ),
            _ => (["pages_show_list", "instagram_basic"], "111".to_owned()),
        };
        let endless = grant.kind == Some(GrantKind::SystemUser);
        let mut data = json!({
            "app_id": self.settings.app.id,
            "type": kind,
            "application": "Demo",
            "data_access_expires_at": if endless { 0 } else { consent + DATA_ACCESS_SECS },
            "expires_at": token.expires_at.map_or(0, secs),
            "is_valid": true,
            "issued_at": secs(token.issued_at),
            "scopes": scopes,
            "granular_scopes": [{"scope": scopes[0], "target_ids": [target]}],
            "user_id": user_id,
        });
        if is_page {
            data["profile_id"] = json!(page_id(grant.number, world));
        }
        data
    }

    fn dead(&self, error: &GraphError, token: Option<Issued>) -> Value {
        let mut data = json!({
            "app_id": self.settings.app.id,
            "is_valid": false,
            "error": {"code": error.code, "message": error.message},
            "scopes": [],
        });
        if let Some(subcode) = error.subcode {
            data["error"]["subcode"] = json!(subcode);
        }
        if let Some(token) = token {
            data["expires_at"] = json!(token.expires_at.map_or(0, secs));
        }
        data
    }
}

fn secs(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}
