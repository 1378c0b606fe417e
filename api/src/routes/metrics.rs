//! `/metrics`: what Prometheus scrapes, the figures of the whole fleet (S5.9).
//!
//! They are read from the database and from Redis when they are asked for, so that every API
//! process tells the same, and a restart forgets none. What does not answer is left out:
//! `tokenfleet_ready` says so, and the log if it answers but too late.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{ChannelState, Timestamp};
use futures::future::try_join_all;
use http::{HeaderMap, header};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use queue::{Counts, QueueName};
use secrecy::ExposeSecret as _;
use store::{InState, Process};

use super::breakers::{self, BreakerView};
use super::probes::asked;
use crate::caller::{bearer, same};
use crate::problem::Problem;
use crate::{App, MetricsReaders};

/// How long the figures of a part may take; scrapers wait 10 s.
const PATIENCE: Duration = Duration::from_secs(4);

/// The format of the page: `OpenMetrics` 1.0.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text";

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Name and value of each label.
type Labels<const N: usize> = [(&'static str, String); N];

/// Shows the figures to whoever may read them.
pub(super) async fn show(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    admit(&app.settings.metrics_readers, &headers)?;
    let (database, redis) = tokio::join!(
        asked("database", app.store.ping()),
        asked("Redis", app.queues.ping())
    );
    let mut sheet = Sheet::new();
    let parts = [("database", database.is_ok()), ("redis", redis.is_ok())];
    let own = app
        .health
        .ask()
        .map(|(name, checked)| (name, checked.is_ok()));
    sheet.ready(parts.into_iter().chain(own));
    let (channels, database, redis) = tokio::join!(
        in_time("channels", database.is_ok(), of_channels(&app)),
        in_time("database", database.is_ok(), of_database(&app)),
        in_time("redis", redis.is_ok(), of_redis(&app))
    );
    if let Some(channels) = channels {
        sheet.of_channels(&channels);
    }
    if let Some(figures) = database {
        sheet.of_database(&figures);
    }
    if let Some(figures) = redis {
        sheet.of_redis(&figures);
    }
    let text = sheet.text().map_err(|error| Problem::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// # Errors
///
/// 401 without the token, 403 where nobody is let in.
fn admit(readers: &MetricsReaders, headers: &HeaderMap) -> Result<(), Problem> {
    let presented = bearer(headers).unwrap_or_default();
    match readers {
        MetricsReaders::Everybody => Ok(()),
        MetricsReaders::Bearers(token)
            if same(presented.as_bytes(), token.expose_secret().as_bytes()) =>
        {
            Ok(())
        }
        MetricsReaders::Bearers(_) => Err(Problem::unauthorized(
            "Send the header Authorization: Bearer <token>, with the token that the setting \
             api.metrics_token holds.",
        )),
        MetricsReaders::Nobody => Err(Problem::forbidden(
            "The metrics are closed: this server does not listen on loopback, and its setting \
             api.metrics_token (TOKENFLEET_API__METRICS_TOKEN) is empty.",
        )),
    }
}

/// `None` if their part is known to be away, or if they fail or take too long: the log says which.
async fn in_time<T>(
    which: &'static str,
    can_be_asked: bool,
    figures: impl Future<Output = Result<T, Problem>>,
) -> Option<T> {
    if !can_be_asked {
        return None;
    }
    let code = match tokio::time::timeout(PATIENCE, figures).await {
        Ok(Ok(figures)) => return Some(figures),
        Ok(Err(problem)) => problem.code(),
        Err(_) => "timeout",
    };
    tracing::warn!(figures = which, code, "figures are left out of /metrics");
    None
}

type Channels = BTreeMap<ChannelState, InState>;

/// Apart from the others: it is the only one that takes longer the more channels there are.
async fn of_channels(app: &App) -> Result<Channels, Problem> {
    Ok(app.census().channels(&app.store).await?)
}

/// What the database knows.
struct OfDatabase {
    longest_due: Duration,
    ended: [(&'static str, u64); 3],
    live: BTreeMap<String, i64>,
}

async fn of_database(app: &App) -> Result<OfDatabase, Problem> {
    let totals = app.store.job_totals(None).await?;
    let now = app.store.now().await?;
    Ok(OfDatabase {
        longest_due: app.store.longest_due().await?,
        ended: [
            ("completed", totals.completed),
            ("failed", totals.failed),
            ("cancelled", totals.cancelled),
        ],
        live: live(&app.store.processes().await?, now),
    })
}

fn live(processes: &[Process], now: Timestamp) -> BTreeMap<String, i64> {
    let mut roles = BTreeMap::new();
    for process in processes.iter().filter(|process| process.is_live(now)) {
        *roles.entry(process.info.role.clone()).or_default() += 1;
    }
    roles
}

/// What Redis knows.
struct OfRedis {
    queues: Vec<(QueueName, Counts)>,
    breakers: Vec<BreakerView>,
}

async fn of_redis(app: &App) -> Result<OfRedis, Problem> {
    let queues = app.queue_names().map(|name| {
        let queue = app.queues.queue(&name);
        async move { queue.counts(None).await.map(|counts| (name, counts)) }
    });
    Ok(OfRedis {
        queues: try_join_all(queues).await?,
        breakers: breakers::all(app, app.accounts.clock.now()).await?,
    })
}

/// The page of one scrape.
struct Sheet(Registry);

impl Sheet {
    fn new() -> Self {
        let mut sheet = Self(Registry::with_prefix("tokenfleet"));
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        sheet.0.register("build", "The program", version);
        sheet
    }

    fn ready<'a>(&mut self, parts: impl Iterator<Item = (&'a str, bool)>) {
        let parts = parts.map(|(part, ok)| ([("part", part.to_owned())], i64::from(ok)));
        let help = "Whether a part of this process answers, as /readyz has it: 1 or 0";
        self.gauges("ready", help, parts);
    }

    fn of_channels(&mut self, channels: &Channels) {
        let states = |of: fn(&InState) -> u64| {
            let states = channels.iter();
            states.map(move |(state, it)| ([("state", state.to_string())], whole(of(it))))
        };
        let channels = states(|it| it.channels);
        let expired = states(|it| it.expired);
        let help = "Channels by state, at most 15 s ago; needs_reauth waits for a person";
        self.gauges("channels", help, channels);
        let help = "Channels by state whose access token has ended, at most 15 s ago";
        self.gauges("channels_expired", help, expired);
    }

    fn of_database(&mut self, figures: &OfDatabase) {
        let live = figures.live.iter();
        let live = live.map(|(role, count)| ([("role", role.clone())], *count));
        let help = "Processes that were heard of within the last minute";
        self.gauges("processes", help, live);
        let due = Gauge::<f64, AtomicU64>::default();
        due.set(figures.longest_due.as_secs_f64());
        let help = "How long the channel has been due that no scheduler has handed out for the longest time";
        self.0
            .register_with_unit("longest_due", help, Unit::Seconds, due);
        let ended = Family::<Labels<1>, Counter>::default();
        for (outcome, count) in figures.ended {
            ended
                .get_or_create(&[("outcome", outcome.to_owned())])
                .inc_by(count);
        }
        let help = "Refresh jobs that ended since the database was made, by how";
        self.0.register("jobs_ended", help, ended);
    }

    fn of_redis(&mut self, figures: &OfRedis) {
        let jobs = figures.queues.iter().flat_map(|(name, counts)| {
            let states = [
                ("waiting", counts.waiting),
                ("delayed", counts.delayed),
                ("active", counts.active),
            ];
            states.map(|(state, count)| {
                let labels = [("queue", name.to_string()), ("state", state.to_owned())];
                (labels, whole(count))
            })
        });
        self.gauges(
            "queue_jobs",
            "Jobs that have not ended, by queue and state",
            jobs,
        );
        let breakers = figures.breakers.iter().map(|breaker| {
            let labels = [
                ("app_identity", breaker.app_identity().to_owned()),
                ("fingerprint", breaker.fingerprint().to_owned()),
            ];
            (labels, i64::from(!breaker.is_closed()))
        });
        let help = "Whether the fleet leaves an app at its provider alone but for probes: 1 or 0";
        self.gauges("breaker_open", help, breakers);
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (Labels<N>, i64)>,
    ) {
        let family = Family::<Labels<N>, Gauge>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }

    fn text(self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0)?;
        Ok(text)
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
