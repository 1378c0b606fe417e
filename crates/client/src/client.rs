//! A server and the right to talk to it.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::server::Answer;
use crate::{Bearer, Call, ClientError, Server};

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

    async fn answer(&self, call: &Call) -> Result<Answer, ClientError> {
        let token = self.bearer.token().await?;
        match self.server.answer(call, Some(&token)).await {
            Err(error) if error.is_unauthorized() => match self.bearer.instead_of(&token).await? {
                Some(other) => self.server.answer(call, Some(&other)).await,
                None => Err(error),
            },
            other => other,
        }
    }
}
