//! What a job looks like in JSON.

use domain::{AttemptRecord, Name, Timestamp};
use queue::{JobId, JobState, JobView};
use schemars::JsonSchema;
use serde::Serialize;

use crate::extract::{Found, Job};
use crate::view::AttemptView;

/// A job; what is not known of it is left out.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JobJson {
    id: String,
    queue: String,
    #[schemars(extend("enum" = JobState::ALL.map(JobState::as_str)))]
    state: &'static str,
    tenant_id: Option<Name>,
    channel_id: Option<Name>,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancel_requested: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    served_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptView>>,
}

impl JobJson {
    /// A job of a list, without its attempts.
    pub(super) fn listed(
        view: &JobView,
        tenant_id: Option<Name>,
        channel_id: Option<Name>,
    ) -> Self {
        Self {
            tenant_id,
            channel_id,
            attempt: view.attempt,
            max_attempts: Some(view.max_attempts),
            created_at: Some(Timestamp::from_millis(view.created_at_ms)),
            run_at: (view.run_at_ms > 0).then(|| Timestamp::from_millis(view.run_at_ms)),
            not_before: (view.not_before_ms > 0)
                .then(|| Timestamp::from_millis(view.not_before_ms)),
            started_at: view.started_at_ms.map(Timestamp::from_millis),
            finished_at: view.finished_at_ms.map(Timestamp::from_millis),
            error: view.error.clone(),
            cancel_requested: view.cancel_requested,
            served_by: view.served_by.as_ref().map(ToString::to_string),
            ..Self::bare(&view.id, view.state)
        }
    }

    /// A job with its attempts.
    pub(super) fn whole(job: Job) -> Self {
        let tenant_id = Some(job.tenant.id.clone());
        let channel_id = job.channel.as_ref().map(|channel| channel.id.clone());
        let known = match &job.found {
            Found::InQueue(view) => Self::listed(view, tenant_id, channel_id),
            Found::InHistory => Self {
                tenant_id,
                channel_id,
                ..Self::remembered(&job)
            },
            Found::Promised(at) | Found::Slot(at) => Self {
                tenant_id,
                channel_id,
                run_at: Some(*at),
                ..Self::bare(&job.id, job.state())
            },
        };
        Self {
            attempts: Some(job.attempts.into_iter().map(AttemptView::from).collect()),
            ..known
        }
    }

    /// What the history alone can tell.
    fn remembered(job: &Job) -> Self {
        let end = job.attempts.iter().find(|attempt| attempt.ends_job);
        let last = job.attempts.last();
        Self {
            attempt: last.map_or(0, |attempt| attempt.attempt),
            started_at: last.map(|attempt| attempt.started_at),
            finished_at: end.map(|end| end.started_at.plus(end.duration)),
            error: end.and_then(failure),
            ..Self::bare(&job.id, job.state())
        }
    }

    fn bare(id: &JobId, state: JobState) -> Self {
        Self {
            id: id.to_string(),
            queue: id.queue.to_string(),
            state: state.as_str(),
            tenant_id: None,
            channel_id: None,
            attempt: 0,
            max_attempts: None,
            created_at: None,
            run_at: None,
            not_before: None,
            started_at: None,
            finished_at: None,
            error: None,
            cancel_requested: false,
            served_by: None,
            attempts: None,
        }
    }
}

fn failure(end: &AttemptRecord) -> Option<String> {
    match end.outcome {
        domain::AttemptOutcome::Failed(class) => Some(class.as_str().to_owned()),
        _ => None,
    }
}
