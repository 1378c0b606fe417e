//! Passwords: Argon2id (RFC 9106), on the blocking pool, a few at a time (S1.5).

use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Shortest password, in characters (NIST SP 800-63B section 5.1.1.2).
const SHORTEST: usize = 8;
/// Longest password, in characters: longer ones only cost time.
const LONGEST: usize = 256;

/// What one hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB, at least 8.
    pub memory_kib: u32,
    /// Passes over it, at least 1.
    pub passes: u32,
}

impl Default for PasswordCost {
    /// 19 MiB and two passes: the first choice of OWASP's Password Storage Cheat Sheet.
    fn default() -> Self {
        Self {
            memory_kib: Params::DEFAULT_M_COST,
            passes: Params::DEFAULT_T_COST,
        }
    }
}

/// A password that was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// It is too short or too long.
    #[error("must be {SHORTEST} to {LONGEST} characters")]
    Length,
    /// The machine could not do it.
    #[error("the password could not be hashed")]
    Failed,
}

/// Hashes and verifies, at most as many at once as the machine has cores: each
/// takes its memory, and a crowd at the log-in must not take all of it.
#[derive(Clone, Debug)]
pub struct Passwords {
    cost: Params,
    permits: Arc<Semaphore>,
    /// What a password for nobody is compared with, so that it takes as long.
    nobody: Arc<str>,
}

impl Passwords {
    /// With this cost for new hashes; old ones keep theirs.
    ///
    /// # Panics
    ///
    /// If the cost is below what Argon2 can do.
    #[must_use]
    pub fn new(cost: PasswordCost) -> Self {
        let cost =
            Params::new(cost.memory_kib, cost.passes, 1, None).expect("a cost that Argon2 can do");
        let nobody = hash(&cost, "nobody").expect("the cost was checked");
        Self {
            cost,
            permits: Arc::new(Semaphore::new(
                available_parallelism().map_or(2, usize::from),
            )),
            nobody: nobody.into(),
        }
    }

    /// The hash of a new password, in PHC form.
    ///
    /// # Errors
    ///
    /// [`PasswordError::Length`] outside of 8–256 characters; [`PasswordError::Failed`].
    pub async fn hash(&self, password: SecretString) -> Result<String, PasswordError> {
        let length = password.expose_secret().chars().count();
        if !(SHORTEST..=LONGEST).contains(&length) {
            return Err(PasswordError::Length);
        }
        let cost = self.cost.clone();
        let hashed = self
            .work(move || hash(&cost, password.expose_secret()))
            .await;
        hashed.flatten().ok_or(PasswordError::Failed)
    }

    /// Whether the password is the one that was hashed. `None`, for somebody who does
    /// not exist, takes as long and is always false.
    pub async fn verify(&self, password: SecretString, hashed: Option<String>) -> bool {
        let exists = hashed.is_some();
        let hashed = hashed.unwrap_or_else(|| self.nobody.to_string());
        let same = self
            .work(move || matches(password.expose_secret(), &hashed))
            .await;
        exists && same.unwrap_or(false)
    }

    async fn work<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let task = spawn_blocking(move || {
            let done = task();
            // Held by the work, not by a caller who may have gone.
            drop(permit);
            done
        });
        task.await.ok()
    }
}

fn hash(cost: &Params, password: &str) -> Option<String> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.clone());
    let hash = argon2.hash_password(password.as_bytes()).ok()?;
    Some(hash.to_string())
}

/// The cost is that of the hash.
fn matches(password: &str, hashed: &str) -> bool {
    PasswordHash::new(hashed).is_ok_and(|hashed| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hashed)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: PasswordCost = PasswordCost {
        memory_kib: 64,
        passes: 1,
    };

    #[tokio::test]
    async fn s1_5_passwords_are_hashed_with_argon2id_and_a_salt_of_their_own() {
        let passwords = Passwords::new(PasswordCost::default());

        let one = passwords
            .hash("correct horse".into())
            .await
            .expect("hashed");
        let other = passwords
            .hash("correct horse".into())
            .await
            .expect("hashed");

        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, other);
        assert!(
            passwords
                .verify("correct horse".into(), Some(one.clone()))
                .await
        );
        assert!(!passwords.verify("Correct horse".into(), Some(one)).await);
    }

    #[tokio::test]
    async fn nobody_has_no_password_and_a_broken_hash_matches_none() {
        let passwords = Passwords::new(CHEAP);

        assert!(!passwords.verify("nobody".into(), None).await);
        assert!(!passwords.verify("x".into(), Some("x".to_owned())).await);
    }

    #[tokio::test]
    async fn a_password_has_eight_to_256_characters() {
        let passwords = Passwords::new(CHEAP);
        let passes = async |text: String| passwords.hash(text.into()).await.is_ok();

        assert!(passes("contraseña".to_owned()).await);
        assert!(passes("ñ".repeat(256)).await);
        assert!(!passes("ñ".repeat(257)).await);
        assert!(!passes("seven77".to_owned()).await);
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_still_opens() {
        let old = Passwords::new(CHEAP).hash("correct horse".into()).await;

        let now = Passwords::new(PasswordCost {
            memory_kib: 128,
            passes: 2,
        });

        assert!(now.verify("correct horse".into(), old.ok()).await);
    }
}
