//! WhatsApp's Cloud API (contracts §3): it has no refresh of its own. Its tokens are
//! those of system users, for ever or for 60 days, or of persons; a look decides.

mod connect;

use std::slice::from_ref;
use std::time::Duration;

use async_trait::async_trait;
use domain::{Details, FreshTokens, Grant, GrantKind, ProviderName, Window};

use crate::dialogue::Dialogue;
use crate::http::Http;
use crate::meta::graph::Graph;
use crate::meta::import;
use crate::meta::keeper::Keeper;
use crate::meta::matrix::is_app_limit;
use crate::{
    Accepted, Call, Connect, FieldError, ImportRequest, MetaSettings, Provider, RefreshError,
    Refusal, Rotation, SettingsError, Upstream,
};

static NAME: ProviderName = ProviderName::from_static("whatsapp");

const KINDS: [(&str, GrantKind); 2] = [
    ("user", GrantKind::User),
    ("system_user", GrantKind::SystemUser),
];

/// The provider `whatsapp`.
#[derive(Debug)]
pub(crate) struct WhatsApp {
    http: Http,
    graph: Graph,
    /// The configuration under which businesses agree.
    config: Option<String>,
}

impl WhatsApp {
    /// # Errors
    ///
    /// [`SettingsError`] for an address or a version that cannot be asked.
    pub(crate) fn new(http: Http, settings: MetaSettings) -> Result<Self, SettingsError> {
        let config = settings.whatsapp_config.clone();
        let graph = Graph::new(settings)?;
        Ok(Self {
            http,
            graph,
            config: config.filter(|id| !id.is_empty()),
        })
    }

    fn dialogue<'a>(&'a self, call: &'a Call<'a>) -> Dialogue<'a> {
        Dialogue {
            http: &self.http,
            provider: &NAME,
            call,
            app_secrets: self.graph.app_secret().map_or(&[], from_ref),
        }
    }
}

#[async_trait]
impl Provider for WhatsApp {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn rotation(&self) -> Rotation {
        Rotation::Reusable
    }

    /// The app is the one that `facebook` uses, and Meta counts it once.
    fn app_identity(&self, _: &Grant) -> String {
        format!("facebook:{}", self.graph.app_id().unwrap_or_default())
    }

    fn upstream(&self) -> Option<Upstream> {
        Some(self.graph.upstream())
    }

    fn throttles_app(&self, details: &Details) -> bool {
        is_app_limit(details)
    }

    fn window(&self, _: &Grant, _: Option<Duration>) -> Window {
        Window::SIXTY_DAYS
    }

    fn missing_settings(&self) -> Vec<&'static str> {
        self.graph.missing_settings()
    }

    fn connect(&self) -> Option<&dyn Connect> {
        Some(self)
    }

    fn accept(&self, import: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
        let accepted = import::accept(import, &KINDS)?;
        Ok(accepted.warned_of(&self.missing_settings()))
    }

    /// The account of a channel may be a number or a business, of which a token
    /// says nothing: it is neither compared nor told.
    async fn refresh(&self, call: &Call<'_>) -> Result<FreshTokens, RefreshError> {
        let call = &Call {
            external_id: None,
            ..*call
        };
        let Some(graph) = self.graph.call(self.dialogue(call)) else {
            return Err(Refusal::not_configured(&NAME));
        };
        let Some(token) = &call.grant.access_token else {
            return Err(Refusal::no_material(&NAME));
        };
        let keeper = Keeper {
            provider: &NAME,
            call,
            graph: &graph,
        };
        let fresh = keeper.looked_at(token, call.grant.kind).await?;
        Ok(FreshTokens {
            external_id: None,
            ..fresh
        })
    }
}
