//! The only crate that calls a provider: what its credentials look like, how they
//! are kept fresh, and what each of its answers means.
//!
//! It knows no database, queue, vault or configuration. [`Providers`] holds one
//! [`Provider`] per kind, all over one HTTP client that is bounded in time and
//! size, follows no redirect, uses no proxy, and puts no URL into an error.
//!
//! Addresses that a tenant supplied are called through [`Egress`] alone. Generic
//! OAuth 2.0 providers are described by data, in the settings or in the catalogue;
//! `docs/a-new-provider.md` tells how to add either kind.

mod connect;
mod delay;
mod dialogue;
mod egress;
mod error;
mod facebook;
mod facturify;
mod fields;
mod hex;
mod http;
mod import;
mod instagram;
mod json;
mod jwt;
mod matrix;
mod meta;
mod oauth2;
mod provider;
mod redact;
mod registry;
mod service_token;
mod settings;
mod shape;
mod silence;
mod tiktok;
mod tiktok_business;
mod tiktok_legacy;
mod token_pair;
mod upstream;
mod whatsapp;

pub use connect::{Asking, Connect, Connected, Granted, SameAccount};
pub use egress::{Egress, EgressRefusal, Post, PostError, Posted, check_target};
pub use error::{BoxError, RefreshError, Refusal};
pub use facturify::{FACTURIFY_OF_SETTINGS, facturify_anew, is_facturify_anew};
pub use import::{Accepted, FieldError, ImportRequest};
pub use oauth2::{AuthStyle, BodyFormat, ErrorWords, OAuth2Settings, TokenRotation};
pub use provider::{Call, NotPermitted, Permit, Provider, Rotation};
pub use registry::Providers;
pub use settings::{
    FacturifySettings, InstagramSettings, MetaSettings, ProviderSettings, RefreshMethod,
    ServiceTokenSettings, SettingsError, TikTokBusinessSettings, TikTokLegacySettings,
    TikTokSettings,
};
pub use upstream::Upstream;
