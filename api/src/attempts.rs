//! How often somebody may try to prove who he is: strict limits, per address and per account.
//!
//! They are counted in Redis for all processes. While it is away nobody can count, and
//! the door stays shut: guessing passwords must not get easier by that.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::App;
use crate::origin::Origin;
use crate::problem::Problem;
use crate::throttle::{Bucket, Spent};

/// Which calls of an address count as attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempts {
    /// All of them: log-in, registration and what else takes a password.
    All,
    /// Those that fail: programs renew their tokens often, and rightly.
    Failed,
}

/// Refuses who has tried too often lately from this address.
pub(crate) async fn limit(
    State((app, counted)): State<(App, Attempts)>,
    request: Request,
    next: Next,
) -> Response {
    let address = address_of(&request);
    let spent = match count(&app, &address, counted == Attempts::All).await {
        Ok(spent) => spent,
        Err(problem) => return problem.into_response(),
    };
    let mut response = next.run(request).await;
    if counted == Attempts::Failed && response.status().is_client_error() {
        // While nobody can count, the next look is refused anyway.
        drop(count(&app, &address, true).await);
    }
    spent.tell(response.headers_mut());
    response
}

/// Counts an attempt on an account, by the name that was brought: whether it exists
/// makes no difference.
///
/// # Errors
///
/// A 429 if there were too many; 503 while nobody can count.
pub(crate) async fn on_account(app: &App, account: &str) -> Result<(), Problem> {
    let subject = format!("account {}", account.to_lowercase());
    count(app, &subject, true).await.map(drop)
}

async fn count(app: &App, subject: &str, spend: bool) -> Result<Spent, Problem> {
    let quota = Bucket::Auth.quota(app.settings.rate_limits);
    let name = Bucket::Auth.name();
    let left = if spend {
        app.cache.spend(name, subject, quota).await?
    } else {
        app.cache.look(name, subject, quota).await?
    };
    Spent::new(Bucket::Auth, quota, left).checked()
}

/// Who cannot be told apart shares a quota.
fn address_of(request: &Request) -> String {
    let origin = request.extensions().get::<Origin>();
    let address = origin.and_then(|origin| origin.address);
    address.map_or_else(
        || "address unknown".to_owned(),
        |address| format!("address {}", household(address)),
    )
}

/// Who has one IPv6 address has the 2^64 of its network too.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_one_ipv6_network_share_a_quota() {
        let shared = |text: &str| household(text.parse().expect("an address")).to_string();

        assert_eq!(shared("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(shared("192.0.2.7"), "192.0.2.7");
        assert_eq!(shared("::ffff:192.0.2.7"), "192.0.2.7");
    }
}
