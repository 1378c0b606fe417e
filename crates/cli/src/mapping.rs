//! The settings as each crate wants them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use api::{ApiSettings, FacturifyAccount, MetricsReaders, Network, RateLimits};
use cache::CacheOptions;
use config::Settings;
use domain::{Backoff, BreakerRules, ProviderName};
use providers::{
    AuthStyle, BodyFormat, Egress, ErrorWords, FacturifySettings, InstagramSettings, MetaSettings,
    OAuth2Settings, ProviderSettings, RefreshMethod, ServiceTokenSettings, TikTokBusinessSettings,
    TikTokLegacySettings, TikTokSettings, TokenRotation,
};
use queue::{ConnectOptions, QueueName, QueueSettings, Queues};
use secrecy::{ExposeSecret as _, SecretString};
use store::{Retention, Store, StoreOptions};
use worker::BreakerSettings;

use crate::remote::url_of;

/// The longest `wait` of a request is 60 s; what comes before and after it has this long.
const BESIDE_THE_WAIT: Duration = Duration::from_secs(15);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// For `store`.
pub(crate) fn store(settings: &Settings, url: &SecretString) -> StoreOptions {
    StoreOptions {
        url: url.expose_secret().to_owned(),
        max_connections: settings.database.max_connections,
        clock: None,
    }
}

/// For `queue`. All queues share the defaults.
pub(crate) fn queues(settings: &Settings, url: &SecretString, role: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.expose_secret());
    options.prefix.clone_from(&settings.redis.prefix);
    options.client_name = format!("tokenfleet-{role}");
    options.defaults(QueueSettings {
        lease: settings.queue.lease,
        keep_completed: settings.queue.keep_completed,
        keep_failed: settings.queue.keep_failed,
        max_attempts: settings.worker.max_attempts,
        backoff_base: settings.worker.retry_base,
        backoff_cap: settings.worker.retry_cap,
        ..QueueSettings::default()
    })
}

/// For `cache`.
pub(crate) fn cache(settings: &Settings, url: &SecretString) -> CacheOptions {
    CacheOptions::new(url.expose_secret()).prefix(&settings.redis.prefix)
}

/// For `providers`.
pub(crate) fn providers(settings: &Settings) -> ProviderSettings {
    let config::Providers {
        allow_private,
        connect_timeout,
        meta,
        instagram,
        tiktok,
        tiktok_business,
        tiktok_legacy,
        facturify,
        service_token,
        oauth2,
    } = settings.providers.clone();
    ProviderSettings {
        timeout: settings.worker.provider_timeout,
        connect_timeout,
        meta: self::meta(meta),
        instagram: self::instagram(instagram),
        tiktok: self::tiktok(tiktok),
        tiktok_business: self::tiktok_business(tiktok_business),
        tiktok_legacy: TikTokLegacySettings {
            base_url: tiktok_legacy.base_url,
        },
        facturify: self::facturify(facturify),
        service_token: ServiceTokenSettings {
            base_url: service_token.base_url,
        },
        oauth2: oauth2
            .into_iter()
            .map(|(name, described)| (name, self::oauth2(described)))
            .collect(),
        allow_private,
    }
}

fn meta(meta: config::Meta) -> MetaSettings {
    MetaSettings {
        base_url: meta.base_url,
        graph_version: meta.graph_version,
        app_id: meta.app_id,
        app_secret: meta.app_secret,
        authorize_url: meta.authorize_url,
        scopes: meta.scopes,
        whatsapp_config: meta.whatsapp_config_id,
    }
}

fn instagram(instagram: config::Instagram) -> InstagramSettings {
    InstagramSettings {
        base_url: instagram.base_url,
        authorize_url: instagram.authorize_url,
        code_url: instagram.code_url,
        app_id: instagram.app_id,
        app_secret: instagram.app_secret,
        scopes: instagram.scopes,
    }
}

fn tiktok(tiktok: config::TikTok) -> TikTokSettings {
    TikTokSettings {
        base_url: tiktok.base_url,
        client_key: tiktok.client_key,
        client_secret: tiktok.client_secret,
        authorize_url: tiktok.authorize_url,
        scopes: tiktok.scopes,
    }
}

fn tiktok_business(business: config::TikTokBusiness) -> TikTokBusinessSettings {
    TikTokBusinessSettings {
        base_url: business.base_url,
        app_id: business.app_id,
        app_secret: business.app_secret,
        authorize_url: business.authorize_url,
        scopes: business.scopes,
    }
}

fn facturify(facturify: config::Facturify) -> FacturifySettings {
    FacturifySettings {
        base_url: facturify.base_url,
        refresh_method: match facturify.refresh_method.as_str() {
            "GET" => RefreshMethod::Get,
            _ => RefreshMethod::Post,
        },
        buffer: facturify.token_refresh_buffer,
        timeout: facturify.timeout,
        max_retries: facturify.max_retries,
        retry_backoff: facturify.retry_backoff,
    }
}

fn oauth2(described: config::OAuth2) -> OAuth2Settings {
    OAuth2Settings {
        token_url: described.token_url,
        client_id: described.client_id,
        client_secret: described.client_secret,
        auth_style: described.auth_style.map(|style| match style {
            config::ClientAuth::Basic => AuthStyle::Basic,
            config::ClientAuth::Body => AuthStyle::Body,
        }),
        body: described.body.map(|body| match body {
            config::BodyFormat::Form => BodyFormat::Form,
            config::BodyFormat::Json => BodyFormat::Json,
        }),
        rotation: described.rotation.map(|rotation| match rotation {
            config::Rotation::Always => TokenRotation::Always,
            config::Rotation::Sometimes => TokenRotation::Sometimes,
            config::Rotation::Never => TokenRotation::Never,
        }),
        default_expires_in: described.default_expires_in,
        authorize_url: described.authorize_url,
        scopes: described.scopes,
        authorize_params: described.authorize_params,
        pkce: described.pkce,
        account: described.account,
        errors: ErrorWords {
            reauth: described.reauth_errors,
            misconfigured: described.misconfigured_errors,
            retry: described.retry_errors,
            rate_limit: described.rate_limit_errors,
        },
    }
}

