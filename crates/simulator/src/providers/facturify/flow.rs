//! Facturify's endpoints: obtain, refresh, validate (contracts §5.1–§5.4).

use std::borrow::Cow;
use std::time::Duration;

use axum::http::Method;
use domain::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::answers::{
    expired, invalid, not_found, refused_by, unauthenticated, wrong_key, wrong_method,
};
use super::{Facturify, Known, Question, TOKEN, secret};
use crate::RefreshMethod;
use crate::answer::Answer;
use crate::call::Call;
use crate::grants::{Grant, Issued};

/// The body of `/auth`.
#[derive(Default, Deserialize)]
pub(super) struct Login<'b> {
    #[serde(borrow, default)]
    pub(super) api_key: Option<Cow<'b, str>>,
    #[serde(borrow, default)]
    api_secret: Option<Cow<'b, str>>,
}

impl<'b> Login<'b> {
    /// From JSON or a form; what cannot be read is as good as absent.
    pub(super) fn read(call: &'b Call) -> Self {
        if call.is("application/json") {
            return serde_json::from_slice(&call.body).unwrap_or_default();
        }
        let field = |name| call.form.get(name).map(Cow::Borrowed);
        Self {
            api_key: field("api_key"),
            api_secret: field("api_secret"),
        }
    }
}

impl Facturify {
    /// A key and its secret for a first token.
    pub(super) fn auth(&self, question: &Question<'_>) -> Answer {
        if question.call.method != Method::POST {
            return wrong_method(RefreshMethod::Post);
        }
        let login = Login::read(question.call);
        let missing: Vec<&str> = [
            ("api_key", &login.api_key),
            ("api_secret", &login.api_secret),
        ]
        .into_iter()
        .filter(|(_, value)| value.as_deref().is_none_or(str::is_empty))
        .map(|(name, _)| name)
        .collect();
        if !missing.is_empty() {
            return invalid(&missing);
        }
        let entered = question.with_grant(|grant, _| {
            let secret = secret(grant, question.desk.world);
            let right = login.api_secret.as_deref() == Some(&secret);
            (right && !grant.revoked).then(|| self.first_token(grant, question))
        });
        entered.flatten().unwrap_or_else(wrong_key)
    }

    fn first_token(&self, grant: &mut Grant, question: &Question<'_>) -> Answer {
        match question.special {
            Some("auth_401") => wrong_key(),
            Some("auth_422") => invalid(&["api_key"]),
            _ => {
                let lifetime = self.settings.first_lifetime;
                self.issue(grant, lifetime, "Token generado", question)
            }
        }
    }

    /// A living token for a long one.
    pub(super) fn refresh(&self, question: &Question<'_>) -> Answer {
        let call = question.call;
        let method = match question.special {
            Some("get_only" | "get_only_404") => RefreshMethod::Get,
            _ => self.settings.refresh_method,
        };
        let right = match method {
            RefreshMethod::Post => Method::POST,
            RefreshMethod::Get => Method::GET,
        };
        if call.method != right {
            return match question.special {
                Some("get_only_404") => not_found(),
                _ => wrong_method(method),
            };
        }
        if !call.body.is_empty() {
            return invalid(&["body"]);
        }
        let Some(token) = call.bearer() else {
            return unauthenticated();
        };
        if let Some(answer) = refused_by(question.special) {
            return answer;
        }
        let renewed = question.with_grant(|grant, known| {
            let grace = self.settings.refresh_grace;
            self.check(grant, known, token, question, grace)?;
            let lifetime = grant
                .renewed_secs
                .map_or(self.settings.refreshed_lifetime, Duration::from_secs);
            Ok(self.issue(grant, lifetime, "Token actualizado", question))
        });
        match renewed {
            Some(Ok(answer) | Err(answer)) => answer,
            None => unauthenticated(),
        }
    }

    /// Whether a token lives.
    pub(super) fn validate(&self, question: &Question<'_>) -> Answer {
        if question.call.method != Method::GET {
            return wrong_method(RefreshMethod::Get);
        }
        let checked = question.with_grant(|grant, known| {
            let token = question.call.bearer().unwrap_or_default();
            self.check(grant, known, token, question, Duration::ZERO)
        });
        match checked {
            Some(Ok(())) => Answer::ok(json!({"message": "Token válido"}).to_string()),
            Some(Err(answer)) => answer,
            None => unauthenticated(),
        }
    }

    /// Whether a token is one of the grant's and lives, or ended less than `grace` ago.
    fn check(
        &self,
        grant: &Grant,
        known: Known,
        token: &str,
        question: &Question<'_>,
        grace: Duration,
    ) -> Result<(), Answer> {
        let replaced = known.generation < grant.generation;
        let single = question.special == Some("single_token");
        let foreign = known.purpose != TOKEN || known.generation > grant.generation;
        if grant.revoked || foreign || (replaced && single) {
            return Err(unauthenticated());
        }
        match self.jwts.ends_at(token) {
            Some(at) if question.now < at.plus(grace) => Ok(()),
            Some(_) => Err(expired(&json!(51))),
            None => Err(unauthenticated()),
        }
    }

    fn issue(
        &self,
        grant: &mut Grant,
        lifetime: Duration,
        message: &str,
        question: &Question<'_>,
    ) -> Answer {
        let secs = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let iat = question.now.as_millis().div_euclid(1000);
        let claimed = match question.special {
            Some("exp_disagrees") => secs / 2,
            _ => secs,
        };
        grant.generation += 1;
        let token = Issued {
            purpose: TOKEN,
            generation: grant.generation,
            issued_at: Timestamp::from_secs(iat),
            expires_at: Some(Timestamp::from_secs(iat.saturating_add(claimed))),
        };
        grant.issue(token);
        if question.special == Some("no_jwt") {
            return Answer::ok(json!({ "message": message }).to_string()).refreshed();
        }
        let expires_in = match question.special {
            Some("expires_in_minutes") => secs / 60,
            _ => secs,
        };
        let jwt = self.jwt(grant, token, question.desk.world);
        Answer::ok(format!(
            r#"{{"message":"{message}","jwt":{{"token":"{jwt}","expires_in":{expires_in}}}}}"#
        ))
        .refreshed()
    }
}
