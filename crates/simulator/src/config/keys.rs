//! What is settled about providers whose channels have a lasting key.

use std::time::Duration;

/// Facturify (contracts §5).
#[derive(Clone, Debug)]
pub struct FacturifySettings {
    /// A token from `/auth`.
    pub first_lifetime: Duration,
    /// A token from `/token/refresh`.
    pub refreshed_lifetime: Duration,
    /// For how long after its end a token can still be refreshed; the contract
    /// leaves it open.
    pub refresh_grace: Duration,
    /// Which method `/token/refresh` takes; any other is answered with 405.
    pub refresh_method: RefreshMethod,
}

impl Default for FacturifySettings {
    fn default() -> Self {
        Self {
            first_lifetime: Duration::from_mins(4),
            refreshed_lifetime: Duration::from_hours(12),
            refresh_grace: Duration::ZERO,
            refresh_method: RefreshMethod::Post,
        }
    }
}

/// The method of Facturify's refresh: the requirements say `GET`, its clients send `POST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshMethod {
    /// Only `POST`.
    Post,
    /// Only `GET`.
    Get,
}

/// An API with two-level service tokens (contracts §6).
#[derive(Clone, Debug)]
pub struct ServiceTokenSettings {
    /// An access token; `expires_in` of every answer that has it.
    pub access_lifetime: Duration,
    /// A service token that was minted with an end.
    pub service_lifetime: Duration,
}

impl Default for ServiceTokenSettings {
    fn default() -> Self {
        Self {
            access_lifetime: Duration::from_mins(15),
            service_lifetime: Duration::from_hours(24 * 90),
        }
    }
}
