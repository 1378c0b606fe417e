//! How people connect a business's WhatsApp: Facebook Login for Business, whose
//! configuration issues a token of a system user
//! (developers.facebook.com/docs/facebook-login/facebook-login-for-business; contracts §3).

use async_trait::async_trait;
use domain::{FreshTokens, Grant};
use url::Url;

use crate::connect::{Asking, Connect, Connected, Granted, accepted, asked};
use crate::meta::keeper::Keeper;
use crate::{RefreshError, Refusal};

use super::{NAME, WhatsApp};

#[async_trait]
impl Connect for WhatsApp {
    fn missing(&self) -> Vec<String> {
        let config = self.config.is_none().then_some("WHATSAPP_CONFIG_ID");
        let missing = self.graph.missing_settings();
        missing
            .into_iter()
            .chain(config)
            .map(str::to_owned)
            .collect()
    }

    fn authorize_url(&self, asking: &Asking<'_>) -> Url {
        let more = [
            ("client_id", self.graph.app_id().unwrap_or_default()),
            ("config_id", self.config.as_deref().unwrap_or_default()),
            ("override_default_response_type", "true"),
        ];
        asked(self.graph.dialog(), asking, &more)
    }

    /// The token tells the businesses that it reaches; the only one of them is the account.
    async fn exchange(&self, granted: &Granted<'_>) -> Result<Connected, RefreshError> {
        let consent = granted.secrets();
        let call = granted.call(&consent, None);
        let graph = self.graph.call(self.dialogue(&call));
        let graph = graph.ok_or_else(|| Refusal::not_configured(&NAME))?;
        let (token, _) = graph.code(granted).await?;
        let held = Grant {
            access_token: Some(token.clone()),
            ..consent.clone()
        };
        let call = granted.call(&held, None);
        let graph = self.graph.call(self.dialogue(&call));
        let graph = graph.ok_or_else(|| Refusal::not_configured(&NAME))?;
        let seen = graph.look(&token).await?;
        let (owner, businesses) = (seen.owner.clone(), seen.businesses.clone());
        let keeper = Keeper {
            provider: &NAME,
            call: &call,
            graph: &graph,
        };
        // A person's token of an hour is exchanged; a system user's stays as it is.
        let fresh = keeper.kept(&token, seen, None).await?;
        let account = match businesses.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        };
        let fresh = FreshTokens {
            access_token: fresh.access_token.or(Some(token)),
            external_id: account,
            ..fresh
        };
        Ok(Connected {
            reaches: businesses.into_iter().chain(owner).collect(),
            ..Connected::of(accepted(fresh, granted.now))
        })
    }
}
