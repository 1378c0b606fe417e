//! S2.3: `GET /api/v1/tenants/{tenant}/channels/needing-refresh`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use domain::{Timestamp, TokenExpirationInfo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::Channel;

use crate::App;
use crate::extract::{InTenant, Params, within};
use crate::limits::MINUTES_MAX;
use crate::problem::Problem;

/// The window when neither the caller nor the tenant's schedule names one, in minutes.
const DEFAULT_MINUTES: u32 = 60;

/// How far ahead to look.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    /// The window; that of the tenant's schedule if it is not given, else 60.
    #[schemars(range(min = 0, max = MINUTES_MAX))]
    refresh_before_minutes: Option<i64>,
}

/// The channels that need a refresh, those that expire first in front.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Expiring {
    success: bool,
    channels: Vec<TokenExpirationInfo>,
}

/// Lists what expires within the window, and what has expired but can be refreshed.
pub(super) async fn list(
    State(app): State<App>,
    InTenant(tenant): InTenant,
    Params(query): Params<Query>,
) -> Result<Json<Expiring>, Problem> {
    let minutes = match query.refresh_before_minutes {
        Some(minutes) => within("refresh_before_minutes", minutes, 0..=MINUTES_MAX)
            .map_err(|error| Problem::invalid(vec![error]))?
            .unsigned_abs(),
        None => app
            .store
            .schedule(tenant.uid)
            .await?
            .and_then(|schedule| schedule.refresh_before_minutes)
            .unwrap_or(DEFAULT_MINUTES)
            .into(),
    };
    let now = app.store.now().await?;
    let window = Duration::from_mins(minutes);
    let channels = app.store.needing_refresh(tenant.uid, window, None).await?;
    Ok(Json(Expiring {
        success: true,
        channels: channels.iter().filter_map(|it| info(it, now)).collect(),
    }))
}

fn info(channel: &Channel, now: Timestamp) -> Option<TokenExpirationInfo> {
    let expires_at = channel.access_expires_at?;
    let left_ms = expires_at.as_millis().saturating_sub(now.as_millis());
    Some(TokenExpirationInfo {
        channel_id: channel.id.to_string(),
        channel_type: channel.provider.to_string(),
        display_name: channel.display_name.clone(),
        local_name: channel.local_name.clone(),
        expires_at,
        minutes_until_expiration: left_ms.div_euclid(60_000),
        has_refresh_token: channel.has_refresh_material,
    })
}
