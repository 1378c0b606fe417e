//! Tenants: `POST`, `GET /api/v1/tenants`, `GET`, `DELETE /api/v1/tenants/{tenant}`.

use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use domain::{Name, TenantUid};
use schemars::JsonSchema;
use serde::Deserialize;
use store::CreateError;

use crate::App;
use crate::answer::Created;
use crate::caller::Caller;
use crate::extract::{InTenant, Label, OptionalInput, Params, Text, page_request};
use crate::limits::PAGE_MAX;
use crate::problem::{FieldError, Problem};
use crate::view::{ListView, TenantView};

/// The tenant that holds the platform's own channels; nobody else makes it.
const BUILT_IN: &str = "platform";

/// What a new tenant is called; both may be left out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NewTenant {
    /// The id; one is made up if it is not given.
    id: Option<Name>,
    /// What people call it; the id if it is not given.
    #[schemars(with = "Option<Label>")]
    name: Option<String>,
}

/// Creates a tenant: 201, or 409 if the id is taken.
pub(super) async fn create(
    State(app): State<App>,
    OptionalInput(body): OptionalInput<NewTenant>,
) -> Result<Created<TenantView>, Problem> {
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
            Ok(Created::at(location, tenant.into()))
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
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items of a page; 50 if it is not given.
    #[schemars(range(min = 1, max = PAGE_MAX))]
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
) -> Result<NoContent, Problem> {
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
    app.tenancy().forget();
    crate::purge::tenant(&app, tenant.uid).await;
    Ok(NoContent)
}
