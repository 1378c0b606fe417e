//! Answers that are given again when their request is repeated.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use redis::{Script, Value, from_redis_value_ref};
use serde::{Deserialize, Serialize};

use crate::link::as_millis;
use crate::{Cache, CacheError};

static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/begin.lua")));
static FINISH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/finish.lua")));

/// What stands for an answer that must not be kept.
const NOT_KEPT: &str = "";

/// An answer as it is kept. It must hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAnswer {
    /// The status.
    pub status: u16,
    /// Headers by their lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// A request that this process works on. It is ended by [`Cache::finish`] or
/// [`Cache::abandon`], else by its time.
#[derive(Debug)]
pub struct Claim {
    key: String,
    nonce: String,
}

/// What is known of a request with this key.
#[derive(Debug)]
pub enum Begun {
    /// Nothing: it is the caller's to do.
    First(Claim),
    /// Somebody works on it.
    InFlight,
    /// The key belongs to another request.
    Other,
    /// It was answered so; `None` if the answer was not kept.
    Answered(Option<StoredAnswer>),
}

impl Cache {
    /// Takes the `key` that an owner gave to a request, or tells what is known of it.
    ///
    /// `fingerprint` tells requests with the same key apart; it must not give away
    /// what is in the request. A process that vanishes leaves the key taken for `patience`.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer: then nothing is known, and nothing should be done.
    pub async fn begin(
        &self,
        (owner, key): (&str, &str),
        fingerprint: &str,
        patience: Duration,
    ) -> Result<Begun, CacheError> {
        let bytes: [u8; 16] = rand::rng().random();
        let claim = Claim {
            key: self.key("answer", "once", &[owner, key]),
            nonce: URL_SAFE_NO_PAD.encode(bytes),
        };
        let mut call = BEGIN.key(&claim.key);
        call.arg(fingerprint)
            .arg(&claim.nonce)
            .arg(as_millis(patience));
        let known: Vec<Value> = self.link.call(&call).await?;
        let [found, answer] = known.as_slice() else {
            return Ok(Begun::First(claim));
        };
        if read::<String>(found)? != fingerprint {
            return Ok(Begun::Other);
        }
        match read::<Option<String>>(answer)?.as_deref() {
            None => Ok(Begun::InFlight),
            Some(NOT_KEPT) => Ok(Begun::Answered(None)),
            Some(text) => {
                let answer = serde_json::from_str(text).map_err(|_| unreadable())?;
                Ok(Begun::Answered(Some(answer)))
            }
        }
    }

    /// Keeps the answer of a request for so long; `None` keeps only that it was answered.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer; the key stays taken until its time ends.
    ///
    /// # Panics
    ///
    /// Never: an answer is plain data.
    pub async fn finish(
        &self,
        claim: Claim,
        answer: Option<&StoredAnswer>,
        keep: Duration,
    ) -> Result<(), CacheError> {
        let text = answer.map_or_else(
            || NOT_KEPT.to_owned(),
            |answer| serde_json::to_string(answer).expect("an answer is plain data"),
        );
        let mut call = FINISH.key(&claim.key);
        call.arg(&claim.nonce).arg(text).arg(as_millis(keep));
        self.link.call(&call).await
    }

    /// Gives the key back: nothing was done, and the same request may be tried again.
    ///
    /// # Errors
    ///
    /// As [`Cache::finish`].
    pub async fn abandon(&self, claim: Claim) -> Result<(), CacheError> {
        let mut call = FINISH.key(&claim.key);
        call.arg(&claim.nonce);
        self.link.call(&call).await
    }
}

fn read<T: redis::FromRedisValue>(value: &Value) -> Result<T, CacheError> {
    from_redis_value_ref(value).map_err(|_| unreadable())
}

fn unreadable() -> CacheError {
    let what = "a remembered answer";
    CacheError::Unreadable { what }
}
