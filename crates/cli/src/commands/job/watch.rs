//! `tokenfleet job watch`: what happens to jobs, as it happens.

use std::time::Duration;

use client::{Call, ClientError, Events, ServerEvent};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use crate::output::{note, say};
use crate::remote::{Remote, minutes};

/// The longest stream that the API gives, in seconds; then it is asked for another one.
const STREAM: u64 = 3600;
/// Between two tries to reach a server that went away.
const PAUSE: Duration = Duration::from_secs(1);

/// Which jobs, and how long.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tenant [default: all]
    tenant: Option<String>,
    /// Only of this channel
    #[arg(long, requires = "tenant")]
    channel: Option<String>,
    /// Only in this queue, such as refresh:tiktok
    #[arg(long)]
    queue: Option<String>,
    /// End after so long [default: with Ctrl-C]
    #[arg(long = "for", value_name = "MINUTES", value_parser = minutes)]
    minutes: Option<u64>,
}

impl Args {
    /// Shows a line for each thing that happens. A server that goes away while it is watched is
    /// waited for; one that is not there to begin with is an error.
    ///
    /// # Errors
    ///
    /// If the server refuses, or does not answer at first.
    pub(super) async fn run(self, server: &Remote) -> anyhow::Result<()> {
        let ends_at = self
            .minutes
            .map(|it| Instant::now() + Duration::from_mins(it));
        let mut events = server.events(&self.call(ends_at)).await?;
        let mut is_begun = false;
        loop {
            let more = match ends_at {
                Some(at) => timeout_at(at, show(server, &mut events, &mut is_begun)).await,
                None => Ok(show(server, &mut events, &mut is_begun).await),
            };
            match more {
                Err(_) => return Ok(()),
                Ok(Err(error)) if error.is_transient() => {
                    tell(server, "lost", &json!({ "detail": error.to_string() }));
                }
                Ok(Err(error)) => return Err(server.told(error)),
                Ok(Ok(())) => {}
            }
            let again = self.again(server, ends_at);
            let again = match ends_at {
                Some(at) => timeout_at(at, again).await,
                None => Ok(again.await),
            };
            match again {
                Err(_) => return Ok(()),
                Ok(opened) => events = opened?,
            }
        }
    }

    fn call(&self, ends_at: Option<Instant>) -> Call {
        let path = match &self.tenant {
            Some(tenant) => vec!["tenants", tenant, "jobs", "events"],
            None => vec!["jobs", "events"],
        };
        let left = ends_at.map(|at| at.saturating_duration_since(Instant::now()).as_secs() + 1);
        let wait = left.map_or(STREAM, |left| left.min(STREAM));
        Call::new(Method::GET, &path)
            .query("channel", self.channel.as_ref())
            .query("queue", self.queue.as_ref())
            .query("wait", Some(wait))
    }

    /// Another stream, as soon as the server gives one.
    async fn again(&self, server: &Remote, ends_at: Option<Instant>) -> anyhow::Result<Events> {
        loop {
            sleep(PAUSE).await;
            match server.try_events(&self.call(ends_at)).await {
                Err(error) if error.is_transient() => {}
                opened => return opened.map_err(|error| server.told(error)),
            }
        }
    }
}

/// Shows a stream to its end.
async fn show(
    server: &Remote,
    events: &mut Events,
    is_begun: &mut bool,
) -> Result<(), ClientError> {
    while let Some(ServerEvent { name, data }) = server.or_interrupted(events.next()).await? {
        match name.as_str() {
            "job" => line(server, &data),
            "end" => {
                if data["reason"] != "time_over" {
                    tell(server, "end", &data);
                }
                return Ok(());
            }
            "watching" if !std::mem::replace(is_begun, true) => head(server),
            name => tell(server, name, &data),
        }
    }
    Ok(())
}

/// The head of the table; programs are told that it has begun.
fn head(server: &Remote) {
    if server.json() {
        say(json!({ "event": "watching" }));
    } else {
        say(row(&["TIME", "EVENT", "TENANT", "CHANNEL", "JOB"]));
    }
}

fn line(server: &Remote, event: &Value) {
    if server.json() {
        return say(event);
    }
    let text = |field: &str| event[field].as_str().unwrap_or("-");
    let fields = ["at", "event", "tenant_id", "channel_id", "job_id"];
    say(row(&fields.map(text)));
}

/// Lines come one by one, so that no column can be as wide as its widest cell.
fn row([time, event, tenant, channel, job]: &[&str; 5]) -> String {
    format!("{time:<24}  {event:<9}  {tenant:<16}  {channel:<24}  {job}")
}

/// What is to be known of the watching itself.
fn tell(server: &Remote, name: &str, data: &Value) {
    if server.json() {
        let mut line = data.clone();
        line["event"] = name.into();
        return say(line);
    }
    note(match name {
        "watching" => "watching again".to_owned(),
        "away" => "Redis does not answer; what happens meanwhile may be missing here".to_owned(),
        "back" if data["kept"] == true => "Redis answers again; nothing is missing".to_owned(),
        "back" => "Redis answers again, without its data: something is missing here".to_owned(),
        "missed" => match (&data["events"], &data["queue"]) {
            (Value::Number(count), _) => format!("{count} things came too fast to be shown"),
            (_, queue) => format!("something is missing here: {queue} was flushed"),
        },
        "end" => match data["reason"].as_str() {
            Some("stopping") => {
                "the server stops; what happens meanwhile is missing here".to_owned()
            }
            _ => "the right to watch has ended; asking again".to_owned(),
        },
        "lost" => {
            let why = data["detail"].as_str().unwrap_or_default();
            format!("{why}; what happens meanwhile is missing here")
        }
        other => format!("{other}: {data}"),
    });
}
