//! What one provider's page of consent wants.

use url::Url;

use crate::SettingsError;
use crate::http::endpoint;

use super::catalogue::Entry;
use super::description::wrong;
use super::settings::OAuth2Settings;

/// Where people agree, and to what.
#[derive(Debug)]
pub(super) struct Consent {
    /// `None` if accounts can only be imported.
    pub(super) page: Option<Url>,
    pub(super) scopes: Vec<String>,
    pub(super) scope_separator: String,
    /// What else the page wants.
    pub(super) params: Vec<(String, String)>,
    /// Whether a challenge is sent.
    pub(super) pkce: bool,
    /// The member of the answer that names the account.
    pub(super) account: Option<String>,
}

impl Consent {
    /// What the settings say, then the catalogue's entry, then the usual.
    ///
    /// # Errors
    ///
    /// [`SettingsError::OAuth2`] for a page that people must not be sent to, and for a
    /// parameter without a name.
    pub(super) fn of(
        name: &str,
        settings: &OAuth2Settings,
        entry: &Entry,
    ) -> Result<Self, SettingsError> {
        let given = settings.authorize_url.as_ref();
        let given = given.or(entry.authorize_url.as_ref());
        let mut scopes = settings.scopes.clone();
        let needed = entry
            .scopes
            .iter()
            .filter(|it| !settings.scopes.contains(it));
        scopes.extend(needed.cloned());
        Ok(Self {
            page: given.map(|given| page(name, given)).transpose()?,
            scopes,
            scope_separator: entry
                .scope_separator
                .clone()
                .unwrap_or_else(|| " ".to_owned()),
            params: params(name, settings, entry)?,
            pkce: settings.pkce.or(entry.pkce).unwrap_or(true),
            account: settings.account.clone().or_else(|| entry.account.clone()),
        })
    }
}

fn page(name: &str, given: &str) -> Result<Url, SettingsError> {
    let allowed = "an https:// address (http:// only on a loopback address) without user, query \
                   and fragment";
    endpoint(given).ok_or_else(|| wrong(name, "authorize_url", "is no page", allowed))
}

/// The catalogue's parameters, those that the settings name replaced.
fn params(
    name: &str,
    settings: &OAuth2Settings,
    entry: &Entry,
) -> Result<Vec<(String, String)>, SettingsError> {
    let split = |text: &String| {
        let (name, value) = text.split_once('=')?;
        (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    };
    let own: Option<Vec<_>> = settings.authorize_params.iter().map(split).collect();
    let own = own.ok_or_else(|| {
        let allowed = "texts such as \"access_type=offline\"";
        wrong(
            name,
            "authorize_params",
            "has a text without a name",
            allowed,
        )
    })?;
    let mut all: Vec<_> = entry.authorize_params.iter().filter_map(split).collect();
    all.retain(|(name, _)| own.iter().all(|(own, _)| own != name));
    all.extend(own);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::catalogue;
    use super::*;

    #[test]
    fn the_settings_come_before_the_catalogue_and_needed_scopes_stay() {
        let entry = catalogue::entry("google").expect("Google is known");
        let settings = OAuth2Settings {
            scopes: vec!["openid".to_owned()],
            authorize_params: vec!["prompt=none".to_owned(), "hd=acme.example".to_owned()],
            ..OAuth2Settings::default()
        };

        let google = Consent::of("google", &settings, &entry).expect("it is described");

        let params: Vec<String> = google
            .params
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            params,
            ["access_type=offline", "prompt=none", "hd=acme.example"]
        );
        assert_eq!(google.scopes, ["openid"]);
        assert!(google.pkce && google.page.is_some());
    }

    #[test]
    fn what_cannot_work_is_refused_by_the_name_of_its_setting() {
        let refusal = |settings| {
            let error = Consent::of("acme", &settings, &Entry::default());
            error.expect_err("it is refused").to_string()
        };

        let page = refusal(OAuth2Settings {
            authorize_url: Some("http://acme.example/authorize".to_owned()),
            ..OAuth2Settings::default()
        });
        let params = refusal(OAuth2Settings {
            authorize_params: vec!["=offline".to_owned()],
            ..OAuth2Settings::default()
        });

        assert!(page.starts_with("providers.oauth2.acme.authorize_url is no page"));
        assert!(params.starts_with("providers.oauth2.acme.authorize_params has a text"));
    }
}
