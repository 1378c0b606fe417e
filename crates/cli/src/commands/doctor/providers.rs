//! Are the providers configured, and can they be reached?

use std::time::Duration;

use config::Loaded;

use super::Finding;
use crate::parts;
use client::http_client;

const PART: &str = "providers";
const LIMIT: Duration = Duration::from_secs(5);

/// What was found: which have their app, and for those whether anything answers.
pub(super) async fn examine(loaded: &Loaded) -> Vec<Finding> {
    let providers = match parts::open_providers(loaded) {
        Ok(providers) => providers,
        Err(error) => return vec![Finding::bad(PART, format!("{error:#}"), "correct it")],
    };
    let mut findings = Vec::new();
    for name in providers.names() {
        let missing = providers
            .get(name)
            .map(|provider| provider.missing_settings())
            .unwrap_or_default();
        if !missing.is_empty() {
            // Nobody needs all of them.
            let found = format!("{name} is not configured ({} unset)", missing.join(", "));
            findings.push(Finding::good(PART, found));
            continue;
        }
        if let Some(key) = address_of(name.as_str()) {
            let address = effective(loaded, key);
            let told = loaded.told(key);
            findings.push(reach(loaded, name.as_str(), (&address, &told)).await);
        } else if name.as_str().starts_with("oauth2:")
            && let Some(upstream) = providers.get(name).and_then(|it| it.upstream())
        {
            let told = format!("its token_url is {}", upstream.address);
            findings.push(reach(loaded, name.as_str(), (&upstream.address, &told)).await);
        }
    }
    findings
}

/// The setting with a provider's address; WhatsApp's is Facebook's, which is looked at once.
fn address_of(provider: &str) -> Option<&'static str> {
    match provider {
        "facebook" => Some("providers.meta.base_url"),
        "instagram" => Some("providers.instagram.base_url"),
        "tiktok" => Some("providers.tiktok.base_url"),
        "tiktok_business" => Some("providers.tiktok_business.base_url"),
        "tiktok_legacy" => Some("providers.tiktok_legacy.base_url"),
        "facturify" => Some("providers.facturify.base_url"),
        _ => None,
    }
}

/// Whether a setting says that this provider is used. Some need none: their channels bring all; the
/// old TikTok shares the app of the new one.
fn is_chosen(loaded: &Loaded, name: &str) -> bool {
    let section = format!("providers.{name}.");
    !["facturify", "instagram", "tiktok_legacy"].contains(&name)
        || loaded
            .overridden()
            .any(|line| line.key.starts_with(&section))
}

fn effective(loaded: &Loaded, key: &str) -> String {
    let mut lines = loaded.effective.iter();
    let line = lines.find(|line| line.key == key);
    line.map(|line| line.value.clone()).unwrap_or_default()
}

/// Any answer will do: no credential is sent. `told` says where the address comes from.
async fn reach(loaded: &Loaded, name: &str, (address, told): (&str, &str)) -> Finding {
    let client = match http_client(LIMIT) {
        Ok(client) => client,
        Err(error) => return Finding::bad(PART, format!("{error:#}"), "look at the certificates"),
    };
    match client.head(address).send().await {
        Ok(_) => Finding::good(PART, format!("{name} answers at {address}")),
        Err(_) if !is_chosen(loaded, name) => Finding::good(
            PART,
            format!("{name} does not answer at {address}; that matters once channels use it"),
        ),
        Err(error) => Finding::bad(
            PART,
            format!("{name} does not answer: {told}"),
            format!(
                "look at the network and the firewall ({})",
                error.without_url()
            ),
        ),
    }
}
