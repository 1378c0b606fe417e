//! Channels: list, show, patch and delete under `/api/v1/tenants/{tenant}/channels`, and those
//! of all tenants under `/api/v1/channels`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use domain::{ChannelState, ProviderName, TenantUid};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use store::{ChannelFilter, ChannelPatch, Tenant};

use crate::App;
use crate::extract::{
    InTenant, Input, Label, OnChannel, Params, ProviderWord, Text, page_request, present, within,
};
use crate::limits::{MINUTES_MAX, PAGE_MAX};
use crate::problem::{FieldError, Problem};
use crate::purge;
use crate::view::{ChannelView, ListView};

/// Which channels, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Those in this state.
    #[schemars(with = "Option<ChannelState>")]
    state: Option<String>,
    /// Those of this provider.
    #[schemars(with = "Option<ProviderWord>")]
    provider: Option<String>,
    /// Those whose token ends within so many minutes.
    #[schemars(range(min = 0, max = MINUTES_MAX))]
    expiring_within_minutes: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items of a page; 50 if it is not given.
    #[schemars(range(min = 1, max = PAGE_MAX))]
    limit: Option<i64>,
}

/// Lists the channels of a tenant.
pub(super) async fn list(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    Params(query): Params<ListQuery>,
) -> Result<Json<ListView<ChannelView>>, Problem> {
    let filter = filter(&app, &query).map_err(|error| Problem::invalid(vec![error]))?;
    let page = page_request(query.cursor.as_deref(), query.limit)?;
    let page = app.store.channels(tenant.uid, &filter, page).await?;
    Ok(Json(ListView::of(page, |channel| {
        ChannelView::of(&tenant, channel)
    })))
}

/// Which of the platform's channels, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlatformQuery {
    /// Those in this state.
    #[schemars(with = "ChannelState")]
    state: String,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items of a page; 50 if it is not given.
    #[schemars(range(min = 1, max = PAGE_MAX))]
    limit: Option<i64>,
}

/// Lists the channels of all tenants in one state.
pub(super) async fn of_platform(
    State(app): State<App>,
    Params(query): Params<PlatformQuery>,
) -> Result<Json<ListView<ChannelView>>, Problem> {
    let state = visible_state(&query.state).map_err(|error| Problem::invalid(vec![error]))?;
    let page = page_request(query.cursor.as_deref(), query.limit)?;
    let page = app.store.channels_in_state(state, page).await?;
    let mut tenants: HashMap<TenantUid, Option<Tenant>> = HashMap::new();
    let mut items = Vec::with_capacity(page.items.len());
    for channel in page.items {
        let uid = channel.tenant;
        if let Entry::Vacant(vacant) = tenants.entry(uid) {
            vacant.insert(app.store.tenant_by_uid(uid).await?);
        }
        // A tenant on its way out takes its channels along.
        if let Some(Some(tenant)) = tenants.get(&uid) {
            items.push(ChannelView::of(tenant, channel));
        }
    }
    Ok(Json(ListView {
        items,
        next_cursor: page.next.map(|uid| uid.to_string()),
    }))
}

fn filter(app: &App, query: &ListQuery) -> Result<ChannelFilter, FieldError> {
    let minutes = query
        .expiring_within_minutes
        .map(|minutes| within("expiring_within_minutes", minutes, 0..=MINUTES_MAX))
        .transpose()?;
    Ok(ChannelFilter {
        state: query.state.as_deref().map(visible_state).transpose()?,
        provider: query
            .provider
            .as_deref()
            .map(|word| known_provider(app, word))
            .transpose()?,
        expiring_within: minutes.map(|minutes| Duration::from_mins(minutes.unsigned_abs())),
    })
}

fn visible_state(word: &str) -> Result<ChannelState, FieldError> {
    let known = ChannelState::VISIBLE;
    known
        .into_iter()
        .find(|state| state.as_str() == word)
        .ok_or_else(|| {
            let words = known.map(ChannelState::as_str).join(", ");
            FieldError::new("state", format!("must be one of {words}"))
        })
}

fn known_provider(app: &App, word: &str) -> Result<ProviderName, FieldError> {
    app.providers.resolve(word).ok_or_else(|| {
        let known: Vec<&str> = app.providers.names().map(ProviderName::as_str).collect();
        FieldError::new("provider", format!("must be one of {}", known.join(", ")))
    })
}

/// Shows one channel.
pub(super) async fn show(
    OnChannel(tenant, channel): OnChannel,
) -> Result<Json<ChannelView>, Problem> {
    Ok(Json(ChannelView::of(&tenant, channel)))
}

/// What may be changed; what is left out stays.
#[expect(
    clippy::option_option,
    reason = "null takes a name away, absence leaves it"
)]
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchBody {
    /// What people call it.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Label")]
    display_name: Option<String>,
    /// What the tenant's own system calls it; `null` takes it away.
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<Label>")]
    local_name: Option<Option<String>>,
    /// `true` pauses it, `false` resumes it.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool")]
    paused: Option<bool>,
}

/// Changes names, pauses or resumes; a channel that resumes is due at once.
pub(super) async fn patch(
    State(app): State<App>,
    OnChannel(tenant, channel): OnChannel,
    Input(body): Input<PatchBody>,
) -> Result<Json<ChannelView>, Problem> {
    let errors = check(&body);
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let patch = ChannelPatch {
        display_name: body.display_name,
        local_name: body.local_name,
        paused: body.paused,
    };
    let patched = app.store.patch_channel(channel.uid, patch).await?;
    let patched = patched.ok_or_else(|| Problem::not_found("channel"))?;
    Ok(Json(ChannelView::of(&tenant, patched)))
}

fn check(body: &PatchBody) -> Vec<FieldError> {
    let display_name = body.display_name.as_deref();
    let local_name = body.local_name.as_ref().and_then(Option::as_deref);
    [("display_name", display_name), ("local_name", local_name)]
        .into_iter()
        .filter_map(|(field, text)| Text::LABEL.check(field, text?).err())
        .collect()
}

/// Deletes a channel: 204. Its id is free at once; a refresh that is under way ends first.
pub(super) async fn delete(
    State(app): State<App>,
    OnChannel(_, channel): OnChannel,
) -> Result<NoContent, Problem> {
    app.store.delete_channel(channel.uid).await?;
    purge::channel(&app, &channel).await;
    Ok(NoContent)
}

/// Tells `null`, which is `Some(None)`, from a field that is not there.
#[expect(clippy::option_option, reason = "null and absence differ")]
fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
