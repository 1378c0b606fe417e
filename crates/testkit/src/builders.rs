//! Tenants, channels and jobs with plain values, to be changed where a test cares.

use std::time::Duration;

use domain::{
    AttemptOutcome, AttemptRecord, ChannelState, ChannelUid, Details, EndpointUid, EventKind, Name,
    ProcessUid, ProviderName, Sealed, TenantUid, Timestamp,
};
use store::{
    Change, Channel, Endpoint, Facts, Finish, Lease, LeaseRequest, NewChannel, NewEndpoint, Store,
    Tenant,
};
use uuid::Uuid;

/// A stored tenant.
///
/// # Panics
///
/// If the database fails.
pub async fn tenant(store: &Store) -> Tenant {
    let tenant = store.create_tenant(None, None).await;
    tenant.expect("a generated id is free")
}

/// An envelope of nothing, with the fingerprint of `label`.
#[must_use]
pub fn sealed(label: &str) -> Sealed {
    let mut fingerprint = [0; 16];
    for (place, byte) in fingerprint.iter_mut().zip(label.bytes()) {
        *place = byte;
    }
    Sealed {
        envelope: format!("envelope of {label}").into_bytes(),
        key_id: "key-1".to_owned(),
        fingerprint,
    }
}

/// An active grant that ends at this instant and is due a tenth of an hour before.
#[must_use]
pub fn facts(access_expires_at: Timestamp) -> Facts {
    Facts {
        state: ChannelState::Active,
        reason: None,
        access_expires_at: Some(access_expires_at),
        refresh_expires_at: None,
        refresh_due_at: Some(access_expires_at.minus(Duration::from_mins(6))),
        external_id: None,
        has_refresh_material: true,
    }
}

/// A channel to import, at `tiktok`, active with [`facts`].
#[must_use]
pub fn channel(tenant: TenantUid, access_expires_at: Timestamp) -> NewChannel {
    let id = Name::generate("channel");
    NewChannel {
        uid: ChannelUid::generate(),
        tenant,
        provider: ProviderName::from_static("tiktok"),
        app_identity: "app".to_owned(),
        display_name: id.to_string(),
        id,
        local_name: None,
        sealed: sealed("first"),
        facts: facts(access_expires_at),
    }
}

/// Stored channels.
///
/// # Panics
///
/// If one is not stored.
pub async fn channels(store: &Store, new: Vec<NewChannel>) -> Vec<Channel> {
    let stored: Result<Vec<_>, _> = store.import_channels(new).await.into_iter().collect();
    stored.expect("their ids are free")
}

/// A stored webhook endpoint that hears of these.
///
/// # Panics
///
/// If it is not stored.
pub async fn endpoint(store: &Store, tenant: TenantUid, events: &[EventKind]) -> Endpoint {
    let new = NewEndpoint {
        uid: EndpointUid::generate(),
        tenant,
        url: "https://hooks.example/in".to_owned(),
        events: events.to_vec(),
        sealed: sealed("webhook"),
    };
    let stored = store.create_endpoint(new, 20).await;
    stored.expect("the tenant has few")
}

/// A request for the lease of a channel, by a rotating provider's job `job`.
#[must_use]
pub fn lease_request(channel: &Channel) -> LeaseRequest {
    LeaseRequest {
        channel: channel.uid,
        generation: channel.generation,
        job_id: "job".to_owned(),
        attempt: 1,
        owner: ProcessUid::generate(),
        ttl: Duration::from_secs(90),
        rotating: true,
        takeover_grace: Duration::from_mins(10),
        provider_timeout: Duration::from_secs(30),
        dead_owner: None,
    }
}

/// A successful first attempt that ends this job.
#[must_use]
pub fn attempt(channel: &Channel, job_id: &str) -> AttemptRecord {
    AttemptRecord {
        uid: Uuid::now_v7(),
        tenant: channel.tenant,
        channel: channel.uid,
        job_id: job_id.to_owned(),
        attempt: 1,
        started_at: channel.created_at,
        duration: Duration::from_millis(120),
        outcome: AttemptOutcome::Refreshed,
        ends_job: true,
        generation: None,
        new_expires_at: None,
        replaced: None,
        details: Details::default(),
    }
}

/// What `job` under this lease came to.
#[must_use]
pub fn finish(lease: &Lease, job_id: &str, change: Change) -> Finish {
    Finish {
        epoch: lease.epoch,
        tells_refreshes: lease.tells_refreshes,
        generation: lease.channel.generation,
        change,
        attempt: AttemptRecord {
            replaced: Some(lease.replaced()),
            ..attempt(&lease.channel, job_id)
        },
    }
}
