//! What the fleet shares in Redis beside jobs: values that live for a while and
//! may be lost.
//!
//! | value | calls | when Redis forgets it |
//! | --- | --- | --- |
//! | one-time tokens | [`Cache::issue`], [`Cache::peek`], [`Cache::consume`] | they are void |
//! | rate limits | [`Cache::spend`], [`Cache::look`] | every bucket is full again |
//! | answers to repeat | [`Cache::begin`], [`Cache::finish`], [`Cache::abandon`] | a repeated request is a new one |
//! | marks | [`Cache::mark`] | what was done once may be done once more |
//! | what waits for a word | [`Cache::let_wait`], [`Cache::waiting`], [`Cache::end_waiting`] | it is void |
//! | slips on a board | [`Cache::slip`], [`Cache::swap_slip`], [`Cache::slips`] | the fleet learns anew |
//! | budgets of requests | [`Cache::draw`] | every budget is whole again |
//! | answers in escrow | [`Cache::deposit`], [`Cache::deposits`], [`Cache::forget_deposit`] | the first stands in a file |
//! | second copies | [`Cache::publish`] | nobody misses them: the database has the first |
//!
//! Keys begin with the fleet's prefix, except those that others know by name, and
//! every key has an end of life. No key and no value holds a secret: tokens are
//! hashed, copies are sealed by whoever brings them. Times are Redis' own. Each
//! call is one command or one script on one key, so any shard will do.

mod answers;
mod budgets;
mod copies;
mod deposits;
mod error;
mod keys;
mod limits;
mod link;
mod marks;
mod one_time;
mod settings;
mod slips;
mod waiting;
mod wire;

use std::sync::Arc;

use secrecy::ExposeSecret as _;

use crate::link::Link;

pub use answers::{Begun, Claim, StoredAnswer};
pub use budgets::Drawn;
pub use copies::Copy;
pub use error::{CacheError, ConnectError};
pub use limits::{Allowance, Quota};
pub use one_time::Purpose;
pub use settings::CacheOptions;
pub use slips::{Slip, Swapped};

/// The fleet's shared values: one per process, cheap to clone.
///
/// All callers share one connection, which is opened when it is first needed and
/// opened again when it breaks.
#[derive(Clone, Debug)]
pub struct Cache {
    link: Arc<Link>,
    prefix: Arc<str>,
}

impl Cache {
    /// Values on this Redis. Nothing is asked of it yet: a process that can do
    /// without them starts also while it is away.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the address is not one.
    pub fn open(options: CacheOptions) -> Result<Self, ConnectError> {
        let link = Link::open(options.url.expose_secret(), &options)?;
        Ok(Self {
            link: Arc::new(link),
            prefix: options.prefix.into(),
        })
    }
}
