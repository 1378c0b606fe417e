//! Starting, reaching and stopping a simulator.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::dispatch::{Cut, provider_request};
use crate::ledger::{Entry, Filter, Summary};
use crate::world::{ControlError, World};
use crate::{Faults, GrantView, MintError, MintRequest, Minted, SimulatorConfig, control};

/// How long a stop waits for answers under way; the rest is cut.
const GRACE: Duration = Duration::from_secs(5);
/// A pause after a failed accept: without it, running out of files would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Starts simulators.
#[derive(Debug)]
pub struct Simulator;

/// A simulator that could not start.
#[derive(Debug, thiserror::Error)]
#[error("the simulator cannot listen on {addr}")]
pub struct StartError {
    /// Where it should have listened.
    pub addr: SocketAddr,
    /// Why not: most often the port is in use.
    #[source]
    pub source: io::Error,
}

impl Simulator {
    /// Listens and serves until [`Running::shutdown`], or until the `Running` is dropped.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the address is taken or is not this machine's.
    pub async fn start(config: SimulatorConfig) -> Result<Running, StartError> {
        let addr = config.bind;
        let failed = |source| StartError { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let world = Arc::new(World::new(config, format!("http://{addr}")));
        let tasks = TaskTracker::new();
        let running = Running {
            addr,
            world: Arc::clone(&world),
            tasks: tasks.clone(),
        };
        tasks.spawn(accept(listener, world, tasks.clone()));
        Ok(running)
    }
}

/// A simulator that serves.
pub struct Running {
    addr: SocketAddr,
    world: Arc<World>,
    tasks: TaskTracker,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What replaces the provider's own address, such as `http://127.0.0.1:4010/tiktok`.
    ///
    /// `meta` and `whatsapp` are served by `facebook`; that of `service_token` is what a
    /// channel has as its `base_url`, and that of `oauth2:<name>` lacks only `/token`.
    /// A provider that is not simulated gets an address that answers 404.
    #[must_use]
    pub fn base_url(&self, provider: &str) -> String {
        self.world.base_url(provider)
    }

    /// Where the simulator is steered, such as `http://127.0.0.1:4010/_sim`.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("{}/_sim", self.world.origin)
    }

    /// Mints living credentials.
    ///
    /// # Errors
    ///
    /// [`MintError`] if the order makes no sense; nothing is minted then.
    pub fn mint(&self, order: &MintRequest) -> Result<Vec<Minted>, MintError> {
        self.world.mint(order)
    }

    /// Mints `count` grants of these providers in turn, due as soon as they are imported.
    ///
    /// # Errors
    ///
    /// [`MintError`] if `providers` is empty or one is not simulated; nothing is minted then.
    pub fn mint_fleet_of(&self, count: u32, providers: &[&str]) -> Result<Vec<Minted>, MintError> {
        self.world.mint_fleet_of(count, providers)
    }

    /// Mints `count` grants of Facebook, TikTok and Facturify for a demo, due as soon as they are imported.
    ///
    /// One in eighty is a system user's token without an end ([`Minted::refreshable`]
    /// is `false`); the rest are 49 % Facebook, 35 % TikTok, 15 % Facturify.
    #[must_use]
    pub fn mint_fleet(&self, count: u32) -> Vec<Minted> {
        self.world.mint_fleet(count)
    }

    /// What is known about a grant; with `reveal` also its secrets. `None` if there is none.
    #[must_use]
    pub fn grant(&self, id: &str, reveal: bool) -> Option<GrantView> {
        self.world.grant(id, reveal)
    }

    /// Ends a grant, as a person does who removes the app.
    ///
    /// # Errors
    ///
    /// [`ControlError::Grant`] if there is none with this id.
    pub fn revoke(&self, id: &str) -> Result<(), ControlError> {
        self.world.revoke(id)
    }

    /// Replaces the scenario of a grant: what its refreshes go through from now on.
    ///
    /// # Errors
    ///
    /// [`ControlError`] if there is no such grant, or its provider has no such scenario.
    pub fn set_scenario(&self, id: &str, scenario: &str) -> Result<(), ControlError> {
        self.world.set_scenario(id, scenario)
    }

    /// Which faults are on.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.world.faults()
    }

    /// Replaces the faults for all requests from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.world.set_faults(faults);
    }

    /// Takes a whole provider down, or puts it up again.
    ///
    /// # Errors
    ///
    /// [`ControlError::Provider`] if it is not simulated.
    pub fn set_down(&self, provider: &str, down: bool) -> Result<(), ControlError> {
        self.world.set_down_by_name(provider, down)
    }

    /// The kept requests that pass, oldest first.
    #[must_use]
    pub fn ledger(&self, filter: &Filter) -> Vec<Entry> {
        self.world.ledger.entries(filter)
    }

    /// Totals since the start or the last [`Running::clear_ledger`].
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.world.summary()
    }

    /// Forgets all requests; grants and their tokens stay.
    pub fn clear_ledger(&self) {
        self.world.clear_ledger();
    }

    /// Stops listening, lets answers under way leave for up to five seconds, cuts the rest.
    pub async fn shutdown(self) {
        self.world.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                connections = self.tasks.len(),
                "connections outlive the simulator"
            );
        }
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.world.stop.cancel();
    }
}

async fn accept(listener: TcpListener, world: Arc<World>, tasks: TaskTracker) {
    let router = control::router(Arc::clone(&world));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = world.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, sender)) => {
                let (world, router) = (Arc::clone(&world), router.clone());
                tasks.spawn(connection(stream, sender.port(), world, router));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, port: u16, world: Arc<World>, router: Router) {
    // Answers are small; without it a slow body would arrive in one piece.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let stop = world.stop.clone();
    let service =
        service_fn(move |request| route(Arc::clone(&world), port, router.clone(), request));
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection ended early");
    }
}

async fn route(
    world: Arc<World>,
    port: u16,
    router: Router,
    request: Request<Incoming>,
) -> Result<Response<Body>, Cut> {
    let request = request.map(Body::new);
    match world.provider_at(request.uri().path()) {
        Some(provider) => provider_request(world, provider, port, request).await,
        None => match router.oneshot(request).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        },
    }
}
