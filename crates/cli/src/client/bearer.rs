//! What a command shows the server: a token that stays, or a log-in that renews itself.

use anyhow::{Context as _, bail};
use reqwest::{Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::answer;
use super::logins::{Login, Logins};

/// What a command shows the server.
#[derive(Debug)]
pub(super) enum Bearer {
    /// A token from a file or a setting.
    Fixed(SecretString),
    /// A saved log-in.
    Saved {
        /// Where it is saved.
        logins: Logins,
        /// Its tokens as they were when the command began.
        login: Login,
    },
}

impl Bearer {
    /// The token of the first try.
    pub(super) fn token(&self) -> &SecretString {
        match self {
            Self::Fixed(token) => token,
            Self::Saved { login, .. } => &login.access,
        }
    }

    /// The token of a second try after a 401; `None` if there is no other one.
    ///
    /// Commands that run at once renew one after another: who comes second finds the
    /// pair that the first one was given.
    ///
    /// # Errors
    ///
    /// If the log-in has ended: then a person has to log in again.
    pub(super) async fn renewed(
        &self,
        http: &reqwest::Client,
        base: &Url,
    ) -> anyhow::Result<Option<SecretString>> {
        let Self::Saved { logins, login } = self else {
            return Ok(None);
        };
        let waiting = logins.clone();
        let _lock = tokio::task::spawn_blocking(move || waiting.lock()).await??;
        let present = logins.at(base)?.with_context(|| log_in_again(base))?;
        if present.access.expose_secret() != login.access.expose_secret() {
            return Ok(Some(present.access));
        }
        let body = json!({ "refresh_token": present.refresh.expose_secret() });
        let pair = post(http, base, "refresh", &body).await?;
        if pair.status() == StatusCode::UNAUTHORIZED {
            bail!(log_in_again(base));
        }
        let login = of_pair(present.email, &answer::read(pair).await?)?;
        logins.keep(base, Some(&login))?;
        Ok(Some(login.access))
    }
}

/// Logs a person in.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(super) async fn log_in(
    http: &reqwest::Client,
    base: &Url,
    email: &str,
    password: &SecretString,
) -> anyhow::Result<Login> {
    let body = json!({ "correo": email, "password": password.expose_secret() });
    let pair = post(http, base, "login", &body).await?;
    if pair.status() == StatusCode::UNAUTHORIZED {
        bail!("{base} knows no {email} with this password");
    }
    of_pair(email.to_owned(), &answer::read(pair).await?)
}

/// Ends a log-in at its server. One that has ended already is no failure.
///
/// # Errors
///
/// If the server does not answer.
pub(super) async fn log_out(
    http: &reqwest::Client,
    base: &Url,
    login: &Login,
) -> anyhow::Result<()> {
    let body = json!({ "refresh_token": login.refresh.expose_secret() });
    let answer = post(http, base, "logout", &body).await?;
    if answer.status() != StatusCode::UNAUTHORIZED {
        answer::read(answer).await?;
    }
    Ok(())
}

/// Registers a person, or accepts an invitation.
///
/// # Errors
///
/// If the server refuses or does not answer.
pub(super) async fn enter(
    http: &reqwest::Client,
    base: &Url,
    what: &str,
    body: &Value,
) -> anyhow::Result<Value> {
    answer::read(post(http, base, what, body).await?).await
}

fn of_pair(email: String, pair: &Value) -> anyhow::Result<Login> {
    let token = |name: &str| pair[name].as_str().map(SecretString::from);
    Ok(Login {
        email,
        access: token("access_token").context("the answer has no access token")?,
        refresh: token("refresh_token").context("the answer has no refresh token")?,
    })
}

async fn post(
    http: &reqwest::Client,
    base: &Url,
    what: &str,
    body: &Value,
) -> anyhow::Result<Response> {
    let url = base.join(&format!("/api/auth/{what}"))?;
    let sent = http.post(url).json(body).send().await;
    sent.map_err(|error| {
        anyhow::Error::new(error.without_url()).context(format!("no server answers at {base}"))
    })
}

fn log_in_again(base: &Url) -> String {
    format!(
        "the log-in at {base} has ended; log in again: tokenfleet login --server {base} --email …"
    )
}
