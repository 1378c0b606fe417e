//! A receiver of webhooks on loopback, as good or as bad as a test wants it.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::fleet::until;

/// How one call is answered; a call without one is answered with 204.
#[derive(Clone, Debug)]
pub(crate) enum Conduct {
    Status(u16),
    /// Never.
    Hang,
    /// With 302, to this address.
    Redirect(String),
    /// With 302, to where clouds hand out credentials.
    Metadata,
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    path: String,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Told {
    /// By which a repetition is known.
    pub(crate) fn id(&self) -> &str {
        let id = self.headers.get("webhook-id").expect("it has an id");
        id.to_str().expect("an id is text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("it is JSON")
    }

    /// Checks the signature with the library of the Standard Webhooks project.
    #[track_caller]
    pub(crate) fn verify(&self, secret: &str) {
        let webhook = Webhook::new(secret).expect("a good secret");
        let verified = webhook.verify(&self.body, &self.headers);
        verified.unwrap_or_else(|error| panic!("{error}: {self:?}"));
    }
}

#[derive(Default)]
struct Shared {
    told: Vec<Told>,
    conducts: HashMap<String, VecDeque<Conduct>>,
}

/// The receiver; it goes with the runtime of its test.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::<Mutex<Shared>>::default();
        let service = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, shared }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How the next calls at this path are answered.
    pub(crate) fn conduct(&self, path: &str, conducts: &[Conduct]) {
        let mut shared = lock(&self.shared);
        let queue = shared.conducts.entry(path.to_owned()).or_default();
        queue.extend(conducts.iter().cloned());
    }

    /// The calls at this path so far.
    pub(crate) fn on(&self, path: &str) -> Vec<Told> {
        let shared = lock(&self.shared);
        let at = shared.told.iter().filter(|told| told.path == path);
        at.cloned().collect()
    }

    /// Waits for so many calls at this path.
    pub(crate) async fn await_on(&self, path: &str, count: usize) -> Vec<Told> {
        until(&format!("{count} calls at {path}"), async || {
            let told = self.on(path);
            (told.len() >= count).then_some(told)
        })
        .await
    }
}

/// The address of somebody who does not speak HTTP.
pub(crate) async fn garbage() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Whoever called has heard enough.
            let _ = stream.write_all(b"\x00\xffSSH-2.0-garbage\r\n\r\n").await;
        }
    });
    format!("http://{address}/garbage")
}

async fn answer(
    State(shared): State<Arc<Mutex<Shared>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let conduct = {
        let mut shared = lock(&shared);
        let conduct = shared.conducts.get_mut(&path).and_then(VecDeque::pop_front);
        shared.told.push(Told {
            path,
            headers,
            body,
        });
        conduct
    };
    let redirect = |to: String| (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
    match conduct {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(Conduct::Status(status)) => StatusCode::from_u16(status)
            .expect("a status")
            .into_response(),
        Some(Conduct::Hang) => std::future::pending().await,
        Some(Conduct::Redirect(to)) => redirect(to),
        Some(Conduct::Metadata) => redirect("http://169.254.169.254/latest/meta-data".to_owned()),
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
