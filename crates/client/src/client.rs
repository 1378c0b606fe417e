//! A server and the right to talk to it.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::server::Answer;
use crate::{Bearer, Call, ClientError, Events, Server};

/// Longer than any stream of events lasts; whether one lives is seen by what it says.
const FOREVER: Duration = Duration::from_hours(24);

/// Calls with the tokens of a [`Bearer`]. Clones share connections and tokens.
///
/// A call that meets a 401 asks the bearer for another token and is sent again, once: a 401
/// means that nothing was done.
#[derive(Clone, Debug)]
pub struct Client {
    server: Server,
    bearer: Arc<dyn Bearer>,
}

impl Client {
    /// A client of this server.
    #[must_use]
    pub fn new(server: Server, bearer: Arc<dyn Bearer>) -> Self {
        Self { server, bearer }
    }

    /// The server.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Makes any call, and brings its JSON; `null` if the answer has no body.
    ///
    /// # Errors
    ///
    /// [`ClientError`]: [`ClientError::Refused`] is the server's own word,
    /// [`ClientError::LogInAgain`] the end of a log-in.
    pub async fn call(&self, call: &Call) -> Result<Value, ClientError> {
        self.server.value(&self.answer(call).await?)
    }

    /// The same, read as `T`.
    pub(crate) async fn typed<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ClientError> {
        self.server.decode(&self.answer(call).await?)
    }

    /// Opens a stream of events, such as `/api/v1/jobs/events`.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn events(&self, call: &Call) -> Result<Events, ClientError> {
        let response = self.open(call, Some(FOREVER)).await?;
        Ok(Events::new(self.server.clone(), response))
    }

    async fn answer(&self, call: &Call) -> Result<Answer, ClientError> {
        let response = self.open(call, None).await?;
        self.server.read(response).await
    }

    /// The head of a success, whose body is to be read.
    async fn open(
        &self,
        call: &Call,
        timeout: Option<Duration>,
    ) -> Result<reqwest::Response, ClientError> {
        let token = self.bearer.token().await?;
        match self.server.open(call, Some(&token), timeout).await {
            Err(error) if error.is_unauthorized() => match self.bearer.instead_of(&token).await? {
                Some(other) => self.server.open(call, Some(&other), timeout).await,
                None => Err(error),
            },
            other => other,
        }
    }
}
