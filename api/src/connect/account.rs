//! Credentials of an account of which nobody can tell whether it is the channel's: they
//! wait, sealed, until an owner of the tenant says so.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{ChannelUid, Generation, Sealed, Timestamp};
use providers::{Connected, Provider};
use serde::{Deserialize, Serialize};
use store::{Channel, Facts};
use uuid::Uuid;

use super::bring::replace;
use crate::App;
use crate::problem::Problem;
use crate::routes::imports::facts;

/// How long an owner has.
const TTL: Duration = Duration::from_hours(24);
/// Part of the key.
const NAME: &str = "account";

/// An account that somebody brought for a channel.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NewAccount {
    /// Tells it from one that is brought later.
    pub(crate) id: Uuid,
    /// The account at the provider, if that said so.
    pub(crate) external_id: Option<String>,
    /// What the provider calls it.
    pub(crate) name: Option<String>,
    /// When it was brought.
    pub(crate) brought_at: Timestamp,
    /// When it is forgotten.
    pub(crate) expires_at: Timestamp,
    generation: Generation,
    envelope: String,
    key_id: String,
    fingerprint: Uuid,
    facts: Facts,
    app_identity: String,
}

impl NewAccount {
    /// Keeps it, in the place of one that was brought before.
    pub(super) async fn keep(
        app: &App,
        channel: &Channel,
        provider: &dyn Provider,
        connected: Connected,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let accepted = connected.accepted;
        let generation = channel.generation.next();
        let sealed = app.vault.seal(channel.uid, generation, &accepted.grant);
        let account = Self {
            id: Uuid::now_v7(),
            external_id: accepted.external_id.clone(),
            name: connected.name,
            brought_at: now,
            expires_at: now.plus(TTL),
            generation,
            envelope: STANDARD.encode(&sealed.envelope),
            key_id: sealed.key_id,
            fingerprint: Uuid::from_bytes(sealed.fingerprint),
            facts: facts(provider, channel.uid, &accepted, now),
            app_identity: provider.app_identity(&accepted.grant),
        };
        let subject = channel.uid.to_string();
        Ok(app.cache.let_wait(NAME, &subject, &account, TTL).await?)
    }

    /// The account that waits for a word about this channel.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if Redis is away.
    pub(crate) async fn of(app: &App, channel: ChannelUid) -> Result<Option<Self>, Problem> {
        Ok(app.cache.waiting(NAME, &channel.to_string()).await?)
    }

    /// Forgets the account that waits; whether one did.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if Redis is away.
    pub(crate) async fn forget(app: &App, channel: ChannelUid) -> Result<bool, Problem> {
        Ok(app.cache.end_waiting(NAME, &channel.to_string()).await?)
    }

    fn sealed(&self) -> Option<Sealed> {
        Some(Sealed {
            envelope: STANDARD.decode(&self.envelope).ok()?,
            key_id: self.key_id.clone(),
            fingerprint: self.fingerprint.into_bytes(),
        })
    }
}

/// Gives a channel the credentials that waited; `None` if it is gone.
///
/// # Errors
///
/// A 409 if they can no longer be opened, else a [`Problem`] if something is away.
pub(crate) async fn confirm(
    app: &App,
    channel: ChannelUid,
    account: &NewAccount,
) -> Result<Option<Channel>, Problem> {
    let sealed = account.sealed();
    let opened = sealed.and_then(|sealed| {
        let opened = app.vault.open(channel, account.generation, &sealed);
        // The key may have been retired meanwhile.
        opened.ok()
    });
    let Some(grant) = opened else {
        return Err(Problem::conflict(
            "account_unreadable",
            "What was brought can no longer be opened; make another connect link.",
        ));
    };
    let facts = (&grant, &account.facts);
    replace(app, channel, facts, &account.app_identity).await
}
