//! The tokens that stand for a person or a program, made and read.

use std::time::Duration;

use domain::{Scope, ServiceTokenUid, SessionUid, Timestamp, UserUid};
use secrecy::SecretString;
use uuid::Uuid;

use crate::jwt::{self, Claims, Kind, seconds};
use crate::opaque::random_text;
use crate::{SigningKeys, TokenError};

/// How long tokens live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An access token, also one made from a service token.
    pub access: Duration,
    /// A refresh token; each rotation begins anew.
    pub refresh: Duration,
}

impl Default for Lifetimes {
    /// Fifteen minutes and seven days.
    fn default() -> Self {
        Self {
            access: Duration::from_mins(15),
            refresh: Duration::from_hours(7 * 24),
        }
    }
}

/// Whom an access token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessOf {
    /// A person, by one log-in.
    User {
        /// Who.
        user: UserUid,
        /// The log-in; the token dies with it.
        session: SessionUid,
    },
    /// A program; the token dies with the service token that it was made from.
    Service {
        /// The service token.
        token: ServiceTokenUid,
        /// What it allowed when the access token was made.
        scopes: Vec<Scope>,
    },
}

/// Whose refresh token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshOf {
    /// Who.
    pub user: UserUid,
    /// The family that it belongs to.
    pub session: SessionUid,
}

/// Makes and reads tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    access: SigningKeys,
    refresh: SigningKeys,
    /// How long what it makes lives.
    pub lifetimes: Lifetimes,
}

impl Tokens {
    /// `access` signs access and service tokens, `refresh` refresh tokens.
    #[must_use]
    pub const fn new(access: SigningKeys, refresh: SigningKeys, lifetimes: Lifetimes) -> Self {
        Self {
            access,
            refresh,
            lifetimes,
        }
    }

    /// An access token, from now on.
    #[must_use]
    pub fn access(&self, of: &AccessOf, now: Timestamp) -> SecretString {
        let id = Uuid::now_v7().as_simple().to_string();
        let (sub, sid, scope) = match of {
            AccessOf::User { user, session } => {
                (format!("user:{user}"), Some(session.to_string()), None)
            }
            AccessOf::Service { token, scopes } => (
                format!("service_token:{token}"),
                None,
                Some(Scope::join(scopes)),
            ),
        };
        let claims = Claims {
            exp: Some(seconds(now.plus(self.lifetimes.access))),
            sid,
            scope,
            ..Claims::new(Kind::Access, sub, id, now)
        };
        jwt::encode(&self.access, Kind::Access, &claims).into()
    }

    /// Whom an access token stands for.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if it is none of ours, or its time is over.
    pub fn read_access(&self, token: &str, now: Timestamp) -> Result<AccessOf, TokenError> {
        let claims = jwt::decode(&self.access, Kind::Access, token, now)?;
        access_of(&claims).ok_or(TokenError::Malformed)
    }

    /// A refresh token, from now on; no two are alike.
    #[must_use]
    pub fn refresh(&self, of: RefreshOf, now: Timestamp) -> SecretString {
        let claims = Claims {
            exp: Some(seconds(now.plus(self.lifetimes.refresh))),
            sid: Some(of.session.to_string()),
            ..Claims::new(
                Kind::Refresh,
                format!("user:{}", of.user),
                random_text(),
                now,
            )
        };
        jwt::encode(&self.refresh, Kind::Refresh, &claims).into()
    }

    /// Whose a refresh token is. Whether it was spent, only the database knows.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if it is none of ours, or its time is over.
    pub fn read_refresh(&self, token: &str, now: Timestamp) -> Result<RefreshOf, TokenError> {
        let claims = jwt::decode(&self.refresh, Kind::Refresh, token, now)?;
        let user = claims
            .sub
            .strip_prefix("user:")
            .and_then(|uid| uid.parse().ok());
        let session = claims.sid.and_then(|uid| uid.parse().ok());
        let (Some(user), Some(session)) = (user, session) else {
            return Err(TokenError::Malformed);
        };
        Ok(RefreshOf { user, session })
    }

    /// A service token until `expires_at`; `None` is eternal.
    #[must_use]
    pub fn service(
        &self,
        token: ServiceTokenUid,
        scopes: &[Scope],
        now: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> SecretString {
        let claims = Claims {
            exp: expires_at.map(seconds),
            scope: Some(Scope::join(scopes)),
            ..Claims::new(
                Kind::Service,
                format!("service_token:{token}"),
                token.to_string(),
                now,
            )
        };
        jwt::encode(&self.access, Kind::Service, &claims).into()
    }

    /// Which service token a text says it is. Nothing is proven by that: the database has
    /// its digest, so that a service token outlives the key that signed it.
    #[must_use]
    pub fn claimed_service(token: &str) -> Option<ServiceTokenUid> {
        jwt::claimed_id(Kind::Service, token)?.parse().ok()
    }

    /// The keys that sign access and service tokens.
    #[must_use]
    pub const fn access_keys(&self) -> &SigningKeys {
        &self.access
    }
}

fn access_of(claims: &Claims) -> Option<AccessOf> {
    if let Some(user) = claims.sub.strip_prefix("user:") {
        return Some(AccessOf::User {
            user: user.parse().ok()?,
            session: claims.sid.as_ref()?.parse().ok()?,
        });
    }
    Some(AccessOf::Service {
        token: claims.sub.strip_prefix("service_token:")?.parse().ok()?,
        scopes: Scope::split(claims.scope.as_ref()?).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_216_000_000);

    fn tokens() -> Tokens {
        let keys = |text: &str| SigningKeys::parse(&text.into()).expect("good secrets");
        Tokens::new(keys("access"), keys("refresh"), Lifetimes::default())
    }

    #[test]
    fn an_access_token_tells_whom_it_stands_for_until_its_end() {
        let tokens = tokens();
        let person = AccessOf::User {
            user: UserUid::generate(),
            session: SessionUid::generate(),
        };
        let program = AccessOf::Service {
            token: ServiceTokenUid::generate(),
            scopes: vec![Scope::Refresh, Scope::JobsRead],
        };

        for of in [person, program] {
            let token = tokens.access(&of, NOW);
            let read = |at| tokens.read_access(token.expose_secret(), at);

            assert_eq!(read(NOW), Ok(of));
            let end = NOW.plus(Duration::from_mins(15));
            assert_eq!(read(end), Err(TokenError::Expired));
        }
    }

    #[test]
    fn no_kind_of_token_passes_for_another() {
        let tokens = tokens();
        let of = RefreshOf {
            user: UserUid::generate(),
            session: SessionUid::generate(),
        };
        let id = ServiceTokenUid::generate();

        let refresh = tokens.refresh(of, NOW);
        let service = tokens.service(id, &[Scope::Admin], NOW, None);

        let (refresh, service) = (refresh.expose_secret(), service.expose_secret());
        assert_eq!(tokens.read_refresh(refresh, NOW), Ok(of));
        assert_eq!(Tokens::claimed_service(service), Some(id));
        assert!(tokens.read_access(refresh, NOW).is_err());
        assert!(tokens.read_access(service, NOW).is_err());
        assert!(tokens.read_refresh(service, NOW).is_err());
        assert_eq!(Tokens::claimed_service(refresh), None);
    }

    #[test]
    fn refresh_tokens_made_at_once_differ() {
        let tokens = tokens();
        let of = RefreshOf {
            user: UserUid::generate(),
            session: SessionUid::generate(),
        };

        let (one, other) = (tokens.refresh(of, NOW), tokens.refresh(of, NOW));

        assert_ne!(one.expose_secret(), other.expose_secret());
    }
}
