//! Grants, permits, and results that can be compared.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domain::{
    ChannelState, Details, FreshTokens, Grant, Lifetime, ProviderName, Timestamp, Verdict,
};
use providers::{
    Call, FacturifySettings, InstagramSettings, MetaSettings, NotPermitted, Permit, Provider,
    ProviderSettings, Providers, RefreshError, TikTokBusinessSettings, TikTokLegacySettings,
    TikTokSettings,
};
use secrecy::ExposeSecret;

/// 2026-11-20T12:00:00Z, the "now" of all calls.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_176_000);

pub(crate) const APP_SECRET: &str = "app_secret_fake";

/// Allows so many requests, and remembers the last usage that it heard of.
pub(crate) struct Allow {
    left: AtomicU32,
    heard: Mutex<Option<u8>>,
}

impl Allow {
    pub(crate) fn all() -> Self {
        Self::only(u32::MAX)
    }

    pub(crate) fn only(requests: u32) -> Self {
        Self {
            left: AtomicU32::new(requests),
            heard: Mutex::new(None),
        }
    }

    pub(crate) fn heard(&self) -> Option<u8> {
        *self.heard.lock().expect("nobody panics")
    }
}

#[async_trait]
impl Permit for Allow {
    async fn before_request(&self) -> Result<(), NotPermitted> {
        let left = |left: u32| left.checked_sub(1);
        let taken = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        taken.map(drop).map_err(|_| NotPermitted::LeaseEnding)
    }

    fn heard_usage(&self, percent: u8) {
        *self.heard.lock().expect("nobody panics") = Some(percent);
    }
}

/// Settings with app credentials whose every address is `base_url`.
pub(crate) fn settings(base_url: &str) -> ProviderSettings {
    let base_url = base_url.to_owned();
    ProviderSettings {
        meta: MetaSettings {
            base_url: base_url.clone(),
            app_id: Some("1234567890".to_owned()),
            app_secret: Some(APP_SECRET.into()),
            ..MetaSettings::default()
        },
        tiktok: TikTokSettings {
            base_url: base_url.clone(),
            client_key: Some("aw123fake".to_owned()),
            client_secret: Some("tiktok_secret&fake".into()),
            ..TikTokSettings::default()
        },
        instagram: InstagramSettings {
            base_url: base_url.clone(),
            ..InstagramSettings::default()
        },
        tiktok_business: TikTokBusinessSettings {
            base_url: base_url.clone(),
            app_id: Some("7001".to_owned()),
            app_secret: Some("business_secret_fake".into()),
            ..TikTokBusinessSettings::default()
        },
        tiktok_legacy: TikTokLegacySettings {
            base_url: base_url.clone(),
        },
        facturify: FacturifySettings {
            base_url,
            ..FacturifySettings::default()
        },
        allow_private: true,
        ..ProviderSettings::default()
    }
}

pub(crate) fn provider(name: &'static str, settings: ProviderSettings) -> Arc<dyn Provider> {
    let providers = Providers::new(settings).expect("the settings are fine");
    providers
        .get(&ProviderName::from_static(name))
        .expect("the provider is known")
}

/// One refresh, described by what differs from an active channel without an end.
pub(crate) struct Refresh<'a> {
    pub(crate) grant: &'a Grant,
    pub(crate) external_id: Option<&'a str>,
    pub(crate) access_expires_at: Option<Timestamp>,
    pub(crate) state: ChannelState,
    pub(crate) now: Timestamp,
    pub(crate) permit: Allow,
}

impl<'a> Refresh<'a> {
    pub(crate) fn of(grant: &'a Grant) -> Self {
        Self {
            grant,
            external_id: None,
            access_expires_at: None,
            state: ChannelState::Active,
            now: NOW,
            permit: Allow::all(),
        }
    }

    /// Of a token that ends so many seconds from now.
    pub(crate) fn ending(grant: &'a Grant, seconds: i64) -> Self {
        Self {
            access_expires_at: Some(after(seconds)),
            ..Self::of(grant)
        }
    }

    pub(crate) async fn run(&self, provider: &dyn Provider) -> Result<Got, RefreshError> {
        self.fresh(provider).await.map(|fresh| Got::of(&fresh))
    }

    pub(crate) async fn fresh(&self, provider: &dyn Provider) -> Result<FreshTokens, RefreshError> {
        let call = Call {
            grant: self.grant,
            external_id: self.external_id,
            access_expires_at: self.access_expires_at,
            state: self.state,
            now: self.now,
            permit: &self.permit,
        };
        provider.refresh(&call).await
    }

    /// The verdict, the details and the text of a refresh that fails.
    pub(crate) async fn fail(&self, provider: &dyn Provider) -> Failed {
        let error = self.run(provider).await.expect_err("it is refused");
        Failed {
            verdict: error.verdict(),
            details: error.details(),
            text: all_text(&error),
            error,
        }
    }
}

/// [`FreshTokens`] in the clear.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) access: Option<String>,
    pub(crate) refresh: Option<String>,
    pub(crate) lifetime: Lifetime,
    pub(crate) refresh_lifetime: Option<Lifetime>,
    pub(crate) kind: Option<domain::GrantKind>,
    pub(crate) scope: Option<String>,
    pub(crate) external_id: Option<String>,
}

impl Got {
    fn of(fresh: &FreshTokens) -> Self {
        let clear = |secret: &Option<secrecy::SecretString>| {
            secret.as_ref().map(|it| it.expose_secret().to_owned())
        };
        Self {
            access: clear(&fresh.access_token),
            refresh: clear(&fresh.refresh_token),
            lifetime: fresh.lifetime,
            refresh_lifetime: fresh.refresh_lifetime,
            kind: fresh.kind,
            scope: fresh.scope.clone(),
            external_id: fresh.external_id.clone(),
        }
    }

    /// An answer with this access token and nothing else.
    pub(crate) fn access(token: &str, lifetime: Lifetime) -> Self {
        Self::of(&FreshTokens::access(token.into(), lifetime))
    }

    /// An answer that brought nothing.
    pub(crate) fn unchanged(lifetime: Lifetime) -> Self {
        Self::of(&FreshTokens::unchanged(lifetime))
    }
}

/// A refresh that failed.
pub(crate) struct Failed {
    pub(crate) verdict: Verdict,
    pub(crate) details: Details,
    /// Everything that an error can show.
    pub(crate) text: String,
    pub(crate) error: RefreshError,
}

impl Failed {
    pub(crate) fn reason(&self) -> &str {
        self.details.reason.as_deref().unwrap_or("-")
    }

    pub(crate) fn cause(&self) -> Option<&str> {
        self.details.cause.as_deref()
    }
}

/// The instant so many seconds after [`NOW`].
pub(crate) fn after(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + seconds * 1000)
}

fn all_text(error: &RefreshError) -> String {
    let mut text = format!("{error} {error:?} {:?}", error.details());
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, " {cause} {cause:?}").expect("a string takes everything");
        source = cause.source();
    }
    text
}
