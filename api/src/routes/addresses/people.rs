//! Addresses of everybody, of log-ins, and of the people and programs of a tenant.

use http::{Method, StatusCode};

use super::super::{
    audit, auth, dashboard, docs, invitations, me, metrics, people, probes, register,
    service_tokens, users,
};
use crate::access::Right;
use crate::table::Table;

pub(super) fn of_everybody() -> Table {
    Table::default()
        .open(Method::GET, "/", dashboard::home)
        .says("Shows the dashboard to browsers, and says to programs where to look.")
        .shows(StatusCode::OK, Some("text/html"))
        .shows(StatusCode::OK, Some("text/plain"))
        .shows(StatusCode::NOT_MODIFIED, None)
        .open(Method::GET, "/dashboard/{file}", dashboard::part)
        .says("A file of the dashboard.")
        .shows(StatusCode::OK, Some("text/javascript"))
        .shows(StatusCode::OK, Some("text/css"))
        .shows(StatusCode::NOT_MODIFIED, None)
        .open(Method::GET, "/livez", probes::livez)
        .says("Answers as long as the process runs.")
        .open(Method::GET, "/readyz", probes::readyz)
        .says("Tells whether the process can do its work, part by part.")
        .answers::<probes::Readiness>(StatusCode::OK)
        .answers::<probes::Readiness>(StatusCode::SERVICE_UNAVAILABLE)
        .open(Method::GET, "/metrics", metrics::show)
        .reads_bearer()
        .says("Shows the figures of the fleet, for Prometheus.")
        .shows(StatusCode::OK, Some(metrics::MEDIA_TYPE))
        .refuses(
            StatusCode::UNAUTHORIZED,
            "It needs the token of `api.metrics_token`.",
        )
        .refuses(
            StatusCode::FORBIDDEN,
            "Off loopback they are closed until `api.metrics_token` is set.",
        )
        .open(Method::GET, "/openapi.json", docs::document)
        .says("Shows this document.")
        .shows(StatusCode::OK, Some("application/json"))
        .open(Method::GET, "/docs", docs::page)
        .says("Shows this document to people, who can try it out.")
        .shows(StatusCode::OK, Some("text/html"))
        .open(Method::GET, "/docs/start.js", docs::start)
        .says("Starts that page.")
        .shows(StatusCode::OK, Some("text/javascript"))
        .open(Method::GET, "/docs/swagger-ui-bundle.js", docs::script)
        .says("The script of that page.")
        .shows(StatusCode::OK, Some("text/javascript"))
        .open(Method::GET, "/docs/swagger-ui.css", docs::style)
        .says("The style sheet of that page.")
        .shows(StatusCode::OK, Some("text/css"))
}

/// The seeds call them by two prefixes.
pub(super) fn of_sessions(prefix: &'static str) -> Table {
    Table::under(prefix)
        .open(Method::POST, "/register", register::register)
        .strictly()
        .says("Registers a person with a tenant of its own; the first one is platform admin.")
        .answers::<people::PersonView>(StatusCode::CREATED)
        .refuses(StatusCode::FORBIDDEN, "Registration is closed.")
        .refuses(StatusCode::CONFLICT, "Somebody has registered with it.")
        .open(Method::POST, "/accept-invitation", register::accept)
        .strictly()
        .says("Makes the person that an invitation is for.")
        .answers::<people::PersonView>(StatusCode::CREATED)
        .refuses(StatusCode::NOT_FOUND, "It is unknown, expired or accepted.")
        .refuses(StatusCode::CONFLICT, "Somebody has registered with it.")
        .open(Method::POST, "/login", auth::login)
        .strictly()
        .says("Logs a person in.")
        .refuses(StatusCode::UNAUTHORIZED, "Address or password is wrong.")
        .refuses(StatusCode::FORBIDDEN, "The account is disabled.")
        .open(Method::POST, "/refresh", auth::refresh)
        .strictly_if_failed()
        .says("Spends a refresh token, in the query or the body, for a new pair.")
        .refuses(StatusCode::UNAUTHORIZED, "Log in again.")
        .open(Method::POST, "/logout", auth::logout)
        .reads_bearer()
        .says("Ends the log-in of the refresh token, else of the bearer token.")
        .refuses(StatusCode::UNAUTHORIZED, "Neither token is valid.")
        .refuses(
            StatusCode::FORBIDDEN,
            "Only a person's log-in can be ended.",
        )
        .open(Method::POST, "/service-token/refresh", auth::service_access)
        .strictly_if_failed()
        .reads_bearer()
        .says("Makes an access token from the service token that is the bearer token.")
        .refuses(StatusCode::UNAUTHORIZED, "The service token is not valid.")
}

pub(super) fn of_people() -> Table {
    use Right::{Manage, Oneself, Person};
    const USERS: &str = "/tenants/{tenant}/users";
    const USER: &str = "/tenants/{tenant}/users/{user}";
    const INVITATIONS: &str = "/tenants/{tenant}/invitations";
    const OWN_RIGHTS: &str = "Nobody changes his own rights.";
    const INVITATION: &str = "/tenants/{tenant}/invitations/{invitation}";

    Table::under("/api/v1")
        .get("/me", Oneself, me::show)
        .says("Says who you are.")
        .post("/me/password", Person, None, me::password)
        .strictly()
        .says("Changes your password and ends all other log-ins.")
        .get(USERS, Manage, users::list)
        .says("Lists the people of a tenant.")
        .post(USERS, Manage, None, invitations::create)
        .says("Invites somebody; the token is shown this once.")
        .answers::<invitations::Invited>(StatusCode::CREATED)
        .refuses(StatusCode::CONFLICT, "Somebody has registered with it.")
        .patch(USER, Manage, None, users::patch)
        .says("Changes a person's name or rights.")
        .refuses(StatusCode::CONFLICT, OWN_RIGHTS)
        .delete(USER, Manage, None, users::delete)
        .says("Takes a person away, with all log-ins.")
        .refuses(StatusCode::CONFLICT, OWN_RIGHTS)
        .get(INVITATIONS, Manage, invitations::list)
        .says("Lists the invitations that can be accepted.")
        .delete(INVITATION, Manage, None, invitations::withdraw)
        .says("Takes an invitation back.")
        .get("/audit", Manage, audit::list)
        .says("Lists who changed what, the newest first.")
        .refuses(StatusCode::NOT_FOUND, "There is no such tenant.")
}

pub(super) fn of_service_tokens() -> Table {
    use Right::Manage;

    Table::under("/api/v1/service-tokens")
        .get("", Manage, service_tokens::list)
        .says("Lists the service tokens of a tenant, without their texts.")
        .refuses(StatusCode::NOT_FOUND, "There is no such tenant.")
        .post("", Manage, None, service_tokens::create)
        .says("Makes a service token; its text is shown this once.")
        .answers::<service_tokens::Created>(StatusCode::CREATED)
        .refuses(StatusCode::NOT_FOUND, "There is no such tenant.")
        .delete("/{service_token}", Manage, None, service_tokens::revoke)
        .says("Revokes a service token, and the access tokens made from it.")
}
