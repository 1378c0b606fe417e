//! TikTok for Developers, OAuth v2: refresh tokens that are spent by their use
//! (contracts §4.1).

mod flow;
mod problems;
mod values;

use std::borrow::Cow;

use domain::{Grant as Credentials, Timestamp};

use super::{Caller, Desk, Known, Provider, Question, Refusal, Special, first_times};
use crate::answer::Answer;
use crate::call::Call;
use crate::grants::{self, Grant, Issued};
use crate::world::World;
use crate::{MintError, MintRequest, Minted, TikTokSettings};
use problems::{Problem, invalid_client, invalid_grant};
use values::{open_id, read, write};

/// The name of the provider.
pub(super) const NAME: &str = "tiktok";

const TOKEN: &str = "oauth/token";
const USER_INFO: &str = "user/info";
const TOKEN_PATH: &str = "/v2/oauth/token/";

const ACCESS: u8 = b'a';
const REFRESH: u8 = b'r';
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
            TOKEN_PATH => (TOKEN, true, call.form.get("refresh_token")),
            "/v2/oauth/token" => (TOKEN, false, call.form.get("refresh_token")),
            "/v2/user/info/" => (USER_INFO, false, call.bearer()),
            _ => ("unknown", false, None),
        };
        Caller {
            endpoint,
            refreshes,
            presented: presented.map(Cow::Borrowed),
            grant: presented.and_then(|value| read(value, desk)),
        }
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        match question.caller.endpoint {
            TOKEN => self.token(question),
            USER_INFO => Self::user_info(question),
            _ => Answer::html(404, "404 Not Found"),
        }
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
        let field = |field, problem| Err(MintError::Field { field, problem });
        if order.kind.is_some() {
            return field("kind", "only Meta tells kinds apart");
        }
        if order.never_expires {
            return field("never_expires", "every token of TikTok ends");
        }
        let (issued_at, expires_at) = first_times(order, self.settings.access_lifetime, now);
        grant.generation = 1;
        grant.issue(Issued {
            purpose: ACCESS,
            generation: 1,
            issued_at,
            expires_at: Some(expires_at),
        });
        let left = order
            .refresh_expires_in
            .map(|secs| secs.saturating_mul(1000));
        grant.refresh_expires_at = Some(match left {
            Some(millis) => Timestamp::from_millis(now.as_millis().saturating_add(millis)),
            None => now.plus(self.settings.refresh_lifetime),
        });
        Ok(())
    }

    fn minted(&self, grant: &Grant, world: &World) -> Minted {
        let access = grant.newest(ACCESS);
        let count = access.map_or(0, |token| token.generation);
        Minted {
            id: grants::id(NAME, grant.number),
            provider: NAME,
            external_id: Some(open_id(grant.number, world)),
            display_name: world.display_name(grant.number),
            issued_at: access.map(|token| token.issued_at),
            expires_at: access.and_then(|token| token.expires_at),
            refresh_expires_at: grant.refresh_expires_at,
            refreshable: true,
            credentials: Credentials {
                access_token: Some(write(grant, ACCESS, count, world).into()),
                refresh_token: Some(write(grant, REFRESH, grant.generation, world).into()),
                issued_at: access.map(|token| token.issued_at),
                scope: Some(SCOPE.to_owned()),
                ..Credentials::default()
            },
        }
    }
}
