//! Why there was no connection, or no answer, in a few words that name no address.

use std::error::Error;
use std::io::{self, ErrorKind};

use domain::silence;

use crate::BoxError;

/// The time-out of a request is over.
#[derive(Debug, thiserror::Error)]
#[error("its time is over")]
pub(crate) struct TimeOver;

/// One of [`domain::cause`]; `None` if the chain of errors tells none of them.
pub(crate) fn cause_of(error: &BoxError) -> Option<&'static str> {
    let client: Option<&reqwest::Error> = error.downcast_ref();
    if error.is::<TimeOver>() || client.is_some_and(reqwest::Error::is_timeout) {
        return Some(silence::TIMED_OUT);
    }
    if client.is_some_and(reqwest::Error::is_dns) {
        return Some(silence::DNS);
    }
    let mut link: Option<&(dyn Error + 'static)> = Some(error.as_ref());
    while let Some(error) = link {
        if let Some(cause) = of_one(error) {
            return Some(cause);
        }
        link = error.source();
    }
    None
}

fn of_one(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if error.is::<rustls::Error>() {
        return Some(silence::TLS);
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return error
            .is_incomplete_message()
            .then_some(silence::CLOSED_EARLY);
    }
    of_io(error.downcast_ref()?)
}

/// What is wrapped in an error of the operating system's kind is not its source.
fn of_io(error: &io::Error) -> Option<&'static str> {
    if let Some(cause) = error.get_ref().and_then(|wrapped| of_one(wrapped)) {
        return Some(cause);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => Some(silence::CONNECTION_REFUSED),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Some(silence::CONNECTION_RESET)
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            Some(silence::NO_ROUTE)
        }
        ErrorKind::UnexpectedEof => Some(silence::CLOSED_EARLY),
        _ => None,
    }
}
