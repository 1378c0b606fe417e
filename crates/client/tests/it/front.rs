//! What stands between client and API: it counts renewals, holds them back, and loses answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures::stream;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// A front; clones are the same one.
#[derive(Clone)]
pub(crate) struct Front(Arc<Parts>);

struct Parts {
    upstream: String,
    http: reqwest::Client,
    renewals: AtomicUsize,
    to_lose: AtomicUsize,
    to_refuse: AtomicUsize,
    gate: Semaphore,
}

impl Front {
    /// One before the API at this address; its own address.
    pub(crate) async fn before(upstream: &str) -> (Self, String) {
        let front = Self(Arc::new(Parts {
            upstream: upstream.to_owned(),
            http: client::http_client(Duration::from_mins(1)).unwrap(),
            renewals: AtomicUsize::new(0),
            to_lose: AtomicUsize::new(0),
            to_refuse: AtomicUsize::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }));
        let router = axum::Router::new().fallback(pass).with_state(front.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (front, address)
    }

    /// Renewals so far, of either kind of token.
    pub(crate) fn renewals(&self) -> usize {
        self.0.renewals.load(Ordering::SeqCst)
    }

    /// The answers of so many renewals are lost after the API has given them.
    pub(crate) fn lose(&self, count: usize) {
        self.0.to_lose.store(count, Ordering::SeqCst);
    }

    /// So many renewals are answered with 503 and do not reach the API.
    pub(crate) fn refuse(&self, count: usize) {
        self.0.to_refuse.store(count, Ordering::SeqCst);
    }

    /// Renewals wait here until [`Front::release`].
    pub(crate) fn hold(&self) {
        self.0.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn release(&self) {
        self.0.gate.add_permits(1000);
    }

    /// Waits until so many renewals have come.
    pub(crate) async fn await_renewals(&self, count: usize) {
        for _ in 0..1000 {
            if self.renewals() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not {count} renewals, but {}", self.renewals());
    }
}

async fn pass(State(front): State<Front>, request: Request) -> Response {
    let is_renewal =
        request.uri().path().starts_with("/api/auth/") && request.uri().path().ends_with("refresh");
    if is_renewal {
        front.0.renewals.fetch_add(1, Ordering::SeqCst);
        front.0.gate.acquire().await.unwrap().forget();
        if take(&front.0.to_refuse) {
            return Response::builder().status(503).body(Body::empty()).unwrap();
        }
    }
    let answer = forward(&front.0, request).await;
    if is_renewal && take(&front.0.to_lose) {
        let broken = stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("cut"))]);
        return Response::new(Body::from_stream(broken));
    }
    answer
}

async fn forward(parts: &Parts, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let answer = parts
        .http
        .request(head.method, format!("{}{}", parts.upstream, head.uri))
        .headers(head.headers)
        .body(body)
        .send()
        .await
        .unwrap();
    let mut response = Response::builder().status(answer.status());
    let headers = response.headers_mut().unwrap();
    *headers = answer.headers().clone();
    // What came in pieces goes on in one.
    headers.remove("transfer-encoding");
    let body = answer.bytes().await.unwrap();
    response.body(Body::from(body)).unwrap()
}

fn take(count: &AtomicUsize) -> bool {
    let one_less = |count: usize| count.checked_sub(1);
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
        .is_ok()
}
