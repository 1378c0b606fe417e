//! What goes wrong, and when: a pure function of the seed and of the fleet's shape.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::draw::Draw;

/// Pause before the first step: the fleet has something under way by then.
const FIRST_MS: u64 = 1000;
/// Pause between the beginnings of two steps.
const GAP_MS: (u64, u64) = (400, 3000);
/// How long a process that was killed stays away.
const AWAY_MS: (u64, u64) = (300, 4000);
/// How much longer than its lease a process is stopped.
const BEYOND_LEASE_MS: (u64, u64) = (1000, 6000);
/// How long most faults last.
const FAULT_MS: (u64, u64) = (1500, 7000);

/// What providers do to requests, as the simulator takes it. Those that lose an answer for good
/// are rare: every one of them costs a grant.
const STORMS: [&str; 12] = [
    "status_500=0.7",
    "status_503=0.9",
    "html_500=0.6",
    "down",
    "status_429=0.7",
    "hang=0.5",
    "slow=0.5",
    "cut_before_commit=0.6",
    "cut_after_commit=0.2",
    "hang_after_commit=0.15",
    "cut_body=0.2",
    "slow_body=0.2",
];

/// What the fleet is made of, as far as the plan goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) database: Database,
    pub(crate) workers: u8,
    pub(crate) schedulers: u8,
    /// Requests to one provider that a worker has under way at once.
    pub(crate) concurrency: u16,
    pub(crate) length: Duration,
    /// How long a worker owns a channel.
    pub(crate) lease: Duration,
}

/// The two ways to run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// One `up` with what it brings itself.
    Sqlite,
    /// Processes of each role.
    Postgres,
}

/// A process of the fleet, whichever runs at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seat {
    /// `tokenfleet worker`, from 1.
    Worker(u8),
    /// `tokenfleet scheduler`, from 1.
    Scheduler(u8),
    /// `tokenfleet api`.
    Api,
    /// `tokenfleet up`.
    Up,
}

/// What a process talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    /// The simulated providers.
    Provider,
    /// Redis.
    Redis,
    /// PostgreSQL.
    Database,
}

/// How a network fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// Connections break, and no new one comes about.
    Broken,
    /// Connections stay, and nothing comes through.
    Silent,
}

/// What happens to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RedisFault {
    /// It is stopped, and comes back with its data.
    Restarted,
    /// It is killed, and comes back with what it had on disk: nothing, where it keeps nothing.
    Killed,
    /// All keys are gone.
    Flushed,
    /// It answers nobody.
    Paused,
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// `kill -9`; it is started again.
    Kill(Seat),
    /// SIGSTOP for longer than its lease, then SIGCONT.
    Stop(Seat),
    /// Something with Redis.
    Redis(RedisFault),
    /// PostgreSQL crashes and is away; on SQLite somebody holds the write lock.
    Database,
    /// The providers misbehave.
    Provider(&'static str),
    /// The network between a process and another fails.
    Cut(Seat, Other, Failing),
}

/// One thing that goes wrong, from when, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
    pub(crate) act: Act,
}

/// The kinds of steps, dealt like cards: all of them come, in any order.
#[derive(Clone, Copy, Debug)]
enum Card {
    KillWorker,
    KillOther,
    Stop,
    Redis,
    Database,
    Provider,
    Cut,
}

/// All steps of a run, in the order in which they begin.
pub(crate) fn plan(seed: u64, shape: &Shape) -> Vec<Step> {
    let mut dealer = Dealer {
        shape: *shape,
        draw: Draw::of(seed),
        busy: BTreeMap::new(),
    };
    let end = millis(shape.length);
    let (mut at, mut deck, mut steps) = (FIRST_MS, Vec::new(), Vec::new());
    while at < end {
        if deck.is_empty() {
            deck = shape.database.deck().to_vec();
            dealer.draw.shuffle(&mut deck);
        }
        let card = deck.pop().expect("it was filled");
        steps.extend(dealer.deal(card, at));
        at += dealer.draw.between(GAP_MS.0, GAP_MS.1);
    }
    steps
}

/// Turns cards into steps that do not get into each other's way.
struct Dealer {
    shape: Shape,
    draw: Draw,
    /// Until when a thing is being treated.
    busy: BTreeMap<String, u64>,
}

impl Dealer {
    /// `None` if what the card is for is being treated already.
    fn deal(&mut self, card: Card, at: u64) -> Option<Step> {
        let (act, lasts) = match card {
            Card::KillWorker => (Act::Kill(self.worker()), self.within(AWAY_MS)),
            Card::KillOther => (Act::Kill(self.other()), self.within(AWAY_MS)),
            Card::Stop => {
                let beyond = self.within(BEYOND_LEASE_MS);
                (Act::Stop(self.worker()), millis(self.shape.lease) + beyond)
            }
            Card::Redis => self.redis(),
            Card::Database => (Act::Database, self.outage()),
            Card::Provider => (
                Act::Provider(self.draw.one_of(&STORMS)),
                self.within(FAULT_MS),
            ),
            Card::Cut => (self.cut(), self.within(FAULT_MS)),
        };
        let thing = act.thing();
        if self.busy.get(&thing).is_some_and(|until| *until > at) {
            return None;
        }
        self.busy.insert(thing, at + lasts);
        Some(Step {
            at: Duration::from_millis(at),
            lasts: Duration::from_millis(lasts),
            act,
        })
    }

    fn within(&mut self, (low, high): (u64, u64)) -> u64 {
        self.draw.between(low, high)
    }

