//! S5.1: `POST /api/v1/tenants/{tenant}/connect-links`.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{Name, ProviderName, Timestamp};
use http::StatusCode;
use providers::Provider;
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Channel, Tenant};

use super::credentials::both;
use super::imports;
use crate::App;
use crate::caller::Caller;
use crate::connect::{Goal, Ticket, link};
use crate::extract::{InTenant, Input, Label, ProviderWord, Text, Whole, within};
use crate::problem::{FieldError, Problem};
use crate::repeat::ShownOnce;

/// Shortest life of a link, in seconds.
const SHORTEST: i64 = 60;
/// Longest life of a link, in seconds: a week.
const LONGEST: i64 = 604_800;

/// What a person is to connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("not" = new_and_known()))]
pub(super) struct LinkBody {
    /// The provider's name.
    #[schemars(with = "ProviderWord")]
    provider: String,
    /// The channel that gets new credentials of the same account; without it a new one
    /// comes into being.
    #[serde(default)]
    #[schemars(with = "Option<Name>", example = None::<String>)]
    channel_id: Option<String>,
    /// The id of the new channel; one is made up if it is not given.
    #[serde(default)]
    #[schemars(with = "Option<Name>", example = None::<String>)]
    id: Option<String>,
    /// What people will call the new channel; else what the provider calls the account.
    #[serde(default)]
    #[schemars(with = "Option<Label>", example = &"Our shop")]
    display_name: Option<String>,
    /// Seconds for which the link can be opened; 600 unless the server is set otherwise.
    #[serde(default)]
    #[schemars(with = "Option<i64>", range(min = SHORTEST, max = LONGEST))]
    expires_in: Option<Whole<i64>>,
}

/// What says both that the channel is there and what a new one is called.
fn new_and_known() -> Value {
    json!({"anyOf": [both("channel_id", "id"), both("channel_id", "display_name")]})
}

/// A connect link, shown once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConnectLink")]
pub(super) struct LinkView {
    /// What the person opens.
    url: String,
    /// The token in it.
    token: String,
    expires_at: Timestamp,
}

/// Makes a link with which one person connects an account, or repairs a channel, once.
pub(super) async fn create(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    caller: Caller,
    Input(body): Input<LinkBody>,
) -> Result<Response, Problem> {
    let (provider, ttl) = check(&app, &body).map_err(Problem::invalid)?;
    must_be_set_up(&app, &provider)?;
    let goal = goal(&app, &tenant, &provider, body).await?;
    let ticket = Ticket {
        tenant: tenant.uid,
        tenant_id: tenant.id.to_string(),
        tenant_name: tenant.name,
        goal,
        by: caller.account(),
        expires_at: app.store.now().await?.plus(ttl),
        provider,
    };
    let token = ticket.issue(&app, ttl).await?;
    let view = LinkView {
        url: link(&app, &ticket.provider, &token).ok_or_else(no_public_url)?,
        token: token.expose_secret().to_owned(),
        expires_at: ticket.expires_at,
    };
    Ok((StatusCode::CREATED, ShownOnce(view)).into_response())
}

/// Checks every field before it answers, so that one answer names all that is wrong.
fn check(app: &App, body: &LinkBody) -> Result<(ProviderName, Duration), Vec<FieldError>> {
    let mut errors = Vec::new();
    let provider = imports::known_provider(app, &body.provider).and_then(|provider| {
        if provider.connect().is_none() {
            let message = "has no accounts that people connect; import its channels";
            return Err(FieldError::new("provider", message));
        }
        Ok(provider.name().clone())
    });
    let id = body.id.as_deref().map(imports::check_id).transpose();
    errors.extend(id.err());
    let name = body.display_name.as_deref();
    errors.extend(name.and_then(|name| Text::LABEL.check("display_name", name).err()));
    for (field, given) in [("id", &body.id), ("display_name", &body.display_name)] {
        if body.channel_id.is_some() && given.is_some() {
            errors.push(FieldError::new(
                field,
                "is for a new channel; channel_id names one",
            ));
        }
    }
    let ttl = match body.expires_in {
        Some(Whole(secs)) => within("expires_in", secs, SHORTEST..=LONGEST)
            .map(|secs| Duration::from_secs(secs.unsigned_abs())),
        None => Ok(app.settings.connect_link_ttl),
    };
    match (provider, ttl) {
        (Ok(provider), Ok(ttl)) if errors.is_empty() => Ok((provider, ttl)),
        (provider, ttl) => {
            errors.extend(provider.err().into_iter().chain(ttl.err()));
            Err(errors)
        }
    }
}

/// A link that leads to a page of errors is no link.
fn must_be_set_up(app: &App, provider: &ProviderName) -> Result<(), Problem> {
    if app.settings.public_url.is_none() {
        return Err(no_public_url());
    }
    let provider = app.providers.get(provider);
    let way = provider.as_deref().and_then(Provider::connect);
    let missing = way.map(|way| way.missing().join(", ")).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    let detail = format!("Nobody can be sent to this provider without {missing}.");
    Err(Problem::conflict("provider_not_configured", detail))
}

async fn goal(
    app: &App,
    tenant: &Tenant,
    provider: &ProviderName,
    body: LinkBody,
) -> Result<Goal, Problem> {
    let Some(channel_id) = body.channel_id else {
        if let Some(id) = &body.id
            && named(app, tenant, id).await?.is_some()
        {
            return Err(Problem::already_exists("channel", id));
        }
        return Ok(Goal::New {
            id: body.id,
            display_name: body.display_name,
        });
    };
    let channel = named(app, tenant, &channel_id).await?;
    let channel = channel.ok_or_else(|| Problem::not_found("channel"))?;
    if channel.provider != *provider {
        let message = format!("must be {}, the provider of this channel", channel.provider);
        return Err(Problem::invalid_field("provider", message));
    }
    Ok(Goal::Repair {
        channel: channel.uid,
        display_name: channel.display_name,
    })
}

/// What cannot be a name is the name of nothing.
async fn named(app: &App, tenant: &Tenant, id: &str) -> Result<Option<Channel>, Problem> {
    let Ok(name) = id.parse::<Name>() else {
        return Ok(None);
    };
    Ok(app.store.channel(tenant.uid, &name).await?)
}

fn no_public_url() -> Problem {
    Problem::conflict(
        "public_url_not_set",
        "Links cannot be made before the server knows its own address: set \
         TOKENFLEET_API__PUBLIC_URL.",
    )
}
