//! The people around the fleet: they connect channels, connect others for those that die, read
//! tokens and ask for refreshes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use simulator::{MintRequest, Minted};
use tokio_util::sync::CancellationToken;

use crate::draw::Draw;
use crate::fleet::{ADMIN_TOKEN, Fleet};

/// The providers of the channels: three of four rotate, and take a second use for theft.
const PROVIDERS: [&str; 4] = ["oauth2:demo", "tiktok", "oauth2:demo_body", "oauth2:demo"];
const TENANTS: [&str; 3] = ["north", "south", "west"];
/// Seconds that access tokens live: seconds instead of hours, so that every channel is due
/// again and again.
const LIFETIME_SECS: (u64, u64) = (20, 40);
/// How long a request to the API may take.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);
/// How often somebody looks after channels that died.
const ROUND: Duration = Duration::from_secs(2);

/// A channel that somebody connected.
#[derive(Clone, Debug)]
pub(crate) struct Connected {
    pub(crate) tenant: &'static str,
    pub(crate) id: String,
    /// The grant's id at the simulator.
    pub(crate) grant: String,
    pub(crate) rotating: bool,
}

/// What people do, and what they did.
#[derive(Debug)]
pub(crate) struct People {
    client: Client,
    connected: Mutex<Vec<Connected>>,
}

impl People {
    /// Nobody has done anything yet.
    ///
    /// # Errors
    ///
    /// If there can be no HTTP client.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self {
            client,
            connected: Mutex::default(),
        })
    }

    /// All channels that were connected so far.
    pub(crate) fn connected(&self) -> Vec<Connected> {
        let connected = self
            .connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connected.clone()
    }

    /// Makes the tenants and connects so many channels.
    ///
    /// # Errors
    ///
    /// If the API takes one for wrong.
    pub(crate) async fn begin(
        &self,
        fleet: &Fleet,
        channels: u32,
        draw: &mut Draw,
    ) -> anyhow::Result<()> {
        for tenant in TENANTS {
            let body = json!({"id": tenant, "name": tenant});
            self.until_done(fleet, "/api/v1/tenants", &body).await?;
        }
        for (n, provider) in (0..channels).zip(PROVIDERS.iter().cycle()) {
            let index = usize::try_from(n).unwrap_or_default() % TENANTS.len();
            self.connect(fleet, TENANTS[index], provider, draw).await?;
        }
        Ok(())
    }

    /// Connects another channel for each that died, reads tokens and asks for refreshes, until told.
    ///
    /// # Errors
    ///
    /// As [`People::begin`].
    pub(crate) async fn live(
        self: Arc<Self>,
        fleet: Arc<Fleet>,
        mut draw: Draw,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut replaced = BTreeSet::new();
        let mut looked_at = tokio::time::Instant::now();
        while !stop.is_cancelled() {
            let all = self.connected();
            let number = draw.between(0, u64::try_from(all.len())?.saturating_sub(1));
            let one = &all[usize::try_from(number)?];
            self.wish(&fleet, one, &mut draw).await;
            if looked_at.elapsed() > ROUND {
                for dead in self.dead(&fleet).await.unwrap_or_default() {
                    let Some(one) = all.iter().find(|it| it.id == dead) else {
                        continue;
                    };
                    if replaced.insert(dead) {
                        let provider = one.provider();
                        self.connect(&fleet, one.tenant, provider, &mut draw)
                            .await?;
                    }
                }
                looked_at = tokio::time::Instant::now();
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// "Refresh now"; whether the API took it.
    pub(crate) async fn refresh_now(&self, fleet: &Fleet, one: &Connected) -> bool {
        let path = format!("{}/refresh?wait=0", one.path());
        self.send(fleet, Method::POST, &path, None).await.is_ok()
    }

    /// Whether the API answers at all.
    pub(crate) async fn api_answers(&self, fleet: &Fleet) -> bool {
        let path = "/api/v1/tenants";
        let answer = self.send(fleet, Method::GET, path, None).await;
        answer.is_ok_and(|(status, _)| status.is_success())
    }

    /// Reads its token or wants it refreshed; what is answered is not looked at, for anything may
    /// be away.
    async fn wish(&self, fleet: &Fleet, one: &Connected, draw: &mut Draw) {
        if draw.between(0, 3) == 0 {
            self.refresh_now(fleet, one).await;
        } else {
            let path = format!("{}/token?min_ttl=5", one.path());
            drop(self.send(fleet, Method::GET, &path, None).await);
        }
    }

    async fn dead(&self, fleet: &Fleet) -> anyhow::Result<Vec<String>> {
        let mut ids = Vec::new();
        for tenant in TENANTS {
            let path = format!("/api/v1/tenants/{tenant}/channels?state=needs_reauth&limit=200");
            let (_, list) = self.send(fleet, Method::GET, &path, None).await?;
            let items = list["items"].as_array().into_iter().flatten();
            ids.extend(items.filter_map(|item| item["id"].as_str().map(str::to_owned)));
        }
        Ok(ids)
    }

    async fn connect(
        &self,
        fleet: &Fleet,
        tenant: &'static str,
        provider: &str,
        draw: &mut Draw,
    ) -> anyhow::Result<()> {
        let order = MintRequest {
            renewed_expires_in: u32::try_from(draw.between(LIFETIME_SECS.0, LIFETIME_SECS.1)).ok(),
            ..MintRequest::of(provider).expires_in(i64::try_from(draw.between(2, 20))?)
        };
        let minted = fleet.simulator.mint(&order)?.pop().context("one grant")?;
        let one = Connected::of(tenant, &minted);
        let body = json!({
            "id": one.id, "provider": minted.provider, "display_name": one.id,
            "credentials": minted.import_form(),
        });
        let path = format!("/api/v1/tenants/{tenant}/channels");
        self.until_done(fleet, &path, &body).await?;
        let mut connected = self
            .connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connected.push(one);
        Ok(())
    }

    /// Sends it until it is done; that it was done by an earlier try is as good.
    async fn until_done(&self, fleet: &Fleet, path: &str, body: &Value) -> anyhow::Result<()> {
        loop {
            match self.send(fleet, Method::POST, path, Some(body)).await {
                Ok((StatusCode::CREATED | StatusCode::CONFLICT, _)) => return Ok(()),
                Ok((status, text)) if status.is_client_error() => {
                    bail!("{path} was answered with {status}: {text}")
                }
                Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn send(
        &self,
        fleet: &Fleet,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let url = format!("http://{}{path}", fleet.api);
        let mut request = self.client.request(method, url).bearer_auth(ADMIN_TOKEN);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        Ok((status, response.json().await.unwrap_or_default()))
    }
}

impl Connected {
    fn of(tenant: &'static str, minted: &Minted) -> Self {
        Self {
            tenant,
            id: minted.id.replace(':', "_"),
            grant: minted.id.clone(),
            rotating: minted.provider != "oauth2:demo_body",
        }
    }

    fn provider(&self) -> &str {
        let (provider, _) = self.grant.rsplit_once('-').unwrap_or((&self.grant, ""));
        provider
    }

    fn path(&self) -> String {
        format!("/api/v1/tenants/{}/channels/{}", self.tenant, self.id)
    }
}

/// The channels by their grants.
pub(crate) fn by_grant(connected: &[Connected]) -> BTreeMap<&str, &Connected> {
    connected.iter().map(|it| (it.grant.as_str(), it)).collect()
}
