//! S3.3: `POST`, `GET /api/v1/service-tokens`, `DELETE /api/v1/service-tokens/{service_token}`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, NoContent, Response};
use domain::{Name, Scope, ServiceTokenUid, Timestamp};
use http::{StatusCode, header};
use identity::Digest;
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{NewServiceToken, ServiceToken, Tenant};

use crate::App;
use crate::caller::{Caller, Who};
use crate::extract::{Input, Label, OnServiceToken, Params, Text, Whole, page_request, within};
use crate::limits::PAGE_MAX;
use crate::problem::{FieldError, Problem};
use crate::repeat::ShownOnce;
use crate::trail::Trail;
use crate::view::ListView;

/// Lifetimes in days; the seed's own.
const DAYS: std::ops::RangeInclusive<i64> = 30..=365;

/// A service token as it is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = lifetimes()))]
pub(super) struct NewBody {
    /// What people call it.
    #[schemars(with = "Label", example = &"nightly export")]
    name: String,
    /// For how many days it lives; not beside `eternal`.
    #[serde(default)]
    #[schemars(range(min = 30, max = 365), example = 90)]
    days: Option<Whole<i64>>,
    /// Instead: it never expires.
    #[serde(default)]
    #[schemars(example = false)]
    eternal: bool,
    /// What it may do; `channels:read` if left out.
    #[serde(default)]
    #[schemars(length(min = 1))]
    scopes: Option<Vec<Scope>>,
    /// In which tenant; the caller's own if left out.
    #[serde(default)]
    #[schemars(with = "Option<Name>", example = &"tenant_456")]
    tenant_id: Option<String>,
}

/// A lifetime is given, and only one, as the document of the API tells it.
fn lifetimes() -> Value {
    json!([
        {
            "required": ["days"],
            "properties": {"days": {"type": "integer"}, "eternal": {"const": false}},
        },
        {
            "required": ["eternal"],
            "properties": {"days": {"type": "null"}, "eternal": {"const": true}},
        },
    ])
}

/// A service token without its text.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ServiceTokenView {
    id: String,
    tenant_id: String,
    name: String,
    scopes: Vec<Scope>,
    created_at: Timestamp,
    /// Null never does.
    expires_at: Option<Timestamp>,
    /// To the minute.
    last_used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl ServiceTokenView {
    fn of(tenant: &Name, token: ServiceToken) -> Self {
        Self {
            id: token.uid.to_string(),
            tenant_id: tenant.to_string(),
            name: token.name,
            scopes: token.scopes,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            revoked_at: token.revoked_at,
        }
    }
}

/// A fresh service token; its text is shown this once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewServiceToken")]
pub(super) struct Created {
    token: String,
    #[serde(flatten)]
    service_token: ServiceTokenView,
}

/// Makes a service token: 201 with its text, which is shown this once. Nobody mints
/// beyond his own rights.
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    trail: Trail,
    Input(body): Input<NewBody>,
) -> Result<Response, Problem> {
    let lifetime = check(&body).map_err(Problem::invalid)?;
    let scopes = body.scopes.unwrap_or_else(|| vec![Scope::ChannelsRead]);
    if let Some(scope) = scopes.iter().find(|scope| !caller.rights.cover(**scope)) {
        let detail = format!("Nobody mints beyond his own rights, and yours do not cover {scope}.");
        return Err(Problem::forbidden(detail));
    }
    let tenant = tenant_of(&app, &caller, body.tenant_id.as_deref()).await?;
    let uid = ServiceTokenUid::generate();
    let now = app.accounts.clock.now();
    let expires_at = lifetime.map(|lifetime| whole_second(now.plus(lifetime)));
    let token = app.accounts.tokens.service(uid, &scopes, now, expires_at);
    let new = NewServiceToken {
        uid,
        tenant: tenant.uid,
        name: body.name,
        scopes,
        digest: Digest::of(token.expose_secret()).0,
        expires_at,
        created_by: match caller.who {
            Who::User { uid, .. } => Some(uid),
            Who::Admin | Who::ServiceToken(_) => None,
        },
    };
    let trail = trail.within(tenant.uid);
    let entry = trail.entry("service_token.create", format!("service-tokens/{uid}"));
    let stored = app.store.create_service_token(new, &entry).await?;
    let location = format!("/api/v1/service-tokens/{uid}");
    let view = Created {
        token: token.expose_secret().to_owned(),
        service_token: ServiceTokenView::of(&tenant.id, stored),
    };
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        ShownOnce(view),
    )
        .into_response())
}

