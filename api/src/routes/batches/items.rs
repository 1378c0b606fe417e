//! Which channels a batch is about, and which of them get a job.

use std::collections::{HashMap, HashSet};

use domain::{ChannelState, Details, ErrorClass, Name, RefreshResult, TenantUid};
use queue::JobId;
use store::{BatchItem, Channel};

use crate::App;
use crate::dispatch;
use crate::extract::Text;
use crate::limits::BATCH_MAX;
use crate::problem::{FieldError, Problem};

/// A channel, or the id of one that does not exist.
pub(super) type Wanted = Result<Channel, String>;

/// The channels with these ids, each id once.
pub(super) async fn named(
    app: &App,
    tenant: TenantUid,
    mut ids: Vec<String>,
) -> Result<Vec<Wanted>, Problem> {
    check(&ids)?;
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    let names: Vec<Name> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let mut found: HashMap<String, Channel> = app
        .store
        .channels_named(tenant, &names)
        .await?
        .into_iter()
        .map(|channel| (channel.id.to_string(), channel))
        .collect();
    Ok(ids
        .into_iter()
        .map(|id| found.remove(&id).ok_or(id))
        .collect())
}

fn check(ids: &[String]) -> Result<(), Problem> {
    if ids.len() > BATCH_MAX {
        let message = format!("must have up to {BATCH_MAX} ids");
        return Err(Problem::invalid_field("channel_ids", message));
    }
    let errors: Vec<FieldError> = ids
        .iter()
        .enumerate()
        .filter_map(|(place, id)| {
            Text::LABEL
                .check(&format!("channel_ids[{place}]"), id)
                .err()
        })
        .take(20)
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(errors))
    }
}

/// Asks for the refreshes that make sense; the others have their answer at once.
pub(super) async fn ask(app: &App, wanted: Vec<Wanted>) -> Result<Vec<BatchItem>, Problem> {
    let to_refresh: Vec<&Channel> = wanted
        .iter()
        .filter_map(|it| it.as_ref().ok())
        .filter(|channel| at_once(channel).is_none())
        .collect();
    let mut ids = dispatch::many(app, &to_refresh).await?.into_iter();
    let item = |it: &Wanted| match it {
        Err(id) => item(id, None, Some(refused(id, ErrorClass::NotFound, None))),
        Ok(channel) => match at_once(channel) {
            Some(result) => item(channel.id.as_str(), None, Some(result)),
            None => item(channel.id.as_str(), ids.next(), None),
        },
    };
    Ok(wanted.iter().map(item).collect())
}

fn item(id: &str, job: Option<JobId>, result: Option<RefreshResult>) -> BatchItem {
    BatchItem {
        channel_id: id.to_owned(),
        job_id: job.map(|job| job.to_string()),
        result,
    }
}

/// The answer for a channel for which no job is made.
fn at_once(channel: &Channel) -> Option<RefreshResult> {
    let id = channel.id.as_str();
    match channel.state {
        ChannelState::Active | ChannelState::Error => None,
        ChannelState::NeverExpires => Some(RefreshResult::not_needed(
            id,
            channel.generation,
            channel.access_expires_at,
        )),
        ChannelState::NeedsReauth => Some(refused(
            id,
            class_of(channel.reason.as_deref()),
            channel.reason.as_deref(),
        )),
        ChannelState::Paused => Some(refused(id, ErrorClass::Cancelled, Some("paused"))),
        ChannelState::Deleting => Some(refused(id, ErrorClass::NotFound, None)),
    }
}

/// The class that a channel in `needs_reauth` shows: material that was taken away
/// is told apart from a grant that is gone.
fn class_of(reason: Option<&str>) -> ErrorClass {
    if reason == Some(ErrorClass::NoRefreshMaterial.as_str()) {
        ErrorClass::NoRefreshMaterial
    } else {
        ErrorClass::ReauthRequired
    }
}

fn refused(id: &str, error: ErrorClass, reason: Option<&str>) -> RefreshResult {
    RefreshResult::refused(id, error, reason.map(Details::because))
}
