//! S1.1: `POST /auth/register` and `/auth/accept-invitation`: how people come in.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use identity::{Digest, PasswordError};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use store::{AcceptError, Admission, NewUser, RegisterError};

use super::people::PersonView;
use crate::App;
use crate::attempts;
use crate::caller;
use crate::extract::{EmailAddress, Form, Label, Password, Text, email};
use crate::problem::{FieldError, Problem};
use crate::trail::Trail;

/// Who registers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterBody {
    /// What people call the person; also as `name`.
    #[serde(alias = "name")]
    #[schemars(with = "Label", example = &"Ada")]
    nombre: String,
    /// The address by which the person will log in; also as `email`.
    #[serde(alias = "email")]
    #[schemars(with = "EmailAddress")]
    correo: String,
    /// 8 to 256 characters.
    #[schemars(with = "Password")]
    password: SecretString,
    /// What the server printed at its start; the first registration off loopback needs it.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    bootstrap_token: Option<SecretString>,
}

/// Registers a person with a tenant of its own: 201. The first one is platform admin.
pub(super) async fn register(
    State(app): State<App>,
    trail: Trail,
    Form(body): Form<RegisterBody>,
) -> Result<Response, Problem> {
    let (name, email) = check(&body).map_err(Problem::invalid)?;
    attempts::on_account(&app, &email).await?;
    let admission = admission(&app, body.bootstrap_token.as_ref());
    // A closed door costs no hash.
    let first = app.store.has_no_users().await?;
    if matches!(
        (admission, first),
        (Admission::Nobody, _) | (Admission::First, false) | (Admission::Later, true)
    ) {
        return Err(closed(&app, first));
    }
    let new = NewUser {
        email,
        name,
        password_hash: hash(&app, "password", body.password).await?,
    };
    match app
        .store
        .register(new, admission, trail.entry("auth.register", ""))
        .await
    {
        Ok(user) => {
            let view = PersonView::load(&app, &user).await?;
            Ok((StatusCode::CREATED, Json(view)).into_response())
        }
        Err(RegisterError::Closed) => Err(closed(&app, false)),
        Err(RegisterError::Taken) => Err(taken()),
        Err(RegisterError::Store(error)) => Err(error.into()),
    }
}

fn check(body: &RegisterBody) -> Result<(String, String), Vec<FieldError>> {
    let name = Text::LABEL.check("nombre", &body.nombre);
    match (name, email("correo", &body.correo)) {
        (Ok(()), Ok(email)) => Ok((body.nombre.clone(), email)),
        (name, email) => Err(name.err().into_iter().chain(email.err()).collect()),
    }
}

fn admission(app: &App, presented: Option<&SecretString>) -> Admission {
    let may_be_first = match (&app.accounts.bootstrap_token, presented) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(token), Some(presented)) => caller::same(
            presented.expose_secret().as_bytes(),
            token.expose_secret().as_bytes(),
        ),
    };
    match (may_be_first, app.accounts.open_registration) {
        (true, true) => Admission::Everybody,
        (true, false) => Admission::First,
        (false, true) => Admission::Later,
        (false, false) => Admission::Nobody,
    }
}

fn closed(app: &App, first: bool) -> Problem {
    if first && app.accounts.bootstrap_token.is_some() {
        return Problem::new(
            StatusCode::FORBIDDEN,
            "bootstrap_token_needed",
            "The first registration needs the bootstrap token",
            "Send the token that the server printed at its start as bootstrap_token.",
        );
    }
    Problem::new(
        StatusCode::FORBIDDEN,
        "registration_closed",
        "Registration is closed",
        "Ask an owner of a tenant, or the platform's admin, for an invitation.",
    )
}

/// The 409 of an address that somebody has.
pub(super) fn taken() -> Problem {
    Problem::taken(
        "correo",
        "Somebody has registered with this address already.",
    )
}

/// An invitation and the password of the person who accepts it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcceptBody {
    /// The `invitation_token`.
    #[schemars(with = "String")]
    token: SecretString,
    /// 8 to 256 characters.
    #[schemars(with = "Password")]
    password: SecretString,
}

/// Makes the person that an invitation is for: 201.
pub(super) async fn accept(
    State(app): State<App>,
    trail: Trail,
    Form(body): Form<AcceptBody>,
) -> Result<Response, Problem> {
    let digest = Digest::of(body.token.expose_secret());
    let password_hash = hash(&app, "password", body.password).await?;
    let entry = trail.entry("user.join", "");
    match app
        .store
        .accept_invitation(digest.0, password_hash, entry)
        .await
    {
        Ok(user) => {
            let view = PersonView::load(&app, &user).await?;
            Ok((StatusCode::CREATED, Json(view)).into_response())
        }
        // Unknown, expired and accepted ones look alike.
        Err(AcceptError::Unknown) => Err(Problem::not_found("invitation")),
        Err(AcceptError::Taken) => Err(taken()),
        Err(AcceptError::Store(error)) => Err(error.into()),
    }
}

/// The hash of a new password.
///
/// # Errors
///
/// 422 under the name of the field, outside of 8–256 characters.
pub(super) async fn hash(
    app: &App,
    field: &str,
    password: SecretString,
) -> Result<String, Problem> {
    let hashed = app.accounts.passwords.hash(password).await;
    hashed.map_err(|error| match error {
        PasswordError::Length => Problem::invalid_field(field, error.to_string()),
        PasswordError::Failed => Problem::internal(&error),
    })
}
