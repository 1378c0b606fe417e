//! A log-in as it is saved.

use domain::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// A log-in as it is saved. `Debug` hides its tokens; serializing shows them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedLogin {
    /// The address of the server that it is for.
    pub server: String,
    /// Who logged in.
    pub email: String,
    /// Goes with every call.
    #[serde(serialize_with = "expose")]
    pub access_token: SecretString,
    /// Brings the next pair, once.
    #[serde(serialize_with = "expose")]
    pub refresh_token: SecretString,
    /// When the pair came.
    pub obtained_at: Timestamp,
    /// Seconds that the access token lives from then on.
    pub expires_in: u64,
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}