    fn worker(&mut self) -> Seat {
        match self.shape.database {
            Database::Sqlite => Seat::Up,
            Database::Postgres => {
                let number = self.draw.between(1, self.shape.workers.into());
                Seat::Worker(u8::try_from(number).expect("it is a worker's"))
            }
        }
    }

    fn other(&mut self) -> Seat {
        let schedulers = (1..=self.shape.schedulers).map(Seat::Scheduler);
        let others: Vec<Seat> = schedulers.chain([Seat::Api]).collect();
        self.draw.one_of(&others)
    }

    fn redis(&mut self) -> (Act, u64) {
        let fault = self.draw.one_of(&[
            RedisFault::Restarted,
            RedisFault::Killed,
            RedisFault::Flushed,
            RedisFault::Paused,
        ]);
        (Act::Redis(fault), self.within((500, 4000)))
    }

    /// A sixth of the run, 30 s at most, so that the rest can show that it goes on.
    fn outage(&mut self) -> u64 {
        let longest = (millis(self.shape.length) / 6).clamp(4000, 30_000);
        self.within((1500, longest))
    }

    fn cut(&mut self) -> Act {
        let failing = self.draw.one_of(&[Failing::Broken, Failing::Silent]);
        let other = match self.shape.database {
            // What `up` brings itself is reached without a network.
            Database::Sqlite => return Act::Cut(Seat::Up, Other::Provider, failing),
            Database::Postgres => {
                self.draw
                    .one_of(&[Other::Provider, Other::Redis, Other::Database])
            }
        };
        Act::Cut(self.worker(), other, failing)
    }
}

impl Database {
    fn deck(self) -> &'static [Card] {
        match self {
            Self::Sqlite => &[
                Card::KillWorker,
                Card::Stop,
                Card::Redis,
                Card::Redis,
                Card::Database,
                Card::Provider,
                Card::Provider,
                Card::Provider,
                Card::Cut,
            ],
            Self::Postgres => &[
                Card::KillWorker,
                Card::KillWorker,
                Card::KillOther,
                Card::Stop,
                Card::Redis,
                Card::Redis,
                Card::Database,
                Card::Provider,
                Card::Provider,
                Card::Provider,
                Card::Cut,
                Card::Cut,
                Card::Cut,
            ],
        }
    }

    /// As the command line and the report have it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

impl Act {
    /// What it treats: one step at a time does that.
    fn thing(&self) -> String {
        match self {
            Self::Kill(seat) => format!("kill {seat}"),
            // One of them stands still at a time.
            Self::Stop(_) => "stop".to_owned(),
            Self::Redis(_) => "redis".to_owned(),
            Self::Database => "database".to_owned(),
            Self::Provider(_) => "provider".to_owned(),
            Self::Cut(seat, other, _) => format!("cut {seat} {other}"),
        }
    }

    /// The kind in figures.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::Stop(_) => "stop",
            Self::Redis(_) => "redis",
            Self::Database => "database",
            Self::Provider(_) => "provider",
            Self::Cut(..) => "cut",
        }
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(number) => write!(f, "worker-{number}"),
            Self::Scheduler(number) => write!(f, "scheduler-{number}"),
            Self::Api => f.write_str("api"),
            Self::Up => f.write_str("up"),
        }
    }
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provider => "the providers",
            Self::Redis => "Redis",
            Self::Database => "the database",
        })
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(seat) => write!(f, "kill -9 {seat}"),
            Self::Stop(seat) => write!(f, "SIGSTOP {seat}"),
            Self::Redis(RedisFault::Restarted) => f.write_str("Redis restarts"),
            Self::Redis(RedisFault::Killed) => f.write_str("kill -9 Redis"),
            Self::Redis(RedisFault::Flushed) => f.write_str("Redis is flushed"),
            Self::Redis(RedisFault::Paused) => f.write_str("Redis stands still"),
            Self::Database => f.write_str("the database is away"),
            Self::Provider(storm) => write!(f, "providers: {storm}"),
            Self::Cut(seat, other, Failing::Broken) => {
                write!(f, "{seat} is cut off from {other}")
            }
            Self::Cut(seat, other, Failing::Silent) => {
                write!(f, "nothing comes through between {seat} and {other}")
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at.as_secs_f64(), self.lasts.as_secs_f64());
        write!(f, "{at:6.1} s for {lasts:4.1} s  {}", self.act)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("a run ends some day")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        database: Database::Postgres,
        workers: 3,
        schedulers: 2,
        concurrency: 8,
        length: Duration::from_mins(2),
        lease: Duration::from_secs(16),
    };

    #[test]
    fn the_same_seed_is_the_same_plan() {
        assert_eq!(plan(7, &SHAPE), plan(7, &SHAPE));
        assert_ne!(plan(7, &SHAPE), plan(8, &SHAPE));
    }

    #[test]
    fn every_kind_comes_in_a_run_of_two_minutes() {
        for database in [Database::Sqlite, Database::Postgres] {
            let shape = Shape { database, ..SHAPE };

            let steps = plan(1, &shape);

            for kind in ["kill", "stop", "redis", "database", "provider", "cut"] {
                let comes = steps.iter().any(|step| step.act.kind() == kind);
                assert!(comes, "{kind} on {}", database.as_str());
            }
        }
    }

    #[test]
    fn nothing_is_treated_twice_at_a_time() {
        let steps = plan(3, &SHAPE);

        for (n, one) in steps.iter().enumerate() {
            for other in &steps[n + 1..] {
                let same = one.act.thing() == other.act.thing();
                assert!(!same || other.at >= one.at + one.lasts, "{one} | {other}");
            }
        }
    }
}
