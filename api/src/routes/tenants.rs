//! Tenants: `POST`, `GET /api/v1/tenants`, `GET`, `DELETE /api/v1/tenants/{tenant}`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{Name, TenantUid};
use http::{StatusCode, header};
use serde::Deserialize;
use store::CreateError;

use crate::App;
use crate::caller::Caller;
use crate::extract::{InTenant, OptionalInput, Params, Text, page_request};
use crate::problem::{FieldError, Problem};
use crate::view::{ListView, TenantView};

/// The tenant that holds the platform's own channels; nobody else makes it.
const BUILT_IN: &str = "platform";

/// What a new tenant is called; both may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NewTenant {
    id: Option<Name>,
    name: Option<String>,
}

/// Creates a tenant: 201, or 409 if the id is taken.
pub(super) async fn create(
    State(app): State<App>,
    OptionalInput(body): OptionalInput<NewTenant>,
) -> Result<Response, Problem> {
    if let Some(name) = &body.name {
        Text::LABEL
            .check("name", name)
            .map_err(|error| Problem::invalid(vec![error]))?;
    }
    if body.id.as_ref().is_some_and(|id| id.as_str() == BUILT_IN) {
        let error = FieldError::new("id", "is reserved for the built-in tenant");
        return Err(Problem::invalid(vec![error]));
    }
    let id = body.id.clone();
    match app.store.create_tenant(body.id, body.name).await {
        Ok(tenant) => {
            let location = format!("/api/v1/tenants/{}", tenant.id);
            let view = Json(TenantView::from(tenant));
            Ok((StatusCode::CREATED, [(header::LOCATION, location)], view).into_response())
        }
        Err(CreateError::Taken) => {
            let id = id.as_ref().map_or("it was given", Name::as_str);
            Err(Problem::already_exists("tenant", id))
        }
        Err(CreateError::NoTenant) => Err(Problem::not_found("tenant")),
        Err(CreateError::Store(error)) => Err(error.into()),
    }
}

/// Which page of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    cursor: Option<String>,
    limit: Option<i64>,
}

/// Lists tenants.
pub(super) async fn list(
    State(app): State<App>,
    Params(query): Params<ListQuery>,
) -> Result<Json<ListView<TenantView>>, Problem> {
    let page = page_request(query.cursor.as_deref(), query.limit)?;
    let page = app.store.tenants(page).await?;
    Ok(Json(ListView::of(page, TenantView::from)))
}

/// Shows one tenant.
pub(super) async fn show(InTenant(tenant): InTenant) -> Result<Json<TenantView>, Problem> {
    Ok(Json(tenant.into()))
}

/// Deletes a tenant with all its channels, people and service tokens: 204. Its id is free
/// at once. Nobody deletes the ground that he stands on.
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    InTenant(tenant): InTenant,
) -> Result<StatusCode, Problem> {
    if caller.tenant == Some(tenant.uid) {
        return Err(Problem::conflict(
            "oneself",
            "You belong to this tenant, and would be deleted with it.",
        ));
    }
    if tenant.uid == TenantUid::PLATFORM {
        return Err(Problem::conflict(
            "built_in_tenant",
            "The built-in tenant cannot be deleted.",
        ));
    }
    app.store.delete_tenant(tenant.uid).await?;
    app.standings().forget();
    crate::purge::tenant(&app, tenant.uid).await;
    Ok(StatusCode::NO_CONTENT)
}
