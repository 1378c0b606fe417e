//! Valid tokens on demand (S5.2): the stored one, or a fresh one if that ends too soon.
//!
//! The database is read once for a token that lives long enough. One that does not
//! is refreshed by a job; all who ask meanwhile wait for that one, and are given the
//! old token, marked `degraded`, if it still lives and no fresh one came.

mod flights;
mod view;

use std::time::Duration;

use domain::{ChannelState, Grant};
use futures::FutureExt as _;
use secrecy::SecretString;
use store::{Channel, Held};
use tokio::time::Instant;
use vault::OpenError;

use crate::App;
use crate::dispatch::{self, Wish};
use crate::problem::Problem;
use crate::wait;

pub(crate) use flights::Flights;
pub(crate) use view::{TokenView, etag, is_known};

/// How long a caller whose token is dead waits for a fresh one.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one whose token lives waits at most; a slow provider must not stop who could go on.
const PATIENCE_ALIVE: Duration = Duration::from_secs(10);
/// How long nobody asks a provider again on demand after it refused or failed: readers come
/// by the thousand, and a wish for now passes by the fleet's own pauses.
const REST: Duration = Duration::from_secs(15);
/// When to ask again where nobody knows better.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// A channel's token at one moment.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) held: Held,
    pub(crate) secret: SecretString,
    /// How long it lives from its issue; `None` if it has no end, or nobody knows when it was issued.
    pub(crate) lifetime: Option<Duration>,
    /// How long it still lives; `None` if it has no end, or that is not known.
    pub(crate) ttl: Option<Duration>,
    /// A refresh was due, and did not succeed.
    pub(crate) degraded: bool,
}

/// A token that lives for `min_ttl`, or the best there is.
///
/// A `min_ttl` beyond half of a token's lifetime counts as that half: else each
/// call would refresh it anew.
///
/// # Errors
///
/// 409 if only a person can help and no token lives; 503 with `Retry-After` if none
/// lives for another reason.
pub(crate) async fn valid(app: &App, held: Held, min_ttl: Duration) -> Result<Token, Problem> {
    let (first, state) = (open(app, held.clone())?, held.channel.state);
    let rests = is_stuck(state) || has_just_failed(&held);
    if let Some(token) = first {
        let enough = is_enough(&token, min_ttl);
        if enough || rests {
            let degraded = state == ChannelState::NeedsReauth || !enough;
            return Ok(Token { degraded, ..token });
        }
        let patience = token.ttl.map_or(PATIENCE_ALIVE, |ttl| ttl / 2);
        refresh(app, &held.channel, patience.min(PATIENCE_ALIVE)).await;
    } else if rests {
        return Err(no_token(&held.channel));
    } else {
        refresh(app, &held.channel, PATIENCE).await;
    }
    let before = held.channel.generation;
    let held = again(app, &held.channel).await?;
    let fresh = held.channel.generation > before;
    let channel = held.channel.clone();
    match open(app, held)? {
        Some(token) => {
            let degraded = !fresh && !is_enough(&token, min_ttl);
            Ok(Token { degraded, ..token })
        }
        None => Err(no_token(&channel)),
    }
}

/// The token as it stands; `None` if there is none, or it is past its end.
///
/// # Errors
///
/// 503 if this process lacks the key of its envelope; 500 if it does not open.
pub(crate) fn open(app: &App, held: Held) -> Result<Option<Token>, Problem> {
    let grant = grant(app, &held)?;
    let end = held.channel.access_expires_at;
    let ttl = end.map(|end| end.since(held.now));
    if ttl == Some(Duration::ZERO) {
        return Ok(None);
    }
    let lifetime = lifetime(&held.channel, &grant);
    Ok(grant.access_token.map(|secret| Token {
        held,
        secret,
        lifetime,
        ttl,
        degraded: false,
    }))
}

/// What the channel holds.
///
/// # Errors
///
/// As [`open`].
pub(crate) fn grant(app: &App, held: &Held) -> Result<Grant, Problem> {
    let channel = &held.channel;
    let opened = app
        .vault
        .open(channel.uid, channel.generation, &held.sealed);
    opened.map_err(|error| match error {
        OpenError::UnknownKey { .. } => Problem::unavailable("key of this channel", &error),
        OpenError::Unreadable { .. } => Problem::internal(&error),
    })
}

/// How old an imported token was is often not told; that of a refreshed one is known.
fn lifetime(channel: &Channel, grant: &Grant) -> Option<Duration> {
    channel.last_refreshed_at?;
    Some(channel.access_expires_at?.since(grant.issued_at?))
}

fn is_enough(token: &Token, min_ttl: Duration) -> bool {
    lives_enough(token.ttl, token.lifetime, min_ttl)
}

fn lives_enough(ttl: Option<Duration>, lifetime: Option<Duration>, min_ttl: Duration) -> bool {
    let half = lifetime.map_or(min_ttl, |lifetime| lifetime / 2);
    ttl.is_none_or(|ttl| ttl >= min_ttl.min(half))
}

/// Whether no refresh can help at the moment.
const fn is_stuck(state: ChannelState) -> bool {
    matches!(state, ChannelState::NeedsReauth | ChannelState::Paused)
}

fn has_just_failed(held: &Held) -> bool {
    let last = held.channel.last_error.as_ref();
    last.is_some_and(|error| held.now.since(error.at) < REST)
}

/// Has the channel refreshed, together with everybody else who asks meanwhile. What
/// came of it stands in the database.
async fn refresh(app: &App, channel: &Channel, patience: Duration) {
    let flight = app.flights().join(channel.uid, || {
        let (app, channel) = (app.clone(), channel.clone());
        async move { fly(&app, &channel).await }.boxed()
    });
    // Who cannot wait any longer leaves it to the others.
    let _ = tokio::time::timeout(patience, flight).await;
}

async fn fly(app: &App, channel: &Channel) {
    let deadline = Instant::now() + PATIENCE;
    let asked = async {
        let id = dispatch::one(app, channel, Wish::Now).await?;
        wait::for_attempt(app, &id, deadline).await
    };
    if asked.await.is_err() {
        tracing::debug!(channel.uid = %channel.uid, "a refresh on demand was not asked for");
    }
}

async fn again(app: &App, channel: &Channel) -> Result<Held, Problem> {
    let held = app.store.held(channel.tenant, &channel.id).await?;
    held.ok_or_else(|| Problem::not_found("channel"))
}

/// Why there is no token, for a channel that was tried.
fn no_token(channel: &Channel) -> Problem {
    if let Err(problem) = dispatch::admit(channel) {
        return problem;
    }
    let last = channel.last_error.as_ref();
    let told = last.and_then(|error| Some((error.details.retry_at?, error.at)));
    let pause = told.map_or(ASK_AGAIN, |(retry_at, at)| retry_at.since(at));
    let class = last.map_or("not known yet", |error| error.class.as_str());
    Problem::retry_later(
        "no_valid_token",
        format!("The channel has no token that lives, and no fresh one came; why: {class}."),
        pause,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_beyond_half_of_the_lifetime_counts_as_that_half() {
        let secs = Duration::from_secs;
        let enough = |ttl, lifetime: Option<u64>, min_ttl| {
            lives_enough(Some(secs(ttl)), lifetime.map(secs), secs(min_ttl))
        };

        assert!(enough(300, Some(7200), 300));
        assert!(!enough(299, Some(7200), 300));
        assert!(enough(121, Some(240), 3600));
        assert!(!enough(119, Some(240), 3600));
        assert!(!enough(100, None, 3600));
        assert!(lives_enough(None, None, secs(3600)));
    }
}
