//! Facturify: a key brings a short token, which is refreshed to a long one (contracts §5).

mod answers;
mod flow;

use std::borrow::Cow;

use domain::{Grant as Credentials, Timestamp};
use serde_json::json;

use super::jwt::Jwts;
use super::{Caller, Desk, Known, Provider, Question, Refusal, Special};
use crate::answer::Answer;
use crate::call::Call;
use crate::grants::{self, Grant, Issued};
use crate::token::TokenRef;
use crate::world::World;
use crate::{FacturifySettings, MintError, MintRequest, Minted};
use answers::{not_found, unauthenticated, wrong_key};
use flow::Login;

/// The name of the provider.
pub(super) const NAME: &str = "facturify";

const AUTH: &str = "auth";
const REFRESH: &str = "token/refresh";
const VALIDATE: &str = "token/validate";

const KEY: u8 = b'k';
const SECRET: u8 = b's';
const TOKEN: u8 = b'j';

/// Facturify's three endpoints for tokens.
pub(super) struct Facturify {
    settings: FacturifySettings,
    jwts: Jwts,
}

impl Facturify {
    /// Facturify behind `origin`, with a signing key of `seed`.
    pub(super) fn new(settings: FacturifySettings, seed: u64, origin: &str) -> Self {
        Self {
            settings,
            jwts: Jwts::new(
                seed,
                "facturify jwt",
                &format!("{origin}/{NAME}/api/v1/auth"),
            ),
        }
    }

    fn jwt(&self, grant: &Grant, token: Issued, world: &World) -> String {
        let id = world.tokens.write("", at(grant, TOKEN, token.generation));
        self.jwts.write(&id, token)
    }
}

impl Provider for Facturify {
    fn name(&self) -> &'static str {
        NAME
    }

    fn specials(&self) -> &'static [Special] {
        &answers::SPECIALS
    }

    fn identify<'c>(&self, call: &'c Call, desk: Desk<'_>) -> Caller<'c> {
        let bearer = |endpoint, refreshes| {
            let token = call.bearer();
            let id = token.and_then(|token| self.jwts.id(token));
            Caller {
                endpoint,
                refreshes,
                presented: token.map(Cow::Borrowed),
                grant: id.and_then(|id| known(&id, desk)),
            }
        };
        match call.path.as_str() {
            "/api/v1/auth" => {
                let key = Login::read(call).api_key;
                Caller {
                    endpoint: AUTH,
                    refreshes: true,
                    grant: key.as_deref().and_then(|key| by_key(key, desk)),
                    presented: key,
                }
            }
            "/api/v1/token/refresh" => bearer(REFRESH, true),
            "/api/v1/token/validate" => bearer(VALIDATE, false),
            _ => bearer("unknown", false),
        }
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        match question.caller.endpoint {
            AUTH => self.auth(question),
            REFRESH => self.refresh(question),
            VALIDATE => self.validate(question),
            _ => not_found(),
        }
    }

    fn refuse(&self, refusal: Refusal, question: &Question<'_>) -> Answer {
        let presented = || question.caller.presented().unwrap_or_default();
        match refusal {
            Refusal::ServerError => Answer::error(
                500,
                "500",
                &json!({"message": "Error interno del servidor"}),
            ),
            Refusal::Throttled => {
                let json = json!({"message": "Demasiadas solicitudes"});
                let answer = Answer::error(429, "429", &json);
                match question.desk.world.retry_after {
                    Some(after) => answer.header("retry-after", after.as_secs().to_string()),
                    None => answer,
                }
            }
            Refusal::InvalidClient => wrong_key(),
            Refusal::InvalidGrant => unauthenticated(),
            Refusal::Echo => {
                let text = format!("El valor {} no es válido", presented());
                Answer::error(422, "33", &json!({"code": 33, "message": text}))
            }
        }
    }

    fn endow(
        &self,
        _grant: &mut Grant,
        order: &MintRequest,
        _now: Timestamp,
    ) -> Result<(), MintError> {
        let problem = if order.kind.is_some() {
            ("kind", "only Meta tells kinds apart")
        } else if order.never_expires || order.expires_in.is_some() || order.age.is_some() {
            ("expires_in", "a Facturify key brings its token itself")
        } else if order.refresh_expires_in.is_some() {
            ("refresh_expires_in", "Facturify has no refresh tokens")
        } else {
            return Ok(());
        };
        let (field, problem) = problem;
        Err(MintError::Field { field, problem })
    }

    fn minted(&self, grant: &Grant, world: &World) -> Minted {
        let token = grant.newest(TOKEN);
        let mut credentials = Credentials::default();
        let keys = &mut credentials.keys;
        keys.insert("api_key".to_owned(), key(grant, world).into());
        keys.insert("api_secret".to_owned(), secret(grant, world).into());
        Minted {
            id: grants::id(NAME, grant.number),
            provider: NAME,
            external_id: None,
            display_name: world.display_name(grant.number),
            issued_at: token.map(|token| token.issued_at),
            expires_at: token.and_then(|token| token.expires_at),
            refresh_expires_at: None,
            refreshable: true,
            credentials,
        }
    }

    fn beside(&self, grant: &Grant, world: &World) -> Vec<(&'static str, String)> {
        let token = grant.newest(TOKEN);
        let token = token.map(|token| ("token", self.jwt(grant, token, world)));
        token.into_iter().collect()
    }
}

const fn at(grant: &Grant, purpose: u8, generation: u32) -> TokenRef {
    TokenRef {
        grant: grant.number,
        generation,
        purpose,
    }
}

fn key(grant: &Grant, world: &World) -> String {
    match &grant.declared {
        Some(tail) => format!("key_{tail}"),
        None => world.tokens.write("", at(grant, KEY, 0)),
    }
}

fn secret(grant: &Grant, world: &World) -> String {
    match &grant.declared {
        Some(tail) => format!("secret_{tail}"),
        None => world.tokens.write("", at(grant, SECRET, 0)),
    }
}

fn by_key(key: &str, desk: Desk<'_>) -> Option<Known> {
    let minted = desk.world.tokens.read("", key);
    let minted = minted.filter(|token| token.purpose == KEY);
    let number = minted
        .map(|token| token.grant)
        .or_else(|| desk.declared("key_", key))?;
    Some(Known {
        number,
        generation: 0,
        purpose: KEY,
        lasting: true,
    })
}

fn known(id: &str, desk: Desk<'_>) -> Option<Known> {
    let token = desk.world.tokens.read("", id)?;
    Some(Known {
        number: token.grant,
        generation: token.generation,
        purpose: token.purpose,
        lasting: false,
    })
}
