//! How people connect an account at TikTok's API for Business: at TikTok's own page, with
//! the app's id as its key (contracts §4.2.a; public clients: `NangoHQ/nango`
//! `tiktok-accounts`). Advertisers agree elsewhere and are imported.

use async_trait::async_trait;
use domain::{Verdict, reason};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Request};
use secrecy::ExposeSecret as _;
use serde_json::json;
use url::Url;

use crate::connect::{Asking, Connect, Connected, Granted, accepted_pair, asked};
use crate::dialogue::Dialogue;
use crate::{Provider as _, RefreshError, Refusal};

use super::{NAME, TikTokBusiness, from_ref, read};

#[async_trait]
impl Connect for TikTokBusiness {
    fn missing(&self) -> Vec<String> {
        let missing = self.missing_settings();
        missing.into_iter().map(str::to_owned).collect()
    }

    fn authorize_url(&self, asking: &Asking<'_>) -> Url {
        let key = self.app_id.as_deref().unwrap_or_default();
        let scopes = self.scopes.join(",");
        asked(
            &self.page,
            asking,
            &[("client_key", key), ("scope", &scopes)],
        )
    }

    async fn exchange(&self, granted: &Granted<'_>) -> Result<Connected, RefreshError> {
        let (Some(id), Some(secret)) = (&self.app_id, &self.app_secret) else {
            return Err(Refusal::not_configured(&NAME));
        };
        let consent = granted.secrets();
        let dialogue = Dialogue {
            http: &self.http,
            provider: &NAME,
            call: &granted.call(&consent, None),
            app_secrets: from_ref(secret),
        };
        let body = json!({
            "client_id": id,
            "client_secret": secret.expose_secret(),
            "grant_type": "authorization_code",
            "auth_code": granted.code.expose_secret(),
            "redirect_uri": granted.redirect_uri,
        });
        let mut request = Request::new(Method::POST, self.code_url.clone());
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json.clone());
        request.headers_mut().insert(ACCEPT, json);
        *request.body_mut() = Some(Body::from(body.to_string()));
        let answer = dialogue.send(request).await?;
        let fresh = read(&dialogue, &answer).map_err(of_code)?;
        Ok(Connected::of(accepted_pair(fresh, granted.now)))
    }
}

/// "Bad parameter" is a bug of ours at a refresh; here it may be the code, which only its
/// message says.
fn of_code(error: RefreshError) -> RefreshError {
    let RefreshError::Refused(mut refusal) = error else {
        return error;
    };
    let message = refusal.details.provider_message.as_deref();
    if message.is_some_and(|message| message.to_lowercase().contains("auth_code")) {
        refusal.verdict = Verdict::Reauthorize;
        refusal.details.reason = Some(reason::CODE_REFUSED.to_owned());
    }
    RefreshError::Refused(refusal)
}