/// For `worker`; `None` works on all queues.
pub(crate) fn worker(settings: &Settings, queues: Option<Vec<QueueName>>) -> worker::Settings {
    worker::Settings {
        concurrency: settings.worker.concurrency,
        refresh_lease: settings.worker.refresh_lease,
        provider_timeout: settings.worker.provider_timeout,
        takeover_grace: settings.worker.takeover_grace,
        drain: settings.worker.drain,
        backoff: Backoff {
            base: settings.worker.retry_base,
            cap: settings.worker.retry_cap,
        },
        queues,
        breaker: breaker(settings),
    }
}

fn breaker(settings: &Settings) -> BreakerSettings {
    let rules = &settings.breaker;
    BreakerSettings {
        rules: BreakerRules {
            window: rules.window,
            minimum: rules.minimum,
            share: rules.share,
            misconfigured: rules.misconfigured,
            unknown: rules.unknown,
            denied: rules.denied,
            probe_every: rules.probe_every,
            ramp: rules.ramp,
        },
        budgets: budgets(&settings.providers),
    }
}

/// What the whole fleet may ask of each provider in a second; none where it is 0.
fn budgets(providers: &config::Providers) -> BTreeMap<ProviderName, f64> {
    let built_in = [
        ("facebook", providers.meta.refreshes_per_second),
        ("whatsapp", providers.meta.refreshes_per_second),
        ("instagram", providers.instagram.refreshes_per_second),
        ("tiktok", providers.tiktok.refreshes_per_second),
        (
            "tiktok_business",
            providers.tiktok_business.refreshes_per_second,
        ),
        (
            "tiktok_legacy",
            providers.tiktok_legacy.refreshes_per_second,
        ),
        ("facturify", providers.facturify.refreshes_per_second),
    ];
    let built_in = built_in.map(|(name, rate)| (ProviderName::from_static(name), rate));
    let generic = providers.oauth2.iter().map(|(name, described)| {
        let name = ProviderName::from(format!("oauth2:{name}"));
        (name, described.refreshes_per_second)
    });
    built_in
        .into_iter()
        .chain(generic)
        .filter(|(_, rate)| *rate > 0.0)
        .collect()
}

/// For the webhooks of `worker`.
///
/// # Errors
///
/// If no HTTP client can be made of the limits.
pub(crate) fn webhooks(settings: &Settings) -> anyhow::Result<worker::Webhooks> {
    let webhooks = &settings.webhooks;
    let connect_timeout = settings.providers.connect_timeout;
    Ok(worker::Webhooks {
        egress: Egress::new(webhooks.timeout, connect_timeout, webhooks.allow_private)?,
        retry_base: webhooks.retry_base,
        max_attempts: webhooks.max_attempts,
        disable_after: webhooks.disable_after,
    })
}

/// For `scheduler`.
pub(crate) fn scheduler(settings: &Settings, store: Store, queues: Queues) -> scheduler::Deps {
    scheduler::Deps {
        store,
        queues,
        interval: settings.scheduler.interval,
        retention: Retention {
            attempts_per_channel: settings.retention.attempts_per_channel,
            max_age: settings.retention.max_age,
            audit_max_age: settings.retention.audit_max_age,
        },
    }
}

/// For `api` that listens at this address. One that only this machine reaches needs no
/// public address.
pub(crate) fn api(
    settings: &Settings,
    admin_token: SecretString,
    address: SocketAddr,
) -> ApiSettings {
    let own = || address.ip().is_loopback().then(|| url_of(address));
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    ApiSettings {
        app_name: settings.app_name.clone(),
        public_url: settings.api.public_url.clone().or_else(own),
        connect_link_ttl: settings.api.connect_link_expires_in,
        metrics_readers: metrics_readers(settings, address),
        rate_limits: RateLimits {
            auth_per_minute: settings.api.rate_limit.auth_per_minute,
            token_reads_per_minute: settings.api.rate_limit.token_reads_per_minute,
            per_minute: settings.api.rate_limit.per_minute,
        },
        trusted_proxies: networks(&settings.api.trusted_proxies),
        cors_origins: settings.api.cors_origins.clone(),
        audit_reads_every: settings.api.audit_reads_every,
        one_time_ttl: settings.auth.onetime_token_expires_in,
        facturify: facturify_account(&settings.providers.facturify),
        webhooks_allow_private: settings.webhooks.allow_private,
        request_timeout: LONGEST_WAIT + BESIDE_THE_WAIT,
        keep_completed: size(settings.queue.keep_completed),
        keep_failed: size(settings.queue.keep_failed),
        ..ApiSettings::new(admin_token)
    }
}

fn metrics_readers(settings: &Settings, address: SocketAddr) -> MetricsReaders {
    match &settings.api.metrics_token {
        _ if address.ip().is_loopback() => MetricsReaders::Everybody,
        Some(token) => MetricsReaders::Bearers(token.clone()),
        None => MetricsReaders::Nobody,
    }
}

/// The settings have checked that both are there or none.
fn facturify_account(facturify: &config::Facturify) -> Option<FacturifyAccount> {
    Some(FacturifyAccount {
        api_key: facturify.api_key.clone()?,
        api_secret: facturify.api_secret.clone()?,
        buffer: facturify.token_refresh_buffer,
    })
}

/// The settings have checked every one of them.
fn networks(texts: &[String]) -> Vec<Network> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}
