//! Escrow: answers of providers that the database could not be given when they came.
//!
//! Where refresh tokens rotate, an answer holds the only living one. Who cannot store
//! it keeps it sealed somewhere else, and hands it in here once the database is back,
//! however long that took: it is stored if it still fits.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{AttemptRecord, ChannelState, Generation, Sealed, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::finish::{complete, store_sealed};
use crate::lane::Op;
use crate::row::Row;
use crate::{Change, Facts, Finish, Lease, Store, StoreError};

/// The form of the text; another one is not read.
const VERSION: u32 = 1;

/// When a silent owner's intent is looked at again.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// An answer on its way into the database. Channel and tenant are those of `attempt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escrow {
    /// The lease under which the request was sent.
    pub epoch: i64,
    /// The generation of the credentials that it spent.
    pub generation: Generation,
    /// Their fingerprint.
    pub spent: [u8; 16],
    /// The new credentials, sealed for the next generation.
    pub sealed: Sealed,
    /// What is known about them.
    pub facts: Facts,
    /// The history's record.
    pub attempt: AttemptRecord,
}

/// A text that is no [`Escrow`], cut off for instance.
#[derive(Debug, thiserror::Error)]
#[error("an answer in escrow cannot be read: {0}")]
pub struct DamagedEscrow(String);

/// What became of an [`Escrow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It is stored.
    Stored,
    /// The channel has other credentials by now: these very ones if it was stored
    /// before, those of a later refresh, or a person's.
    Outdated,
    /// Somebody else may have sent a request with the same credentials since: his
    /// outcome decides. To be handed in again then.
    Held {
        /// When that makes sense.
        until: Timestamp,
    },
    /// The channel is gone.
    Gone,
}

/// The text of an [`Escrow`].
#[derive(Serialize, Deserialize)]
struct Text<'a> {
    version: u32,
    epoch: i64,
    generation: Generation,
    spent: Uuid,
    envelope: String,
    key_id: Cow<'a, str>,
    fingerprint: Uuid,
    facts: Cow<'a, Facts>,
    attempt: Cow<'a, AttemptRecord>,
}

impl Escrow {
    /// What has to be kept of an outcome; `None` if it brought no new credentials.
    #[must_use]
    pub fn of(finish: &Finish, lease: &Lease) -> Option<Self> {
        let Change::Stored { sealed, facts } = &finish.change else {
            return None;
        };
        Some(Self {
            epoch: finish.epoch,
            generation: finish.generation,
            spent: lease.sealed.fingerprint,
            sealed: sealed.clone(),
            facts: facts.clone(),
            attempt: finish.attempt.clone(),
        })
    }

    /// One line of JSON; the credentials in it are as sealed as in the database.
    ///
    /// # Panics
    ///
    /// Never: its values are texts and numbers.
    #[must_use]
    pub fn to_text(&self) -> String {
        let request = (self.epoch, self.generation, self.spent);
        text(request, &self.sealed, &self.facts, &self.attempt)
    }

    /// [`Escrow::to_text`] of [`Escrow::of`], without the copy.
    ///
    /// # Panics
    ///
    /// Never, as there.
    #[must_use]
    pub fn text_of(finish: &Finish, lease: &Lease) -> Option<String> {
        let Change::Stored { sealed, facts } = &finish.change else {
            return None;
        };
        let request = (finish.epoch, finish.generation, lease.sealed.fingerprint);
        Some(text(request, sealed, facts, &finish.attempt))
    }

    /// Reads what [`Escrow::to_text`] wrote.
    ///
    /// # Errors
    ///
    /// [`DamagedEscrow`] if it is anything else; it says where, and shows nothing of it.
    pub fn parse(text: &str) -> Result<Self, DamagedEscrow> {
        let text: Text<'_> = serde_json::from_str(text).map_err(|cause| {
            let what = format!("{:?}", cause.classify());
            DamagedEscrow(format!("{what} error in column {}", cause.column()))
        })?;
        if text.version != VERSION {
            return Err(DamagedEscrow(format!("its version is {}", text.version)));
        }
        let envelope = STANDARD.decode(&text.envelope);
        Ok(Self {
            epoch: text.epoch,
            generation: text.generation,
            spent: text.spent.into_bytes(),
            sealed: Sealed {
                envelope: envelope.map_err(|_| DamagedEscrow("its envelope".to_owned()))?,
                key_id: text.key_id.into_owned(),
                fingerprint: text.fingerprint.into_bytes(),
            },
            facts: text.facts.into_owned(),
            attempt: text.attempt.into_owned(),
        })
    }
}

