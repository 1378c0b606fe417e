//! What must hold between settings, and what works but is probably not meant.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::duration::show;
use crate::values::Values;
use crate::{Kind, Setting, Settings, SettingsError, catalog};

/// What a worker needs of the lease beside the request itself: opening, sealing, storing.
const LEASE_RESERVE: Duration = Duration::from_secs(10);
/// Below it a rotating provider may commit an answer that nobody waits for.
const PATIENCE: Duration = Duration::from_secs(30);
/// HMAC-SHA256 wants as many bytes as it makes.
const SIGNING_MIN: usize = 32;
const OAUTH2_NAME_MAX: usize = 32;

/// Pairs of which one is worth nothing without the other.
const PAIRS: [(&str, &str); 5] = [
    ("providers.meta.app_id", "providers.meta.app_secret"),
    (
        "providers.instagram.app_id",
        "providers.instagram.app_secret",
    ),
    (
        "providers.tiktok.client_key",
        "providers.tiktok.client_secret",
    ),
    (
        "providers.tiktok_business.app_id",
        "providers.tiktok_business.app_secret",
    ),
    (
        "providers.facturify.api_key",
        "providers.facturify.api_secret",
    ),
];

/// What must hold before the types can be read.
pub(crate) fn check_values(values: &Values) -> Result<(), SettingsError> {
    for (one, other) in PAIRS {
        pair(values, one, other)?;
        pair(values, other, one)?;
    }
    encrypted(values)?;
    oauth2(values)
}

/// Tokens travel to these addresses.
fn encrypted(values: &Values) -> Result<(), SettingsError> {
    for (key, sourced) in &values.0 {
        let web = catalog::find(key)
            .is_some_and(|setting| matches!(setting.kind, Kind::Web | Kind::Endpoint));
        let address = sourced.value.as_str().unwrap_or_default();
        if web && key.starts_with("providers.") && in_the_clear(address) {
            return Err(contradiction(
                values,
                key,
                "is http:// to another machine, where tokens would travel in the clear; allowed: \
                 https://, or http:// on a loopback address",
            ));
        }
    }
    Ok(())
}

fn pair(values: &Values, one: &str, other: &str) -> Result<(), SettingsError> {
    if values.0.contains_key(one) && !values.0.contains_key(other) {
        let name = catalog::find(other).map_or_else(|| other.to_owned(), Setting::usual_name);
        return Err(contradiction(
            values,
            one,
            &format!("is set, but {other} ({name}) is not; set both or neither"),
        ));
    }
    Ok(())
}

fn oauth2(values: &Values) -> Result<(), SettingsError> {
    let described = catalog::ALL
        .iter()
        .filter(|setting| setting.key.starts_with("providers.oauth2.*."));
    for setting in described {
        for key in values.0.keys() {
            let Some(name) = setting.chosen_name(key) else {
                continue;
            };
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            if name.is_empty() || name.len() > OAUTH2_NAME_MAX || !name.bytes().all(plain) {
                return Err(contradiction(
                    values,
                    key,
                    "names a provider that is not 1 to 32 of a-z, 0-9 and _",
                ));
            }
            // The token endpoint may stand in the catalogue, which `providers` reads.
            let needed = format!("providers.oauth2.{name}.client_id");
            if !values.0.contains_key(&needed) {
                return Err(contradiction(
                    values,
                    key,
                    &format!("is set, but {needed} is not"),
                ));
            }
        }
    }
    Ok(())
}

/// What must hold between durations.
pub(crate) fn check(settings: &Settings, values: &Values) -> Result<(), SettingsError> {
    let worker = &settings.worker;
    let answer = worker
        .provider_timeout
        .max(settings.providers.facturify.timeout);
    let least = settings.providers.connect_timeout + answer + LEASE_RESERVE;
    if worker.refresh_lease <= least {
        return Err(contradiction(
            values,
            "worker.refresh_lease",
            &format!(
                "is {}, but must be longer than {}: connect time-out, the longest provider \
                 time-out ({}) and {} together; else two workers could spend one refresh token",
                show(worker.refresh_lease),
                show(least),
                show(answer),
                show(LEASE_RESERVE)
            ),
        ));
    }
    if worker.takeover_grace < worker.refresh_lease {
        return Err(contradiction(
            values,
            "worker.takeover_grace",
            &format!(
                "is {}, but must not be shorter than worker.refresh_lease, {}",
                show(worker.takeover_grace),
                show(worker.refresh_lease)
            ),
        ));
    }
    if worker.retry_cap < worker.retry_base {
        return Err(contradiction(
            values,
            "worker.retry_cap",
            &format!(
                "is {}, but must not be shorter than worker.retry_base, {}",
                show(worker.retry_cap),
                show(worker.retry_base)
            ),
        ));
    }
    Ok(())
}

/// What works, but probably not as meant.
pub(crate) fn warnings(settings: &Settings, values: &Values) -> Vec<String> {
    let mut warnings = Vec::new();
    if settings.worker.provider_timeout < PATIENCE {
        warnings.push(format!(
            "worker.provider_timeout ({}) is {}: a provider that rotates refresh tokens may commit \
             an answer that comes later, and the channel then needs a person; {} is safer",
            values.source("worker.provider_timeout"),
            show(settings.worker.provider_timeout),
            show(PATIENCE)
        ));
    }
    let secrets = [
        ("auth.jwt_secret", &settings.auth.jwt_secret),
        (
            "auth.refresh_token_secret",
            &settings.auth.refresh_token_secret,
        ),
    ];
    for (key, secret) in secrets {
        if secret.as_ref().is_some_and(is_guessable) {
            warnings.push(format!(
                "{key} ({}) has a secret of fewer than {SIGNING_MIN} characters: who sees a token \
                 may guess it, and then makes tokens of his own (RFC 7518 section 3.2)",
                values.source(key)
            ));
        }
    }
    if !settings.api.bind.ip().is_loopback() && settings.api.metrics_token.is_none() {
        warnings.push(
            "api.bind is not loopback and api.metrics_token is unset: /metrics stays closed"
                .to_owned(),
        );
    }
    warnings
}

/// A word about `DB_…` or `REDIS_…` parts beside an address, which wins.
pub(crate) fn ignored_parts(values: &Values) -> Vec<String> {
    ["database", "redis"]
        .into_iter()
        .filter(|section| values.0.contains_key(&format!("{section}.url")))
        .filter_map(|section| {
            let host = values.0.get(&format!("{section}.host"))?;
            Some(format!(
                "{section}.host ({}) means nothing beside {section}.url ({})",
                host.source,
                values.source(&format!("{section}.url"))
            ))
        })
        .collect()
}

fn is_guessable(secrets: &SecretString) -> bool {
    let mut secrets = secrets.expose_secret().split(',');
    secrets.any(|secret| secret.trim().len() < SIGNING_MIN)
}

fn in_the_clear(address: &str) -> bool {
    let Ok(url) = url::Url::parse(address) else {
        return false;
    };
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !local
}

fn contradiction(values: &Values, key: &str, problem: &str) -> SettingsError {
    SettingsError::Contradiction(format!("setting {key} ({}) {problem}", values.source(key)))
}
