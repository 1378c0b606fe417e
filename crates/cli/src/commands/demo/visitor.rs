//! A person for the demo, so that its dashboard has somebody who can log in.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use store::{Admission, AuditEntry, NewUser, RegisterError};
use uuid::Uuid;

use crate::local::Local;

const EMAIL: &str = "demo@example.com";

/// How the person logs in; it goes with the demo.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) email: &'static str,
    pub(super) password: SecretString,
}

/// Registers the person with another password each time; the first one is platform admin.
/// `None` in a directory where somebody has registered before.
///
/// # Errors
///
/// If the database fails.
pub(super) async fn register(local: &Local) -> anyhow::Result<Option<Login>> {
    let bytes: [u8; 9] = rand::rng().random();
    let password = SecretString::from(URL_SAFE_NO_PAD.encode(bytes));
    let again = password.expose_secret().to_owned().into();
    let hash = local.accounts.passwords.hash(again).await;
    let new = NewUser {
        email: EMAIL.to_owned(),
        name: "Demo".to_owned(),
        password_hash: hash.context("the demo's password was not hashed")?,
    };
    let entry = AuditEntry {
        tenant: None,
        actor: "demo".to_owned(),
        action: "auth.register",
        target: String::new(),
        address: None,
        request_id: Uuid::now_v7(),
        details: serde_json::Value::Null,
    };
    match local.store.register(new, Admission::First, entry).await {
        Ok(_) => Ok(Some(Login {
            email: EMAIL,
            password,
        })),
        Err(RegisterError::Closed | RegisterError::Taken) => Ok(None),
        Err(RegisterError::Store(error)) => Err(error).context("nobody could be registered"),
    }
}
