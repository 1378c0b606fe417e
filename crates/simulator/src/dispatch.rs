//! The way of one request to a provider: who calls, what goes wrong, the answer,
//! and how it leaves.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response, header};
use futures::stream;

use crate::FaultKind;
use crate::answer::Answer;
use crate::call::Call;
use crate::consent;
use crate::providers::{Desk, Question, Refusal};
use crate::scenario::Effect;
use crate::visit::{Arrival, Visit};
use crate::world::World;

/// The connection is to be cut without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the simulator cuts this connection")]
pub(crate) struct Cut;

const SLOW_CHUNKS: u32 = 10;
const HUGE: usize = 8 * 1024 * 1024;

/// Answers a request to the provider with this index in the registry, from this port.
pub(crate) async fn provider_request(
    world: Arc<World>,
    provider: usize,
    port: u16,
    request: Request<Body>,
) -> Result<Response<Body>, Cut> {
    let arrival = Arrival {
        at: world.now(),
        port,
    };
    let prefix = world.providers[provider].mount().len() + 1;
    let call = Call::read(request, prefix).await.ok_or(Cut)?;
    if let Some(dialect) = world.providers[provider].dialect(&call) {
        return Ok(consent::browse(&world, provider, &dialect, &call));
    }
    let desk = Desk {
        world: &world,
        provider,
    };
    let caller = world.providers[provider].identify(&call, desk);
    let (mut visit, effect) = Visit::begin(&world, provider, &caller, arrival);
    let (own_fault, special) = match effect {
        Effect::Ok => (None, None),
        Effect::Fault(kind) => (Some(kind), None),
        Effect::Special(special) => (None, Some(special.name)),
    };
    let fault = match world.fault(provider, visit.seq()) {
        Some(FaultKind::Down) => Some(FaultKind::Down),
        by_rate => own_fault.or(by_rate),
    };
    if let Some(kind) = fault {
        visit.meets(kind);
    }

    before(&world, fault, &mut visit).await?;
    let question = Question {
        call: &call,
        caller: &caller,
        desk,
        seq: visit.seq(),
        now: world.now(),
        special,
    };
    let answer = match fault.and_then(|kind| instead(kind, &question)) {
        Some(answer) => answer,
        None => world.providers[provider].answer(&question),
    };
    visit.decided(&answer);
    after(&world, fault, answer, visit).await
}

/// What goes wrong before the provider does anything; its time to think.
async fn before(world: &World, fault: Option<FaultKind>, visit: &mut Visit) -> Result<(), Cut> {
    let latency = world.latency(visit.seq());
    match fault {
        Some(FaultKind::Hang) => return hang(world, visit).await,
        Some(FaultKind::Slow) => rest(world, visit, latency + world.slow).await?,
        _ if latency.is_zero() => {}
        _ => rest(world, visit, latency).await?,
    }
    if fault == Some(FaultKind::CutBeforeCommit) {
        visit.cut();
        return Err(Cut);
    }
    Ok(())
}

/// What is answered in place of the provider's own answer.
fn instead(fault: FaultKind, question: &Question<'_>) -> Option<Answer> {
    let refuse = |refusal| {
        let desk = question.desk;
        Some(desk.world.providers[desk.provider].refuse(refusal, question))
    };
    match fault {
        FaultKind::Down => Some(Answer::html(503, "503 Service Temporarily Unavailable")),
        FaultKind::Html500 => Some(Answer::html(500, "500 Internal Server Error")),
        FaultKind::Status503 => Some(Answer {
            status: 503,
            code: Some("503"),
            ..Answer::ok("")
        }),
        FaultKind::Garbage => Some(Answer {
            code: Some("garbage"),
            ..Answer::ok("{\"access_token\": \"")
        }),
        FaultKind::HugeBody => Some(Answer {
            code: Some("huge"),
            ..Answer::ok(format!("{{\"padding\":\"{}\"}}", "x".repeat(HUGE)))
        }),
        FaultKind::Redirect => {
            let elsewhere = format!("{}/_sim/elsewhere", question.desk.world.origin);
            let found = Answer {
                status: 302,
                code: Some("redirect"),
                ..Answer::ok("")
            };
            Some(found.header("location", elsewhere))
        }
        FaultKind::Status500 => refuse(Refusal::ServerError),
        FaultKind::Status429 => refuse(Refusal::Throttled),
        FaultKind::InvalidClient => refuse(Refusal::InvalidClient),
        FaultKind::InvalidGrant => refuse(Refusal::InvalidGrant),
        FaultKind::Echo => refuse(Refusal::Echo),
        FaultKind::Slow
        | FaultKind::Hang
        | FaultKind::CutBeforeCommit
        | FaultKind::CutAfterCommit
        | FaultKind::HangAfterCommit
        | FaultKind::CutBody
        | FaultKind::SlowBody => None,
    }
}

