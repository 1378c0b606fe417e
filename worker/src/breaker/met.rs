//! What an answer says about the app and the provider, as opposed to the one channel.

use domain::{DelaySource, Details, FreshTokens, Met, NamedDelay, Verdict, reason};
use providers::{Provider, RefreshError, Refusal};
use sha2::{Digest as _, Sha256};

/// What the fleet learns from this answer; `None` if nobody was asked. `unexplained` says
/// that a refusal of the grant comes unexpected.
pub(super) fn met(
    answer: &Result<FreshTokens, RefreshError>,
    provider: &dyn Provider,
    own_keys: bool,
    unexplained: bool,
) -> Option<Met> {
    match answer {
        Ok(_) => Some(Met::Worked),
        Err(RefreshError::NotPermitted(_)) => None,
        Err(RefreshError::NotSent { .. } | RefreshError::NoAnswer { .. }) => Some(Met::Failed),
        Err(RefreshError::Refused(refusal)) => {
            let met = refused(refusal, provider, own_keys)?;
            let denied = refusal.verdict == Verdict::Reauthorize && !own_keys;
            let is_denied = denied && met == Met::Worked;
            Some(if is_denied {
                Met::Denied { unexplained }
            } else {
                met
            })
        }
    }
}

fn refused(refusal: &Refusal, provider: &dyn Provider, own_keys: bool) -> Option<Met> {
    let details = &refusal.details;
    let why = details.reason.as_deref();
    if details.http_status.is_none() {
        // We knew without asking.
        return (why == Some(reason::PROVIDER_NOT_CONFIGURED)).then_some(Met::Misconfigured);
    }
    if why == Some(reason::UNKNOWN_ANSWER) {
        return Some(Met::Unknown(kind(details)));
    }
    Some(match &refusal.verdict {
        Verdict::Retry | Verdict::RetryThen { .. } => Met::Failed,
        Verdict::RateLimited { delay, source } if provider.throttles_app(details) => {
            Met::Throttled(delay.map(|delay| NamedDelay {
                delay,
                grows: matches!(
                    source,
                    DelaySource::ProviderUsage | DelaySource::ProviderDefault
                ),
            }))
        }
        Verdict::Misconfigured if !own_keys => Met::Misconfigured,
        _ => Met::Worked,
    })
}

/// Status, codes and the form of the body: the same for the same change of a contract.
fn kind(details: &Details) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let status = details.http_status.unwrap_or_default();
    let (code, subcode) = (
        text(&details.provider_code),
        text(&details.provider_subcode),
    );
    let shape = Sha256::digest(text(&details.shape).as_bytes());
    let shape = shape[..4].iter().map(|byte| format!("{byte:02x}"));
    [status.to_string(), code, subcode, shape.collect()].join("/")
}

/// What an operator is shown of a failure; no words of the provider's.
pub(super) fn sample(answer: &Result<FreshTokens, RefreshError>) -> Option<String> {
    let error = answer.as_ref().err()?;
    let details = error.details();
    let parts = [
        details.http_status.map(|status| format!("status {status}")),
        details.provider_code.map(|code| format!("code {code}")),
        details
            .provider_subcode
            .map(|code| format!("subcode {code}")),
        details.reason,
        details.cause,
        details.shape.map(|shape| format!("body {shape}")),
        details.trace_id.map(|trace| format!("trace {trace}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Some(if parts.is_empty() {
        error.to_string()
    } else {
        parts.join(", ")
    })
}

#[cfg(test)]
mod tests;
