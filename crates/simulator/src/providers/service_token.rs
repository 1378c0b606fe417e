//! Somebody's API with two-level service tokens: a lasting one brings short ones
//! (contracts §6).

use std::borrow::Cow;
use std::time::Duration;

use axum::http::Method;
use domain::{Grant as Credentials, Timestamp};
use serde_json::json;

use super::jwt::Jwts;
use super::{Caller, Desk, Known, Provider, Question, Refusal, Special};
use crate::answer::Answer;
use crate::call::Call;
use crate::grants::{self, Grant, Issued};
use crate::token::TokenRef;
use crate::world::World;
use crate::{MintError, MintRequest, Minted, ServiceTokenSettings};

/// The name of the provider.
pub(super) const NAME: &str = "service_token";

/// What a channel has as its `base_url`, below the simulator's address.
const MOUNT: &str = "service_token/api";
const REFRESH: &str = "auth/service-token/refresh";
const DECLARED: &str = "svc_";

/// The service token itself.
const SERVICE: u8 = b's';
const ACCESS: u8 = b'a';

/// The one endpoint that brings access tokens.
pub(super) struct ServiceToken {
    settings: ServiceTokenSettings,
    jwts: Jwts,
}

impl ServiceToken {
    /// The API behind `origin`, with a signing key of `seed`.
    pub(super) fn new(settings: ServiceTokenSettings, seed: u64, origin: &str) -> Self {
        let issuer = format!("{origin}/{MOUNT}");
        Self {
            settings,
            jwts: Jwts::new(seed, "service token jwt", &issuer),
        }
    }

    /// A service token for an access token; the service token stays as it is.
    fn refresh(&self, question: &Question<'_>) -> Answer {
        let call = question.call;
        if call.method != Method::POST {
            return told(405, "405", "Method Not Allowed").header("allow", "POST");
        }
        if !call.body.is_empty() || !call.query.is_empty() {
            return told(422, "422", "The request takes neither a body nor a query");
        }
        if call.bearer().is_none() {
            return told(401, "401", "Not authenticated");
        }
        if let Some(answer) = of_special(question.special) {
            return answer;
        }
        let issued = question.with_grant(|grant, known| {
            let service = grant.newest(SERVICE)?;
            let lives = !grant.revoked && !service.expired(question.now);
            (lives && known.purpose == SERVICE).then(|| self.issue(grant, question))
        });
        issued.flatten().unwrap_or_else(unauthenticated)
    }

    fn issue(&self, grant: &mut Grant, question: &Question<'_>) -> Answer {
        let lifetime = grant
            .renewed_secs
            .map_or(self.settings.access_lifetime, Duration::from_secs);
        let issued_at = Timestamp::from_secs(question.now.as_millis().div_euclid(1000));
        grant.generation += 1;
        let token = Issued {
            purpose: ACCESS,
            generation: grant.generation,
            issued_at,
            expires_at: Some(issued_at.plus(lifetime)),
        };
        grant.issue(token);
        let jwt = self.jwt(grant, token, question.desk.world);
        let mut json = json!({ "access_token": jwt });
        if question.special != Some("no_expires_in") {
            json["expires_in"] = json!(lifetime.as_secs());
        }
        Answer::ok(json.to_string()).refreshed()
    }

    fn jwt(&self, grant: &Grant, token: Issued, world: &World) -> String {
        let at = TokenRef {
            grant: grant.number,
            generation: token.generation,
            purpose: token.purpose,
        };
        self.jwts.write(&world.tokens.write("", at), token)
    }

    fn service_token(&self, grant: &Grant, world: &World) -> String {
        match (&grant.declared, grant.newest(SERVICE)) {
            (None, Some(token)) => self.jwt(grant, token, world),
            (declared, _) => format!("{DECLARED}{}", declared.as_deref().unwrap_or_default()),
        }
    }

    fn read(&self, value: &str, desk: Desk<'_>) -> Option<Known> {
        let id = self.jwts.id(value);
        let written = id.and_then(|id| desk.world.tokens.read("", &id));
        let written = written.map(|token| (token.grant, token.purpose));
        let (number, purpose) =
            written.or_else(|| Some((desk.declared(DECLARED, value)?, SERVICE)))?;
        Some(Known {
            number,
            generation: 0,
            purpose,
            lasting: true,
        })
    }
}

