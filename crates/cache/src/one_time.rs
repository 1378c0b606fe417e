//! Tokens that are good for one use.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use redis::{Cmd, cmd};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::link::as_millis;
use crate::{Cache, CacheError};

/// What a one-time token is for, and among whom it counts.
///
/// A token is only known under the purpose and the scope that it was issued for:
/// anywhere else it looks as if it had never been, and is not consumed.
#[derive(Clone, Copy, Debug)]
pub struct Purpose<'a> {
    /// Part of the key: lower-case letters.
    pub name: &'static str,
    /// Such as a tenant's uid; empty if there is none.
    pub scope: &'a str,
}

impl Cache {
    /// Makes a token that [`Cache::consume`] exchanges for `data` once, within `ttl`.
    ///
    /// It has 256 random bits in 43 characters of base64url; Redis gets its hash
    /// alone. `data` must hold no secret.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not store it.
    ///
    /// # Panics
    ///
    /// If `data` cannot be JSON.
    pub async fn issue<T: Serialize + Sync>(
        &self,
        purpose: Purpose<'_>,
        data: &T,
        ttl: Duration,
    ) -> Result<SecretString, CacheError> {
        let bytes: [u8; 32] = rand::rng().random();
        let token = SecretString::from(URL_SAFE_NO_PAD.encode(bytes));
        let data = serde_json::to_string(data).expect("what a token stands for is plain data");
        let mut set = cmd("SET");
        set.arg(self.token_key(purpose, &token)).arg(data);
        set.arg("PX").arg(as_millis(ttl).max(1));
        self.link.query::<()>(&set).await?;
        Ok(token)
    }

    /// What the token stands for, without using it up; `None` if it is unknown,
    /// used or expired, which look alike.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn peek<T: DeserializeOwned>(
        &self,
        purpose: Purpose<'_>,
        token: &SecretString,
    ) -> Result<Option<T>, CacheError> {
        let get = Cmd::get(self.token_key(purpose, token));
        read(self.link.query(&get).await?)
    }

    /// Uses the token up: of any number of callers exactly one gets what it stands for.
    /// The others, and whoever brings an unknown or expired one, get `None`. O(1), one command.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer; the token may be used up then.
    pub async fn consume<T: DeserializeOwned>(
        &self,
        purpose: Purpose<'_>,
        token: &SecretString,
    ) -> Result<Option<T>, CacheError> {
        let mut take = cmd("GETDEL");
        take.arg(self.token_key(purpose, token));
        read(self.link.query_once(&take).await?)
    }

    fn token_key(&self, purpose: Purpose<'_>, token: &SecretString) -> String {
        self.key(
            "once",
            purpose.name,
            &[purpose.scope, token.expose_secret()],
        )
    }
}

fn read<T: DeserializeOwned>(found: Option<String>) -> Result<Option<T>, CacheError> {
    let read = |text: String| serde_json::from_str(&text);
    found.map(read).transpose().map_err(|_| {
        let what = "a one-time token";
        CacheError::Unreadable { what }
    })
}
