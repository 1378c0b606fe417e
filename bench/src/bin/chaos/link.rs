//! The network between one process and one server, which can be made to fail.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::{Clock as _, SystemClock, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::plan::Failing;

/// A listener that passes everything on, as long as it may.
#[derive(Debug)]
pub(crate) struct Link {
    port: u16,
    way: watch::Sender<Way>,
    notes: Arc<Notes>,
    accepting: JoinHandle<()>,
}

/// How it is at the moment.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    failing: Option<Failing>,
    /// Connections of before the last break do not outlive it.
    breaks: u64,
}

/// What is remembered of it.
#[derive(Debug, Default)]
struct Notes {
    /// Which life of the process uses it.
    life: AtomicU32,
    routes: Mutex<Vec<Route>>,
    cuts: Mutex<Vec<(Timestamp, Option<Timestamp>)>>,
}

/// A connection to the server.
#[derive(Clone, Copy, Debug)]
struct Route {
    /// Our port, as the server sees it.
    port: u16,
    since: Timestamp,
    life: u32,
}

impl Link {
    /// A link to this server.
    ///
    /// # Errors
    ///
    /// If there is no free port.
    pub(crate) async fn to(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let way = watch::Sender::new(Way::default());
        let notes = Arc::new(Notes::default());
        let accepting = accept(listener, server, way.subscribe(), Arc::clone(&notes));
        Ok(Self {
            port,
            way,
            notes,
            accepting: tokio::spawn(accepting),
        })
    }

    /// Where it listens, on the loopback interface.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// From now on another life of the process uses it.
    pub(crate) fn begin_life(&self, number: u32) {
        self.notes.life.store(number, Ordering::SeqCst);
    }

    /// Fails from now on.
    pub(crate) fn cut(&self, failing: Failing) {
        lock(&self.notes.cuts).push((SystemClock.now(), None));
        self.way.send_modify(|way| {
            way.failing = Some(failing);
            way.breaks += u64::from(failing == Failing::Broken);
        });
    }

    /// Works again. With `late`, what was held back arrives now; without, those connections break.
    pub(crate) fn heal(&self, late: bool) {
        self.way.send_modify(|way| {
            way.failing = None;
            way.breaks += u64::from(!late);
        });
        if let Some((_, until @ None)) = lock(&self.notes.cuts).last_mut() {
            *until = Some(SystemClock.now());
        }
    }

    /// Which life of the process had a connection from this port at that time.
    pub(crate) fn life_at(&self, port: u16, at: Timestamp) -> Option<u32> {
        let routes = lock(&self.notes.routes);
        let mut newest_first = routes.iter().rev();
        newest_first
            .find(|route| route.port == port && route.since <= at)
            .map(|route| route.life)
    }

    /// Whether it failed at any moment of this time.
    pub(crate) fn failed_within(&self, from: Timestamp, until: Timestamp) -> bool {
        lock(&self.notes.cuts)
            .iter()
            .any(|(begin, end)| *begin <= until && end.is_none_or(|end| end >= from))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    way: watch::Receiver<Way>,
    notes: Arc<Notes>,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        tokio::spawn(pass(client, server, way.clone(), Arc::clone(&notes)));
    }
}

/// One connection, until either end or the network closes it.
async fn pass(
    client: TcpStream,
    server: SocketAddr,
    mut way: watch::Receiver<Way>,
    notes: Arc<Notes>,
) {
    let breaks = way.borrow().breaks;
    if way.borrow().failing == Some(Failing::Broken) || !comes_through(&mut way, breaks).await {
        return;
    }
    let life = notes.life.load(Ordering::SeqCst);
    let Ok(upstream) = TcpStream::connect(server).await else {
        return;
    };
    let Ok(address) = upstream.local_addr() else {
        return;
    };
    lock(&notes.routes).push(Route {
        port: address.port(),
        since: SystemClock.now(),
        life,
    });
    drop((client.set_nodelay(true), upstream.set_nodelay(true)));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = upstream.into_split();
    // Neither HTTP nor Redis nor PostgreSQL says goodbye by halves.
    tokio::select! {
        () = carry(from_client, to_server, way.clone(), breaks) => {}
        () = carry(from_server, to_client, way, breaks) => {}
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
    breaks: u64,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            () = broken(way.clone(), breaks) => return,
        };
        if read == 0 || !comes_through(&mut way, breaks).await {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Waits while nothing comes through; `false` if the connection breaks.
async fn comes_through(way: &mut watch::Receiver<Way>, breaks: u64) -> bool {
    let passes = |way: &Way| way.breaks != breaks || way.failing != Some(Failing::Silent);
    match way.wait_for(passes).await {
        Ok(way) => way.breaks == breaks,
        Err(_) => false,
    }
}

async fn broken(mut way: watch::Receiver<Way>, breaks: u64) {
    // Without a link there is no connection either.
    drop(way.wait_for(|way| way.breaks != breaks).await);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
