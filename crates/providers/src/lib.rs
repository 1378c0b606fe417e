//! The only crate that calls a provider: what its credentials look like, how they
//! are kept fresh, and what each of its answers means.
//!
//! It knows no database, queue, vault or configuration. [`Providers`] holds one
//! [`Provider`] per kind, all over one HTTP client that is bounded in time and
//! size, follows no redirect, uses no proxy, and puts no URL into an error.
//!
//! # How to add a provider
//!
//! 1. Write `src/<name>.rs` with a struct that implements [`Provider`]. `tiktok.rs`
//!    is the shortest example of a rotating one, `facebook.rs` of several requests
//!    per refresh.
//! 2. Transcribe its errors into a `Matrix`: one row per row of the contract, in its
//!    order, because the first match wins. A function turns an answer into `Facts`;
//!    the rest (delays, redaction, details) is shared. Answers that no row knows are
//!    tried twice, then fatal.
//! 3. Read its import with `Fields`: what is not asked for is refused as unknown.
//! 4. Send requests through `Dialogue`, never past it: it asks the permit first and
//!    takes every credential out of what the provider says.
//! 5. Add its settings to [`ProviderSettings`] and one line to `registry.rs`.
//!
//! Tests: one table over the whole matrix, one for the import rules, and the happy
//! path against the simulator in `tests/it`.

mod delay;
mod dialogue;
mod error;
mod facebook;
mod facturify;
mod fields;
mod hex;
mod http;
mod import;
mod json;
mod jwt;
mod matrix;
mod meta;
mod provider;
mod redact;
mod registry;
mod settings;
mod tiktok;

pub use error::{BoxError, RefreshError, Refusal};
pub use import::{Accepted, FieldError, ImportRequest};
pub use provider::{Call, NotPermitted, Permit, Provider, Rotation};
pub use registry::Providers;
pub use settings::{
    FacturifySettings, MetaSettings, ProviderSettings, RefreshMethod, SettingsError, TikTokSettings,
};
