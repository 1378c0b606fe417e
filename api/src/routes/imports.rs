//! Importing a channel: `POST /api/v1/tenants/{tenant}/channels`.

use std::sync::Arc;

use axum::extract::State;
use domain::{ChannelState, ChannelUid, Generation, Name, ProviderName, TenantUid, Timestamp};
use providers::{Accepted, ImportRequest, Provider};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use store::{Channel, CreateError, Facts, NewChannel, Tenant};

use super::{RESERVED_CHANNELS, credentials};
use crate::App;
use crate::answer::Created;
use crate::extract::{InTenant, Input, Label, ProviderWord, Text};
use crate::problem::{FieldError, Problem};
use crate::view::ChannelView;

/// A channel as it is imported.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = credentials::by_provider()))]
pub(super) struct ImportBody {
    /// The id; one is made up if it is not given.
    #[serde(default)]
    #[schemars(with = "Option<Name>", example = &"channel_123")]
    id: Option<String>,
    /// The provider's name.
    #[schemars(with = "ProviderWord")]
    provider: String,
    /// What people call it.
    #[schemars(with = "Label", example = &"Our shop")]
    display_name: String,
    /// What the tenant's own system calls it.
    #[serde(default)]
    #[schemars(with = "Option<Label>", example = &"shop-1")]
    local_name: Option<String>,
    /// By provider. Taken as it comes, so that no message of the parser can quote it.
    credentials: Value,
}

/// The body after every field was checked.
struct Checked {
    id: Option<Name>,
    provider: Arc<dyn Provider>,
    display_name: String,
    local_name: Option<String>,
    accepted: Accepted,
}

/// Imports a channel: 201, or 409 if the id is taken. Nobody is asked before the
/// answer; what must be asked at once is due at once.
pub(super) async fn import(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    Input(body): Input<ImportBody>,
) -> Result<Created<ChannelView>, Problem> {
    let now = app.store.now().await?;
    let checked = check(&app, body, now).map_err(Problem::invalid)?;
    let warning = checked.accepted.warning.clone();
    let channel = save(&app, &tenant, checked, now).await?;
    let location = format!("/api/v1/tenants/{}/channels/{}", tenant.id, channel.id);
    let view = ChannelView::of(&tenant, channel).warned(warning);
    Ok(Created::at(location, view))
}

/// Checks every field before it answers, so that one answer names all that is wrong.
fn check(app: &App, body: ImportBody, now: Timestamp) -> Result<Checked, Vec<FieldError>> {
    let mut errors = Vec::new();
    let id = body.id.as_deref().map(check_id).transpose();
    let id = id.unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    errors.extend(Text::LABEL.check("display_name", &body.display_name).err());
    let local_name = body.local_name.as_deref();
    errors.extend(local_name.and_then(|name| Text::LABEL.check("local_name", name).err()));
    let grant = known_provider(app, &body.provider)
        .map_err(|error| vec![error])
        .and_then(|provider| {
            let accepted = accept(provider.as_ref(), body.credentials, now)?;
            Ok((provider, accepted))
        });
    match grant {
        Ok((provider, accepted)) if errors.is_empty() => Ok(Checked {
            id,
            provider,
            display_name: body.display_name,
            local_name: body.local_name,
            accepted,
        }),
        Ok(_) => Err(errors),
        Err(more) => {
            errors.extend(more);
            Err(errors)
        }
    }
}

/// The id of a new channel, if it can be one.
pub(super) fn check_id(id: &str) -> Result<Name, FieldError> {
    if RESERVED_CHANNELS.contains(&id) {
        return Err(FieldError::new("id", "is part of an address of this API"));
    }
    id.parse()
        .map_err(|error: domain::InvalidName| FieldError::new("id", error.to_string()))
}

