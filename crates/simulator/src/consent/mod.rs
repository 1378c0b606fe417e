//! Consent: a person at a provider's own page, and the code that comes of it
//! (RFC 6749 section 4.1, RFC 7636).
//!
//! The pages are for browsers: no fault meets them and no ledger counts them. What
//! becomes of a code is the provider's own affair and stands in its file.

mod page;
mod request;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::http::{Method, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;

use crate::ConsentSettings;
use crate::call::Call;
use crate::grants::{self, Grant};
use crate::providers::Desk;
use crate::token::{TokenRef, digest};
use crate::world::World;
use request::{Asked, Wrong};

const PREFIX: &str = "code.";
const CODE: u8 = b'c';

/// How one provider's page of consent is asked for.
pub(crate) struct Dialect<'p> {
    /// How the parameter is called that names the app, and the only app there is.
    pub(crate) client: (&'static str, &'p str),
    /// What must be there beside the app, `redirect_uri`, `response_type` and `state`.
    pub(crate) required: &'static [&'static str],
    /// What may be there.
    pub(crate) optional: &'static [&'static str],
    /// What it makes of `code_challenge`.
    pub(crate) pkce: Pkce,
}

/// What a provider makes of `code_challenge` (RFC 7636).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pkce {
    /// It is a parameter that it does not take.
    Unknown,
    /// It keeps who sends one to it.
    Taken,
    /// It asks for one.
    Required,
}

/// Every code that was given, and who may be sent where.
pub(crate) struct Consents {
    settings: ConsentSettings,
    codes: Mutex<HashMap<u32, Consented>>,
}

/// What a person agreed to.
struct Consented {
    provider: usize,
    grant: u32,
    redirect_uri: String,
    challenge: Option<String>,
    ends_at: Timestamp,
    used: bool,
}

/// A code as a token request presents it.
pub(crate) struct Presented<'c> {
    pub(crate) code: &'c str,
    /// `None` where the provider does not ask for it.
    pub(crate) redirect_uri: Option<&'c str>,
    pub(crate) verifier: Option<&'c str>,
}

/// Why a code is refused. Whatever the reason, it is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeProblem {
    /// Nobody was given it here.
    Unknown,
    /// It was exchanged before, for tokens of this grant.
    Used(u32),
    /// It was not exchanged in time.
    Expired,
    /// It was given to another address.
    Redirect,
    /// The verifier is missing, wrong, or was never announced.
    Verifier,
}

impl Consents {
    /// None given yet.
    pub(crate) fn new(settings: ConsentSettings) -> Self {
        Self {
            settings,
            codes: Mutex::default(),
        }
    }

    fn give(&self, consented: Consented, world: &World) -> String {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = u32::try_from(codes.len()).expect("a simulator gives no 2^32 codes");
        let token = TokenRef {
            grant: consented.grant,
            generation,
            purpose: CODE,
        };
        codes.insert(generation, consented);
        world.tokens.write(PREFIX, token)
    }
}

impl Desk<'_> {
    /// Takes a code for the number of the grant that it was given for.
    ///
    /// # Errors
    ///
    /// [`CodeProblem`], and the code is spent.
    pub(crate) fn redeem(
        self,
        presented: &Presented<'_>,
        now: Timestamp,
    ) -> Result<u32, CodeProblem> {
        let world = self.world;
        let token = world.tokens.read(PREFIX, presented.code);
        let token = token.filter(|token| token.purpose == CODE);
        let codes = &world.consents.codes;
        let mut codes = codes.lock().unwrap_or_else(PoisonError::into_inner);
        let consented = token
            .and_then(|token| codes.get_mut(&token.generation))
            .filter(|consented| consented.provider == self.provider)
            .ok_or(CodeProblem::Unknown)?;
        if std::mem::replace(&mut consented.used, true) {
            return Err(CodeProblem::Used(consented.grant));
        }
        consented.accepts(presented, now)
    }
}

impl Consented {
    fn accepts(&self, presented: &Presented<'_>, now: Timestamp) -> Result<u32, CodeProblem> {
        if self.ends_at <= now {
            return Err(CodeProblem::Expired);
        }
        let address = presented.redirect_uri;
        if address.is_some_and(|address| address != self.redirect_uri) {
            return Err(CodeProblem::Redirect);
        }
        let verified = presented
            .verifier
            .map(|verifier| URL_SAFE_NO_PAD.encode(digest(verifier)));
        if verified != self.challenge {
            return Err(CodeProblem::Verifier);
        }
        Ok(self.grant)
    }
}

/// Answers a browser: the page, or the way back.
pub(crate) fn browse(
    world: &World,
    provider: usize,
    dialect: &Dialect<'_>,
    call: &Call,
) -> Response<Body> {
    let asked = match Asked::read(dialect, call, &world.consents.settings) {
        Ok(asked) => asked,
        Err(Wrong::Nowhere(text)) => return page::refusal(&text),
        Err(Wrong::Back(asked, error, text)) => return page::back(&asked.refused(error, &text)),
    };
    let auto = call.query.get("auto").is_some() || world.consents.settings.auto;
    let (decision, account) = match call.method {
        Method::POST => (call.form.get("decision"), call.form.get("account")),
        _ if auto => (Some("allow"), None),
        _ => return page::question(world, provider, &asked),
    };
    if decision != Some("allow") {
        let denied = asked.refused("access_denied", "The person denied the request.");
        return page::back(&denied);
    }
    let Some(grant) = chosen(world, provider, account, call) else {
        return page::refusal("There is no such account.");
    };
    let consented = Consented {
        provider,
        grant,
        redirect_uri: asked.redirect_uri.to_string(),
        challenge: asked.challenge.clone(),
        ends_at: world.now().plus(world.consents.settings.code_lifetime),
        used: false,
    };
    page::back(&asked.granted(&world.consents.give(consented, world)))
}

/// The grant of the account that the person is logged in to: one of those there
/// are, or one that comes into being.
fn chosen(world: &World, provider: usize, account: Option<&str>, call: &Call) -> Option<u32> {
    if let Some(id) = account.filter(|account| *account != page::SOMEBODY_NEW) {
        let (name, number) = grants::parse_id(id)?;
        let known = world.provider(name) == Some(provider);
        return world
            .grants
            .with(provider, number, |grant| grant.number)
            .filter(|_| known);
    }
    let mut grant = Grant::new(world.grants.reserve(1), provider);
    world.providers[provider].consents(&mut grant, call);
    let number = grant.number;
    world.grants.insert(grant);
    Some(number)
}
