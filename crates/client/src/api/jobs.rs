//! Refreshes, their jobs and batches.

use domain::{RefreshResult, Timestamp};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Attempt, ChannelApi, Page, Paging, TenantApi, either, object, unreadable};
use crate::{Call, Client, ClientError};

/// What a refresh came to within the time that was waited (S2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The job has ended, well or not.
    Ended(Box<RefreshResult>),
    /// The job goes on.
    Accepted(Accepted),
}

/// A job that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Accepted {
    /// Its id.
    pub job_id: String,
    /// `waiting`, `delayed` or `active`.
    pub state: String,
    /// When it is tried again, where that is known.
    #[serde(default)]
    pub retry_at: Option<Timestamp>,
}

/// What refreshing many channels came to within the time that was waited (S2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshedMany {
    /// All jobs have ended.
    Ended(Batch),
    /// Some go on; [`Client::batch`] shows how far they have come.
    Accepted {
        /// The batch's id.
        batch_id: String,
    },
}

/// What a batch came to, so far.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Batch {
    /// Its id.
    pub batch_id: String,
    /// Channels that are done with.
    pub processed: u64,
    /// Those whose credentials are as fresh as they can be.
    pub succeeded: u64,
    /// The others.
    pub failed: u64,
    /// Channels whose jobs go on.
    #[serde(default)]
    pub pending: u64,
    /// One for each that is done with, in the order given.
    pub results: Vec<RefreshResult>,
}

/// A refresh that runs later (S2.4).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Later {
    /// Its job.
    pub job_id: String,
    /// When.
    pub run_at: Timestamp,
}

/// A job (S2.17); what is not known of it is `None`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Where it waits, such as `refresh:tiktok`.
    pub queue: String,
    /// `waiting`, `delayed`, `active`, `completed`, `failed` or `cancelled`.
    pub state: String,
    /// The tenant's id.
    pub tenant_id: Option<String>,
    /// The channel's id; `None` for a tenant's recurring refresh.
    pub channel_id: Option<String>,
    /// The try that it is at; the first is 1.
    pub attempt: u32,
    /// Most tries.
    #[serde(default)]
    pub max_attempts: Option<u32>,
    /// When it was made.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// When it runs.
    #[serde(default)]
    pub run_at: Option<Timestamp>,
    /// When it began.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// The class of its failure.
    #[serde(default)]
    pub error: Option<String>,
    /// Every try; empty in lists.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
}

/// How many refresh jobs stand where (S2.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct JobStatus {
    /// Being worked on.
    pub jobs_active: u64,
    /// To be taken next.
    pub jobs_waiting: u64,
    /// To be taken at their time.
    pub jobs_delayed: u64,
    /// Ended well, since the beginning.
    pub jobs_completed: u64,
    /// Failed for good, since the beginning.
    pub jobs_failed: u64,
    /// Cancelled, since the beginning.
    #[serde(default)]
    pub jobs_cancelled: u64,
}

/// Which jobs; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only in this state, such as `failed`.
    pub state: Option<String>,
    /// Only of this channel.
    pub channel: Option<String>,
}

#[derive(Deserialize)]
struct JobId {
    job_id: String,
}

#[derive(Deserialize)]
struct BatchId {
    batch_id: String,
}

impl ChannelApi<'_> {
    /// Refreshes it now and waits up to `wait_secs`, 0 to 60 (S2.1).
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; 409 if it is paused or only a person can help.
    pub async fn refresh(&self, wait_secs: u32) -> Result<Refreshed, ClientError> {
        let call = self.at(Method::POST, &["refresh"]);
        let answer = self
            .client
            .call(&call.query("wait", Some(wait_secs)))
            .await?;
        match either(answer, "success") {
            Ok(Ok(result)) => Ok(Refreshed::Ended(Box::new(result))),
            Ok(Err(accepted)) => Ok(Refreshed::Accepted(accepted)),
            Err(_) => Err(unreadable(self.client.server().address())),
        }
    }

    /// Refreshes it in so many minutes (S2.4), or earlier if a job is there already.
    ///
    /// # Errors
    ///
    /// As [`ChannelApi::refresh`].
    pub async fn refresh_later(&self, delay_minutes: u64) -> Result<Later, ClientError> {
        let body = json!({ "delay_minutes": delay_minutes });
        let call = self.at(Method::POST, &["refresh", "schedule"]).body(body);
        self.client.typed(&call).await
    }
}

impl TenantApi<'_> {
    /// Refreshes these channels and waits up to `wait_secs`, 0 to 60 (S2.2); `None` refreshes
    /// all that need it.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn refresh_many(
        &self,
        channel_ids: Option<&[&str]>,
        wait_secs: u32,
    ) -> Result<RefreshedMany, ClientError> {
        let call = self
            .at(Method::POST, &["channels", "refresh"])
            .query("wait", Some(wait_secs))
            .body(object([("channel_ids", json!(channel_ids))]));
        match either(self.client.call(&call).await?, "results") {
            Ok(Ok(batch)) => Ok(RefreshedMany::Ended(batch)),
            Ok(Err(BatchId { batch_id })) => Ok(RefreshedMany::Accepted { batch_id }),
            Err(_) => Err(unreadable(self.client.server().address())),
        }
    }

    /// Lists its jobs (S2.17).
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn jobs(
        &self,
        filter: &JobFilter,
        paging: &Paging,
    ) -> Result<Page<Job>, ClientError> {
        let call = self
            .at(Method::GET, &["jobs"])
            .query("state", filter.state.as_ref())
            .query("channel", filter.channel.as_ref());
        self.client.typed(&paging.on(call)).await
    }

    /// How many of its refresh jobs stand where (S2.7).
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn job_status(&self) -> Result<JobStatus, ClientError> {
        let call = self.at(Method::GET, &["jobs", "status"]);
        self.client.typed(&call).await
    }
}

impl Client {
    /// A job by its id; nothing is asked yet.
    #[must_use]
    pub fn job(&self, id: &str) -> JobApi<'_> {
        JobApi {
            client: self,
            id: id.to_owned(),
        }
    }

    /// How far a batch has come (S2.2).
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn batch(&self, id: &str) -> Result<Batch, ClientError> {
        self.typed(&Call::new(Method::GET, &["batches", id])).await
    }

    /// How many refresh jobs of all tenants stand where, for platform admins (S2.7).
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn job_status(&self) -> Result<JobStatus, ClientError> {
        let call = Call::new(Method::GET, &["jobs", "status"]);
        self.typed(&call).await
    }
}

/// The calls about one job.
#[derive(Clone, Debug)]
pub struct JobApi<'c> {
    client: &'c Client,
    id: String,
}

impl JobApi<'_> {
    /// Shows it with its attempts.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn show(&self) -> Result<Job, ClientError> {
        let call = Call::new(Method::GET, &["jobs", &self.id]);
        self.client.typed(&call).await
    }

    /// Does the work of a failed or cancelled job again; the id of the new job.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; 409 if it has not failed.
    pub async fn retry(&self) -> Result<String, ClientError> {
        let call = Call::new(Method::POST, &["jobs", &self.id, "retry"]);
        let made: JobId = self.client.typed(&call).await?;
        Ok(made.job_id)
    }

    /// Cancels it. One whose request has left still stores its answer and completes.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; 409 if it has ended.
    pub async fn cancel(&self) -> Result<(), ClientError> {
        let call = Call::new(Method::DELETE, &["jobs", &self.id]);
        self.client.call(&call).await.map(drop)
    }
}
