//! The providers: one file each behind one trait, and the list of them.
//!
//! One more is one more file, its line in [`registry`] and its name in [`NAMES`].

mod facebook;
mod facturify;
mod graph;
mod instagram;
mod jwt;
mod oauth2;
mod pair;
mod service_token;
mod tiktok;
mod tiktok_business;
mod tiktok_legacy;

use std::borrow::Cow;
use std::time::Duration;

use domain::Timestamp;

use crate::answer::Answer;
use crate::call::Call;
use crate::consent::Dialect;
use crate::grants::Grant;
use crate::world::World;
use crate::{MintError, MintRequest, Minted, Scenario, SimulatorConfig};

/// The generic providers of the default settings.
pub(crate) const OAUTH2_NAMES: [&str; 3] = ["oauth2:demo", "oauth2:demo_body", "oauth2:demo_json"];

/// The names of all providers of the default settings.
pub(crate) const NAMES: [&str; 10] = [
    facebook::NAME,
    instagram::NAME,
    tiktok::NAME,
    tiktok_business::NAME,
    tiktok_legacy::NAME,
    facturify::NAME,
    service_token::NAME,
    OAUTH2_NAMES[0],
    OAUTH2_NAMES[1],
    OAUTH2_NAMES[2],
];

/// All providers: those of [`NAMES`], and the generic ones of the settings.
pub(crate) fn registry(config: &SimulatorConfig, origin: &str) -> Vec<Box<dyn Provider>> {
    let mut all: Vec<Box<dyn Provider>> = vec![
        Box::new(facebook::Facebook::new(config.facebook.clone())),
        Box::new(instagram::Instagram::new(config.instagram.clone())),
        Box::new(tiktok::TikTok::new(config.tiktok.clone())),
        Box::new(tiktok_business::TikTokBusiness::new(
            config.tiktok_business.clone(),
        )),
        Box::new(tiktok_legacy::TikTokLegacy::new(
            config.tiktok_legacy.clone(),
        )),
        Box::new(facturify::Facturify::new(
            config.facturify.clone(),
            config.seed,
            origin,
        )),
        Box::new(service_token::ServiceToken::new(
            config.service_token.clone(),
            config.seed,
            origin,
        )),
    ];
    for (name, settings) in &config.oauth2 {
        all.push(Box::new(oauth2::OAuth2::new(name, settings.clone())));
    }
    all
}

/// The provider that serves the tokens imported under this name.
pub(crate) fn canonical(name: &str) -> &str {
    match name {
        "meta" | facebook::WHATSAPP => facebook::NAME,
        name => name,
    }
}

/// What messages say about names.
pub(crate) fn known() -> String {
    format!("{}; meta and whatsapp stand for facebook", NAMES.join(", "))
}

/// What is simulated of one provider.
pub(crate) trait Provider: Send + Sync {
    /// Its name, which imports and ids of grants have.
    fn name(&self) -> &'static str;

    /// Its address below the simulator's, without a slash at either end.
    fn mount(&self) -> &str {
        self.name()
    }

    /// What only this provider does, for scenarios.
    fn specials(&self) -> &'static [Special];

    /// Whose credentials a request presents, and what it asks for.
    fn identify<'c>(&self, call: &'c Call, desk: Desk<'_>) -> Caller<'c>;

    /// The answer by the contract.
    fn answer(&self, question: &Question<'_>) -> Answer;

    /// A refusal that has nothing to do with what was asked.
    fn refuse(&self, refusal: Refusal, question: &Question<'_>) -> Answer;

    /// How its page of consent is asked for, if this is a request for it; it has none by default.
    fn dialect(&self, call: &Call) -> Option<Dialect<'_>> {
        let _ = call;
        None
    }

    /// Notes at a grant that comes into being what was asked for at the page of consent.
    fn consents(&self, grant: &mut Grant, call: &Call) {
        let _ = (grant, call);
    }

    /// Gives a new grant its first credentials.
    ///
    /// # Errors
    ///
    /// [`MintError::Field`] if the order makes no sense here; the grant is of no use then.
    fn endow(
        &self,
        grant: &mut Grant,
        order: &MintRequest,
        now: Timestamp,
    ) -> Result<(), MintError>;

    /// The newest credentials of a grant.
    fn minted(&self, grant: &Grant, world: &World) -> Minted;

    /// Living tokens of a grant by name that no import takes; none by default.
    fn beside(&self, grant: &Grant, world: &World) -> Vec<(&'static str, String)> {
        let _ = (grant, world);
        Vec::new()
    }
}

/// An answer that only one provider gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Special {
    /// Its name in scenarios.
    pub(crate) name: &'static str,
    /// What happens, in one line.
    pub(crate) what: &'static str,
    /// The only endpoint where it happens, if there is one.
    pub(crate) at: Option<&'static str>,
}

