//! The providers that this process knows, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ProviderName;

use crate::facebook::Facebook;
use crate::facturify::Facturify;
use crate::http::Http;
use crate::tiktok::TikTok;
use crate::{Provider, ProviderSettings, SettingsError};

/// Other names of providers, as imports may give them.
const SYNONYMS: [(&str, &str); 1] = [("meta", "facebook")];

/// All providers, over one HTTP client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Providers {
    by_name: Arc<BTreeMap<ProviderName, Arc<dyn Provider>>>,
}

impl Providers {
    /// The providers with these settings; nobody is asked.
    ///
    /// # Errors
    ///
    /// [`SettingsError`], naming the setting.
    pub fn new(settings: ProviderSettings) -> Result<Self, SettingsError> {
        let http = Http::new(settings.timeout, settings.connect_timeout)?;
        let all: Vec<Arc<dyn Provider>> = vec![
            Arc::new(Facebook::new(http.clone(), settings.meta)?),
            Arc::new(TikTok::new(http.clone(), settings.tiktok)?),
            Arc::new(Facturify::new(http, settings.facturify)?),
        ];
        let by_name = all.into_iter().map(|it| (it.name().clone(), it)).collect();
        Ok(Self {
            by_name: Arc::new(by_name),
        })
    }

    /// The provider with this very name.
    #[must_use]
    pub fn get(&self, name: &ProviderName) -> Option<Arc<dyn Provider>> {
        self.by_name.get(name).cloned()
    }

    /// The name under which a caller's word is known: the word itself, or what it is a synonym of.
    #[must_use]
    pub fn resolve(&self, word: &str) -> Option<ProviderName> {
        let word = SYNONYMS
            .iter()
            .find(|(synonym, _)| *synonym == word)
            .map_or(word, |(_, name)| name);
        self.names().find(|name| name.as_str() == word).cloned()
    }

    /// All names, sorted; each has a queue of its own.
    pub fn names(&self) -> impl Iterator<Item = &ProviderName> {
        self.by_name.keys()
    }
}
