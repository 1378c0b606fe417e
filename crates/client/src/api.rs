//! The API's resources: one handle and one file of shapes for each.
//!
//! Members that a newer server adds are ignored.

mod channels;
mod jobs;
mod people;
mod stats;
mod tenants;
mod tokens;

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::Value;

use crate::{Call, ClientError};

pub use channels::{
    Attempt, Channel, ChannelApi, ChannelFilter, ChannelPatch, LastError, NewChannel,
};
pub use jobs::{
    Accepted, Batch, Job, JobApi, JobFilter, JobStatus, Later, Refreshed, RefreshedMany,
};
pub use people::{Invitation, Member, NewInvitation, NewServiceToken, Person, ServiceToken};
pub use stats::{
    EndingGrant, Forecast, ForecastCalls, Freshness, FreshnessFigures, FreshnessSpan, Lag,
    NeedPerson, PlatformFreshness, ProviderCalls, TenantFreshness,
};
pub use tenants::{NewTenant, Schedule, Statistics, Tenant, TenantApi};
pub use tokens::{Report, Token};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Page<T> {
    /// In the order of the list.
    pub items: Vec<T>,
    /// The cursor of the next page; `None` at the end.
    pub next_cursor: Option<String>,
}

/// Which page of a list; the default is the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paging {
    /// The [`Page::next_cursor`] of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 if left out.
    pub limit: Option<u32>,
}

impl Paging {
    fn on(&self, call: Call) -> Call {
        call.query("cursor", self.cursor.as_ref())
            .query("limit", self.limit)
    }
}

/// An object of the members that are not null.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let members = members
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value));
    Value::Object(members.collect())
}

/// One of two shapes, told apart by a member that only the first one has.
fn either<A, B>(value: Value, first: &str) -> Result<Result<A, B>, serde_json::Error>
where
    A: for<'de> Deserialize<'de>,
    B: for<'de> Deserialize<'de>,
{
    if !value.is_object() {
        return Err(serde_json::Error::custom("no object"));
    }
    if value.get(first).is_some() {
        serde_json::from_value(value).map(Ok)
    } else {
        serde_json::from_value(value).map(Err)
    }
}

/// What a shape that does not fit is to the caller.
fn unreadable(address: &str) -> ClientError {
    ClientError::Unreadable {
        server: address.to_owned(),
        status: 200,
    }
}