impl Special {
    /// One that happens wherever the grant's tokens are presented.
    pub(crate) const fn everywhere(name: &'static str, what: &'static str) -> Self {
        Self {
            name,
            what,
            at: None,
        }
    }

    /// One that happens at one endpoint.
    pub(crate) const fn at(endpoint: &'static str, name: &'static str, what: &'static str) -> Self {
        Self {
            name,
            what,
            at: Some(endpoint),
        }
    }
}

/// A refusal that each provider words in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It failed itself.
    ServerError,
    /// Too many requests.
    Throttled,
    /// The app's credentials are wrong.
    InvalidClient,
    /// The grant is no longer accepted.
    InvalidGrant,
    /// Something is wrong with the presented token, which the message repeats.
    Echo,
}

/// Who makes a request.
pub(crate) struct Caller<'c> {
    /// What the ledger calls the endpoint.
    pub(crate) endpoint: &'static str,
    /// Whether it would bring new credentials.
    pub(crate) refreshes: bool,
    /// The token or key that it presents.
    pub(crate) presented: Option<Cow<'c, str>>,
    /// The grant that the presented value belongs to, by its form: it may be spent or ended.
    pub(crate) grant: Option<Known>,
}

/// The grant behind a presented value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The grant's number.
    pub(crate) number: u32,
    /// The generation of the presented token; 0 for a key.
    pub(crate) generation: u32,
    /// The purpose of the presented token.
    pub(crate) purpose: u8,
    /// Whether the presented value outlives the refresh, as a key does: then the
    /// request counts as presenting the grant's newest generation.
    pub(crate) lasting: bool,
}

impl Caller<'_> {
    /// The presented value as text.
    pub(crate) fn presented(&self) -> Option<&str> {
        self.presented.as_deref()
    }
}

/// One request with all that its answer depends on.
pub(crate) struct Question<'q> {
    pub(crate) call: &'q Call,
    pub(crate) caller: &'q Caller<'q>,
    pub(crate) desk: Desk<'q>,
    /// The request's number; ids in the answer follow from it.
    pub(crate) seq: u64,
    pub(crate) now: Timestamp,
    /// What the grant's scenario does to this request.
    pub(crate) special: Option<&'static str>,
}

impl Question<'_> {
    /// Answers with the grant in hand; `None` if the caller has none here.
    pub(crate) fn with_grant<R>(&self, act: impl FnOnce(&mut Grant, Known) -> R) -> Option<R> {
        let known = self.caller.grant?;
        let desk = self.desk;
        desk.world
            .grants
            .with(desk.provider, known.number, |grant| act(grant, known))
    }
}

/// The world as one provider sees it.
#[derive(Clone, Copy)]
pub(crate) struct Desk<'w> {
    pub(crate) world: &'w World,
    /// The provider's index in the registry.
    pub(crate) provider: usize,
}

impl Desk<'_> {
    /// The grant that a declared credential stands for, such as `EAA_190_463-a`.
    ///
    /// Behind `prefix` stand a scenario and, after a `-`, anything; the first use
    /// makes the grant. `None` if the value does not begin with the prefix or
    /// names no scenario.
    pub(crate) fn declared(self, prefix: &str, value: &str) -> Option<u32> {
        let tail = value.strip_prefix(prefix)?;
        let scenario = tail.split('-').next().unwrap_or_default();
        let world = self.world;
        let provider = &*world.providers[self.provider];
        if let Err(problem) = Scenario::parse(provider, scenario) {
            // A misspelled scenario would look like any unknown token.
            tracing::warn!(provider = provider.name(), %problem, "no grant is declared so");
            return None;
        }
        world.grants.declared(self.provider, tail, |number| {
            let mut grant = Grant::new(number, self.provider);
            let order = MintRequest::of(provider.name()).scenario(scenario);
            world.endow(&mut grant, &order).ok().map(|()| grant)
        })
    }
}

/// When the first token of an order was issued and when it ends.
///
/// Without an age it is as old as it must be to have had the full lifetime.
pub(crate) fn first_times(
    order: &MintRequest,
    lifetime: Duration,
    now: Timestamp,
) -> (Timestamp, Timestamp) {
    let full = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX / 4);
    let left = order
        .expires_in
        .map_or(full, |secs| secs.saturating_mul(1000));
    let age = match order.age {
        Some(secs) => i64::from(secs) * 1000,
        None => (full - left).max(0),
    };
    let at = |millis: i64| Timestamp::from_millis(now.as_millis().saturating_add(millis));
    (at(-age), at(left))
}
