//! Talks to a server: what all commands that need one share.

mod answer;
mod logins;
mod show;
mod target;

use std::path::PathBuf;

use client::{Call, Client, ClientError, Events, FixedToken, Session};
use reqwest::Method;
use serde_json::Value;

use crate::args::Global;

pub(crate) use logins::Logins;
pub(crate) use target::{Right, Target, url_of};

/// The exit code of a program that Ctrl-C ended, as shells have it.
const INTERRUPTED: i32 = 130;

/// Flags of every command that talks to a server.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// File with the bearer token [default: the saved log-in, else `TOKENFLEET_ADMIN_TOKEN`, else
    /// the data directory's]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Which server, and how its answers are shown.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct PlaceArgs {
    /// Its address [default: `TOKENFLEET_SERVER`, else that of the last log-in, else the API of
    /// this machine's settings]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// JSON instead of tables
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// A server and the right to talk to it.
#[derive(Debug)]
pub(crate) struct Remote {
    client: Client,
    right: Right,
    session: Option<Session>,
    json: bool,
}

/// Query parameters; those without a value are left out.
pub(crate) type Query<'q> = &'q [(&'q str, Option<String>)];

impl Remote {
    /// The server of these flags and settings.
    ///
    /// # Errors
    ///
    /// If the address is none, or there is no token for it.
    pub(crate) fn new(global: &Global, args: &ServerArgs) -> anyhow::Result<Self> {
        let server = args.place.server.as_deref();
        let target = Target::of(global, server, args.token_file.as_deref())?;
        Ok(Self::at(target.with_right()?, args.place.json))
    }

    /// The server of a target. Without a right it answers only what everybody may ask.
    pub(crate) fn at(target: Target, json: bool) -> Self {
        let Target { server, right, .. } = target;
        let session = match &right {
            Right::Login(storage) => Some(Session::new(server.clone(), storage.clone())),
            Right::Token(_) | Right::None => None,
        };
        let client = match (&session, &right) {
            (Some(session), _) => server.client(session.clone()),
            (None, Right::Token(token)) => server.client(FixedToken(token.clone())),
            (None, _) => server.client(FixedToken("".into())),
        };
        Self {
            client,
            right,
            session,
            json,
        }
    }

    /// A server where this session has just been opened.
    pub(crate) fn of_session(session: Session, server: &client::Server, json: bool) -> Self {
        Self {
            client: server.client(session.clone()),
            right: Right::None,
            session: Some(session),
            json,
        }
    }

    /// Asks for something.
    ///
    /// # Errors
    ///
    /// If nobody answers, or the answer is a problem: its text is the message.
    pub(crate) async fn get(&self, path: &[&str], query: Query<'_>) -> anyhow::Result<Value> {
        self.call(Method::GET, path, query, None).await
    }

    /// Does something.
    ///
    /// # Errors
    ///
    /// As [`Remote::get`].
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: Query<'_>,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let mut call = Call::new(method, path);
        for (name, value) in query {
            call = call.query(name, value.as_ref());
        }
        if let Some(body) = body {
            call = call.body(body.clone());
        }
        self.send(&call).await
    }

    /// Makes a call of any address.
    ///
    /// # Errors
    ///
    /// As [`Remote::get`].
    pub(crate) async fn send(&self, call: &Call) -> anyhow::Result<Value> {
        self.guarded(self.client.call(call)).await
    }

    /// Makes a call that needs no right.
    ///
    /// # Errors
    ///
    /// As [`Remote::get`].
    pub(crate) async fn send_open(&self, call: &Call) -> anyhow::Result<Value> {
        self.guarded(self.client.server().call(call, None)).await
    }

    /// Opens a stream of events.
    ///
    /// # Errors
    ///
    /// As [`Remote::get`].
    pub(crate) async fn events(&self, call: &Call) -> anyhow::Result<Events> {
        self.guarded(self.client.events(call)).await
    }

    /// The same for who tries again after some errors.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; [`Remote::told`] makes a message of it.
    pub(crate) async fn try_events(&self, call: &Call) -> Result<Events, ClientError> {
        self.or_interrupted(self.client.events(call)).await
    }

    /// Waits for an answer, as [`Remote::or_interrupted`] does.
    ///
    /// # Errors
    ///
    /// As [`Remote::get`].
    pub(crate) async fn guarded<T>(
        &self,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> anyhow::Result<T> {
        let answer = self.or_interrupted(call).await;
        answer.map_err(|error| self.told(error))
    }

    /// What an error is to a person who called this server.
    pub(crate) fn told(&self, error: ClientError) -> anyhow::Error {
        answer::told(error, self.client.server().address(), &self.right)
    }

    /// Waits for something. Ctrl-C ends the program, but not in the middle of a refresh: the
    /// saved refresh token would be spent, and the next one lost.
    pub(crate) async fn or_interrupted<T>(&self, waiting: impl Future<Output = T>) -> T {
        tokio::select! {
            outcome = waiting => outcome,
            Ok(()) = tokio::signal::ctrl_c(), if self.session.is_some() => {
                if let Some(session) = &self.session {
                    session.settled().await;
                }
                std::process::exit(INTERRUPTED)
            }
        }
    }

    /// The typed client below.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Whether a program reads the answers.
    pub(crate) const fn json(&self) -> bool {
        self.json
    }
}

/// Minutes of a duration such as `90m` or `2h`; a plain number is minutes.
///
/// # Errors
///
/// What is allowed.
pub(crate) fn minutes(text: &str) -> Result<u64, String> {
    let allowed = || "must be whole minutes, such as 30, 90m, 2h or 1d".to_owned();
    if let Ok(minutes) = text.parse() {
        return Ok(minutes);
    }
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(allowed)?;
    let number: u64 = number.parse().map_err(|_| allowed())?;
    let factor = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 1440,
        _ => return Err(allowed()),
    };
    number.checked_mul(factor).ok_or_else(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_read_with_and_without_a_unit() {
        let read = ["30", "90m", "2h", "1d"].map(minutes);

        assert_eq!(read, [Ok(30), Ok(90), Ok(120), Ok(1440)]);
        for bad in ["", "m", "30s", "-1", "1.5h", "ñ"] {
            assert!(minutes(bad).is_err(), "{bad}");
        }
    }
}
