//! Connections: taken until the process ends, and given up if nothing comes on them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::limits::SHUTDOWN_GRACE;

/// A pause after a failed accept: without it, running out of files would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What each connection works with.
#[derive(Clone)]
pub(crate) struct Server {
    /// Who answers.
    pub(crate) router: Router,
    /// How long the head of a request may take, the rest before it included.
    pub(crate) patience: Duration,
    /// Ends what is under way.
    pub(crate) shutdown: CancellationToken,
}

impl Server {
    /// Serves until `shutdown`; then answers that are under way are given ten seconds.
    ///
    /// axum's own server waits for ever for the head of a request: a few thousand
    /// connections that never send one would take every file that the process may open.
    pub(crate) async fn run(self, listener: TcpListener) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.shutdown.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => drop(connections.spawn(self.clone().attend(stream, peer))),
                Err(error) => rest(&error).await,
            }
        }
        drop(listener);
        connections.close();
        let ended = tokio::time::timeout(SHUTDOWN_GRACE, connections.wait()).await;
        if ended.is_err() {
            tracing::warn!("connections were still open when the API ended");
        }
    }

    /// One connection, request after request.
    async fn attend(self, stream: TcpStream, peer: SocketAddr) {
        // Answers are written at once; without it some wait for the client's next packet.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        let Self {
            router,
            patience,
            shutdown,
        } = self;
        let service = service_fn(move |request| answer(router.clone(), peer, request));
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(patience)
                .serve_connection(TokioIo::new(stream), service)
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

async fn answer(
    router: Router,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request.map(Body::new)).await
}

/// After a connection that could not be taken: it may be gone again, or there is no room for it.
async fn rest(error: &io::Error) {
    tracing::debug!(%error, "a connection was not taken");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
