//! How people connect an account at TikTok: Login Kit for the web, which has no PKCE
//! (developers.tiktok.com/doc/login-kit-web, …/doc/oauth-user-access-token-management).

use async_trait::async_trait;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Request};
use secrecy::ExposeSecret as _;
use url::Url;

use crate::connect::{Asking, Connect, Connected, Granted, accepted_pair, asked};
use crate::dialogue::Dialogue;
use crate::http::form;
use crate::{Provider as _, RefreshError, Refusal};

use super::{NAME, TikTok, from_ref, read};

#[async_trait]
impl Connect for TikTok {
    fn missing(&self) -> Vec<String> {
        let missing = self.missing_settings();
        missing.into_iter().map(str::to_owned).collect()
    }

    fn authorize_url(&self, asking: &Asking<'_>) -> Url {
        let key = self.client_key.as_deref().unwrap_or_default();
        let scopes = self.scopes.join(",");
        asked(
            &self.page,
            asking,
            &[("client_key", key), ("scope", &scopes)],
        )
    }

    async fn exchange(&self, granted: &Granted<'_>) -> Result<Connected, RefreshError> {
        let (Some(key), Some(secret)) = (&self.client_key, &self.client_secret) else {
            return Err(Refusal::not_configured(&NAME));
        };
        let consent = granted.secrets();
        let dialogue = Dialogue {
            http: &self.http,
            provider: &NAME,
            call: &granted.call(&consent, None),
            app_secrets: from_ref(secret),
        };
        let mut request = Request::new(Method::POST, self.token_url.clone());
        form(
            &mut request,
            &[
                ("client_key", key),
                ("client_secret", secret.expose_secret()),
                ("code", granted.code.expose_secret()),
                ("grant_type", "authorization_code"),
                ("redirect_uri", granted.redirect_uri),
            ],
        );
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(ACCEPT, json);
        let answer = dialogue.send(request).await?;
        let fresh = read(&dialogue, &answer)?;
        Ok(Connected::of(accepted_pair(fresh, granted.now)))
    }
}
