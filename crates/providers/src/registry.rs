//! The providers that this process knows, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ProviderName;

use crate::facebook::Facebook;
use crate::facturify::Facturify;
use crate::http::{Http, Limits};
use crate::instagram::Instagram;
use crate::oauth2::OAuth2;
use crate::service_token::ServiceToken;
use crate::tiktok::TikTok;
use crate::tiktok_business::TikTokBusiness;
use crate::tiktok_legacy::TikTokLegacy;
use crate::whatsapp::WhatsApp;
use crate::{Egress, Provider, ProviderSettings, SettingsError};

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
        let limits = Limits {
            timeout: settings.timeout,
            connect_timeout: settings.connect_timeout,
        };
        let http = Http::new(limits)?;
        let egress = Egress::new(
            settings.timeout,
            settings.connect_timeout,
            settings.allow_private,
        )?;
        let mut all: Vec<Arc<dyn Provider>> = vec![
            Arc::new(Facebook::new(http.clone(), settings.meta.clone())?),
            Arc::new(WhatsApp::new(http.clone(), settings.meta)?),
            Arc::new(Instagram::new(http.clone(), settings.instagram)?),
            Arc::new(TikTokBusiness::new(http.clone(), settings.tiktok_business)?),
            Arc::new(TikTokLegacy::new(
                http.clone(),
                &settings.tiktok_legacy,
                &settings.tiktok,
            )?),
            Arc::new(TikTok::new(http.clone(), settings.tiktok)?),
            Arc::new(Facturify::new(http.clone(), settings.facturify)?),
            Arc::new(ServiceToken::new(
                http.clone(),
                egress,
                &settings.service_token,
            )?),
        ];
        for (name, described) in settings.oauth2 {
            all.push(Arc::new(OAuth2::new(http.clone(), &name, described)?));
        }
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
