//! How a command comes to its server: with which token, and as whom.

use reqwest::Url;
use secrecy::SecretString;
use serde_json::Value;

use super::bearer::{self, Bearer};
use super::{Client, Login, PlaceArgs, ServerArgs, TIMEOUT, address, http_client};
use crate::args::Global;

impl Client {
    /// The server of these flags and settings.
    ///
    /// # Errors
    ///
    /// If the address is none, or there is no token for it.
    pub(crate) fn new(global: &Global, args: &ServerArgs) -> anyhow::Result<Self> {
        let loaded = address::load(global, args.place.server.as_deref())?;
        let base = address::base(&loaded)?;
        let bearer = address::bearer(&loaded, args.token_file.as_deref(), &base)?;
        Self::with(base, bearer, args.place.json)
    }

    /// The server of these flags and settings, with what is set or saved for it.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub(crate) fn at(global: &Global, place: &PlaceArgs) -> anyhow::Result<Self> {
        let loaded = address::load(global, place.server.as_deref())?;
        let base = address::base(&loaded)?;
        let bearer = address::bearer(&loaded, None, &base)?;
        Self::with(base, bearer, place.json)
    }

    /// The server of these flags and settings, as a person who logs in for this once.
    ///
    /// # Errors
    ///
    /// If the server refuses or does not answer.
    pub(crate) async fn logged_in(
        global: &Global,
        place: &PlaceArgs,
        email: &str,
        password: &SecretString,
    ) -> anyhow::Result<(Self, Login)> {
        let loaded = address::load(global, place.server.as_deref())?;
        let base = address::base(&loaded)?;
        let http = http_client(TIMEOUT)?;
        let login = bearer::log_in(&http, &base, email, password).await?;
        let bearer = Bearer::Fixed(login.access.clone());
        Ok((Self::with(base, bearer, place.json)?, login))
    }

    /// The server of these flags and settings, for somebody who has no token yet.
    ///
    /// # Errors
    ///
    /// If the address is none.
    pub(crate) fn nobody(global: &Global, args: &ServerArgs) -> anyhow::Result<Self> {
        let base = address::base(&address::load(global, args.place.server())?)?;
        Self::with(
            base,
            Bearer::Fixed(SecretString::default()),
            args.place.json,
        )
    }

    /// A server, shown this log-in.
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up.
    pub(crate) fn showing(base: Url, login: &Login) -> anyhow::Result<Self> {
        Self::with(base, Bearer::Fixed(login.access.clone()), false)
    }

    /// Registers or accepts an invitation: what needs no token.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub(crate) async fn enter(&self, what: &str, body: &Value) -> anyhow::Result<Value> {
        bearer::enter(&self.http, &self.base, what, body).await
    }

    fn with(base: Url, bearer: Bearer, json: bool) -> anyhow::Result<Self> {
        Ok(Self {
            http: http_client(TIMEOUT)?,
            base,
            bearer,
            json,
        })
    }

    /// Where the server is.
    pub(crate) const fn base(&self) -> &Url {
        &self.base
    }

    /// Ends a log-in at the server.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub(crate) async fn log_out(&self, login: &Login) -> anyhow::Result<()> {
        bearer::log_out(&self.http, &self.base, login).await
    }
}
