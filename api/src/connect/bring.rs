//! What becomes of credentials that a person has brought.

use std::sync::Arc;

use domain::{ChannelUid, Grant, Name, Timestamp};
use providers::{Connected, Provider, SameAccount};
use store::{Channel, CreateError, Facts, NewGrant};

use super::{Goal, NewAccount, Ticket};
use crate::App;
use crate::extract::Text;
use crate::problem::Problem;
use crate::routes::imports::{Named, facts, new_channel};

/// How often a channel may change under the hands of who repairs it.
const TRIES: usize = 5;

/// What became of credentials that a person has brought.
#[derive(Debug)]
pub(crate) enum Brought {
    /// A channel came into being.
    Made(Channel),
    /// A channel has them in the place of its old ones.
    Repaired(Channel),
    /// Nobody can tell whether they are the channel's account: an owner must say so.
    Waits(Channel),
    /// They belong to another account than the channel's. Nothing changed.
    OtherAccount {
        /// What the account that was brought is called, as far as the provider told.
        brought: String,
    },
    /// The id that the new channel was to have is taken.
    Taken,
    /// The channel or its tenant is gone.
    Gone,
}

/// Stores what a person has brought, as the ticket has it.
///
/// # Errors
///
/// A [`Problem`] if the database or Redis is away; then nothing is stored.
pub(crate) async fn bring(
    app: &App,
    ticket: &Ticket,
    provider: &Arc<dyn Provider>,
    connected: Connected,
) -> Result<Brought, Problem> {
    let now = app.store.now().await?;
    match &ticket.goal {
        Goal::New { id, display_name } => {
            let id = id.as_deref().and_then(|id| id.parse().ok());
            let named = Named {
                tenant: ticket.tenant,
                id: id.unwrap_or_else(|| Name::generate("channel")),
                display_name: new_name(display_name.as_deref(), provider.as_ref(), &connected),
                local_name: None,
            };
            make(app, named, provider.as_ref(), connected, now).await
        }
        Goal::Repair { channel, .. } => {
            repair(app, *channel, provider.as_ref(), connected, now).await
        }
    }
}

async fn make(
    app: &App,
    named: Named,
    provider: &dyn Provider,
    connected: Connected,
    now: Timestamp,
) -> Result<Brought, Problem> {
    let channel = new_channel(app, named, provider, &connected.accepted, now);
    let mut made = app.store.import_channels(vec![channel]).await;
    match made.pop().expect("one answer for one channel") {
        Ok(channel) => Ok(Brought::Made(channel)),
        Err(CreateError::Taken) => Ok(Brought::Taken),
        Err(CreateError::NoTenant) => Ok(Brought::Gone),
        Err(CreateError::Store(error)) => Err(error.into()),
    }
}

async fn repair(
    app: &App,
    uid: ChannelUid,
    provider: &dyn Provider,
    connected: Connected,
    now: Timestamp,
) -> Result<Brought, Problem> {
    let Some(channel) = app.store.channel_by_uid(uid).await? else {
        return Ok(Brought::Gone);
    };
    match connected.is(channel.external_id.as_deref()) {
        SameAccount::No => {
            let brought = connected.name.or(connected.accepted.external_id);
            Ok(Brought::OtherAccount {
                brought: brought.unwrap_or_else(|| "another account".to_owned()),
            })
        }
        SameAccount::Unknown => {
            NewAccount::keep(app, &channel, provider, connected, now).await?;
            Ok(Brought::Waits(channel))
        }
        SameAccount::Yes => {
            let accepted = connected.accepted;
            let facts = Facts {
                // Of the account's several ids the channel keeps the one that it has.
                external_id: channel.external_id,
                ..facts(provider, uid, &accepted, now)
            };
            let identity = provider.app_identity(&accepted.grant);
            let repaired = replace(app, uid, (&accepted.grant, &facts), &identity).await?;
            Ok(repaired.map_or(Brought::Gone, Brought::Repaired))
        }
    }
}

/// Puts credentials in the place of a channel's old ones, whatever happens to it meanwhile;
/// `None` if it is gone.
///
/// # Errors
///
/// A [`Problem`] if the database is away, or the channel does not stand still.
pub(super) async fn replace(
    app: &App,
    uid: ChannelUid,
    (grant, facts): (&Grant, &Facts),
    app_identity: &str,
) -> Result<Option<Channel>, Problem> {
    for _ in 0..TRIES {
        let Some(channel) = app.store.channel_by_uid(uid).await? else {
            return Ok(None);
        };
        let generation = channel.generation.next();
        let new = NewGrant {
            generation,
            sealed: app.vault.seal(uid, generation, grant),
            facts: facts.clone(),
            app_identity: Some(app_identity.to_owned()),
        };
        let replaced = app.store.replace_grant(uid, new).await?;
        if replaced.is_some() {
            NewAccount::forget(app, uid).await?;
            return Ok(replaced);
        }
    }
    Err(Problem::retry_later(
        "channel_busy",
        "The channel changes all the time; try again.",
        std::time::Duration::from_secs(2),
    ))
}

/// What the link says, else what the provider says as far as it is a name, else the
/// provider and the account.
fn new_name(given: Option<&str>, provider: &dyn Provider, connected: &Connected) -> String {
    let told = connected.name.as_deref();
    let told = told.filter(|name| Text::LABEL.check("display_name", name).is_ok());
    if let Some(name) = given.or(told) {
        return name.to_owned();
    }
    let account = connected.accepted.external_id.as_deref();
    let both = account.map(|account| format!("{} {account}", provider.name()));
    both.filter(|name| Text::LABEL.check("display_name", name).is_ok())
        .unwrap_or_else(|| provider.name().to_string())
}
