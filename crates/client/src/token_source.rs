//! Short access tokens from a service token, for programs (S3.4).

use std::time::{Duration, Instant};

use async_trait::async_trait;
use secrecy::SecretString;

use crate::keeper::{Keeper, Renew};
use crate::living::Living;
use crate::{Bearer, ClientError, Server};

/// Keeps an access token that is made from a service token. Clones keep the same one.
///
/// - It is renewed 5 minutes before its end, or at half its life if it is shorter; callers go
///   on with the old one meanwhile.
/// - However many callers ask, one renewal is under way. It goes on if its caller gives up.
/// - A renewal that fails is tried again after a pause that doubles up to 30 s, or as long as
///   the server asks for; a token that still lives is handed out until its end.
#[derive(Clone, Debug)]
pub struct TokenSource {
    keeper: Keeper<FromServiceToken>,
}

#[derive(Debug)]
struct FromServiceToken {
    server: Server,
    service_token: SecretString,
}

impl TokenSource {
    /// A source that asks this server as soon as a token is needed.
    #[must_use]
    pub fn new(server: Server, service_token: SecretString) -> Self {
        let renew = FromServiceToken {
            server,
            service_token,
        };
        Self {
            keeper: Keeper::new(renew),
        }
    }
}

#[async_trait]
impl Renew for FromServiceToken {
    const AHEAD: bool = true;

    async fn renew(&self, _known: Option<SecretString>) -> Result<Living, ClientError> {
        let asked_at = Instant::now();
        let access = self.server.service_access(&self.service_token).await?;
        let lifetime = Duration::from_secs(access.expires_in);
        Ok(Living::new(access.access_token, asked_at, lifetime))
    }
}

#[async_trait]
impl Bearer for TokenSource {
    async fn token(&self) -> Result<SecretString, ClientError> {
        self.keeper.token().await
    }

    async fn instead_of(
        &self,
        refused: &SecretString,
    ) -> Result<Option<SecretString>, ClientError> {
        self.keeper.instead_of(refused).await
    }
}
