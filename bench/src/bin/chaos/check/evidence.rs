//! What is known about each request: who sent it, and what became of him.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Timestamp;
use simulator::{Entry, Filter, Outcome};

use crate::fleet::{Fleet, Sender};
use crate::place::{Life, Place};
use crate::strike::Chronicle;

/// How far apart the same moment may be for the sender, the link and the simulator.
const BLUR: Duration = Duration::from_millis(500);

/// A request with its sender.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) entry: Entry,
    /// `None` if it came past all links.
    pub(crate) sender: Option<Sender>,
}

/// Everything that happened.
pub(crate) struct Evidence<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) chronicle: &'a Chronicle,
    /// Oldest first.
    pub(crate) requests: Vec<Request>,
    lives: Vec<Vec<Life>>,
}

impl<'a> Evidence<'a> {
    pub(crate) fn of(fleet: &'a Fleet, chronicle: &'a Chronicle) -> Self {
        let entries = fleet.simulator.ledger(&Filter::default());
        let requests = entries.into_iter().map(|entry| Request {
            sender: fleet.sender(entry.port, started(&entry)),
            entry,
        });
        Self {
            fleet,
            chronicle,
            requests: requests.collect(),
            lives: fleet.places.iter().map(Place::lives).collect(),
        }
    }

    /// The requests of each grant, oldest first.
    pub(crate) fn by_grant(&self) -> BTreeMap<&str, Vec<&Request>> {
        let mut grants: BTreeMap<&str, Vec<&Request>> = BTreeMap::new();
        for request in &self.requests {
            if let Some(grant) = &request.entry.grant {
                grants.entry(grant).or_default().push(request);
            }
        }
        grants
    }

    /// When the sender was killed, if he was.
    pub(crate) fn killed_at(&self, request: &Request) -> Option<Timestamp> {
        self.life(request)?.killed_at
    }

    /// Whether the sender stood still from some moment of the first time on until the second.
    pub(crate) fn paused(&self, request: &Request, before: Timestamp, until: Timestamp) -> bool {
        let mut pauses = self.pauses(request);
        pauses.any(|(from, to)| {
            from <= before && to.is_none_or(|to| to.plus(BLUR) >= until) && from <= until
        })
    }

    /// When the sender had run for so long since then: he did nothing while he stood still.
    pub(crate) fn after_running(
        &self,
        request: &Request,
        since: Timestamp,
        time: Duration,
    ) -> Timestamp {
        let over = |until: Timestamp, (from, to): (Timestamp, Option<Timestamp>)| {
            let stands = from <= until && to.is_none_or(|to| to > since);
            let begin = if from > since { from } else { since };
            match to {
                Some(to) if stands => until.plus(to.since(begin)),
                None if stands => Timestamp::from_millis(i64::MAX),
                _ => until,
            }
        };
        self.pauses(request).fold(since.plus(time), over)
    }

    /// Whether both senders used one data directory.
    pub(crate) fn same_machine(&self, one: &Request, other: &Request) -> bool {
        let data_dir = |request: &Request| {
            let sender = request.sender?;
            Some(&self.fleet.places[sender.place].data_dir)
        };
        data_dir(one).is_some() && data_dir(one) == data_dir(other)
    }

    /// Whether the network between the sender and the provider failed while he waited.
    pub(crate) fn was_cut_off(&self, request: &Request) -> bool {
        request.sender.is_some_and(|sender| {
            let link = &self.fleet.places[sender.place].links.provider;
            link.failed_within(
                started(&request.entry).minus(BLUR),
                finished(&request.entry).plus(BLUR),
            )
        })
    }

    /// The sender's name for people.
    pub(crate) fn name(&self, request: &Request) -> String {
        match request.sender {
            Some(Sender { place, life }) => format!("{}#{life}", self.fleet.places[place].seat),
            None => "a stranger".to_owned(),
        }
    }

    fn pauses(
        &self,
        request: &Request,
    ) -> impl Iterator<Item = (Timestamp, Option<Timestamp>)> + use<'_> {
        let life = self.life(request);
        life.into_iter()
            .flat_map(|life| life.pauses.iter().copied())
    }

    fn life(&self, request: &Request) -> Option<&Life> {
        let sender = request.sender?;
        let number = usize::try_from(sender.life).ok()?;
        self.lives[sender.place].get(number.checked_sub(1)?)
    }
}

impl Request {
    /// Whether the simulator knows that the answer did not arrive.
    pub(crate) fn was_cut(&self) -> bool {
        matches!(self.entry.outcome, Outcome::Cut | Outcome::Abandoned)
    }
}

/// When a request came.
pub(crate) fn started(entry: &Entry) -> Timestamp {
    Timestamp::from_millis(entry.started_ms)
}

/// When its answer had left, or it was over without one.
pub(crate) fn finished(entry: &Entry) -> Timestamp {
    Timestamp::from_millis(entry.finished_ms)
}
