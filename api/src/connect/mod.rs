//! People connect accounts themselves (S5.1): a link, their consent at the provider, and
//! what its code brings.
//!
//! ```text
//! connect link ──GET──► who asks for what ──POST──► the provider ──► /connect/callback
//!  (ticket)              (burns nothing)   (ticket is used up,        (consent is used up,
//!                                           consent begins)            code is exchanged)
//! ```
//! A ticket is a one-time token; so is the `state` that a browser brings back from the
//! provider, which counts in that browser alone. Nothing of it is a secret of anybody
//! else's, and none of it outlives Redis.

mod account;
mod bring;
mod browser;
mod consent;
mod page;
mod ticket;
pub(crate) mod words;

pub(crate) use account::{NewAccount, confirm};
use bring::{Brought, bring};
pub(crate) use browser::{Browser, challenge};
pub(crate) use consent::Consent;
pub(crate) use page::{Page, escaped};
pub(crate) use ticket::{Goal, Ticket, begin, callback_url, end, link};
