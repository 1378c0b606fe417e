//! The settings of tokenfleet: where they come from, what they may be, and how they are told.
//!
//! One table, [`catalog::ALL`], lists every setting with its key, its names in
//! the environment, its kind and one line about it. Everything else follows the
//! table: reading the environment, `…_FILE` for every secret, the messages for
//! wrong values, `config check` and `docs/settings.md`.
//!
//! A value comes from, later ones winning: the embedded `default.toml`, the file
//! `tokenfleet.toml`, the file `.env`, the environment, a flag of the command
//! line. This crate knows no other crate of ours, and no other crate reads the
//! environment.

pub mod catalog;
mod check;
mod compose;
mod consistency;
mod database_url;
mod dotenv;
mod duration;
mod environment;
mod error;
mod file;
mod kind;
mod load;
mod master_keys;
mod providers;
mod redis_url;
mod reference;
mod report;
mod setting;
mod settings;
mod source;
mod values;

pub use environment::{Environment, on_path, user_directory};
pub use error::SettingsError;
pub use kind::Kind;
pub use load::{LoadOptions, Loaded, Override};
pub use providers::{
    BodyFormat, ClientAuth, Facturify, Instagram, Meta, OAuth2, PlainProvider, Providers, Rotation,
    ServiceToken, TikTok, TikTokBusiness,
};
pub use reference::reference;
pub use report::Effective;
pub use setting::{Alias, Bare, Setting};
pub use settings::{
    Api, Auth, Client, Database, Log, LogFormat, Queue, RateLimit, Redis, Registration, Retention,
    Scheduler, Settings, Webhooks, Worker,
};
pub use source::Source;
