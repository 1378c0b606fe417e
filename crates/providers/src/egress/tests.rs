//! The guard with a resolver whose answers change between two calls.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;

use ::url::Url;
use async_trait::async_trait;
use reqwest::{Method, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::http::HttpError;
use crate::silence::cause_of;

const LIMITS: Limits = Limits {
    timeout: Duration::from_secs(5),
    connect_timeout: Duration::from_secs(5),
};

/// Gives its answers in order, then none.
struct Changing(Mutex<VecDeque<Vec<IpAddr>>>);

impl Changing {
    fn of<const N: usize>(answers: [&[&str]; N]) -> Arc<Self> {
        let parsed = |answer: &[&str]| answer.iter().map(|it| it.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.into_iter().map(parsed).collect())))
    }
}

#[async_trait]
impl Names for Changing {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<SocketAddr>> {
        let answer = self.0.lock().unwrap().pop_front();
        let addresses = answer.ok_or_else(|| std::io::Error::other("no such name"))?;
        Ok(addresses.into_iter().map(|it| (it, 0).into()).collect())
    }
}

/// A server on loopback that says 200 and closes; it counts its connections.
async fn server() -> (u16, Arc<Mutex<u32>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            *counted.lock().unwrap() += 1;
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
            let _ = stream.write_all(answer).await;
        }
    });
    (port, count)
}

/// The status of a call, or what the guard said.
async fn called(egress: &Egress, url: &str) -> Result<u16, Option<EgressRefusal>> {
    let request = Request::new(Method::GET, Url::parse(url).unwrap());
    match egress.http().send(request).await {
        Ok(answer) => Ok(answer.status),
        Err(HttpError::Refused(refusal)) => Err(Some(refusal)),
        Err(HttpError::NotSent(_) | HttpError::NoAnswer(_)) => Err(None),
    }
}

#[tokio::test]
async fn a_post_tells_a_status_or_why_there_is_none() {
    let (port, count) = server().await;
    let told = async |allow_private, name: &'static str, url: &str| {
        let names = Changing::of([&[name]]);
        let egress = Egress::resolving(LIMITS, allow_private, names).unwrap();
        let call = Post {
            owner: "tenant",
            url,
            headers: &[("webhook-id", "msg_1".to_owned())],
            body: "{}",
        };
        let posted = egress.post(call, domain::Timestamp::from_secs(0)).await;
        posted.map(|it| it.status).map_err(|error| error.code())
    };
    let url = format!("http://hooks.example:{port}/in?key=1");

    assert_eq!(told(true, "127.0.0.1", &url).await, Ok(200));
    assert_eq!(told(false, "127.0.0.1", &url).await, Err("address_refused"));
    let https = url.replace("http:", "https:");
    assert_eq!(
        told(false, "127.0.0.1", &https).await,
        Err("private_address")
    );
    assert_eq!(
        told(true, "169.254.169.254", &url).await,
        Err("private_address")
    );
    assert_eq!(told(true, "127.0.0.1", &https).await, Err("not_reached"));
    let closed = url.replace(&format!(":{port}"), ":1");
    assert_eq!(told(true, "127.0.0.1", &closed).await, Err("not_reached"));
    assert_eq!(
        *count.lock().unwrap(),
        2,
        "the second one in a tongue it does not speak"
    );
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_not_called() {
    let (port, count) = server().await;
    for (address, expected) in [
        ("127.0.0.1", EgressRefusal::Private),
        ("::ffff:127.0.0.1", EgressRefusal::Private),
        ("0.0.0.0", EgressRefusal::Reserved),
    ] {
        let egress = Egress::resolving(LIMITS, false, Changing::of([&[address]])).unwrap();

        let called = called(&egress, &format!("http://evil.example:{port}/")).await;

        assert_eq!(called, Err(Some(expected)), "{address}");
    }
    assert_eq!(*count.lock().unwrap(), 0);
}

#[tokio::test]
async fn one_bad_address_among_good_ones_refuses_the_name() {
    let names = Changing::of([&["1.1.1.1", "2606:4700:4700::1111", "10.0.0.1"]]);
    let egress = Egress::resolving(LIMITS, false, names).unwrap();

    let called = called(&egress, "http://mixed.example/").await;

    assert_eq!(called, Err(Some(EgressRefusal::Private)));
}

#[tokio::test]
async fn a_name_is_resolved_and_checked_anew_for_every_connection() {
    let (port, count) = server().await;
    let names = Changing::of([&["127.0.0.1"], &["169.254.169.254"], &["127.0.0.1"]]);
    let egress = Egress::resolving(LIMITS, true, names).unwrap();
    let url = format!("http://rebinding.example:{port}/");

    let first = called(&egress, &url).await;
    let second = called(&egress, &url).await;
    let third = called(&egress, &url).await;

    assert_eq!(first, Ok(200));
    assert_eq!(second, Err(Some(EgressRefusal::Reserved)));
    assert_eq!(third, Ok(200));
    assert_eq!(*count.lock().unwrap(), 2);
}

#[tokio::test]
async fn the_checked_address_is_the_one_that_is_connected_to() {
    // The second answer would be asked for if anybody resolved the name again.
    let (port, count) = server().await;
    let names = Changing::of([&["127.0.0.1"]]);
    let egress = Egress::resolving(LIMITS, true, Arc::clone(&names) as Arc<dyn Names>).unwrap();

    let called = called(&egress, &format!("http://pinned.example:{port}/")).await;

    assert_eq!(called, Ok(200));
    assert_eq!(*count.lock().unwrap(), 1);
    assert!(names.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_name_without_an_address_is_only_unreachable() {
    let egress = Egress::resolving(LIMITS, false, Changing::of([])).unwrap();

    let request = Request::new(Method::GET, Url::parse("http://nowhere.example/").unwrap());
    let called = egress.http().send(request).await;

    let Err(HttpError::NotSent(source)) = called else {
        panic!("nobody could be called")
    };
    assert_eq!(cause_of(&source), Some(domain::silence::DNS));
}

#[tokio::test]
async fn owners_and_origins_have_turns_of_their_own() {
    let egress = Egress::resolving(LIMITS, false, Changing::of([])).unwrap();
    let url = |text: &str| Url::parse(text).unwrap();
    let held = egress.turn("key", &url("https://a.example/x")).await;

    let same = url("https://a.example/other");
    let same = tokio::time::timeout(Duration::from_millis(50), egress.turn("key", &same)).await;
    let other_origin = egress.turn("key", &url("https://b.example/x")).await;
    let other_owner = egress.turn("other", &url("https://a.example/x")).await;

    assert!(held.is_some() && same.is_err());
    assert!(other_origin.is_some() && other_owner.is_some());
}