/// How long it lives; `None` is eternal.
fn check(body: &NewBody) -> Result<Option<Duration>, Vec<FieldError>> {
    let mut errors: Vec<FieldError> = Text::LABEL
        .check("name", &body.name)
        .err()
        .into_iter()
        .collect();
    if body.scopes.as_ref().is_some_and(Vec::is_empty) {
        errors.push(FieldError::new(
            "scopes",
            "must name at least one scope, or be left out",
        ));
    }
    let days = match (body.days, body.eternal) {
        (None, true) => Ok(None),
        (Some(days), false) => within("days", days.0, DAYS).map(Some),
        (Some(_), true) => Err(FieldError::new("days", "is of no use beside eternal")),
        (None, false) => Err(FieldError::new(
            "days",
            "must be 30 to 365; or send eternal: true",
        )),
    };
    match days {
        Ok(days) if errors.is_empty() => {
            Ok(days.map(|days| Duration::from_hours(24 * days.unsigned_abs())))
        }
        Ok(_) => Err(errors),
        Err(error) => {
            errors.push(error);
            Err(errors)
        }
    }
}

/// A token's own times have no fractions, and the database must agree with it.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_secs(at.as_millis().div_euclid(1000))
}

/// The tenant that is named, else the caller's own.
async fn tenant_of(app: &App, caller: &Caller, named: Option<&str>) -> Result<Tenant, Problem> {
    let missing = || Problem::not_found("tenant");
    let tenant = match (named, caller.tenant) {
        (Some(id), _) => {
            let id: Name = id.parse().map_err(|_| missing())?;
            app.store.tenant(&id).await?
        }
        (None, Some(own)) => app.store.tenant_by_uid(own).await?,
        (None, None) => {
            let message = "must be given: the admin token has no tenant of its own";
            return Err(Problem::invalid_field("tenant_id", message));
        }
    };
    let tenant = tenant.filter(|tenant| caller.sees(tenant.uid));
    tenant.ok_or_else(missing)
}

/// Which tenant's, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// The tenant; the caller's own if left out.
    #[schemars(with = "Option<Name>")]
    tenant_id: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items of a page; 50 if it is not given.
    #[schemars(range(min = 1, max = PAGE_MAX))]
    limit: Option<i64>,
}

/// Lists the service tokens of a tenant, without their texts.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<ListQuery>,
) -> Result<Json<ListView<ServiceTokenView>>, Problem> {
    let page = page_request(query.cursor.as_deref(), query.limit)?;
    let tenant = tenant_of(&app, &caller, query.tenant_id.as_deref()).await?;
    let page = app.store.service_tokens(tenant.uid, page).await?;
    let view = |token| ServiceTokenView::of(&tenant.id, token);
    Ok(Json(ListView::of(page, view)))
}

/// Revokes a service token: 204. The access tokens that were made from it die with it.
pub(super) async fn revoke(
    State(app): State<App>,
    OnServiceToken(token): OnServiceToken,
    trail: Trail,
) -> Result<NoContent, Problem> {
    let trail = trail.within(token.tenant);
    let entry = trail.entry(
        "service_token.revoke",
        format!("service-tokens/{}", token.uid),
    );
    app.store
        .revoke_service_token(token.tenant, token.uid, &entry)
        .await?;
    app.standings().forget();
    Ok(NoContent)
}
