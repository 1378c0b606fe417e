//! The kinds of jobs: what they carry, which queue they go to, and under which key.
//!
//! A job carries ids only. "Refresh now", "refresh later", a tenant's sweep, a
//! reported token and the scheduler all end in [`refresh`], so that there is one
//! live job per channel whoever asks.

use domain::{
    ChannelUid, Details, EndpointUid, ErrorClass, Generation, ProviderName, TenantUid, Timestamp,
};
use queue::{JobId, NewJob, QueueName, When};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const REFRESH: &str = "refresh:";

/// Refresh one channel. The generation it is asked for is the job's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshChannel {
    /// Whose channel.
    #[serde(rename = "t")]
    pub tenant: TenantUid,
    /// Which channel.
    #[serde(rename = "c")]
    pub channel: ChannelUid,
}

/// Sweep one tenant for one slot of its schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepTenant {
    /// Whose channels.
    #[serde(rename = "t")]
    pub tenant: TenantUid,
    /// The tenant's schedule.
    #[serde(rename = "s")]
    pub schedule: Uuid,
    /// When the slot was.
    #[serde(rename = "at")]
    pub slot: Timestamp,
}

/// Tell one webhook endpoint what waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitEndpoint {
    /// Whose endpoint.
    #[serde(rename = "t")]
    pub tenant: TenantUid,
    /// Which endpoint.
    #[serde(rename = "e")]
    pub endpoint: EndpointUid,
}

/// What [`refresh`] makes a job of.
#[derive(Clone, Copy, Debug)]
pub struct RefreshRequest<'a> {
    /// Whose channel.
    pub tenant: TenantUid,
    /// Which channel.
    pub channel: ChannelUid,
    /// Its provider, which decides the queue.
    pub provider: &'a ProviderName,
    /// The generation that is no longer good enough.
    pub generation: Generation,
    /// Who asks, and for when.
    pub when: When,
    /// Until when it should be done; earlier ones go first within a tenant.
    pub deadline: Timestamp,
    /// Until when the provider wants to be left alone, whoever asks.
    pub not_before: Option<Timestamp>,
    /// The id that a new job gets, because somebody was already told it.
    pub id: Option<&'a str>,
}

/// The queue of a provider's refreshes.
///
/// # Panics
///
/// If the provider's name cannot be part of a queue's; `providers` lets none in.
#[must_use]
pub fn refresh_queue(provider: &ProviderName) -> QueueName {
    format!("{REFRESH}{provider}")
        .parse()
        .expect("the names of providers are checked where they are made")
}

/// The provider whose refreshes a queue holds; the queue's own name if it holds none.
#[must_use]
pub fn provider_of(queue: &QueueName) -> ProviderName {
    let name = queue.as_str();
    name.strip_prefix(REFRESH).unwrap_or(name).to_owned().into()
}

/// The queue of the tenants' sweeps.
///
/// # Panics
///
/// Never.
#[must_use]
pub fn sweep_queue() -> QueueName {
    "sweep".parse().expect("a good name")
}

/// The queue of the visits to webhook endpoints.
///
/// # Panics
///
/// Never.
#[must_use]
pub fn webhook_queue() -> QueueName {
    "webhook".parse().expect("a good name")
}

/// The key of a channel's job in the queue of its provider.
#[must_use]
pub fn refresh_key(channel: ChannelUid) -> String {
    channel.to_string()
}

/// The job that refreshes a channel.
#[must_use]
pub fn refresh(request: RefreshRequest<'_>) -> NewJob {
    let payload = RefreshChannel {
        tenant: request.tenant,
        channel: request.channel,
    };
    let mut job = new_job(
        refresh_key(request.channel),
        request.tenant,
        &payload,
        request.when,
    );
    job.deadline_ms = request.deadline.as_millis();
    job.not_before_ms = request.not_before.map_or(0, Timestamp::as_millis);
    job.version = u64::try_from(request.generation.0).unwrap_or(0);
    job.id_hint = request.id.and_then(|id| id.parse().ok());
    job
}

/// Until when a provider wants to be left alone, given what a channel met last.
///
/// The job that was told may be gone (cancelled, flushed); the provider's word stays.
#[must_use]
pub fn held_until(last_error: Option<(ErrorClass, &Details)>) -> Option<Timestamp> {
    match last_error {
        Some((ErrorClass::RateLimited, details)) => details.retry_at,
        _ => None,
    }
}

/// The job that sweeps a tenant for one slot.
#[must_use]
pub fn sweep(tenant: TenantUid, schedule: Uuid, slot: Timestamp) -> NewJob {
    let payload = SweepTenant {
        tenant,
        schedule,
        slot,
    };
    let mut job = new_job(sweep_key(schedule, slot), tenant, &payload, When::Scheduled);
    job.deadline_ms = slot.as_millis();
    job.id_hint = Some(sweep_job_id(schedule, slot));
    job
}

/// The id of the job that sweeps for this slot, known before the job exists.
#[must_use]
pub fn sweep_job_id(schedule: Uuid, slot: Timestamp) -> JobId {
    JobId::derived(&sweep_queue(), &sweep_key(schedule, slot))
}

/// The schedule and the slot that the id of a sweep was made of.
#[must_use]
pub fn schedule_of(id: &JobId) -> Option<(Uuid, Timestamp)> {
    if id.queue != sweep_queue() {
        return None;
    }
    let (schedule, slot) = id.key.split_once('_')?;
    let slot = Timestamp::from_millis(slot.parse().ok()?);
    Some((Uuid::try_parse(schedule).ok()?, slot))
}

/// The job that visits an endpoint; `handed_out` is the endpoint's next hand-out,
/// which tells a running visit whether something has come since it began.
#[must_use]
pub fn visit(tenant: TenantUid, endpoint: EndpointUid, handed_out: Timestamp) -> NewJob {
    let payload = VisitEndpoint { tenant, endpoint };
    let mut job = new_job(endpoint.to_string(), tenant, &payload, When::Scheduled);
    job.deadline_ms = handed_out.as_millis();
    job.version = u64::try_from(handed_out.as_millis()).unwrap_or(0);
    job
}

fn sweep_key(schedule: Uuid, slot: Timestamp) -> String {
    format!("{}_{}", schedule.as_simple(), slot.as_millis())
}

fn new_job<T: Serialize>(key: String, tenant: TenantUid, payload: &T, when: When) -> NewJob {
    NewJob {
        key,
        tenant: tenant.to_string(),
        payload: serde_json::to_vec(payload).expect("ids are plain data"),
        when,
        deadline_ms: 0,
        not_before_ms: 0,
        version: 0,
        id_hint: None,
        max_attempts: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_sweep_says_which_slot_it_is_for() {
        let (schedule, slot) = (Uuid::now_v7(), Timestamp::from_millis(1_764_216_000_123));

        let id = sweep_job_id(schedule, slot);

        assert_eq!(schedule_of(&id), Some((schedule, slot)));
        assert_eq!(
            sweep(TenantUid::generate(), schedule, slot).id_hint,
            Some(id)
        );
    }

    #[test]
    fn a_channel_has_the_same_key_whoever_asks() {
        let (tenant, channel) = (TenantUid::generate(), ChannelUid::generate());
        let provider = ProviderName::from_static("tiktok");
        let ask = |when| {
            refresh(RefreshRequest {
                tenant,
                channel,
                provider: &provider,
                generation: Generation(4),
                when,
                deadline: Timestamp::from_secs(9),
                not_before: None,
                id: None,
            })
        };

        assert_eq!(ask(When::Now).key, ask(When::Scheduled).key);
        assert_eq!(ask(When::Now).version, 4);
    }
}
