//! What a browser brings to a page of consent, and where it is sent back to.

use std::net::IpAddr;

use url::{Host, Url};

use super::{Dialect, Pkce};
use crate::ConsentSettings;
use crate::call::Call;

/// What every provider takes.
const ALWAYS: [&str; 4] = ["redirect_uri", "response_type", "state", "auto"];
const PKCE: [&str; 2] = ["code_challenge", "code_challenge_method"];

/// A request that can be answered to its sender.
pub(super) struct Asked {
    pub(super) redirect_uri: Url,
    pub(super) challenge: Option<String>,
    pub(super) scope: String,
    state: String,
}

/// A request that asks for nothing that can be had.
pub(super) enum Wrong {
    /// It names no app or no address that is known, so nobody is sent anywhere
    /// (RFC 6749 section 4.1.2.1).
    Nowhere(String),
    /// Its sender is told: `error` and `error_description`.
    Back(Box<Asked>, &'static str, String),
}

impl Asked {
    /// Reads a request and checks all of it.
    pub(super) fn read(
        dialect: &Dialect<'_>,
        call: &Call,
        settings: &ConsentSettings,
    ) -> Result<Self, Wrong> {
        let query = &call.query;
        let (client, id) = dialect.client;
        if query.get(client) != Some(id) {
            return Err(Wrong::Nowhere(format!("{client} names no app of ours.")));
        }
        let given = query.get("redirect_uri").unwrap_or_default();
        let redirect_uri = Url::parse(given)
            .ok()
            .filter(|url| registered(url, given, settings))
            .ok_or_else(|| Wrong::Nowhere("redirect_uri is not registered.".to_owned()))?;
        let asked = Self {
            redirect_uri,
            challenge: query.get("code_challenge").map(str::to_owned),
            scope: query.get("scope").unwrap_or_default().to_owned(),
            state: query.get("state").unwrap_or_default().to_owned(),
        };
        match check(dialect, call) {
            Ok(()) => Ok(asked),
            Err((error, text)) => Err(Wrong::Back(Box::new(asked), error, text)),
        }
    }

    /// The way back with a code.
    pub(super) fn granted(&self, code: &str) -> Url {
        self.back(&[("code", code)])
    }

    /// The way back without one.
    pub(super) fn refused(&self, error: &str, text: &str) -> Url {
        self.back(&[("error", error), ("error_description", text)])
    }

    fn back(&self, said: &[(&str, &str)]) -> Url {
        let mut url = self.redirect_uri.clone();
        let mut query = url.query_pairs_mut();
        query.extend_pairs(said);
        if !self.state.is_empty() {
            query.append_pair("state", &self.state);
        }
        drop(query);
        url
    }
}

/// What RFC 6749 section 4.1.1 and RFC 7636 section 4.3 ask for, and what the dialect does.
fn check(dialect: &Dialect<'_>, call: &Call) -> Result<(), (&'static str, String)> {
    let query = &call.query;
    let wrong = |text: String| Err(("invalid_request", text));
    let pkce: &[&str] = match dialect.pkce {
        Pkce::Unknown => &[],
        Pkce::Taken | Pkce::Required => &PKCE,
    };
    let known = [&ALWAYS, dialect.required, dialect.optional, pkce].concat();
    let known = [known, vec![dialect.client.0]].concat();
    if let Some(name) = query.unexpected(&known) {
        return wrong(format!("The parameter {name} is unknown or given twice."));
    }
    for name in dialect.required.iter().chain(&["state"]) {
        if query.get(name).is_none() {
            return wrong(format!("The parameter {name} is missing."));
        }
    }
    if query.get("response_type") != Some("code") {
        return Err(("unsupported_response_type", "It must be code.".to_owned()));
    }
    let challenge = query.get("code_challenge");
    if challenge.is_none() && dialect.pkce == Pkce::Required {
        return wrong("The parameter code_challenge is missing.".to_owned());
    }
    let method = query.get("code_challenge_method");
    // Without a method it would be "plain", which nobody should offer (RFC 9700 section 2.1.1).
    if challenge.is_some() && method != Some("S256") {
        return wrong("The parameter code_challenge_method must be S256.".to_owned());
    }
    if challenge.is_some_and(|it| it.len() != 43) {
        return wrong("The parameter code_challenge must have 43 characters.".to_owned());
    }
    Ok(())
}

/// Compared as text, as RFC 9700 section 2.1 has it; without a list, whatever is safe.
fn registered(url: &Url, given: &str, settings: &ConsentSettings) -> bool {
    if !settings.redirect_uris.is_empty() {
        return settings.redirect_uris.iter().any(|known| known == given);
    }
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    };
    let safe = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    safe && url.fragment().is_none() && url.query().is_none()
}
