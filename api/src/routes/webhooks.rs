//! S5.4: `POST`, `GET /api/v1/tenants/{tenant}/webhooks`, `GET`, `DELETE …/{webhook}`,
//! `POST …/{webhook}/replay`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, NoContent, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{EndpointUid, EventKind, Timestamp};
use http::{StatusCode, header};
use rand::RngExt as _;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use store::{CreateError, Endpoint, NewEndpoint};
use zeroize::Zeroizing;

use crate::App;
use crate::extract::{InTenant, Input, OnWebhook};
use crate::problem::{FieldError, Problem};
use crate::repeat::ShownOnce;
use crate::view::ListView;

/// Endpoints of one tenant.
const ENDPOINTS_MAX: u32 = 20;
/// Events that one replay queues.
const REPLAY_MAX: u32 = 10_000;
/// What secrets begin with, in the notation of Standard Webhooks.
const PREFIX: &str = "whsec_";
/// The same as a pattern: `whsec_`, and base64 of 24–64 bytes.
const SECRET: &str = "^(whsec_)?(([A-Za-z0-9+/]{4}){8,21}|([A-Za-z0-9+/]{4}){8,20}[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|([A-Za-z0-9+/]{4}){8,21}[A-Za-z0-9+/][AQgw]==)$";
/// Bytes of a secret that is made here.
const SECRET_BYTES: usize = 32;

/// Where a tenant wants to be told, and of what.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWebhook {
    /// https; it may have a query.
    #[schemars(length(max = 2048), extend("pattern" = "^[Hh][Tt][Tt][Pp][Ss]?://"), example = &"https://example.com/hooks")]
    url: String,
    /// Kinds of events.
    #[schemars(with = "Vec<EventKind>", length(min = 1))]
    events: Vec<String>,
    /// `whsec_` and base64 of 24–64 bytes; one is made if there is none.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("pattern" = SECRET), example = None::<String>)]
    secret: Option<SecretString>,
}

/// The body after every field was checked.
struct Checked {
    url: String,
    events: Vec<EventKind>,
    secret: SecretString,
}

/// From when on events are told again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayBody {
    /// In the past.
    since: Timestamp,
}

/// An endpoint, without its secret.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct WebhookView {
    id: String,
    url: String,
    events: Vec<EventKind>,
    /// `active`, `failing`, `disabled`.
    state: &'static str,
    created_at: Timestamp,
    failing_since: Option<Timestamp>,
    disabled_at: Option<Timestamp>,
    last_success_at: Option<Timestamp>,
    last_error: Option<String>,
    last_status: Option<u16>,
    delivered: u64,
    given_up: u64,
    pending: u64,
}

/// A new endpoint with its secret, which is not shown again.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewWebhook")]
pub(super) struct CreatedView {
    #[serde(flatten)]
    webhook: WebhookView,
    secret: String,
}

/// What a replay queued.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ReplayView {
    queued: u64,
    /// Where to go on if there was more; null at the end.
    next_since: Option<Timestamp>,
}

impl WebhookView {
    fn of(endpoint: Endpoint, pending: u64) -> Self {
        Self {
            id: endpoint.uid.to_string(),
            state: match (endpoint.disabled_at, endpoint.failing_since) {
                (Some(_), _) => "disabled",
                (None, Some(_)) => "failing",
                (None, None) => "active",
            },
            url: endpoint.url,
            events: endpoint.events,
            created_at: endpoint.created_at,
            failing_since: endpoint.failing_since,
            disabled_at: endpoint.disabled_at,
            last_success_at: endpoint.last_success_at,
            last_error: endpoint.last_error,
            last_status: endpoint.last_status,
            delivered: endpoint.delivered,
            given_up: endpoint.given_up,
            pending,
        }
    }
}

/// Makes an endpoint: 201 with its secret, which is shown this once.
pub(super) async fn create(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    Input(body): Input<NewWebhook>,
) -> Result<Response, Problem> {
    let Checked {
        url,
        events,
        secret,
    } = check(&app, body).map_err(Problem::invalid)?;
    let uid = EndpointUid::generate();
    let new = NewEndpoint {
        uid,
        tenant: tenant.uid,
        url,
        events,
        sealed: app.vault.seal_webhook_secret(uid, &secret),
    };
    let endpoint = match app.store.create_endpoint(new, ENDPOINTS_MAX).await {
        Ok(endpoint) => endpoint,
        Err(CreateError::Taken) => {
            let detail = format!("A tenant has {ENDPOINTS_MAX} webhooks at most; delete one.");
            return Err(Problem::conflict("too_many_webhooks", detail));
        }
        Err(CreateError::NoTenant) => return Err(Problem::not_found("tenant")),
        Err(CreateError::Store(error)) => return Err(error.into()),
    };
    let location = format!("/api/v1/tenants/{}/webhooks/{uid}", tenant.id);
    let view = CreatedView {
        webhook: WebhookView::of(endpoint, 0),
        secret: secret.expose_secret().to_owned(),
    };
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        ShownOnce(view),
    )
        .into_response())
}

