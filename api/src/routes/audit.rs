//! `GET /api/v1/audit`: who changed what, when, and from where.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use axum::Json;
use axum::extract::State;
use domain::{Name, TenantUid, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{AuditFilter, AuditRecord};

use crate::App;
use crate::access::Rights;
use crate::caller::Caller;
use crate::extract::{Params, page_request};
use crate::limits::PAGE_MAX;
use crate::problem::Problem;
use crate::view::ListView;

/// Which changes, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Those of the tenant with this id.
    #[schemars(with = "Option<Name>")]
    tenant_id: Option<String>,
    /// Those of this one: `admin`, `user:…`, `service_token:…` or `anonymous`.
    actor: Option<String>,
    /// Those of this kind, such as `channel.import`.
    action: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items of a page; 50 if it is not given.
    #[schemars(range(min = 1, max = PAGE_MAX))]
    limit: Option<i64>,
}

/// One change.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ChangeView {
    id: String,
    at: Timestamp,
    /// Null if it concerns the platform, or the tenant is gone.
    tenant_id: Option<String>,
    /// `admin`, `user:…`, `service_token:…` or `anonymous`.
    actor: String,
    action: String,
    /// An address without `/api/v1/`.
    target: String,
    /// Where the caller was.
    address: Option<String>,
    /// As in the header `x-request-id` of the answer.
    request_id: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    details: Value,
}

/// Lists changes, the newest first: of all tenants for the platform, else of the own one.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<ListQuery>,
) -> Result<Json<ListView<ChangeView>>, Problem> {
    let page = page_request(query.cursor.as_deref(), query.limit)?;
    let filter = AuditFilter {
        tenant: tenant_of(&app, &caller, query.tenant_id.as_deref()).await?,
        actor: query.actor,
        action: query.action,
    };
    let page = app.store.audit_log(&filter, page).await?;
    let names = names(&app, &page.items).await?;
    Ok(Json(ListView::of(page, |record| view(&names, record))))
}

/// The one tenant that is asked for; `None`: all of them.
async fn tenant_of(
    app: &App,
    caller: &Caller,
    named: Option<&str>,
) -> Result<Option<TenantUid>, Problem> {
    let Some(id) = named else {
        return Ok(caller
            .tenant
            .filter(|_| caller.rights != Rights::Everything));
    };
    let missing = || Problem::not_found("tenant");
    let id: Name = id.parse().map_err(|_| missing())?;
    let tenant = app.store.tenant(&id).await?;
    let tenant = tenant.filter(|tenant| caller.sees(tenant.uid));
    tenant.map(|tenant| Some(tenant.uid)).ok_or_else(missing)
}

async fn names(
    app: &App,
    records: &[AuditRecord],
) -> Result<HashMap<TenantUid, Option<Name>>, Problem> {
    let mut names = HashMap::new();
    for uid in records.iter().filter_map(|record| record.tenant) {
        if let Entry::Vacant(place) = names.entry(uid) {
            let tenant = app.store.tenant_by_uid(uid).await?;
            place.insert(tenant.map(|tenant| tenant.id));
        }
    }
    Ok(names)
}

fn view(names: &HashMap<TenantUid, Option<Name>>, record: AuditRecord) -> ChangeView {
    let name = record.tenant.and_then(|uid| names.get(&uid)?.as_ref());
    ChangeView {
        id: record.uid.as_simple().to_string(),
        at: record.at,
        tenant_id: name.map(Name::to_string),
        actor: record.actor,
        action: record.action,
        target: record.target,
        address: record.address,
        request_id: record.request_id.as_simple().to_string(),
        details: record.details,
    }
}