/// The provider of this name, or of one that means the same.
pub(super) fn known_provider(app: &App, word: &str) -> Result<Arc<dyn Provider>, FieldError> {
    let provider = app
        .providers
        .resolve(word)
        .and_then(|name| app.providers.get(&name));
    provider.ok_or_else(|| {
        let known: Vec<&str> = app.providers.names().map(ProviderName::as_str).collect();
        FieldError::new("provider", format!("must be one of {}", known.join(", ")))
    })
}

fn accept(
    provider: &dyn Provider,
    credentials: Value,
    now: Timestamp,
) -> Result<Accepted, Vec<FieldError>> {
    let Value::Object(credentials) = credentials else {
        return Err(vec![FieldError::new("credentials", "must be an object")]);
    };
    provider
        .accept(&ImportRequest { credentials, now })
        .map_err(|errors| {
            let ours = |error: providers::FieldError| FieldError::new(error.field, error.message);
            errors.into_iter().map(ours).collect()
        })
}

async fn save(
    app: &App,
    tenant: &Tenant,
    checked: Checked,
    now: Timestamp,
) -> Result<Channel, Problem> {
    let id = checked.id.unwrap_or_else(|| Name::generate("channel"));
    let named = Named {
        tenant: tenant.uid,
        id: id.clone(),
        display_name: checked.display_name,
        local_name: checked.local_name,
    };
    let channel = new_channel(
        app,
        named,
        checked.provider.as_ref(),
        &checked.accepted,
        now,
    );
    let mut saved = app.store.import_channels(vec![channel]).await;
    match saved.pop().expect("one answer for one channel") {
        Ok(channel) => Ok(channel),
        Err(CreateError::Taken) => Err(Problem::already_exists("channel", id.as_str())),
        Err(CreateError::NoTenant) => Err(Problem::not_found("tenant")),
        Err(CreateError::Store(error)) => Err(error.into()),
    }
}

/// Whose a new channel is, and what it is called.
pub(crate) struct Named {
    pub(crate) tenant: TenantUid,
    pub(crate) id: Name,
    pub(crate) display_name: String,
    pub(crate) local_name: Option<String>,
}

/// The channel that an accepted grant makes, sealed.
pub(crate) fn new_channel(
    app: &App,
    named: Named,
    provider: &dyn Provider,
    accepted: &Accepted,
    now: Timestamp,
) -> NewChannel {
    let uid = ChannelUid::generate();
    let facts = facts(provider, uid, accepted, now);
    NewChannel {
        uid,
        tenant: named.tenant,
        id: named.id,
        provider: provider.name().clone(),
        app_identity: provider.app_identity(&accepted.grant),
        display_name: named.display_name,
        local_name: named.local_name,
        sealed: app.vault.seal(uid, Generation(1), &accepted.grant),
        facts,
    }
}

/// What is known of an accepted grant without opening it.
pub(crate) fn facts(
    provider: &dyn Provider,
    uid: ChannelUid,
    accepted: &Accepted,
    now: Timestamp,
) -> Facts {
    Facts {
        refresh_due_at: due_at(provider, uid, accepted, now),
        state: accepted.state,
        reason: accepted.reason.clone(),
        access_expires_at: accepted.access_expires_at,
        refresh_expires_at: accepted.refresh_expires_at,
        external_id: accepted.external_id.clone(),
        has_refresh_material: accepted.has_refresh_material,
    }
}

/// When the channel is handed out for the first time.
fn due_at(
    provider: &dyn Provider,
    uid: ChannelUid,
    accepted: &Accepted,
    now: Timestamp,
) -> Option<Timestamp> {
    match (accepted.state, accepted.access_expires_at) {
        (ChannelState::NeedsReauth, _) => None,
        _ if accepted.due_now => Some(now),
        // The store looks at it daily.
        (ChannelState::NeverExpires, _) => None,
        (_, None) => Some(now),
        (_, Some(end)) => {
            let issued_at = accepted.grant.issued_at.unwrap_or(now);
            let window = provider.window(&accepted.grant, Some(end.since(issued_at)));
            Some(window.plan(uid, issued_at, end).due_at)
        }
    }
}
