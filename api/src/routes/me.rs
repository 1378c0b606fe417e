//! `GET /api/v1/me` and `POST /api/v1/me/password`: what concerns the caller alone.

use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use domain::ServiceTokenUid;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use store::Login;

use super::people::PersonView;
use super::register;
use crate::App;
use crate::attempts;
use crate::caller::{Caller, Who};
use crate::extract::{Form, Password};
use crate::problem::Problem;
use crate::trail::Trail;

/// Says who the caller is.
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<PersonView>, Problem> {
    let view = match caller.who {
        Who::Admin => PersonView {
            id: "admin".to_owned(),
            nombre: "admin".to_owned(),
            correo: None,
            role: None,
            tenant_id: None,
            platform_admin: true,
            scopes: None,
        },
        Who::User { .. } => PersonView::load(&app, &login(&app, &caller).await?.user).await?,
        Who::ServiceToken(uid) => program(&app, uid).await?,
    };
    Ok(Json(view))
}

async fn program(app: &App, uid: ServiceTokenUid) -> Result<PersonView, Problem> {
    let gone = || Problem::unauthorized("The bearer token is not valid.");
    let token = app.store.service_token(uid).await?.ok_or_else(gone)?;
    let tenant = app
        .store
        .tenant_by_uid(token.tenant)
        .await?
        .ok_or_else(gone)?;
    Ok(PersonView {
        id: uid.to_string(),
        nombre: token.name,
        correo: None,
        role: None,
        tenant_id: Some(tenant.id.to_string()),
        platform_admin: false,
        scopes: Some(token.scopes),
    })
}

/// The password as it is, and as it shall be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordBody {
    /// What it is.
    #[schemars(with = "String")]
    current: SecretString,
    /// 8 to 256 characters.
    #[schemars(with = "Password")]
    new: SecretString,
}

/// Changes the caller's password and ends all other log-ins: 204.
pub(super) async fn password(
    State(app): State<App>,
    caller: Caller,
    trail: Trail,
    Form(body): Form<PasswordBody>,
) -> Result<NoContent, Problem> {
    let Who::User { uid, session } = caller.who else {
        return Err(Problem::forbidden("Only a person has a password."));
    };
    attempts::on_account(&app, &caller.account()).await?;
    let login = login(&app, &caller).await?;
    let passwords = &app.accounts.passwords;
    if !passwords
        .verify(body.current, Some(login.password_hash))
        .await
    {
        return Err(Problem::invalid_field("current", "is not your password"));
    }
    let hash = register::hash(&app, "new", body.new).await?;
    let entry = trail.entry("password.change", format!("users/{uid}"));
    app.store
        .change_password(uid, hash, session, &entry)
        .await?;
    app.standings().forget();
    Ok(NoContent)
}

async fn login(app: &App, caller: &Caller) -> Result<Login, Problem> {
    let found = match caller.who {
        Who::User { uid, .. } => app.store.login_by_uid(uid).await?,
        Who::Admin | Who::ServiceToken(_) => None,
    };
    found.ok_or_else(|| Problem::unauthorized("The bearer token is not valid."))
}