/// Checks every field before it answers, so that one answer names all that is wrong.
fn check(app: &App, body: NewWebhook) -> Result<Checked, Vec<FieldError>> {
    let mut errors = Vec::new();
    let url = check_url(&body.url, app.settings.webhooks_allow_private);
    let url = url.map_err(|error| errors.push(error)).unwrap_or_default();
    let events = check_events(&body.events);
    let events = events.map_err(|mut wrong| errors.append(&mut wrong));
    let secret = match body.secret {
        Some(secret) => check_secret(&secret),
        None => Ok(new_secret()),
    };
    match (secret, events) {
        (Ok(secret), Ok(events)) if errors.is_empty() => Ok(Checked {
            url,
            events,
            secret,
        }),
        (secret, _) => {
            errors.extend(secret.err());
            Err(errors)
        }
    }
}

fn check_url(given: &str, allow_private: bool) -> Result<String, FieldError> {
    // The parser would leave them out.
    if given.chars().any(char::is_control) {
        return Err(FieldError::new("url", "must have no control characters"));
    }
    let url = providers::check_target(given, allow_private);
    let url = url.map_err(|refusal| FieldError::new("url", refusal.to_string()))?;
    Ok(url.into())
}

fn check_events(given: &[String]) -> Result<Vec<EventKind>, Vec<FieldError>> {
    let known = EventKind::ALL.map(EventKind::as_str).join(", ");
    if given.is_empty() {
        let message = format!("must name at least one of {known}");
        return Err(vec![FieldError::new("events", message)]);
    }
    let (mut events, mut errors) = (Vec::new(), Vec::new());
    for (place, name) in given.iter().enumerate() {
        match name.parse() {
            Ok(kind) => events.push(kind),
            Err(_) => errors.push(FieldError::new(
                format!("events[{place}]"),
                format!("must be one of {known}"),
            )),
        }
        if errors.len() > EventKind::ALL.len() {
            break;
        }
    }
    if errors.is_empty() {
        Ok(events)
    } else {
        Err(errors)
    }
}

/// A secret of the caller's own, in the one form in which it is kept.
fn check_secret(given: &SecretString) -> Result<SecretString, FieldError> {
    let text = given.expose_secret();
    let encoded = text.strip_prefix(PREFIX).unwrap_or(text);
    let length = STANDARD
        .decode(encoded)
        .map(|bytes| Zeroizing::new(bytes).len());
    if !length.is_ok_and(|length| (24..=64).contains(&length)) {
        let message = "must be whsec_ and base64 of 24 to 64 bytes";
        return Err(FieldError::new("secret", message));
    }
    Ok(format!("{PREFIX}{encoded}").into())
}

fn new_secret() -> SecretString {
    let bytes: Zeroizing<[u8; SECRET_BYTES]> = Zeroizing::new(rand::rng().random());
    format!("{PREFIX}{}", STANDARD.encode(*bytes)).into()
}

/// Lists the tenant's endpoints: all of them, for they are few.
pub(super) async fn list(
    State(app): State<App>,
    InTenant(tenant): InTenant,
) -> Result<Json<ListView<WebhookView>>, Problem> {
    let endpoints = app.store.endpoints(tenant.uid).await?;
    let view = |(endpoint, pending)| WebhookView::of(endpoint, pending);
    Ok(Json(ListView {
        items: endpoints.into_iter().map(view).collect(),
        next_cursor: None,
    }))
}

/// Shows one endpoint.
pub(super) async fn show(
    State(app): State<App>,
    OnWebhook(tenant, uid): OnWebhook,
) -> Result<Json<WebhookView>, Problem> {
    let endpoints = app.store.endpoints(tenant.uid).await?;
    let found = endpoints.into_iter().find(|(it, _)| it.uid == uid);
    let (endpoint, pending) = found.ok_or_else(|| Problem::not_found("webhook"))?;
    Ok(Json(WebhookView::of(endpoint, pending)))
}

/// Deletes an endpoint with what waits for it: 204.
pub(super) async fn delete(
    State(app): State<App>,
    OnWebhook(tenant, uid): OnWebhook,
) -> Result<NoContent, Problem> {
    if app.store.delete_endpoint(tenant.uid, uid).await? {
        Ok(NoContent)
    } else {
        Err(Problem::not_found("webhook"))
    }
}

/// Tells again what happened since then, also what was taken; a disabled endpoint works
/// again. 202.
pub(super) async fn replay(
    State(app): State<App>,
    OnWebhook(tenant, uid): OnWebhook,
    Input(body): Input<ReplayBody>,
) -> Result<(StatusCode, Json<ReplayView>), Problem> {
    if body.since > app.store.now().await? {
        return Err(Problem::invalid_field("since", "must not be in the future"));
    }
    let replayed = app.store.replay(tenant.uid, uid, body.since, REPLAY_MAX);
    let replayed = replayed.await?;
    let replayed = replayed.ok_or_else(|| Problem::not_found("webhook"))?;
    let view = ReplayView {
        queued: replayed.count,
        next_since: replayed.next_since,
    };
    Ok((StatusCode::ACCEPTED, Json(view)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_base64_of_24_to_64_bytes_with_or_without_its_prefix() {
        let kept = |given: String| {
            let checked = check_secret(&given.into()).ok();
            checked.map(|secret| secret.expose_secret().to_owned())
        };
        let encoded = |length| STANDARD.encode(vec![7; length]);

        let good = format!("whsec_{}", encoded(24));
        assert_eq!(kept(good.clone()), Some(good.clone()));
        assert_eq!(kept(encoded(24)), Some(good));
        for bad in [
            encoded(23),
            encoded(65),
            "whsec_".to_owned(),
            "%%%".to_owned(),
        ] {
            assert_eq!(kept(bad.clone()), None, "{bad}");
        }
        assert!(check_secret(&new_secret()).is_ok());
    }
}
