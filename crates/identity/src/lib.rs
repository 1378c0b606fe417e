//! The secrets of our own users: passwords, and the tokens that stand for a person
//! or a program. The only crate that hashes a password or signs a token.
//!
//! | kind | form | how it is checked |
//! | --- | --- | --- |
//! | password | Argon2id in PHC form | [`Passwords::verify`], on the blocking pool, bounded |
//! | access token | JWT, `typ` `at+jwt` | signature, then whether its log-in or service token lives |
//! | refresh token | JWT, `typ` `rt+jwt` | signature, then its digest among the living of its family |
//! | service token | JWT, `typ` `st+jwt` | its digest in the database |
//! | invitation | random text | its digest in the database |
//!
//! The database never sees a token, only its [`Digest`].

mod jwt;
mod keys;
mod opaque;
mod password;
mod tokens;

pub use jwt::{Peeked, TokenError, peek};
pub use keys::{KeyError, SigningKeys};
pub use opaque::{Digest, bootstrap_token, invitation_token};
pub use password::{PasswordCost, PasswordError, Passwords};
pub use tokens::{AccessOf, Lifetimes, RefreshOf, Tokens};
