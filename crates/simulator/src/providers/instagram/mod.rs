//! Instagram Login: a token that is old enough is refreshed by itself (contracts §2).

mod code;
mod flow;
mod values;

use std::borrow::Cow;
use std::sync::LazyLock;

use domain::{Grant as Credentials, GrantKind, Timestamp};

use super::graph::{self, GraphError, without_version};
use super::{Caller, Desk, Known, Provider, Question, Refusal, Special, first_times};
use crate::answer::Answer;
use crate::call::Call;
use crate::consent::{Dialect, Pkce};
use crate::grants::{self, Grant, Issued};
use crate::scenario::Effect;
use crate::world::World;
use crate::{InstagramSettings, MintError, MintRequest, Minted};
use values::{account_id, read, write};

/// The name of the provider.
pub(super) const NAME: &str = "instagram";

const REFRESH: &str = "refresh_access_token";
const PROFILE: &str = "me";
const CODE: &str = "oauth/access_token";
const LENGTHEN: &str = "access_token";
const TOKEN: u8 = b'i';

/// How old a token of the scenario `young` is when it is minted.
const YOUNG_SECS: u32 = 3600;

/// Instagram's Graph as far as tokens go.
pub(super) struct Instagram {
    settings: InstagramSettings,
}

impl Instagram {
    /// A refresh knows no app: whoever has a token may refresh it.
    pub(super) const fn new(settings: InstagramSettings) -> Self {
        Self { settings }
    }

    /// How old a token is when it is minted, in seconds.
    ///
    /// One that would be of today, unless it was ordered so, is a day old: else it could not
    /// be refreshed before tomorrow.
    fn age(&self, grant: &Grant, order: &MintRequest) -> Option<u32> {
        if order.age.is_some() || order.expires_in.is_some() {
            return order.age;
        }
        let day = u32::try_from(self.settings.min_age.as_secs()).unwrap_or(u32::MAX);
        Some(if special(grant) == "young" {
            YOUNG_SECS
        } else {
            day
        })
    }
}

impl Provider for Instagram {
    fn name(&self) -> &'static str {
        NAME
    }

    fn specials(&self) -> &'static [Special] {
        &SPECIALS
    }

    fn identify<'c>(&self, call: &'c Call, desk: Desk<'_>) -> Caller<'c> {
        let (endpoint, refreshes) = match without_version(&call.path) {
            "refresh_access_token" => (REFRESH, true),
            "me" => (PROFILE, false),
            "oauth/access_token" => (CODE, false),
            "access_token" => (LENGTHEN, false),
            _ => ("unknown", false),
        };
        let presented = call.query.get("access_token");
        Caller {
            endpoint,
            refreshes,
            presented: presented.map(Cow::Borrowed),
            grant: presented.and_then(|value| read(value, desk)),
        }
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        let answer = match question.caller.endpoint {
            REFRESH => self.refresh(question),
            PROFILE => Self::profile(question),
            CODE => Ok(self.code(question)),
            LENGTHEN => self.lengthen(question),
            _ => Err(GraphError::new(
                2500,
                format!("Unknown path components: {}", question.call.path),
            )),
        };
        let answer = answer.unwrap_or_else(|error| error.answer(question));
        graph::with_usage(answer, question.special)
    }

    fn dialect(&self, call: &Call) -> Option<Dialect<'_>> {
        (call.path == "/oauth/authorize").then(|| Dialect {
            client: ("client_id", &self.settings.app.id),
            required: &["scope"],
            optional: &[],
            pkce: Pkce::Unknown,
        })
    }

    fn consents(&self, grant: &mut Grant, _: &Call) {
        grant.kind = Some(GrantKind::User);
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
        let field = |field, problem| Err(MintError::Field { field, problem });
        if order.kind.is_some_and(|kind| kind != GrantKind::User) {
            return field("kind", "Instagram has tokens of persons only");
        }
        if order.never_expires {
            return field("never_expires", "every token of Instagram ends");
        }
        if order.refresh_expires_in.is_some() {
            return field("refresh_expires_in", "Meta has no refresh tokens");
        }
        let lifetime = self.settings.lifetime;
        let mut order = order.clone();
        order.age = self.age(grant, &order);
        if special(grant) == "expired" && order.expires_in.is_none() {
            order.expires_in = Some(-1);
        }
        let (issued_at, expires_at) = first_times(&order, lifetime, now);
        grant.kind = Some(GrantKind::User);
        grant.generation = 1;
        grant.issue(Issued {
            purpose: TOKEN,
            generation: 1,
            issued_at,
            expires_at: Some(match order.expires_in {
                Some(_) => expires_at,
                None => issued_at.plus(lifetime),
            }),
        });
        Ok(())
    }

    fn minted(&self, grant: &Grant, world: &World) -> Minted {
        let token = grant.newest(TOKEN);
        let value = token.map(|token| write(grant, token.generation, world).into());
        Minted {
            id: grants::id(NAME, grant.number),
            provider: NAME,
            external_id: Some(account_id(grant.number, world)),
            display_name: world.display_name(grant.number),
            issued_at: token.map(|token| token.issued_at),
            expires_at: token.and_then(|token| token.expires_at),
            refresh_expires_at: None,
            refreshable: true,
            credentials: Credentials {
                access_token: value,
                kind: grant.kind,
                issued_at: token.map(|token| token.issued_at),
                ..Credentials::default()
            },
        }
    }
}

/// The special answer that a grant was ordered with.
fn special(grant: &Grant) -> &'static str {
    match grant.scenario.effect(0) {
        Effect::Special(special) => special.name,
        Effect::Ok | Effect::Fault(_) => "",
    }
}

/// Every error of Graph, and the answers that are none.
static SPECIALS: LazyLock<Vec<Special>> = LazyLock::new(|| {
    let told = graph::errors().chain(graph::usages());
    told.chain(OTHERS).collect()
});

#[rustfmt::skip]
const OTHERS: [Special; 7] = [
    Special::everywhere("no_expires_in", "refreshed, but the answer has no expires_in"),
    Special::everywhere("not_advanced", "refreshed, but the new token ends when the old one does"),
    Special::everywhere("same_token", "refreshed, and the same value lives on with a new end"),
    Special::everywhere("expired", "minted past its end"),
    Special::everywhere("young", "minted an hour old: refused until it is a day old"),
    Special::at(REFRESH, "method_get", "\"Unsupported request - method type: get\", though the token lives"),
    Special::everywhere("dead_method_get", "the same, and the token is dead"),
];
