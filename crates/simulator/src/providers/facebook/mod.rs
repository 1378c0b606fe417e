//! Facebook Login: exchange, page tokens and `debug_token` (contracts §1), and what of it
//! keeps WhatsApp's tokens alive (contracts §3).

mod accounts;
mod code;
mod debug;
mod exchange;
mod values;

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::Duration;

use domain::{Grant as Credentials, GrantKind, Timestamp};

use super::graph::{self, GraphError, without_version};
use super::{Caller, Desk, Known, Provider, Question, Refusal, Special, first_times};
use crate::answer::Answer;
use crate::call::Call;
use crate::consent::{Dialect, Pkce};
use crate::grants::{self, Grant, Issued};
use crate::scenario::Effect;
use crate::world::World;
use crate::{FacebookSettings, MintError, MintRequest, Minted};
use values::{page_id, read, user_id, write};

/// The name of the provider.
pub(super) const NAME: &str = "facebook";

/// The name under which tenants import a token for WhatsApp, which lives here too.
pub(super) const WHATSAPP: &str = "whatsapp";

/// The end of the "temporary access token" of WhatsApp's dashboard: "under 24 h".
const TEMPORARY: Duration = Duration::from_hours(23);

const EXCHANGE: &str = "oauth/access_token";
const CODE: &str = "oauth/access_token (code)";
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
            Some(id) if id != self.settings.app.id => Err(graph::UNKNOWN_APP),
            Some(_) if secret != Some(self.settings.app.secret.expose_secret()) => {
                Err(graph::BAD_SECRET)
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
            other => Err(graph::expired(other, now)),
        }
    }
}

impl Provider for Facebook {
    fn name(&self) -> &'static str {
        NAME
    }

    fn specials(&self) -> &'static [Special] {
        &SPECIALS
    }

    fn identify<'c>(&self, call: &'c Call, desk: Desk<'_>) -> Caller<'c> {
        let path = without_version(&call.path);
        let (endpoint, parameter, refreshes) = match path {
            "oauth/access_token" if call.query.get("code").is_some() => (CODE, "code", false),
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
            CODE => self.code(question),
            DEBUG => self.debug(question),
            ACCOUNTS => self.accounts(question),
            _ => Err(GraphError::new(
                2500,
                format!("Unknown path components: {}", question.call.path),
            )),
        };
        let answer = answer.unwrap_or_else(|error| error.answer(question));
        graph::with_usage(answer, question.special)
    }

    /// With a configuration it is the consent of a business, which needs no scope.
    fn dialect(&self, call: &Call) -> Option<Dialect<'_>> {
        let here = without_version(&call.path) == "dialog/oauth";
        here.then(|| Dialect {
            client: ("client_id", &self.settings.app.id),
            required: &[],
            optional: &["scope", "config_id", "override_default_response_type"],
            pkce: Pkce::Unknown,
        })
    }

    fn consents(&self, grant: &mut Grant, call: &Call) {
        let business = call.query.get("config_id") == Some(&self.settings.whatsapp_config);
        grant.guise = business.then_some(WHATSAPP);
        grant.kind = Some(if business {
            GrantKind::SystemUser
        } else {
            GrantKind::User
        });
    }

    fn refuse(&self, refusal: Refusal, question: &Question<'_>) -> Answer {
        graph::refuse(refusal, question)
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
        let whatsapp = order.provider == WHATSAPP;
        let system = whatsapp || special.starts_with("system_user");
        let kind = order.kind.unwrap_or(if system {
            GrantKind::SystemUser
        } else {
            GrantKind::User
        });
        let never = order.never_expires || special == "system_user_never";
        refuse_nonsense(order, kind, never)?;
        grant.guise = whatsapp.then_some(WHATSAPP);

        let mut order = order.clone();
        if special == "expired" && order.expires_in.is_none() {
            order.expires_in = Some(-1);
        }
        let lifetime = match kind {
            GrantKind::User if whatsapp => TEMPORARY,
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
            provider: grant.guise.unwrap_or(NAME),
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
        (_, GrantKind::Page) if order.provider == WHATSAPP => {
            ("kind", "WhatsApp has no tokens of pages")
        }
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

/// Every error of Graph and of WhatsApp, and the answers that are none.
static SPECIALS: LazyLock<Vec<Special>> = LazyLock::new(|| {
    let errors = graph::errors().chain(graph::whatsapp_errors());
    errors.chain(graph::usages()).chain(OTHERS).collect()
});

#[rustfmt::skip]
const OTHERS: [Special; 8] = [
    Special::everywhere("no_expires_in", "exchanged, but the answer has no expires_in"),
    Special::everywhere("not_advanced", "exchanged, but the new token ends when the old one does"),
    Special::everywhere("same_token", "exchanged, and the same value lives on with a new end"),
    Special::everywhere("expired", "minted past its end"),
    Special::everywhere("system_user", "a system user's token for 60 days"),
    Special::everywhere("system_user_never", "a system user's token without an end"),
    Special::everywhere("page_missing", "accounts no longer lists the page"),
    Special::everywhere("data_access_expired", "debug_token says that the 90 days of data access are over"),
];
