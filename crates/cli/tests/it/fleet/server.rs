//! The API as a program talks to it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::until;

/// A running API and the right to use it; clones share what was heard.
#[derive(Clone)]
pub(crate) struct Server {
    base: String,
    token: String,
    client: reqwest::Client,
    heard: Arc<Mutex<String>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|_| panic!("{} without JSON: {}", self.status, self.text))
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn of(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }
}

impl Server {
    pub(crate) fn new(base: &str, token: &str) -> Self {
        // Only one of the tests of a process is the first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(90))
            .no_proxy()
            .build();
        Self {
            base: base.to_owned(),
            token: token.trim().to_owned(),
            client: client.expect("a plain client"),
            heard: Arc::default(),
        }
    }

    /// The same one, for answers that are meant to hold a secret.
    pub(crate) fn unheard(&self) -> Self {
        Self {
            heard: Arc::default(),
            ..self.clone()
        }
    }

    /// Every answer so far, headers and bodies.
    pub(crate) fn heard(&self) -> String {
        let heard = self.heard.lock();
        heard.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// A `POST` without a body.
    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put_json(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// A channel of the tenant `acme`.
    pub(crate) async fn channel(&self, id: &str) -> Value {
        self.get(&channel_path(id)).await.of(200)
    }

    /// All channels of the tenant `acme`.
    pub(crate) async fn channels(&self) -> Vec<Value> {
        self.all("/api/v1/tenants/acme/channels").await
    }

    /// The attempts of a channel of the tenant `acme`, newest first.
    pub(crate) async fn attempts(&self, id: &str) -> Vec<Value> {
        self.all(&format!("{}/attempts", channel_path(id))).await
    }

    /// Waits until no connection to the database that was away is left in the pool.
    pub(crate) async fn recovered(&self) {
        until("ten reads in a row are answered", async || {
            for _ in 0..10 {
                let answer = self.get("/api/v1/tenants/acme/channels").await;
                if answer.status != 200 {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// Waits until a channel is as wanted, and says how it is.
    pub(crate) async fn channel_until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(&format!("{id} is as wanted"), async || {
            let channel = self.channel(id).await;
            wanted(&channel).then_some(channel)
        })
        .await
    }

    /// Waits until all channels are as wanted, and says how they are.
    pub(crate) async fn channels_until(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut others = Vec::new();
        let start = std::time::Instant::now();
        while start.elapsed() < super::LIMIT {
            let channels = self.channels().await;
            others = channels.iter().filter(|it| !wanted(it)).cloned().collect();
            if others.is_empty() {
                return channels;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("{} are not as wanted: {:#?}", others.len(), others.first());
    }

    /// Every item of a list, page by page.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}?limit=200{cursor}")).await.of(200);
            items.extend(page["items"].as_array().expect("a list").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base);
        self.client.request(method, url).bearer_auth(&self.token)
    }

    async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let head = format!("{} {:?}\n", response.status(), response.headers());
        let status = response.status().as_u16();
        let text = response.text().await.expect("a whole body");
        let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend([&head, &text, "\n"]);
        drop(all);
        Answer { status, text }
    }
}

/// The address of a channel of the tenant `acme`.
pub(crate) fn channel_path(id: &str) -> String {
    format!("/api/v1/tenants/acme/channels/{id}")
}

/// An instant of an answer.
#[track_caller]
pub(crate) fn at(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_default();
    Timestamp::parse(text).unwrap_or_else(|| panic!("no time: {value}"))
}

/// The names of an object's members, sorted.
#[track_caller]
pub(crate) fn members(value: &Value) -> Vec<&str> {
    let object = value.as_object();
    let mut names: Vec<&str> = object
        .unwrap_or_else(|| panic!("no object: {value}"))
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}
