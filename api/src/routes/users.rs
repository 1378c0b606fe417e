//! People of a tenant: `GET`, `POST /api/v1/tenants/{tenant}/users`, `PATCH`, `DELETE …/users/{user}`.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::NoContent;
use domain::{Role, UserUid};
use http::request::Parts;
use schemars::JsonSchema;
use serde::Deserialize;
use store::{User, UserPatch};

use super::people::MemberView;
use crate::App;
use crate::access::Rights;
use crate::caller::{Caller, Who};
use crate::extract::{InTenant, Input, Label, Params, Text, page_request, path_param, present};
use crate::limits::PAGE_MAX;
use crate::openapi::{Sketch, Takes};
use crate::problem::Problem;
use crate::trail::Trail;
use crate::view::ListView;

/// Which page of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items of a page; 50 if it is not given.
    #[schemars(range(min = 1, max = PAGE_MAX))]
    limit: Option<i64>,
}

/// Lists the people of a tenant, in the order in which they came.
pub(super) async fn list(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    Params(query): Params<ListQuery>,
) -> Result<Json<ListView<MemberView>>, Problem> {
    let page = page_request(query.cursor.as_deref(), query.limit)?;
    let page = app.store.users(tenant.uid, page).await?;
    let view = |user: User| MemberView::of(&user, tenant.id.to_string());
    Ok(Json(ListView::of(page, view)))
}

/// What may be changed; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchBody {
    /// What people call the person; also as `name`.
    #[serde(default, alias = "name", deserialize_with = "present")]
    #[schemars(with = "Label")]
    nombre: Option<String>,
    /// The role in the tenant.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Role")]
    role: Option<Role>,
    /// Whether the person may not log in.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool")]
    disabled: Option<bool>,
    /// Whether the person may do everything in every tenant; for platform admins to say.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool")]
    platform_admin: Option<bool>,
}

/// Changes a person. Nobody changes his own rights, so that a tenant keeps an owner.
pub(super) async fn patch(
    State(app): State<App>,
    caller: Caller,
    InTenant(tenant): InTenant,
    OnUser(user): OnUser,
    trail: Trail,
    Input(body): Input<PatchBody>,
) -> Result<Json<MemberView>, Problem> {
    let name = body.nombre.as_deref();
    if let Some(Err(error)) = name.map(|name| Text::LABEL.check("nombre", name)) {
        return Err(Problem::invalid(vec![error]));
    }
    let of_rights = body.role.is_some() || body.disabled.is_some() || body.platform_admin.is_some();
    if of_rights {
        may_judge(&caller, &user)?;
    }
    if body.platform_admin.is_some() && caller.rights != Rights::Everything {
        return Err(Problem::forbidden(
            "Only a platform admin makes a platform admin.",
        ));
    }
    let patch = UserPatch {
        name: body.nombre,
        role: body.role,
        disabled: body.disabled,
        platform_admin: body.platform_admin,
    };
    let entry = trail.entry("user.change", target(&tenant.id, &user));
    let patched = app
        .store
        .patch_user(tenant.uid, user.uid, patch, &entry)
        .await?;
    app.standings().forget();
    let patched = patched.ok_or_else(|| Problem::not_found("user"))?;
    Ok(Json(MemberView::of(&patched, tenant.id.to_string())))
}

/// Takes a person away, with all log-ins: 204.
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    InTenant(tenant): InTenant,
    OnUser(user): OnUser,
    trail: Trail,
) -> Result<NoContent, Problem> {
    may_judge(&caller, &user)?;
    let entry = trail.entry("user.delete", target(&tenant.id, &user));
    app.store.delete_user(tenant.uid, user.uid, &entry).await?;
    app.standings().forget();
    Ok(NoContent)
}

fn target(tenant: &domain::Name, user: &User) -> String {
    format!("tenants/{tenant}/users/{}", user.uid)
}

/// Whether the caller may change what this person may do.
fn may_judge(caller: &Caller, user: &User) -> Result<(), Problem> {
    if matches!(caller.who, Who::User { uid, .. } if uid == user.uid) {
        let detail = "Nobody changes his own rights; ask another owner.";
        return Err(Problem::conflict("oneself", detail));
    }
    if user.platform_admin && caller.rights != Rights::Everything {
        let detail = "Only a platform admin changes what a platform admin may do.";
        return Err(Problem::forbidden(detail));
    }
    Ok(())
}

/// The person in the path, who belongs to the tenant in the path.
pub(super) struct OnUser(User);

impl Takes for OnUser {
    fn draw(_: &mut Sketch<'_>) {}
}

impl FromRequestParts<App> for OnUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let InTenant(tenant) = InTenant::from_request_parts(parts, app).await?;
        let missing = || Problem::not_found("user");
        let uid = path_param(parts, "user").await;
        let uid: UserUid = uid.and_then(|uid| uid.parse().ok()).ok_or_else(missing)?;
        let login = app.store.login_by_uid(uid).await?;
        let user = login.map(|login| login.user);
        let user = user.filter(|user| user.tenant == tenant.uid);
        user.map(Self).ok_or_else(missing)
    }
}
