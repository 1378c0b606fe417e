//! Facebook Login: exchange, page tokens and `debug_token` (contracts §1).

mod accounts;
mod debug;
mod errors;
mod exchange;
mod values;

use std::borrow::Cow;

use domain::{Grant as Credentials, GrantKind, Timestamp};

use super::{Caller, Desk, Known, Provider, Question, Refusal, Special, first_times};
use crate::answer::Answer;
use crate::call::Call;
use crate::grants::{self, Grant, Issued};
use crate::scenario::Effect;
use crate::world::World;
use crate::{FacebookSettings, MintError, MintRequest, Minted};
use errors::GraphError;
use values::{page_id, read, user_id, write};

/// The name of the provider.
pub(super) const NAME: &str = "facebook";

const EXCHANGE: &str = "oauth/access_token";
const DEBUG: &str = "debug_token";
const ACCOUNTS: &str = "accounts";

/// A token of a person or a system user.
const USER: u8 = b'u';
/// The token of the page that the grant is about.
const PAGE: u8 = b'p';
/// The token of another page of the same person.
const OTHER_PAGE: u8 = b'x';

/// The Graph API as far as tokens go.
pub(super) struct Facebook {
    settings: FacebookSettings,
}

impl Facebook {
    /// Graph for one app.
    pub(super) const fn new(settings: FacebookSettings) -> Self {
        Self { settings }
    }

    /// Checks the app's id and secret.
    fn check_app(&self, id: Option<&str>, secret: Option<&str>) -> Result<(), GraphError> {
        use secrecy::ExposeSecret as _;

        match id {
            None => Err(GraphError::new(101, "Missing client_id parameter.")),
            Some(id) if id != self.settings.app.id => Err(errors::UNKNOWN_APP),
            Some(_) if secret != Some(self.settings.app.secret.expose_secret()) => {
                Err(errors::BAD_SECRET)
            }
            Some(_) => Ok(()),
        }
    }

    /// The presented token, if it is one of the grant and lives.
    fn living(&self, grant: &Grant, known: Known, now: Timestamp) -> Result<Issued, GraphError> {
        if grant.revoked {
            return Err(GraphError::sub(
                190,
                458,
                "190/458",
                format!(
                    "Error validating access token: The user has not authorized application {}.",
                    self.settings.app.id
                ),
            ));
        }
        match grant.issued_with(known.purpose, known.generation) {
            Some(token) if !token.expired(now) => Ok(token),
            // One that fell out of the grant's memory is older than 32 others.
            other => Err(errors::expired(other, now)),
        }
    }
}

