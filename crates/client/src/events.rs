//! A stream of events: Server-Sent Events, section 9.2 of the HTML standard.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Response;
use serde_json::Value;
use tokio::time::timeout;

use crate::{ClientError, Server};

/// A server on which nothing happens says every 15 seconds that it lives.
const SILENCE: Duration = Duration::from_secs(45);
/// No event of ours is longer.
const LONGEST: usize = 1 << 20;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEvent {
    /// What it is called, such as `job`.
    pub name: String,
    /// What it tells.
    pub data: Value,
}

/// Events as they come, until the server ends them or this is dropped.
#[derive(Debug)]
pub struct Events {
    server: Server,
    response: Response,
    parser: Parser,
}

impl Events {
    pub(crate) fn new(server: Server, response: Response) -> Self {
        Self {
            server,
            response,
            parser: Parser::default(),
        }
    }

    /// The next event; `None` at the end. A call that is dropped loses nothing.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreachable`] if the connection broke, [`ClientError::Silent`] if nothing
    /// was heard for 45 seconds, [`ClientError::Unreadable`] if what comes is no event of ours.
    pub async fn next(&mut self) -> Result<Option<ServerEvent>, ClientError> {
        loop {
            if let Some((name, data)) = self.parser.ready.pop_front() {
                let data = serde_json::from_str(&data).map_err(|_| self.unreadable())?;
                return Ok(Some(ServerEvent { name, data }));
            }
            let chunk = timeout(SILENCE, self.response.chunk()).await;
            let chunk = chunk.map_err(|_| ClientError::Silent {
                server: self.server.address().to_owned(),
            })?;
            match chunk.map_err(|error| self.server.unreachable(error))? {
                Some(bytes) if self.parser.feed(&bytes) => {}
                Some(_) => return Err(self.unreadable()),
                None => return Ok(None),
            }
        }
    }

    fn unreadable(&self) -> ClientError {
        ClientError::Unreadable {
            server: self.server.address().to_owned(),
            status: self.response.status().as_u16(),
        }
    }
}

/// Lines on their way to events. Ids and retry times are not used here.
#[derive(Debug, Default)]
struct Parser {
    /// The line that is not whole yet.
    line: Vec<u8>,
    name: String,
    data: Option<String>,
    ready: VecDeque<(String, String)>,
}

impl Parser {
    /// Takes what has come; `false` if an event grows beyond all bounds.
    fn feed(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    self.take(String::from_utf8_lossy(&line).trim_end_matches('\r'));
                }
                byte => self.line.push(*byte),
            }
        }
        self.line.len() + self.data.as_ref().map_or(0, String::len) <= LONGEST
    }

    fn take(&mut self, line: &str) {
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            if let Some(data) = self.data.take() {
                self.ready.push_back((name, data));
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (field, &mut self.data) {
            ("event", _) => value.clone_into(&mut self.name),
            ("data", Some(data)) => {
                data.push('\n');
                data.push_str(value);
            }
            ("data", none) => *none = Some(value.to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(chunks: &[&str]) -> Vec<(String, String)> {
        let mut parser = Parser::default();
        for chunk in chunks {
            assert!(parser.feed(chunk.as_bytes()));
        }
        parser.ready.into_iter().collect()
    }

    #[test]
    fn events_are_read_wherever_the_network_cuts_them() {
        let text =
            ":\n\nevent: job\ndata: {\"a\":\ndata: 1}\n\n: alive\n\nevent: end\r\ndata: 2\r\n\r\n";
        let expected = [("job", "{\"a\":\n1}"), ("end", "2")];
        let expected = expected.map(|(name, data)| (name.to_owned(), data.to_owned()));

        assert_eq!(parsed(&[text]), expected);
        for place in 1..text.len() {
            let (one, other) = text.split_at(place);
            assert_eq!(parsed(&[one, other]), expected, "cut at {place}");
        }
    }

    #[test]
    fn an_event_without_data_or_end_is_none() {
        assert_eq!(parsed(&["event: job\n\n", "data: 1\n"]), []);
    }

    #[test]
    fn an_event_without_bounds_is_refused() {
        let mut parser = Parser::default();

        assert!(parser.feed(&vec![b'x'; LONGEST]));
        assert!(!parser.feed(b"x"));
    }
}