fn text(
    (epoch, generation, spent): (i64, Generation, [u8; 16]),
    sealed: &Sealed,
    facts: &Facts,
    attempt: &AttemptRecord,
) -> String {
    crate::sql::json(&Text {
        version: VERSION,
        epoch,
        generation,
        spent: Uuid::from_bytes(spent),
        envelope: STANDARD.encode(&sealed.envelope),
        key_id: Cow::Borrowed(&sealed.key_id),
        fingerprint: Uuid::from_bytes(sealed.fingerprint),
        facts: Cow::Borrowed(facts),
        attempt: Cow::Borrowed(attempt),
    })
}

impl Store {
    /// Stores an answer that comes late, if it still fits: the channel has the credentials
    /// that were spent for it, and nobody else is about to spend them. That brings a
    /// channel back that was given up meanwhile.
    ///
    /// `under` is the epoch of a lease that the caller holds on the channel, if any: it
    /// ends with the answer that is stored.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database fails; it may be handed in again.
    pub async fn restore(
        &self,
        escrow: Escrow,
        under: Option<i64>,
    ) -> Result<Restored, StoreError> {
        self.outcomes
            .send(|reply| Op::Restore {
                escrow: Box::new(escrow),
                under,
                reply,
            })
            .await
    }
}

/// Changes the row as the answer says, if it fits, and completes the attempt.
pub(crate) fn apply(
    row: &mut Row,
    escrow: &mut Escrow,
    under: Option<i64>,
    now: Timestamp,
) -> Restored {
    if row.state == ChannelState::Deleting {
        return Restored::Gone;
    }
    let fits = row.model.generation == escrow.generation.0
        && row.model.fingerprint == escrow.spent.as_slice();
    if !fits {
        return Restored::Outdated;
    }
    if let Some(until) = held_until(row, escrow.epoch, under, now) {
        return Restored::Held { until };
    }
    store_sealed(row, &escrow.sealed, now);
    row.learn(&escrow.facts, now);
    row.end_lease(None);
    row.model.updated_at = now.as_millis();
    complete(row, &mut escrow.attempt);
    Restored::Stored
}

/// When the outcome of a later request may be there, if one is waited for.
fn held_until(row: &Row, epoch: i64, under: Option<i64>, now: Timestamp) -> Option<Timestamp> {
    let latest = row.model.lease_epoch;
    if latest == epoch || under == Some(latest) {
        return None;
    }
    let lease_until = row.lease_until().filter(|until| *until > now);
    let open = row.intent.as_ref();
    let silent = open.is_some_and(|open| !open.latest.no_answer);
    lease_until.or_else(|| silent.then(|| now.plus(LOOK_AGAIN)))
}

#[cfg(test)]
mod tests {
    use domain::{ProviderName, Replaced};

    use super::*;

    fn escrow() -> Escrow {
        let text = r#"{"version":1,"epoch":3,"generation":7,
            "spent":"00000000-0000-0000-0000-000000000001","envelope":"AQID","key_id":"k1",
            "fingerprint":"00000000-0000-0000-0000-000000000002",
            "facts":{"state":"active","reason":null,"access_expires_at":null,
                "refresh_expires_at":null,"refresh_due_at":null,"external_id":null,
                "has_refresh_material":true},
            "attempt":{"uid":"00000000-0000-0000-0000-000000000003",
                "tenant":"00000000-0000-0000-0000-000000000004",
                "channel":"00000000-0000-0000-0000-000000000005","job_id":"j","attempt":1,
                "started_at":"2026-11-21T00:00:00Z","duration":{"secs":1,"nanos":0},
                "outcome":"refreshed","ends_job":true,"generation":null,
                "new_expires_at":null,"details":{}}}"#;
        Escrow::parse(text).expect("the form of version 1 stays readable")
    }

    #[test]
    fn an_answer_survives_its_own_text() {
        let mut escrow = escrow();
        escrow.attempt.replaced = Some(Replaced {
            provider: ProviderName::from_static("tiktok"),
            due_at: None,
            old_expires_at: Some(escrow.attempt.started_at),
        });

        let read = Escrow::parse(&escrow.to_text()).expect("our own text");

        assert_eq!(read, escrow);
        assert_eq!(read.sealed.envelope, [1, 2, 3]);
    }

    #[test]
    fn a_text_that_was_cut_off_is_named_and_not_shown() {
        let text = escrow().to_text();

        for length in 0..text.len() {
            let damaged = Escrow::parse(&text[..length]).expect_err("half of it is not an answer");
            assert!(!damaged.to_string().contains("AQID"), "{damaged}");
        }
    }
}
