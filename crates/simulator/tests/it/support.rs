//! A started simulator with a plain client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{Clock, Timestamp};
use reqwest::{Method, RequestBuilder, Response};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use simulator::{Entry, Filter, MintRequest, Minted, Running, Simulator, SimulatorConfig};

/// A clock that stands until it is moved.
#[derive(Debug, Default)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn forward(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).expect("a test moves days");
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct Rig {
    pub(crate) sim: Running,
    pub(crate) clock: Arc<TestClock>,
    http: reqwest::Client,
}

/// Names and values that differ from a right request; an empty value removes one.
pub(crate) type Fields = &'static [(&'static str, &'static str)];

/// A status and a JSON body.
pub(crate) type Told = (u16, Value);

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut SimulatorConfig)) -> Self {
        let clock = Arc::new(TestClock::default());
        let mut config = SimulatorConfig {
            clock: clock.clone(),
            slow: Duration::from_millis(200),
            ..SimulatorConfig::default()
        };
        change(&mut config);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(5))
            .no_proxy()
            .build()
            .expect("a plain client");
        let sim = Simulator::start(config).await.expect("a free port");
        Self { sim, clock, http }
    }

    pub(crate) fn mint(&self, order: &MintRequest) -> Minted {
        self.sim.mint(order).expect("a sensible order").remove(0)
    }

    pub(crate) fn scenario(&self, provider: &str, scenario: &str) -> Minted {
        self.mint(&MintRequest::of(provider).scenario(scenario))
    }

    pub(crate) fn request(&self, method: Method, provider: &str, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.sim.base_url(provider));
        self.http.request(method, url)
    }

    pub(crate) fn control(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.sim.control_url()))
    }

    pub(crate) fn entries(&self, grant: &str) -> Vec<Entry> {
        self.sim.ledger(&Filter {
            grant: Some(grant.to_owned()),
            ..Filter::default()
        })
    }

    /// The last entry of a grant, once as many are written.
    pub(crate) async fn entry(&self, grant: &str, count: usize) -> Entry {
        for _ in 0..500 {
            let mut entries = self.entries(grant);
            if entries.len() >= count {
                return entries.remove(count - 1);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!(
            "{grant} has {} entries, not {count}",
            self.entries(grant).len()
        );
    }

    pub(crate) async fn exchange(&self, token: &str) -> Told {
        self.exchange_with(token, &[]).await
    }

    pub(crate) async fn exchange_with(&self, token: &str, changes: &[(&str, &str)]) -> Told {
        let request = self.request(Method::GET, "facebook", "/v25.0/oauth/access_token");
        told(request.query(&exchange_query(token, changes))).await
    }

    pub(crate) async fn debug(&self, token: &str) -> Value {
        let app = format!("{}|{}", simulator::META_APP_ID, simulator::META_APP_SECRET);
        let request = self.request(Method::GET, "facebook", "/v25.0/debug_token");
        let (status, body) =
            told(request.query(&[("input_token", token), ("access_token", &app)])).await;
        assert_eq!(status, 200);
        body["data"].clone()
    }

    pub(crate) async fn rotate(&self, token: &str) -> Told {
        self.rotate_with(token, &[]).await
    }

    pub(crate) async fn rotate_with(&self, token: &str, changes: &[(&str, &str)]) -> Told {
        told(self.rotation(token, changes)).await
    }

    pub(crate) fn rotation(&self, token: &str, changes: &[(&str, &str)]) -> RequestBuilder {
        let form = changed(
            &[
                ("client_key", simulator::TIKTOK_CLIENT_KEY),
                ("client_secret", simulator::TIKTOK_CLIENT_SECRET),
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
            ],
            changes,
        );
        self.request(Method::POST, "tiktok", "/v2/oauth/token/")
            .form(&form)
    }

    pub(crate) async fn obtain(&self, minted: &Minted) -> Told {
        let body = minted.import_form();
        told(
            self.request(Method::POST, "facturify", "/api/v1/auth")
                .json(&body),
        )
        .await
    }

    pub(crate) async fn renew(&self, token: &str) -> Told {
        let request = self.request(Method::POST, "facturify", "/api/v1/token/refresh");
        told(request.bearer_auth(token)).await
    }
}

/// The parameters of an exchange; an empty change removes one.
pub(crate) fn exchange_query<'a>(
    token: &'a str,
    changes: &[(&'a str, &'a str)],
) -> BTreeMap<&'a str, &'a str> {
    changed(
        &[
            ("grant_type", "fb_exchange_token"),
            ("client_id", simulator::META_APP_ID),
            ("client_secret", simulator::META_APP_SECRET),
            ("fb_exchange_token", token),
        ],
        changes,
    )
}

fn changed<'a>(
    fields: &[(&'a str, &'a str)],
    changes: &[(&'a str, &'a str)],
) -> BTreeMap<&'a str, &'a str> {
    let all = fields.iter().chain(changes).copied();
    let mut all: BTreeMap<_, _> = all.collect();
    all.retain(|_, value| !value.is_empty());
    all
}

pub(crate) async fn told(request: RequestBuilder) -> Told {
    read(request.send().await.expect("an answer")).await
}

pub(crate) async fn read(response: Response) -> Told {
    let status = response.status().as_u16();
    let text = response.text().await.expect("a whole body");
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

pub(crate) fn access(minted: &Minted) -> &str {
    minted
        .credentials
        .access_token
        .as_ref()
        .expect("an access token")
        .expose_secret()
}

pub(crate) fn refresh(minted: &Minted) -> &str {
    minted
        .credentials
        .refresh_token
        .as_ref()
        .expect("a refresh token")
        .expose_secret()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}
