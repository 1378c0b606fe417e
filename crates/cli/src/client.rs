//! Talks to a server: what `tenant`, `channel`, `schedule`, `job` and `stats` share.

mod address;
mod answer;
mod bearer;
mod flags;
mod http;
mod logins;
mod open;

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::output::{note, say};
use crate::table::{Column, of_fields, of_objects};

use bearer::Bearer;

pub(crate) use address::{base, load, url_of};
pub(crate) use flags::{PlaceArgs, ServerArgs};
pub(crate) use http::http_client;
pub(crate) use logins::{Login, Logins, write_private};

/// Longer than the longest `wait` of a request.
const TIMEOUT: Duration = Duration::from_secs(80);
/// The largest page that the API gives.
const PAGE_MAX: u32 = 200;

/// A server and the right to talk to it.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    bearer: Bearer,
    json: bool,
}

/// Query parameters; those without a value are left out.
pub(crate) type Query<'q> = &'q [(&'q str, Option<String>)];

impl Client {
    /// Asks for something.
    ///
    /// # Errors
    ///
    /// If nobody answers, or the answer is a problem: its text is the message.
    pub(crate) async fn get(&self, path: &[&str], query: Query<'_>) -> anyhow::Result<Value> {
        self.call(Method::GET, path, query, None).await
    }

    /// Does something.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: Query<'_>,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let url = self.url(path, query)?;
        let request = (method, url, body);
        let answer = self.send(&request, self.bearer.token()).await?;
        if answer.status() == StatusCode::UNAUTHORIZED
            && let Some(token) = self.bearer.renewed(&self.http, &self.base).await?
        {
            return answer::read(self.send(&request, &token).await?).await;
        }
        answer::read(answer).await
    }

    async fn send(
        &self,
        (method, url, body): &(Method, Url, Option<&Value>),
        token: &SecretString,
    ) -> anyhow::Result<Response> {
        let mut request = self
            .http
            .request(method.clone(), url.clone())
            .bearer_auth(token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| {
            let context = format!(
                "no server answers at {}; is one running there? (tokenfleet up, --server, \
                 TOKENFLEET_SERVER)",
                self.base
            );
            anyhow::Error::new(error.without_url()).context(context)
        })
    }

    /// Asks for a list, page by page, up to `limit` items, and shows it.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub(crate) async fn list(
        &self,
        path: &[&str],
        filters: Query<'_>,
        limit: u32,
        columns: &[Column],
    ) -> anyhow::Result<()> {
        let mut items: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let have = u32::try_from(items.len()).unwrap_or(u32::MAX);
            let want = limit.saturating_sub(have).min(PAGE_MAX);
            let mut query = filters.to_vec();
            query.push(("limit", Some(want.to_string())));
            query.push(("cursor", cursor.take()));
            let mut page = self.get(path, &query).await?;
            match page["items"].take() {
                Value::Array(more) => items.extend(more),
                _ => bail!("the answer of {} is no list", self.base),
            }
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || items.len() >= limit as usize {
                break;
            }
        }
        self.show_all(&items, columns)?;
        if cursor.is_some() && !self.json {
            note(format_args!(
                "there are more; --limit {} shows them",
                limit.saturating_mul(4)
            ));
        }
        Ok(())
    }

    /// Shows several objects.
    ///
    /// # Errors
    ///
    /// Never in practice: JSON is text.
    pub(crate) fn show_all(&self, items: &[Value], columns: &[Column]) -> anyhow::Result<()> {
        if self.json {
            say(serde_json::to_string_pretty(items)?);
        } else if items.is_empty() {
            note("none");
        } else {
            say(of_objects(columns, items));
        }
        Ok(())
    }

    /// Shows one object.
    ///
    /// # Errors
    ///
    /// Never in practice: JSON is text.
    pub(crate) fn show(&self, object: &Value) -> anyhow::Result<()> {
        if self.json {
            say(serde_json::to_string_pretty(object)?);
        } else {
            say(of_fields(object));
        }
        Ok(())
    }

    /// Shows an object to programs, and a sentence to people.
    ///
    /// # Errors
    ///
    /// Never in practice: JSON is text.
    pub(crate) fn tell(&self, object: &Value, sentence: &str) -> anyhow::Result<()> {
        if self.json {
            say(serde_json::to_string_pretty(object)?);
        } else {
            say(sentence);
        }
        Ok(())
    }

    /// Each part of the path is encoded, so that no id can be another address.
    fn url(&self, path: &[&str], query: Query<'_>) -> anyhow::Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .ok()
            .context("the server's address cannot have a path")?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        let given = query
            .iter()
            .filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        for (name, value) in given {
            url.query_pairs_mut().append_pair(name, value);
        }
        Ok(url)
    }
}

/// Minutes of a duration such as `90m` or `2h`; a plain number is minutes.
///
/// # Errors
///
/// What is allowed.
pub(crate) fn minutes(text: &str) -> Result<u64, String> {
    let allowed = || "must be whole minutes, such as 30, 90m, 2h or 1d".to_owned();
    if let Ok(minutes) = text.parse() {
        return Ok(minutes);
    }
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(allowed)?;
    let number: u64 = number.parse().map_err(|_| allowed())?;
    let factor = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 1440,
        _ => return Err(allowed()),
    };
    number.checked_mul(factor).ok_or_else(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_read_with_and_without_a_unit() {
        let read = ["30", "90m", "2h", "1d"].map(minutes);

        assert_eq!(read, [Ok(30), Ok(90), Ok(120), Ok(1440)]);
        for bad in ["", "m", "30s", "-1", "1.5h", "ñ"] {
            assert!(minutes(bad).is_err(), "{bad}");
        }
    }
}
