//! Providers whose facts are known: `catalogue.toml`, shipped in the binary.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use super::settings::{AuthStyle, BodyFormat, ErrorWords, TokenRotation};

const TEXT: &str = include_str!("catalogue.toml");

static CATALOGUE: LazyLock<BTreeMap<String, Entry>> =
    LazyLock::new(|| toml::from_str(TEXT).expect("a test reads the catalogue"));

/// What the catalogue knows of a provider; everything may be absent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Entry {
    /// The token endpoint.
    pub(super) token_url: Option<String>,
    /// Why there is no `token_url`, as the end of a sentence.
    pub(super) own_address: Option<String>,
    /// Where the app names itself.
    pub(super) auth_style: Option<AuthStyle>,
    /// Encoding of the request.
    pub(super) body: Option<BodyFormat>,
    /// Whether a refresh token is spent by its use.
    pub(super) rotation: Option<TokenRotation>,
    /// Where the answer tells no lifetime.
    default_expires_in_secs: Option<u64>,
    /// The member that holds the tokens where the answer itself does not.
    pub(super) nested: Option<String>,
    /// Where people agree.
    pub(super) authorize_url: Option<String>,
    /// What people must be asked for, whatever else the settings want.
    pub(super) scopes: Vec<String>,
    /// What stands between two scopes; a space if absent.
    pub(super) scope_separator: Option<String>,
    /// What else the page wants, as `name=value`.
    pub(super) authorize_params: Vec<String>,
    /// Whether it takes a `code_challenge`.
    pub(super) pkce: Option<bool>,
    /// The member of the code's answer that names the account.
    pub(super) account: Option<String>,
    reauth_errors: Vec<String>,
    misconfigured_errors: Vec<String>,
    retry_errors: Vec<String>,
    rate_limit_errors: Vec<String>,
}

impl Entry {
    /// Lifetime of an access token where the answer tells none.
    pub(super) fn default_expires_in(&self) -> Option<Duration> {
        self.default_expires_in_secs.map(Duration::from_secs)
    }

    /// Its own errors.
    pub(super) fn errors(&self) -> ErrorWords {
        ErrorWords {
            reauth: self.reauth_errors.clone(),
            misconfigured: self.misconfigured_errors.clone(),
            retry: self.retry_errors.clone(),
            rate_limit: self.rate_limit_errors.clone(),
        }
    }
}

/// What is known of the provider with this name.
pub(super) fn entry(name: &str) -> Option<Entry> {
    CATALOGUE.get(name).cloned()
}

#[cfg(test)]
mod tests {
    use super::super::description::Description;
    use super::super::settings::OAuth2Settings;
    use super::*;

    #[test]
    fn every_entry_describes_a_provider() {
        for (name, entry) in CATALOGUE.iter() {
            let own = "https://shop.example/token".to_owned();
            let settings = OAuth2Settings {
                token_url: entry.own_address.as_ref().map(|_| own),
                client_id: "id".to_owned(),
                client_secret: Some("secret".into()),
                ..OAuth2Settings::default()
            };

            let described = Description::of(name, settings).expect("it is described");

            assert_eq!(described.token_url.scheme(), "https", "{name}");
            assert!(entry.token_url.is_some() != entry.own_address.is_some());
        }
    }

    #[test]
    fn the_catalogue_holds_the_providers_of_the_contracts_whose_facts_are_evident() {
        let names: Vec<&str> = CATALOGUE.keys().map(String::as_str).collect();

        assert_eq!(
            names,
            [
                "atlassian",
                "box",
                "discord",
                "dropbox",
                "github",
                "google",
                "hubspot",
                "linkedin",
                "microsoft",
                "notion",
                "pinterest",
                "quickbooks",
                "reddit",
                "salesforce",
                "shopify",
                "slack",
                "x",
                "xero",
            ]
        );
    }
}
