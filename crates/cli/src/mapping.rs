//! The settings as each crate wants them.

use std::time::Duration;

use api::ApiSettings;
use config::Settings;
use domain::Backoff;
use providers::{FacturifySettings, MetaSettings, ProviderSettings, RefreshMethod, TikTokSettings};
use queue::{ConnectOptions, QueueName, QueueSettings, Queues};
use secrecy::{ExposeSecret as _, SecretString};
use store::{Retention, Store, StoreOptions};

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

/// For `providers`.
pub(crate) fn providers(settings: &Settings) -> ProviderSettings {
    let config::Providers {
        meta,
        tiktok,
        facturify,
        connect_timeout,
        ..
    } = settings.providers.clone();
    ProviderSettings {
        timeout: settings.worker.provider_timeout,
        connect_timeout,
        meta: MetaSettings {
            base_url: meta.base_url,
            graph_version: meta.graph_version,
            app_id: meta.app_id,
            app_secret: meta.app_secret,
        },
        tiktok: TikTokSettings {
            base_url: tiktok.base_url,
            client_key: tiktok.client_key,
            client_secret: tiktok.client_secret,
        },
        facturify: FacturifySettings {
            base_url: facturify.base_url,
            refresh_method: match facturify.refresh_method.as_str() {
                "GET" => RefreshMethod::Get,
                _ => RefreshMethod::Post,
            },
            buffer: facturify.token_refresh_buffer,
            timeout: facturify.timeout,
            max_retries: facturify.max_retries,
            retry_backoff: facturify.retry_backoff,
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
    }
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
        },
    }
}

/// For `api`.
pub(crate) fn api(settings: &Settings, admin_token: SecretString) -> ApiSettings {
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    ApiSettings {
        app_name: settings.app_name.clone(),
        public_url: settings.api.public_url.clone(),
        request_timeout: LONGEST_WAIT + BESIDE_THE_WAIT,
        keep_completed: size(settings.queue.keep_completed),
        keep_failed: size(settings.queue.keep_failed),
        ..ApiSettings::new(admin_token)
    }
}
