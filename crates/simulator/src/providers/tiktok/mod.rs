//! TikTok for Developers, OAuth v2: refresh tokens that are spent by their use
//! (contracts §4.1).

mod code;
mod flow;
mod problems;
pub(super) mod values;

use std::borrow::Cow;

use domain::Timestamp;

use super::pair::{ACCESS, Script, Terms};
use super::{Caller, Desk, Known, Provider, Question, Refusal, Special};
use crate::answer::Answer;
use crate::call::Call;
use crate::consent::{Dialect, Pkce};
use crate::grants::{self, Grant};
use crate::world::World;
use crate::{MintError, MintRequest, Minted, Rotation, TikTokSettings};
use problems::{Problem, invalid_client, invalid_grant};
use values::open_id;

/// The name of the provider.
pub(super) const NAME: &str = "tiktok";

const TOKEN: &str = "oauth/token";
const CODE: &str = "oauth/token (code)";
const USER_INFO: &str = "user/info";
const TOKEN_PATH: &str = "/v2/oauth/token/";

const SCRIPT: Script = Script {
    access: ("act.", "act_"),
    refresh: ("rft.", "rft_"),
};
const SCOPE: &str = "user.info.basic,video.list";

/// TikTok's token endpoint for one app.
pub(super) struct TikTok {
    settings: TikTokSettings,
}

impl TikTok {
    /// The endpoint of one app.
    pub(super) const fn new(settings: TikTokSettings) -> Self {
        Self { settings }
    }

    const fn terms(&self) -> Terms {
        Terms {
            access: self.settings.access_lifetime,
            refresh: Some(self.settings.refresh_lifetime),
            rotation: Rotation::Always(self.settings.reuse),
        }
    }
}

impl Provider for TikTok {
    fn name(&self) -> &'static str {
        NAME
    }

    fn specials(&self) -> &'static [Special] {
        &problems::SPECIALS
    }

    fn identify<'c>(&self, call: &'c Call, desk: Desk<'_>) -> Caller<'c> {
        let (endpoint, refreshes, presented) = match call.path.as_str() {
            TOKEN_PATH if call.form.get("code").is_some() => (CODE, false, call.form.get("code")),
            TOKEN_PATH => (TOKEN, true, call.form.get("refresh_token")),
            "/v2/oauth/token" => (TOKEN, false, call.form.get("refresh_token")),
            "/v2/user/info/" => (USER_INFO, false, call.bearer()),
            _ => ("unknown", false, None),
        };
        Caller {
            endpoint,
            refreshes,
            presented: presented.map(Cow::Borrowed),
            grant: presented.and_then(|value| SCRIPT.read(value, desk)),
        }
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        match question.caller.endpoint {
            TOKEN | CODE => self.token(question),
            USER_INFO => Self::user_info(question),
            _ => Answer::html(404, "404 Not Found"),
        }
    }

    fn dialect(&self, call: &Call) -> Option<Dialect<'_>> {
        (call.path == "/v2/auth/authorize/").then(|| Dialect {
            client: ("client_key", &self.settings.app.id),
            required: &["scope"],
            optional: &["disable_auto_auth"],
            // Apps on phones and desktops have it, those of the web do not.
            pkce: Pkce::Unknown,
        })
    }

    fn refuse(&self, refusal: Refusal, question: &Question<'_>) -> Answer {
        let with_status = |status, error, description: &'static str| Problem {
            status: Some(status),
            ..Problem::new(error, description)
        };
        let problem = match refusal {
            Refusal::ServerError => with_status(500, "server_error", "Something went wrong."),
            Refusal::Throttled => with_status(429, "rate_limit_exceeded", "Too many requests."),
            Refusal::InvalidClient => invalid_client(),
            Refusal::InvalidGrant => invalid_grant(),
            Refusal::Echo => {
                let token = question.caller.presented().unwrap_or_default();
                let text = format!("The refresh token {token} is malformed.");
                Problem::new("invalid_request", text)
            }
        };
        let answer = self.problem(&problem, question);
        match question.desk.world.retry_after {
            Some(after) if refusal == Refusal::Throttled => {
                answer.header("retry-after", after.as_secs().to_string())
            }
            _ => answer,
        }
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
            id: grants::id(NAME, grant.number),
            provider: NAME,
            external_id: Some(open_id(grant.number, world)),
            display_name: world.display_name(grant.number),
            issued_at: access.map(|token| token.issued_at),
            expires_at: access.and_then(|token| token.expires_at),
            refresh_expires_at: grant.refresh_expires_at,
            refreshable: true,
            credentials: SCRIPT.credentials(grant, &self.terms(), SCOPE, world),
        }
    }
}
