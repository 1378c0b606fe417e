//! TikTok's API for Business: a JSON envelope that always comes with status 200
//! (contracts §4.2).

mod code;
mod codes;
mod flow;

use std::borrow::Cow;

use domain::{Grant as Credentials, Timestamp};

use super::pair::{ACCESS, Script, Terms};
use super::tiktok::values::open_id;
use super::{Caller, Desk, Provider, Question, Refusal, Special, first_times};
use crate::answer::Answer;
use crate::call::{Call, Fields};
use crate::consent::{Dialect, Pkce};
use crate::grants::{self, Grant, Issued};
use crate::world::World;
use crate::{MintError, MintRequest, Minted, Rotation, TikTokBusinessSettings};
use codes::Problem;

/// The name of the provider.
pub(super) const NAME: &str = "tiktok_business";

const REFRESH_TOKEN: &str = "tt_user/oauth2/refresh_token";
const CODE: &str = "tt_user/oauth2/token";
const TOKEN_INFO: &str = "tt_user/token_info/get";
const REFRESH_PATH: &str = "/open_api/v1.3/tt_user/oauth2/refresh_token/";
const CODE_PATH: &str = "/open_api/v1.3/tt_user/oauth2/token/";
const INFO_PATH: &str = "/open_api/v1.3/tt_user/token_info/get/";

const SCRIPT: Script = Script {
    access: ("bact.", "bact_"),
    refresh: ("brft.", "brft_"),
};
const SCOPE: &str = "user.info.basic,video.list";

/// TikTok Accounts for one app, and advertisers' tokens, which have no end.
pub(super) struct TikTokBusiness {
    settings: TikTokBusinessSettings,
}

impl TikTokBusiness {
    /// The API of one app.
    pub(super) const fn new(settings: TikTokBusinessSettings) -> Self {
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

impl Provider for TikTokBusiness {
    fn name(&self) -> &'static str {
        NAME
    }

    fn specials(&self) -> &'static [Special] {
        &codes::SPECIALS
    }

    fn identify<'c>(&self, call: &'c Call, desk: Desk<'_>) -> Caller<'c> {
        let (endpoint, refreshes, field) = match call.path.as_str() {
            REFRESH_PATH => (REFRESH_TOKEN, true, "refresh_token"),
            CODE_PATH => (CODE, false, "auth_code"),
            INFO_PATH => (TOKEN_INFO, false, "access_token"),
            _ => ("unknown", false, ""),
        };
        let fields = Fields::of_json(&call.body);
        let presented = fields.and_then(|fields| fields.get(field).map(str::to_owned));
        Caller {
            endpoint,
            refreshes,
            grant: presented
                .as_deref()
                .and_then(|value| SCRIPT.read(value, desk)),
            presented: presented.map(Cow::Owned),
        }
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        match question.caller.endpoint {
            REFRESH_TOKEN => self.refresh_token(question),
            CODE => self.code(question),
            TOKEN_INFO => self.token_info(question),
            _ => Answer::html(404, "404 Not Found"),
        }
    }

    /// Its accounts agree at TikTok's own page, where the app's id is called a key.
    fn dialect(&self, call: &Call) -> Option<Dialect<'_>> {
        (call.path == "/v2/auth/authorize/").then(|| Dialect {
            client: ("client_key", &self.settings.app.id),
            required: &["scope"],
            optional: &[],
            pkce: Pkce::Unknown,
        })
    }

    fn refuse(&self, refusal: Refusal, question: &Question<'_>) -> Answer {
        let problem = match refusal {
            Refusal::ServerError => codes::system_error(),
            Refusal::Throttled => codes::too_many_requests(),
            Refusal::InvalidClient => codes::wrong_app(),
            Refusal::InvalidGrant => codes::incorrect_token(),
            Refusal::Echo => {
                let token = question.caller.presented().unwrap_or_default();
                Problem::new(40_002, "40002", format!("The value {token} is not valid."))
            }
        };
        problem.answer(question)
    }

    fn endow(
        &self,
        grant: &mut Grant,
        order: &MintRequest,
        now: Timestamp,
    ) -> Result<(), MintError> {
        if !order.never_expires {
            return self.terms().endow(grant, order, now);
        }
        let field = |field, problem| Err(MintError::Field { field, problem });
        if order.kind.is_some() {
            return field("kind", "only Meta tells kinds apart");
        }
        if order.refresh_expires_in.is_some() {
            return field(
                "refresh_expires_in",
                "an advertiser's token has no refresh token",
            );
        }
        let (issued_at, _) = first_times(order, self.settings.access_lifetime, now);
        grant.generation = 1;
        grant.issue(Issued {
            purpose: ACCESS,
            generation: 1,
            issued_at,
            expires_at: None,
        });
        Ok(())
    }

    fn minted(&self, grant: &Grant, world: &World) -> Minted {
        let access = grant.newest(ACCESS);
        let expires_at = access.and_then(|token| token.expires_at);
        let pair = SCRIPT.credentials(grant, &self.terms(), SCOPE, world);
        Minted {
            id: grants::id(NAME, grant.number),
            provider: NAME,
            external_id: Some(open_id(grant.number, world)),
            display_name: world.display_name(grant.number),
            issued_at: access.map(|token| token.issued_at),
            expires_at,
            refresh_expires_at: grant.refresh_expires_at,
            refreshable: expires_at.is_some(),
            credentials: Credentials {
                refresh_token: pair.refresh_token.filter(|_| expires_at.is_some()),
                ..pair
            },
        }
    }
}
