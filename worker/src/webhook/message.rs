//! One event as a receiver gets it: Standard Webhooks, version 1.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{EventKind, Timestamp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::Sha256;
use store::Delivery;

/// What secrets begin with; the rest is base64.
const PREFIX: &str = "whsec_";

/// What is posted. Id and body are the same for every try.
pub(super) struct Message {
    /// By which the receiver knows a repetition.
    pub(super) id: String,
    /// Id, time and signature.
    pub(super) headers: [(&'static str, String); 3],
    /// JSON.
    pub(super) body: String,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: EventKind,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    tenant_id: &'a str,
    #[serde(flatten)]
    told: &'a Map<String, Value>,
}

impl Message {
    /// The event, signed at `now` with the endpoint's secret.
    pub(super) fn new(delivery: &Delivery, now: Timestamp, secret: &SecretString) -> Self {
        let id = format!("msg_{}", delivery.event.as_simple());
        let nothing = Map::new();
        let body = Body {
            r#type: delivery.kind,
            timestamp: delivery.at,
            data: Data {
                tenant_id: &delivery.tenant_id,
                told: delivery.payload.as_object().unwrap_or(&nothing),
            },
        };
        let body = serde_json::to_string(&body).expect("texts and numbers have a JSON form");
        let timestamp = now.as_millis() / 1000;
        let signature = sign(secret, &format!("{id}.{timestamp}.{body}"));
        Self {
            headers: [
                ("webhook-id", id.clone()),
                ("webhook-timestamp", timestamp.to_string()),
                ("webhook-signature", signature),
            ],
            id,
            body,
        }
    }
}

/// `v1,` and the HMAC-SHA-256 in base64.
fn sign(secret: &SecretString, signed: &str) -> String {
    let secret = secret.expose_secret();
    let encoded = secret.strip_prefix(PREFIX).unwrap_or(secret);
    // Checked when the endpoint was made.
    let key = STANDARD.decode(encoded).unwrap_or_default();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    mac.update(signed.as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_signature_is_that_of_the_reference() {
        let secret = SecretString::from("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let body = r#"{"email":"test@example.com","username":"test_user"}"#;

        let signature = sign(
            &secret,
            &format!("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk.1649367553.{body}"),
        );

        assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn every_try_has_the_same_id_and_body_and_a_signature_of_its_own() {
        let delivery = Delivery {
            event: Uuid::nil(),
            kind: EventKind::NeedsReauth,
            at: Timestamp::from_secs(1_795_176_000),
            payload: json!({ "channel_id": "channel_123", "state": "needs_reauth" }),
            tenant_id: "acme".to_owned(),
            attempts: 0,
        };
        let secret = SecretString::from("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");

        let first = Message::new(&delivery, Timestamp::from_secs(1), &secret);
        let second = Message::new(&delivery, Timestamp::from_secs(2), &secret);

        assert_eq!(first.id, "msg_00000000000000000000000000000000");
        let body = json!({
            "type": "channel.needs_reauth",
            "timestamp": "2026-11-20T12:00:00.000Z",
            "data": {
                "tenant_id": "acme", "channel_id": "channel_123", "state": "needs_reauth",
            },
        });
        assert_eq!(serde_json::from_str::<Value>(&first.body).ok(), Some(body));
        assert_eq!((&first.id, &first.body), (&second.id, &second.body));
        assert_ne!(first.headers, second.headers);
    }
}
