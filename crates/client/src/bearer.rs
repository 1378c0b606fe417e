//! Who brings the token that a call is made with.

use std::fmt::Debug;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::ClientError;

/// Something that brings bearer tokens.
#[async_trait]
pub trait Bearer: Debug + Send + Sync {
    /// A token that is good as far as one can tell without asking.
    ///
    /// # Errors
    ///
    /// Why there is none.
    async fn token(&self) -> Result<SecretString, ClientError>;

    /// Another token after the server did not accept `refused`; `None` if there is no other,
    /// which makes the 401 the answer. However many ask at once, one renewal is made.
    ///
    /// # Errors
    ///
    /// Why there is none, if something better can be said than the 401.
    async fn instead_of(&self, refused: &SecretString)
    -> Result<Option<SecretString>, ClientError>;
}

/// One token that is sent as it is: an admin token, or a service token used directly.
#[derive(Clone, Debug)]
pub struct FixedToken(pub SecretString);

#[async_trait]
impl Bearer for FixedToken {
    async fn token(&self) -> Result<SecretString, ClientError> {
        Ok(self.0.clone())
    }

    async fn instead_of(&self, _: &SecretString) -> Result<Option<SecretString>, ClientError> {
        Ok(None)
    }
}
