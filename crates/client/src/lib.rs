//! A client of tokenfleet's API, for programs and for the command line.
//!
//! ```no_run
//! # async fn example(service_token: secrecy::SecretString) -> Result<(), tokenfleet_client::ClientError> {
//! use secrecy::ExposeSecret as _;
//! use tokenfleet_client::{Server, TokenSource};
//!
//! let server = Server::new("https://tokens.example.com")?;
//! let client = server.client(TokenSource::new(server.clone(), service_token));
//!
//! let token = client.tenant("acme").channel("channel_123").token(300).await?;
//! println!("Authorization: Bearer {}", token.access_token.expose_secret());
//! # Ok(())
//! # }
//! ```
//!
//! | who calls | what it holds | [`Bearer`] |
//! | --- | --- | --- |
//! | a program | a service token | [`TokenSource`]: short access tokens, renewed before their end |
//! | a person | a log-in | [`Session`]: refreshed when needed, saved, shared between processes |
//! | anybody | any token | [`FixedToken`]: sent as it is |
//!
//! However many requests wait, one renewal is under way; a request that met a 401 is sent
//! again once, with the new token.

mod api;
mod bearer;
mod call;
mod client;
mod error;
mod events;
mod http;
mod keeper;
mod living;
mod problem;
mod server;
mod session;
mod token_source;

pub use api::{
    Accepted, Attempt, Batch, Channel, ChannelApi, ChannelFilter, ChannelPatch, EndingGrant,
    Forecast, ForecastCalls, Freshness, FreshnessFigures, FreshnessSpan, Invitation, Job, JobApi,
    JobFilter, JobStatus, Lag, LastError, Later, Member, NeedPerson, NewChannel, NewInvitation,
    NewServiceToken, NewTenant, Page, Paging, Person, PlatformFreshness, ProviderCalls, Refreshed,
    RefreshedMany, Report, Schedule, ServiceToken, Statistics, Tenant, TenantApi, TenantFreshness,
    Token,
};
pub use bearer::{Bearer, FixedToken};
pub use call::Call;
pub use client::Client;
pub use error::ClientError;
pub use events::{Events, ServerEvent};
pub use http::http_client;
pub use problem::{FieldError, Problem};
pub use server::{LoginPair, Server, ServiceAccess};
pub use session::{FileStorage, MemoryStorage, SavedLogin, Session, SessionStorage, StorageError};
pub use token_source::TokenSource;
