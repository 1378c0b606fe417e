//! Channels as the benchmarks fill their databases with them.

use std::time::Duration;

use domain::{
    ChannelState, ChannelUid, Generation, Grant, Name, ProviderName, TenantUid, Timestamp,
};
use store::{Facts, NewChannel};
use vault::Vault;

/// Time left to the access token of a channel that is due.
const LEFT: Duration = Duration::from_mins(30);

/// A channel of TikTok's with this refresh token, due at this time.
#[must_use]
pub fn due_at(
    due_at: Timestamp,
    tenant: TenantUid,
    app_identity: &str,
    refresh_token: String,
    vault: &Vault,
) -> NewChannel {
    let uid = ChannelUid::generate();
    let id = Name::generate("channel");
    let grant = Grant {
        access_token: Some(format!("act.{uid}").into()),
        refresh_token: Some(refresh_token.into()),
        ..Grant::default()
    };
    NewChannel {
        uid,
        tenant,
        provider: ProviderName::from_static("tiktok"),
        app_identity: app_identity.to_owned(),
        display_name: id.to_string(),
        id,
        local_name: None,
        sealed: vault.seal(uid, Generation(1), &grant),
        facts: Facts {
            state: ChannelState::Active,
            reason: None,
            access_expires_at: Some(due_at.plus(LEFT)),
            refresh_expires_at: None,
            refresh_due_at: Some(due_at),
            external_id: None,
            has_refresh_material: true,
        },
    }
}
