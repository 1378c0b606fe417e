//! How people connect an account at Instagram: Business Login, whose code brings a token
//! for an hour, which is exchanged for one of 60 days
//! (developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login;
//! contracts §2, "first acquisition").

use std::slice::from_ref;

use async_trait::async_trait;
use domain::{FreshTokens, Grant, GrantKind, reason};
use reqwest::{Method, Request};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use crate::connect::{Asking, Connect, Connected, Granted, accepted, asked};
use crate::dialogue::Dialogue;
use crate::http::{Answer, form};
use crate::json::{lifetime, secret, text};
use crate::matrix::{Facts, Matrix, REDIRECT, Row, Then, When, row, row_because};
use crate::meta::matrix::{MATRIX, facts};
use crate::{Call, RefreshError, Refusal};

use super::{Instagram, NAME};

/// The code's endpoint has an error form of its own, without a code that tells.
const CODE: Matrix = Matrix {
    rows: ROWS,
    header_delay: crate::delay::no_header,
};

const ROWS: &[Row] = &[
    row(&[When::Status(429, 429)], Then::Throttled),
    row(&[When::Status(500, 599)], Then::Retry),
    row(&[When::Mentions(&["redirect_uri"])], Then::Misconfigured),
    row_because(
        &[When::Mentions(&["matching code", "authorization code"])],
        Then::Reauthorize,
        reason::CODE_REFUSED,
    ),
    row(
        &[When::Mentions(&[
            "client secret",
            "client_secret",
            "platform app",
            "client_id",
        ])],
        Then::Misconfigured,
    ),
    REDIRECT,
    row_because(
        &[When::Status(400, 499)],
        Then::Fatal,
        reason::UNKNOWN_ANSWER,
    ),
];

#[async_trait]
impl Connect for Instagram {
    fn missing(&self) -> Vec<String> {
        let id = self.app_id.is_none().then_some("INSTAGRAM_APP_ID");
        let secret = self.app_secret.is_none().then_some("INSTAGRAM_APP_SECRET");
        id.into_iter().chain(secret).map(str::to_owned).collect()
    }

    fn authorize_url(&self, asking: &Asking<'_>) -> Url {
        let app = self.app_id.as_deref().unwrap_or_default();
        let scopes = self.scopes.join(",");
        asked(
            &self.page,
            asking,
            &[("client_id", app), ("scope", &scopes)],
        )
    }

    async fn exchange(&self, granted: &Granted<'_>) -> Result<Connected, RefreshError> {
        let (Some(id), Some(app_secret)) = (&self.app_id, &self.app_secret) else {
            return Err(Refusal::not_configured(&NAME));
        };
        let consent = granted.secrets();
        let call = granted.call(&consent, None);
        let dialogue = self.dialogue(&call, app_secret);
        let short = self.code(&dialogue, granted, (id, app_secret)).await?;
        let held = Grant {
            access_token: Some(short.clone()),
            ..consent.clone()
        };
        let call = granted.call(&held, None);
        let dialogue = self.dialogue(&call, app_secret);
        let query = [
            ("grant_type", "ig_exchange_token"),
            ("client_secret", app_secret.expose_secret()),
        ];
        let (answer, body) = self.ask(&dialogue, "access_token", &query, &short).await?;
        let Some(long) = secret(&body, "access_token") else {
            let facts = facts(&answer, Some(&body));
            return Err(dialogue.refused(&MATRIX, &facts, &answer.headers));
        };
        let fresh = FreshTokens {
            kind: Some(GrantKind::User),
            ..FreshTokens::access(long.clone(), lifetime(&body, "expires_in"))
        };
        let held = Grant {
            access_token: Some(long.clone()),
            ..consent.clone()
        };
        let call = granted.call(&held, None);
        self.named(&self.dialogue(&call, app_secret), &long, fresh)
            .await
    }
}

impl Instagram {
    fn dialogue<'a>(&'a self, call: &'a Call<'a>, app_secret: &'a SecretString) -> Dialogue<'a> {
        Dialogue {
            http: &self.http,
            provider: &NAME,
            call,
            app_secrets: from_ref(app_secret),
        }
    }

    /// The code for a token of an hour.
    async fn code(
        &self,
        dialogue: &Dialogue<'_>,
        granted: &Granted<'_>,
        (id, app_secret): (&str, &SecretString),
    ) -> Result<SecretString, RefreshError> {
        let mut request = Request::new(Method::POST, self.code_url.clone());
        form(
            &mut request,
            &[
                ("client_id", id),
                ("client_secret", app_secret.expose_secret()),
                ("grant_type", "authorization_code"),
                ("redirect_uri", granted.redirect_uri),
                ("code", granted.code.expose_secret()),
            ],
        );
        let answer = dialogue.send(request).await?;
        let body = answer.json();
        let token = body
            .as_ref()
            .filter(|_| answer.is_success())
            .and_then(short_token);
        token.ok_or_else(|| {
            let facts = code_facts(&answer, body.as_ref());
            dialogue.refused(&CODE, &facts, &answer.headers)
        })
    }

    /// The tokens with the account that they belong to, in the profile's own words.
    async fn named(
        &self,
        dialogue: &Dialogue<'_>,
        token: &SecretString,
        fresh: FreshTokens,
    ) -> Result<Connected, RefreshError> {
        let fields = [("fields", "id,user_id,username")];
        let (_, profile) = self.ask(dialogue, "me", &fields, token).await?;
        let fresh = FreshTokens {
            external_id: text(&profile, "user_id").or_else(|| text(&profile, "id")),
            ..fresh
        };
        Ok(Connected {
            name: text(&profile, "username"),
            // The id for this app alone, which an import may have named.
            reaches: text(&profile, "id").into_iter().collect(),
            ..Connected::of(accepted(fresh, dialogue.call.now))
        })
    }
}

/// The token stands in the answer, or in the only item of its `data`.
fn short_token(body: &Value) -> Option<SecretString> {
    let item = || body.get("data")?.as_array()?.first();
    secret(body, "access_token").or_else(|| secret(item()?, "access_token"))
}

fn code_facts(answer: &Answer, body: Option<&Value>) -> Facts {
    let said = |name| text(body?, name);
    Facts {
        status: answer.status,
        understood: body.is_some(),
        code: said("code"),
        kind: said("error_type"),
        message: said("error_message"),
        ..Facts::default()
    }
}
