//! How people connected an account at TikTok's first OAuth
//! (developers.tiktok.com/doc/legacy-user-access-guide): a code needs the app's secret,
//! and everything stands in the query.

use std::slice::from_ref;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, HeaderValue};
use reqwest::{Method, Request};
use secrecy::ExposeSecret as _;
use url::Url;

use crate::connect::{Asking, Connect, Connected, Granted, accepted_pair, asked};
use crate::dialogue::Dialogue;
use crate::{RefreshError, Refusal};

use super::{NAME, TikTokLegacy, read};

#[async_trait]
impl Connect for TikTokLegacy {
    fn missing(&self) -> Vec<String> {
        let key = self.client_key.is_none().then_some("TIKTOK_CLIENT_KEY");
        let secret = self
            .client_secret
            .is_none()
            .then_some("TIKTOK_CLIENT_SECRET");
        key.into_iter().chain(secret).map(str::to_owned).collect()
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
        let mut url = self.code_url.clone();
        url.query_pairs_mut()
            .append_pair("client_key", key)
            .append_pair("client_secret", secret.expose_secret())
            .append_pair("code", granted.code.expose_secret())
            .append_pair("grant_type", "authorization_code");
        let mut request = Request::new(Method::POST, url);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let answer = dialogue.send(request).await?;
        let fresh = read(&dialogue, &answer)?;
        Ok(Connected::of(accepted_pair(fresh, granted.now)))
    }
}
