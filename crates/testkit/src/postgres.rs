//! A private PostgreSQL server to measure on.

use anyhow::Context as _;

use crate::cluster::Cluster;
use crate::redis::free_port;

/// A PostgreSQL server with the settings it comes with, synchronised commits included,
/// on a free loopback port. It ends when this is dropped.
#[derive(Debug)]
pub struct PostgresServer {
    cluster: Cluster,
}

impl PostgresServer {
    /// Starts one, and waits until it answers. Its data are in a temporary directory.
    ///
    /// # Errors
    ///
    /// If PostgreSQL is not installed, or does not start.
    pub fn start() -> anyhow::Result<Self> {
        let cluster = Cluster::as_installed(free_port()?)?;
        Ok(Self { cluster })
    }

    /// Makes an empty database, and says its address.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn create(&self) -> anyhow::Result<String> {
        let name = self.cluster.create().await?;
        Ok(self.cluster.url_of(&name))
    }

    /// Takes a database away that [`PostgresServer::create`] made.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn remove(&self, url: &str) -> anyhow::Result<()> {
        let (_, name) = url.rsplit_once('/').context("an address has a path")?;
        self.cluster.drop_database(name).await
    }

    /// Ends it at once, as a crash does; [`PostgresServer::resume`] starts it again.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn halt(&mut self) -> anyhow::Result<()> {
        self.cluster.halt()
    }

    /// Starts it on the data that it had, and waits until it answers.
    ///
    /// # Errors
    ///
    /// If it runs, or does not start.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.cluster.resume()
    }

    /// The process id of its postmaster, whose children are all the others.
    ///
    /// # Panics
    ///
    /// Never: we started it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.cluster.pid().expect("we started it")
    }
}