impl Provider for ServiceToken {
    fn name(&self) -> &'static str {
        NAME
    }

    fn mount(&self) -> &str {
        MOUNT
    }

    fn specials(&self) -> &'static [Special] {
        &SPECIALS
    }

    fn identify<'c>(&self, call: &'c Call, desk: Desk<'_>) -> Caller<'c> {
        let here = call.path == "/auth/service-token/refresh";
        let presented = call.bearer();
        Caller {
            endpoint: if here { REFRESH } else { "unknown" },
            refreshes: here,
            presented: presented.map(Cow::Borrowed),
            grant: presented.and_then(|value| self.read(value, desk)),
        }
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        match question.caller.endpoint {
            REFRESH => self.refresh(question),
            _ => told(404, "404", "Not Found"),
        }
    }

    fn refuse(&self, refusal: Refusal, question: &Question<'_>) -> Answer {
        match refusal {
            Refusal::ServerError => told(500, "500", "Internal Server Error"),
            Refusal::InvalidClient => told(403, "403", "The service token may not do this"),
            Refusal::InvalidGrant => unauthenticated(),
            Refusal::Throttled => {
                let answer = told(429, "429", "Too Many Requests");
                match question.desk.world.retry_after {
                    Some(after) => answer.header("retry-after", after.as_secs().to_string()),
                    None => answer,
                }
            }
            Refusal::Echo => {
                let token = question.caller.presented().unwrap_or_default();
                told(401, "401", &format!("The token {token} is not valid"))
            }
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
        if order.expires_in.is_some() || order.age.is_some() {
            return field(
                "expires_in",
                "a service token brings its access token itself",
            );
        }
        if order.never_expires && order.refresh_expires_in.is_some() {
            return field("never_expires", "goes with no refresh_expires_in");
        }
        let lifetime = self.settings.service_lifetime;
        let secs = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX / 1000);
        let left = order.refresh_expires_in.unwrap_or(secs);
        let at = |secs: i64| {
            let now = now.as_millis().div_euclid(1000);
            Timestamp::from_secs(now.saturating_add(secs))
        };
        grant.issue(Issued {
            purpose: SERVICE,
            generation: 0,
            issued_at: at((left - secs).min(0)),
            expires_at: (!order.never_expires).then(|| at(left)),
        });
        Ok(())
    }

    fn minted(&self, grant: &Grant, world: &World) -> Minted {
        let access = grant.newest(ACCESS);
        let service = grant.newest(SERVICE);
        let mut credentials = Credentials {
            base_url: Some(format!("{}/{MOUNT}", world.origin)),
            ..Credentials::default()
        };
        let token = self.service_token(grant, world).into();
        credentials.keys.insert(NAME.to_owned(), token);
        Minted {
            id: grants::id(NAME, grant.number),
            provider: NAME,
            external_id: None,
            display_name: world.display_name(grant.number),
            issued_at: access.map(|token| token.issued_at),
            expires_at: access.and_then(|token| token.expires_at),
            refresh_expires_at: service.and_then(|token| token.expires_at),
            refreshable: true,
            credentials,
        }
    }

    fn beside(&self, grant: &Grant, world: &World) -> Vec<(&'static str, String)> {
        let token = grant.newest(ACCESS);
        let token = token.map(|token| ("access_token", self.jwt(grant, token, world)));
        token.into_iter().collect()
    }
}

fn unauthenticated() -> Answer {
    told(
        401,
        "401",
        "The service token is invalid, expired or revoked",
    )
}

fn told(status: u16, code: &'static str, detail: &str) -> Answer {
    Answer::error(status, code, &json!({ "detail": detail }))
}

/// The refusal that the scenario calls, if it does.
fn of_special(special: Option<&'static str>) -> Option<Answer> {
    Some(match special? {
        "status_401" => unauthenticated(),
        "status_403" => told(403, "403", "The service token may not do this"),
        "status_404" => told(404, "404", "Not Found"),
        "status_405" => told(405, "405", "Method Not Allowed"),
        "status_422" => told(422, "422", "Unprocessable Entity"),
        "no_access_token" => Answer::ok(json!({"expires_in": 900}).to_string()),
        _ => return None,
    })
}

#[rustfmt::skip]
static SPECIALS: [Special; 7] = [
    Special::everywhere("no_expires_in", "the answer has no expires_in"),
    Special::everywhere("no_access_token", "200 without access_token, and nothing was issued"),
    Special::everywhere("status_401", "the service token is refused"),
    Special::everywhere("status_403", "the service token may not do this"),
    Special::everywhere("status_404", "there is no such endpoint"),
    Special::everywhere("status_405", "the endpoint takes another method"),
    Special::everywhere("status_422", "the request is called malformed"),
];
