//! What is settled about Meta's providers.

use std::time::Duration;

use super::{
    App, INSTAGRAM_APP_ID, INSTAGRAM_APP_SECRET, META_APP_ID, META_APP_SECRET, WHATSAPP_CONFIG_ID,
};

/// Facebook Login (contracts §1).
#[derive(Clone, Debug)]
pub struct FacebookSettings {
    /// The one app that may exchange tokens.
    pub app: App,
    /// A person's token as a code brings it.
    pub short_lifetime: Duration,
    /// A person's token after an exchange.
    pub user_lifetime: Duration,
    /// The configuration whose consent is a business's, for WhatsApp.
    pub whatsapp_config: String,
    /// A page token derived from a short-lived token of a person; one derived
    /// from a long-lived token has no end.
    pub page_lifetime: Duration,
    /// A system user's expiring token.
    pub system_user_lifetime: Duration,
    /// Whether calls with a user token need a right `appsecret_proof`; a wrong
    /// one is refused in any case.
    pub require_proof: bool,
}

impl Default for FacebookSettings {
    fn default() -> Self {
        Self {
            app: App::new(META_APP_ID, META_APP_SECRET),
            short_lifetime: Duration::from_mins(90),
            user_lifetime: Duration::from_secs(5_183_944),
            whatsapp_config: WHATSAPP_CONFIG_ID.to_owned(),
            page_lifetime: Duration::from_hours(1),
            system_user_lifetime: Duration::from_hours(1440),
            require_proof: false,
        }
    }
}

/// Instagram Login (contracts §2): only a consent needs an app, for the rest the token says it all.
#[derive(Clone, Debug)]
pub struct InstagramSettings {
    /// The one app that people may agree to.
    pub app: App,
    /// A token as a code brings it.
    pub short_lifetime: Duration,
    /// A token after a refresh.
    pub lifetime: Duration,
    /// How old a token must be to be refreshed.
    pub min_age: Duration,
}

impl Default for InstagramSettings {
    fn default() -> Self {
        Self {
            app: App::new(INSTAGRAM_APP_ID, INSTAGRAM_APP_SECRET),
            short_lifetime: Duration::from_hours(1),
            lifetime: Duration::from_secs(5_183_944),
            min_age: Duration::from_hours(24),
        }
    }
}
