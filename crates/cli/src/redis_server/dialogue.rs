//! One question to the private server, in the inline form of its protocol.

use std::io;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::redis_server::endpoint::Endpoint;

const LIMIT: Duration = Duration::from_secs(2);

/// Sends a command and reads the first line of its answer.
///
/// # Errors
///
/// `PermissionDenied` if the password is not the server's, `Other` if it answers with an error,
/// else what the connection met.
pub(super) async fn ask(endpoint: &Endpoint, command: &str) -> io::Result<String> {
    let asked = async {
        match endpoint {
            Endpoint::Socket(path) => exchange(UnixStream::connect(path).await?, command).await,
            Endpoint::Port(port, password) => {
                let mut stream = TcpStream::connect(("127.0.0.1", *port)).await?;
                let auth = format!("AUTH {}", password.expose_secret());
                exchange(&mut stream, &auth)
                    .await
                    .map_err(|_| io::Error::from(io::ErrorKind::PermissionDenied))?;
                exchange(stream, command).await
            }
        }
    };
    timeout(LIMIT, asked)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    command: &str,
) -> io::Result<String> {
    stream
        .write_all(format!("{command}\r\n").as_bytes())
        .await?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    match line.strip_prefix('+') {
        Some(answer) => Ok(answer.trim_end().to_owned()),
        None => Err(io::Error::other(line.trim_end().to_owned())),
    }
}
