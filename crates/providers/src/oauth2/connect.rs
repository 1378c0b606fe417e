//! How people connect an account at a generic provider: RFC 6749 section 4.1 with the
//! challenge of RFC 7636.

use async_trait::async_trait;
use domain::{FreshTokens, reason};
use secrecy::ExposeSecret as _;
use url::Url;

use crate::RefreshError;
use crate::connect::{Asking, Connect, Connected, Granted, accepted_pair, asked};
use crate::dialogue::Dialogue;

use super::{OAuth2, answer, request};

/// Where nobody can be sent; [`Connect::missing`] has said so.
const NOWHERE: &str = "https://authorize-url-is-not-set.invalid/";

#[async_trait]
impl Connect for OAuth2 {
    fn missing(&self) -> Vec<String> {
        let missing = self.described.consent.page.is_none();
        let name = self.name.as_str().trim_start_matches("oauth2:");
        let setting = format!("providers.oauth2.{name}.authorize_url");
        missing.then_some(setting).into_iter().collect()
    }

    fn authorize_url(&self, asking: &Asking<'_>) -> Url {
        let consent = &self.described.consent;
        let nowhere = || Url::parse(NOWHERE).expect("it is an address");
        let page = consent.page.clone().unwrap_or_else(nowhere);
        let scopes = consent.scopes.join(&consent.scope_separator);
        let mut more = vec![
            ("client_id", self.described.app.id.as_str()),
            ("scope", scopes.as_str()),
        ];
        let own = &consent.params;
        more.extend(
            own.iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        if consent.pkce {
            more.push(("code_challenge", asking.challenge));
            more.push(("code_challenge_method", "S256"));
        }
        asked(&page, asking, &more)
    }

    async fn exchange(&self, granted: &Granted<'_>) -> Result<Connected, RefreshError> {
        let consent = granted.secrets();
        let dialogue = Dialogue {
            http: &self.http,
            provider: &self.name,
            call: &granted.call(&consent, None),
            app_secrets: &self.described.app.secrets,
        };
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", granted.code.expose_secret()),
            ("redirect_uri", granted.redirect_uri),
        ];
        if self.described.consent.pkce {
            fields.push(("code_verifier", granted.verifier.expose_secret()));
        }
        let answer = dialogue
            .send(request::token(&self.described, fields))
            .await?;
        let fresh = self.read(&dialogue, &answer).map_err(of_code)?;
        let account = answer::body(&answer)
            .and_then(|body| answer::account(&body, self.described.consent.account.as_deref()));
        let fresh = FreshTokens {
            external_id: account,
            ..fresh
        };
        Ok(Connected::of(accepted_pair(fresh, granted.now)))
    }
}

/// An `invalid_grant` is about the code here.
fn of_code(error: RefreshError) -> RefreshError {
    let RefreshError::Refused(mut refusal) = error else {
        return error;
    };
    if refusal.details.reason.as_deref() == Some(reason::REVOKED) {
        refusal.details.reason = Some(reason::CODE_REFUSED.to_owned());
    }
    RefreshError::Refused(refusal)
}
