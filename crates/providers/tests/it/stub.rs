//! A server that gives prepared answers in order and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers with status, headers and body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// Closes the connection without an answer.
    Cut,
    /// Closes the connection in the middle of the body.
    CutBody,
    /// Never answers.
    Hang,
}

/// One request as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Method and path with query, such as `GET /me?x=1`.
    pub(crate) line: String,
    /// `name: value` per header, names in lower case.
    pub(crate) headers: Vec<String>,
    /// The body.
    pub(crate) body: String,
}

/// The server; it ends with the test.
pub(crate) struct Stub {
    /// Where it listens, without a final slash.
    pub(crate) base_url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A JSON answer.
pub(crate) fn json(status: u16, body: &str) -> Reply {
    Reply::Say(status, Vec::new(), body.to_owned())
}

/// A JSON answer with one more header.
pub(crate) fn json_with(status: u16, header: (&'static str, &str), body: &str) -> Reply {
    Reply::Say(
        status,
        vec![(header.0, header.1.to_owned())],
        body.to_owned(),
    )
}

impl Stub {
    /// Starts one on a free port. Requests beyond the last reply are answered with 599.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let replies = Arc::new(Mutex::new(replies.into_iter().collect::<VecDeque<_>>()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&replies)));
            }
        });
        Self {
            base_url: format!("http://{address}"),
            asked,
        }
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }

    /// The first lines of all requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    /// The paths of all requests so far, with their methods and without queries.
    pub(crate) fn paths(&self) -> Vec<String> {
        let path = |line: String| line.split('?').next().unwrap_or_default().to_owned();
        self.lines().into_iter().map(path).collect()
    }
}

impl Asked {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.headers.iter().find_map(|it| it.strip_prefix(&prefix))
    }
}

async fn serve(
    mut stream: TcpStream,
    asked: Arc<Mutex<Vec<Asked>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    lock(&asked).push(request);
    let reply = lock(&replies).pop_front();
    match reply.unwrap_or_else(|| json(599, "")) {
        Reply::Say(status, headers, body) => {
            let headers: Vec<String> = headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            let answer = format!(
                "HTTP/1.1 {status} X\r\nconnection: close\r\n{}content-length: {}\r\n\r\n{body}",
                headers.concat(),
                body.len(),
            );
            stream.write_all(answer.as_bytes()).await.ok();
        }
        Reply::CutBody => {
            let half = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"access_token\":\"act.ne";
            stream.write_all(half.as_bytes()).await.ok();
        }
        Reply::Cut => {}
        Reply::Hang => std::future::pending().await,
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let mut lines = head.lines().map(str::to_owned);
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let mut asked = Asked {
        line,
        headers: lines.collect(),
        body: String::new(),
    };
    let length = asked
        .header("content-length")
        .map_or(0, |it| it.parse().expect("a length"));
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        stream.read_buf(&mut body).await.ok()?;
    }
    asked.body = String::from_utf8(body).ok()?;
    Some(asked)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
