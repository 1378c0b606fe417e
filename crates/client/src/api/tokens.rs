//! Valid tokens of channels (S5.2, S5.3): what an application is here for.

use domain::{Generation, Timestamp};
use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ChannelApi;
use crate::ClientError;

/// A token that works now.
#[derive(Clone, Debug, Deserialize)]
pub struct Token {
    /// The credential itself.
    pub access_token: SecretString,
    /// How it is presented: `bearer`.
    pub token_type: String,
    /// When it ends; `None` if it does not, or nobody knows.
    pub expires_at: Option<Timestamp>,
    /// Whole seconds until then, when it was handed out.
    pub ttl: Option<u64>,
    /// What [`ChannelApi::report_token`] names.
    pub generation: Generation,
    /// A refresh was due and did not succeed: it works, and may not for long.
    #[serde(default)]
    pub degraded: bool,
}

/// What a report came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// This job refreshes it.
    Refreshing {
        /// The job's id.
        job_id: String,
    },
    /// Somebody has reported it already.
    AlreadyReported,
    /// There is a newer token; ask for it.
    Stale,
}

impl ChannelApi<'_> {
    /// A token that lives for another `min_ttl_secs` (S5.2), refreshed first if it must be.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; 409 if only a person can help, 503 with a time if it may come back.
    pub async fn token(&self, min_ttl_secs: u32) -> Result<Token, ClientError> {
        let call = self.at(Method::GET, &["token"]);
        self.client
            .typed(&call.query("min_ttl", Some(min_ttl_secs)))
            .await
    }

    /// Says that the token of this generation does not work (S5.3): it is refreshed, once.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn report_token(&self, generation: Generation) -> Result<Report, ClientError> {
        let body = json!({ "generation": generation });
        let call = self.at(Method::POST, &["token", "report"]).body(body);
        let answer = self.client.call(&call).await?;
        Ok(match answer.get("job_id").and_then(Value::as_str) {
            Some(job_id) => Report::Refreshing {
                job_id: job_id.to_owned(),
            },
            None if answer["stale"] == Value::Bool(true) => Report::Stale,
            None => Report::AlreadyReported,
        })
    }
}
