//! Invitations: `POST /api/v1/tenants/{tenant}/users`, `GET`, `DELETE …/invitations/{invitation}`.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, NoContent, Response};
use domain::{Role, Timestamp};
use http::StatusCode;
use http::request::Parts;
use identity::{Digest, invitation_token};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use store::{Invitation, NewInvitation};
use uuid::Uuid;

use super::register;
use crate::App;
use crate::extract::{
    EmailAddress, InTenant, Input, Label, Params, Text, email, page_request, path_param,
};
use crate::limits::PAGE_MAX;
use crate::openapi::{Sketch, Takes};
use crate::problem::{FieldError, Problem};
use crate::repeat::ShownOnce;
use crate::trail::Trail;
use crate::view::ListView;

/// Who is invited.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InviteBody {
    /// What people call the person; also as `name`.
    #[serde(alias = "name")]
    #[schemars(with = "Label", example = &"Ada")]
    nombre: String,
    /// The address by which the person will log in; also as `email`.
    #[serde(alias = "email")]
    #[schemars(with = "EmailAddress")]
    correo: String,
    /// The role that the person will have.
    role: Role,
}

/// An invitation; its token is shown this once.
#[derive(Serialize, JsonSchema)]
pub(super) struct Invited {
    invitation_token: String,
    #[serde(flatten)]
    invitation: InvitationView,
}

/// An invitation without its token.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct InvitationView {
    id: String,
    nombre: String,
    correo: String,
    role: Role,
    expires_at: Timestamp,
}

impl From<Invitation> for InvitationView {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.uid.as_simple().to_string(),
            nombre: invitation.name,
            correo: invitation.email,
            role: invitation.role,
            expires_at: invitation.expires_at,
        }
    }
}

/// Invites somebody: 201 with a token that is shown this once. An earlier invitation of
/// the same address ends.
pub(super) async fn create(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    trail: Trail,
    Input(body): Input<InviteBody>,
) -> Result<Response, Problem> {
    let email = check(&body).map_err(Problem::invalid)?;
    let token = invitation_token();
    let new = NewInvitation {
        tenant: tenant.uid,
        email,
        name: body.nombre,
        role: body.role,
        digest: Digest::of(token.expose_secret()).0,
        lifetime: app.accounts.invitation_lifetime,
    };
    let entry = trail.entry("user.invite", format!("tenants/{}/invitations", tenant.id));
    let invitation = app.store.invite(new, &entry).await?;
    let invitation = invitation.ok_or_else(register::taken)?;
    let view = Invited {
        invitation_token: token.expose_secret().to_owned(),
        invitation: invitation.into(),
    };
    Ok((StatusCode::CREATED, ShownOnce(view)).into_response())
}

fn check(body: &InviteBody) -> Result<String, Vec<FieldError>> {
    let name = Text::LABEL.check("nombre", &body.nombre);
    match (name, email("correo", &body.correo)) {
        (Ok(()), Ok(email)) => Ok(email),
        (name, email) => Err(name.err().into_iter().chain(email.err()).collect()),
    }
}

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

/// Lists the invitations of a tenant that can be accepted.
pub(super) async fn list(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    Params(query): Params<ListQuery>,
) -> Result<Json<ListView<InvitationView>>, Problem> {
    let page = page_request(query.cursor.as_deref(), query.limit)?;
    let page = app.store.invitations(tenant.uid, page).await?;
    Ok(Json(ListView::of(page, InvitationView::from)))
}

/// Takes an invitation back: 204.
pub(super) async fn withdraw(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    InvitationId(id): InvitationId,
    trail: Trail,
) -> Result<NoContent, Problem> {
    let target = format!("tenants/{}/invitations/{}", tenant.id, id.as_simple());
    let entry = trail.entry("invitation.withdraw", target);
    if app
        .store
        .withdraw_invitation(tenant.uid, id, &entry)
        .await?
    {
        return Ok(NoContent);
    }
    Err(Problem::not_found("invitation"))
}

/// The invitation in the path.
pub(super) struct InvitationId(Uuid);

impl Takes for InvitationId {
    fn draw(_: &mut Sketch<'_>) {}
}

impl FromRequestParts<App> for InvitationId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        let id = path_param(parts, "invitation").await;
        let id = id.and_then(|id| Uuid::try_parse(&id).ok());
        id.map(Self).ok_or_else(|| Problem::not_found("invitation"))
    }
}
