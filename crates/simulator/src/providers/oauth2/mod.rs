//! Any OAuth 2.0 provider, by its settings (RFC 6749 section 6, contracts §7).

mod answers;
mod client;
mod code;
mod flow;
mod quirks;
mod values;

use std::borrow::Cow;

use domain::Timestamp;

use super::pair::{ACCESS, Script, Terms};
use super::{Caller, Desk, Known, Provider, Question, Refusal, Special};
use crate::answer::Answer;
use crate::call::Call;
use crate::consent::{Dialect, Pkce};
use crate::grants::{self, Grant};
use crate::world::World;
use crate::{MintError, MintRequest, Minted, OAuth2Settings, Rotation};
use answers::Problem;

const TOKEN: &str = "token";

const SCRIPT: Script = Script {
    access: ("at.", "at_"),
    refresh: ("rt.", "rt_"),
};
const SCOPE: [&str; 2] = ["read", "write"];

/// One generic provider's token endpoint.
pub(super) struct OAuth2 {
    name: &'static str,
    mount: String,
    settings: OAuth2Settings,
}

impl OAuth2 {
    /// The provider with this name, `oauth2:<name>`, which is also its address.
    pub(super) fn new(name: &'static str, settings: OAuth2Settings) -> Self {
        Self {
            name,
            mount: name.replacen(':', "/", 1),
            settings,
        }
    }

    const fn terms(&self) -> Terms {
        Terms {
            access: self.settings.access_lifetime,
            refresh: self.settings.refresh_lifetime,
            rotation: self.settings.rotation,
        }
    }

    /// Which token a value is; one that stays counts as the grant's newest.
    fn read(&self, value: &str, desk: Desk<'_>) -> Option<Known> {
        SCRIPT.read(value, desk).map(|known| Known {
            lasting: self.settings.rotation == Rotation::Never,
            ..known
        })
    }
}

impl Provider for OAuth2 {
    fn name(&self) -> &'static str {
        self.name
    }

    fn mount(&self) -> &str {
        &self.mount
    }

    fn specials(&self) -> &'static [Special] {
        &quirks::SPECIALS
    }

    fn identify<'c>(&self, call: &'c Call, desk: Desk<'_>) -> Caller<'c> {
        let here = call.path == "/token";
        let fields = client::fields(call, self.settings.body).filter(|_| here);
        let presented = fields.and_then(|fields| fields.get("refresh_token").map(str::to_owned));
        Caller {
            endpoint: if here { TOKEN } else { "unknown" },
            refreshes: here,
            grant: presented
                .as_deref()
                .and_then(|value| self.read(value, desk)),
            presented: presented.map(Cow::Owned),
        }
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        match question.caller.endpoint {
            TOKEN if self.is_code(question) => self.code(question),
            TOKEN => self.token(question),
            _ => Answer::html(404, "404 Not Found"),
        }
    }

    fn dialect(&self, call: &Call) -> Option<Dialect<'_>> {
        (call.path == "/authorize").then(|| Dialect {
            client: ("client_id", &self.settings.client.id),
            required: &[],
            optional: &["scope", "access_type", "prompt"],
            pkce: if self.settings.requires_pkce {
                Pkce::Required
            } else {
                Pkce::Taken
            },
        })
    }

    fn refuse(&self, refusal: Refusal, question: &Question<'_>) -> Answer {
        let problem = match refusal {
            Refusal::ServerError => Problem {
                status: 500,
                ..Problem::new("server_error", "Something went wrong")
            },
            Refusal::Throttled => return answers::throttled(question),
            Refusal::InvalidClient => answers::invalid_client(self.settings.auth),
            Refusal::InvalidGrant => answers::invalid_grant(),
            Refusal::Echo => {
                let token = question.caller.presented().unwrap_or_default();
                let text = format!("The refresh token {token} is malformed");
                Problem::new("invalid_request", text)
            }
        };
        problem.answer()
    }

    fn endow(
        &self,
        grant: &mut Grant,
        order: &MintRequest,
        now: Timestamp,
    ) -> Result<(), MintError> {
        self.terms().endow(grant, order, now)
    }

    fn minted(&self, grant: &Grant, world: &World) -> Minted {
        let access = grant.newest(ACCESS);
        Minted {
            id: grants::id(self.name, grant.number),
            provider: self.name,
            external_id: None,
            display_name: world.display_name(grant.number),
            issued_at: access.map(|token| token.issued_at),
            expires_at: access.and_then(|token| token.expires_at),
            refresh_expires_at: grant.refresh_expires_at,
            refreshable: true,
            credentials: SCRIPT.credentials(grant, &self.terms(), &SCOPE.join(" "), world),
        }
    }
}