/// What goes wrong after the provider has decided; else the answer leaves.
async fn after(
    world: &World,
    fault: Option<FaultKind>,
    answer: Answer,
    mut visit: Visit,
) -> Result<Response<Body>, Cut> {
    match fault {
        Some(FaultKind::CutAfterCommit) => {
            visit.cut();
            Err(Cut)
        }
        Some(FaultKind::HangAfterCommit) => hang(world, &mut visit).await,
        Some(FaultKind::SlowBody) => Ok(trickle(answer, visit, world.slow / SLOW_CHUNKS)),
        Some(FaultKind::CutBody) => {
            visit.cut();
            Ok(half(answer, visit))
        }
        _ => {
            visit.answered(answer.status, answer.outcome());
            Ok(answer.into_response(None))
        }
    }
}

/// Waits until the sender leaves, which drops the request, or the simulator ends.
async fn hang<T>(world: &World, visit: &mut Visit) -> Result<T, Cut> {
    world.stop.cancelled().await;
    visit.cut();
    Err(Cut)
}

async fn rest(world: &World, visit: &mut Visit, pause: Duration) -> Result<(), Cut> {
    tokio::select! {
        () = tokio::time::sleep(pause) => Ok(()),
        () = world.stop.cancelled() => {
            visit.cut();
            Err(Cut)
        }
    }
}

/// The answer in ten pieces with a pause before each.
fn trickle(mut answer: Answer, visit: Visit, pause: Duration) -> Response<Body> {
    let text = Bytes::from(std::mem::take(&mut answer.body).into_owned());
    let length = text.len();
    let size = length
        .div_ceil(usize::try_from(SLOW_CHUNKS).expect("10 is a usize"))
        .max(1);
    let (status, outcome) = (answer.status, answer.outcome());
    let pieces = stream::unfold((text, visit), move |(mut text, mut visit)| async move {
        if text.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = text.split_to(size.min(text.len()));
        if text.is_empty() {
            // Nobody asks for more than the announced length.
            visit.answered(status, outcome);
        }
        Some((Ok::<_, Infallible>(piece), (text, visit)))
    });
    with_length(
        answer.into_response(Some(Body::from_stream(pieces))),
        length,
    )
}

/// Half of the answer, then the connection is cut.
fn half(mut answer: Answer, visit: Visit) -> Response<Body> {
    let text = std::mem::take(&mut answer.body).into_owned();
    let length = text.len();
    let first = Bytes::from(text).slice(..length / 2);
    let pieces = stream::unfold((Some(first), visit), |(first, visit)| async move {
        if let Some(first) = first {
            return Some((Ok(first), (None, visit)));
        }
        // The first half has to leave before the connection goes.
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(visit);
        None::<(Result<Bytes, io::Error>, _)>
    });
    let pieces =
        stream::StreamExt::chain(pieces, stream::once(async { Err(io::Error::other(Cut)) }));
    with_length(
        answer.into_response(Some(Body::from_stream(pieces))),
        length,
    )
}

fn with_length(mut response: Response<Body>, length: usize) -> Response<Body> {
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length.into());
    response
}