impl Provider for Facebook {
    fn name(&self) -> &'static str {
        NAME
    }

    fn specials(&self) -> &'static [Special] {
        &errors::SPECIALS
    }

    fn identify<'c>(&self, call: &'c Call, desk: Desk<'_>) -> Caller<'c> {
        let path = without_version(&call.path);
        let (endpoint, parameter, refreshes) = match path {
            "oauth/access_token" => (EXCHANGE, "fb_exchange_token", true),
            "debug_token" => (DEBUG, "input_token", false),
            path if path.ends_with("/accounts") => (ACCOUNTS, "access_token", true),
            _ => ("unknown", "access_token", false),
        };
        let presented = call.query.get(parameter);
        let grant = presented.and_then(|value| read(value, desk));
        Caller {
            endpoint,
            refreshes,
            presented: presented.map(Cow::Borrowed),
            grant: grant.map(|known| Known {
                // Deriving a page's token leaves the person's token as it is.
                lasting: endpoint == ACCOUNTS,
                ..known
            }),
        }
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        let answer = match question.caller.endpoint {
            EXCHANGE => self.exchange(question),
            DEBUG => self.debug(question),
            ACCOUNTS => self.accounts(question),
            _ => Err(GraphError::new(
                2500,
                format!("Unknown path components: {}", question.call.path),
            )),
        };
        answer.unwrap_or_else(|error| error.answer(question))
    }

    fn refuse(&self, refusal: Refusal, question: &Question<'_>) -> Answer {
        let error = match refusal {
            Refusal::ServerError => return errors::server_error(question),
            Refusal::Throttled => return errors::throttled(question),
            Refusal::InvalidClient => errors::BAD_SECRET,
            Refusal::InvalidGrant => GraphError::new(190, errors::INVALID_TOKEN),
            Refusal::Echo => GraphError::new(
                100,
                format!(
                    "Invalid parameter: the token '{}' is not allowed here",
                    question.caller.presented().unwrap_or_default()
                ),
            ),
        };
        error.answer(question)
    }

    fn endow(
        &self,
        grant: &mut Grant,
        order: &MintRequest,
        now: Timestamp,
    ) -> Result<(), MintError> {
        let special = match grant.scenario.effect(0) {
            Effect::Special(special) => special.name,
            Effect::Ok | Effect::Fault(_) => "",
        };
        let system = special.starts_with("system_user");
        let kind = order.kind.unwrap_or(if system {
            GrantKind::SystemUser
        } else {
            GrantKind::User
        });
        let never = order.never_expires || special == "system_user_never";
        refuse_nonsense(order, kind, never)?;

        let mut order = order.clone();
        if special == "expired" && order.expires_in.is_none() {
            order.expires_in = Some(-1);
        }
        let lifetime = match kind {
            GrantKind::User => self.settings.user_lifetime,
            GrantKind::Page => self.settings.page_lifetime,
            GrantKind::SystemUser => self.settings.system_user_lifetime,
        };
        let (issued_at, expires_at) = first_times(&order, lifetime, now);
        let endless = never || (kind == GrantKind::Page && order.expires_in.is_none());
        let expires_at = (!endless).then_some(expires_at);
        grant.kind = Some(kind);
        grant.generation = 1;
        if kind == GrantKind::Page {
            let ends = now.plus(self.settings.user_lifetime);
            grant.issue(first(USER, now, Some(ends)));
            grant.issue(first(PAGE, issued_at, expires_at));
        } else {
            grant.issue(first(USER, issued_at, expires_at));
        }
        Ok(())
    }

    fn minted(&self, grant: &Grant, world: &World) -> Minted {
        let is_page = grant.kind == Some(GrantKind::Page);
        let token = grant.newest(if is_page { PAGE } else { USER });
        let value = |token: Issued| write(grant, token.purpose, token.generation, world);
        let mut credentials = Credentials {
            access_token: token.map(|token| value(token).into()),
            kind: grant.kind,
            issued_at: token.map(|token| token.issued_at),
            ..Credentials::default()
        };
        if let (true, Some(user)) = (is_page, grant.newest(USER)) {
            let name = "user_access_token".to_owned();
            credentials.keys.insert(name, value(user).into());
        }
        let account = if is_page {
            page_id(grant.number, world)
        } else {
            user_id(grant.number, world)
        };
        Minted {
            id: grants::id(NAME, grant.number),
            provider: NAME,
            external_id: Some(account),
            display_name: world.display_name(grant.number),
            issued_at: token.map(|token| token.issued_at),
            expires_at: token.and_then(|token| token.expires_at),
            refresh_expires_at: None,
            refreshable: token.is_some_and(|token| token.expires_at.is_some()),
            credentials,
        }
    }
}

const fn first(purpose: u8, issued_at: Timestamp, expires_at: Option<Timestamp>) -> Issued {
    Issued {
        purpose,
        generation: 1,
        issued_at,
        expires_at,
    }
}

fn refuse_nonsense(order: &MintRequest, kind: GrantKind, never: bool) -> Result<(), MintError> {
    let (field, problem) = match (order, kind) {
        (_, GrantKind::User) if never => ("never_expires", "a person's token always ends"),
        (
            MintRequest {
                refresh_expires_in: Some(_),
                ..
            },
            _,
        ) => ("refresh_expires_in", "Meta has no refresh tokens"),
        _ => return Ok(()),
    };
    Err(MintError::Field { field, problem })
}

/// The path below `/vNN.N/`, which may be left out.
fn without_version(path: &str) -> &str {
    let path = path.strip_prefix('/').unwrap_or(path);
    let Some((first, rest)) = path.split_once('/') else {
        return path;
    };
    let is_version = first.strip_prefix('v').and_then(|version| {
        let (major, minor) = version.split_once('.')?;
        Some(major.parse::<u8>().is_ok() && minor.parse::<u8>().is_ok())
    });
    if is_version == Some(true) { rest } else { path }
}

/// JSON of Graph: the content type is part of the contract.
fn graph_json(body: String) -> Answer {
    Answer {
        content_type: "application/json; charset=UTF-8",
        ..Answer::ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_the_path_may_be_left_out() {
        let paths = [
            "/v25.0/oauth/access_token",
            "/oauth/access_token",
            "/debug_token",
            "/vx/me",
        ];

        assert_eq!(
            paths.map(without_version),
            [
                "oauth/access_token",
                "oauth/access_token",
                "debug_token",
                "vx/me"
            ]
        );
    }
}
