//! One watcher: what it may see, and what it is told.

use std::collections::VecDeque;

use axum::response::sse::Event;
use domain::{TenantUid, Timestamp};
use http::{HeaderMap, header};
use queue::{JobEvent, QueueName};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Duration, Instant, sleep_until};

use super::{JobEventView, Names};
use crate::App;
use crate::access::Right;
use crate::caller;
use crate::watching::Sight;

/// How often it is asked anew whether the watcher may still see this.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Events whose names are looked up together.
const AT_ONCE: usize = 200;

/// What is told while Redis is away.
const AWAY: &str = "Redis does not answer; what happens meanwhile may not be told.";

/// Which jobs are watched; what is `None` is any.
pub(super) struct Choice {
    pub(super) tenant: Option<String>,
    pub(super) queue: Option<QueueName>,
    pub(super) key: Option<String>,
}

impl Choice {
    fn takes(&self, event: &JobEvent) -> bool {
        self.tenant.as_ref().is_none_or(|it| *it == event.tenant)
            && self.queue.as_ref().is_none_or(|it| *it == event.id.queue)
            && self.key.as_ref().is_none_or(|it| *it == event.id.key)
    }
}

/// What the watcher showed at the gate. A stream may outlive the token that opened it, so it
/// is shown again now and then.
pub(super) struct Pass {
    headers: HeaderMap,
    right: Right,
    owner: Option<TenantUid>,
}

impl Pass {
    pub(super) fn new(headers: &HeaderMap, right: Right, owner: Option<TenantUid>) -> Self {
        let shown = headers.get(header::AUTHORIZATION).cloned();
        let shown = shown.map(|value| (header::AUTHORIZATION, value));
        Self {
            headers: shown.into_iter().collect(),
            right,
            owner,
        }
    }

    /// Whether it is still good. While that cannot be found out it is.
    async fn is_good(&self, app: &App) -> bool {
        match caller::identify(app, &self.headers).await {
            Ok(caller) => {
                self.owner.is_none_or(|owner| caller.sees(owner))
                    && caller.require(self.right).is_ok()
            }
            Err(problem) => !problem.status().is_client_error(),
        }
    }
}

/// One watcher. Dropped, it leaves nothing behind.
pub(super) struct Viewer {
    app: App,
    seat: Receiver<Sight>,
    choice: Choice,
    names: Names,
    pass: Pass,
    ends_at: Instant,
    ask_at: Instant,
    /// What is to be told.
    ready: VecDeque<Event>,
    is_over: bool,
}

impl Viewer {
    pub(super) fn new(
        app: App,
        seat: Receiver<Sight>,
        (choice, names, pass): (Choice, Names, Pass),
        wait: Duration,
    ) -> Self {
        let now = Instant::now();
        let begun = told("watching", &json!({ "seconds": wait.as_secs() }));
        Self {
            app,
            seat,
            choice,
            names,
            pass,
            ends_at: now + wait,
            ask_at: now + ASK_EVERY,
            ready: VecDeque::from([begun]),
            is_over: false,
        }
    }

    /// What to tell next; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            tokio::select! {
                biased;
                () = self.app.stopping().cancelled() => self.end("stopping"),
                () = sleep_until(self.ends_at) => self.end("time_over"),
                () = sleep_until(self.ask_at) => self.ask().await,
                sight = self.seat.recv() => self.take(sight).await,
            }
        }
    }

    async fn ask(&mut self) {
        self.ask_at = Instant::now() + ASK_EVERY;
        if !self.pass.is_good(&self.app).await {
            self.end("not_allowed");
        }
    }

    fn end(&mut self, reason: &str) {
        let end = told("end", &json!({ "reason": reason }));
        self.ready.push_back(end);
        self.is_over = true;
    }

    /// Takes what was seen, and what else is there already.
    async fn take(&mut self, first: Result<Sight, RecvError>) {
        let mut events = Vec::new();
        let mut seen = Some(first);
        while let Some(sight) = seen.take() {
            let other = match sight {
                Ok(Sight::Job(event)) => {
                    if self.choice.takes(&event) {
                        events.push(event);
                    }
                    None
                }
                Ok(other) => self.notice(other),
                Err(RecvError::Lagged(count)) => Some(missed(&json!({ "events": count }))),
                Err(RecvError::Closed) => return self.end("stopping"),
            };
            if let Some(other) = other {
                self.tell(&mut events).await;
                self.ready.push_back(other);
            }
            if events.len() < AT_ONCE {
                seen = self.seat.try_recv().ok().map(Ok);
            }
        }
        self.tell(&mut events).await;
    }

    /// What is told of the watching itself.
    fn notice(&self, sight: Sight) -> Option<Event> {
        match sight {
            Sight::Job(_) => None,
            Sight::Away => Some(told("away", &json!({ "detail": AWAY }))),
            Sight::Back { kept } => Some(told("back", &json!({ "kept": kept }))),
            Sight::Flushed(queue) => {
                let is_ours = self.choice.queue.as_ref().is_none_or(|it| *it == queue);
                is_ours.then(|| missed(&json!({ "queue": queue.as_str() })))
            }
        }
    }

    async fn tell(&mut self, events: &mut Vec<JobEvent>) {
        self.names.learn(&self.app, events).await;
        for event in events.drain(..) {
            let (tenant_id, channel_id) = self.names.of(&event);
            let view = JobEventView {
                at: Timestamp::from_millis(event.at_ms),
                event: event.kind.as_str(),
                job_id: event.id.to_string(),
                queue: event.id.queue.to_string(),
                tenant_id,
                channel_id,
            };
            self.ready.push_back(told("job", &json!(view)));
        }
    }
}

fn missed(data: &Value) -> Event {
    told("missed", data)
}

/// JSON is one line, so that it is one field of the event.
fn told(name: &str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}
