//! A person in front of a browser, who opens connect links and agrees at simulated providers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use api::ApiSettings;
use providers::{
    AuthStyle, BodyFormat, InstagramSettings, MetaSettings, OAuth2Settings, ProviderSettings,
    TikTokBusinessSettings, TikTokLegacySettings, TikTokSettings,
};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, Url, redirect};
use serde_json::{Value, json};
use simulator::{Running, Simulator, SimulatorConfig};
use testkit::Database;

use crate::contract;
use crate::people::text;
use crate::world::{Answer, Setup, World, reveal, settings};

/// Under this address people reach the API, whatever it listens at.
pub(crate) const PUBLIC: &str = "https://fleet.example";
pub(crate) const LINKS: &str = "/api/v1/tenants/t1/connect-links";

/// An API that people connect accounts to, at simulated providers.
pub(crate) struct Counter {
    pub(crate) world: World,
    pub(crate) sim: Running,
}

/// A browser with its cookies.
pub(crate) struct Browser<'c> {
    counter: &'c Counter,
    client: reqwest::Client,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Counter {
    pub(crate) async fn open(database: Database) -> Self {
        Self::with(database, |_| {}).await
    }

    /// One with other settings.
    pub(crate) async fn with(database: Database, change: impl FnOnce(&mut ApiSettings)) -> Self {
        let sim = Simulator::start(SimulatorConfig::default()).await.unwrap();
        let mut settings = ApiSettings {
            public_url: Some(PUBLIC.to_owned()),
            ..settings()
        };
        change(&mut settings);
        let setup = Setup {
            providers: providers(&sim),
            settings,
            ..Setup::default()
        };
        let world = World::with(database, setup).await;
        world.tenant("t1").await;
        Self { world, sim }
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        let client = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_mins(1))
            .no_proxy()
            .build()
            .unwrap();
        Browser {
            counter: self,
            client,
            cookies: Mutex::default(),
        }
    }

    /// A connect link; its address.
    pub(crate) async fn link(&self, body: Value) -> String {
        let request = self.world.request(Method::POST, LINKS).json(&body);
        let made = reveal(request).await;
        assert_eq!(made.status, 201, "{}", made.text);
        text(&made.json(), "url")
    }

    /// A new account at a provider becomes a channel with this id.
    pub(crate) async fn connect(&self, provider: &str, id: &str) -> Answer {
        let link = self.link(json!({"provider": provider, "id": id})).await;
        self.browser().agree(&link, "new").await
    }

    pub(crate) async fn channel(&self, id: &str) -> Value {
        let path = format!("/api/v1/tenants/t1/channels/{id}");
        self.world.get(&path).await.json()
    }
}

impl Browser<'_> {
    /// Opens a link and presses its button; where the provider is.
    pub(crate) async fn start(&self, link: &str) -> String {
        let page = self.open(link).await;
        assert_eq!(page.status, 200, "{}", page.text);
        self.press(link).await
    }

    /// Presses the button of the page behind a link; where the provider is.
    pub(crate) async fn press(&self, link: &str) -> String {
        let sent = self.submit(link).await;
        assert_eq!(sent.status, 303, "{}", sent.text);
        sent.header(LOCATION.as_str()).to_owned()
    }

    /// The same, whatever comes of it.
    pub(crate) async fn submit(&self, link: &str) -> Answer {
        let (page, token) = link.split_once("?token=").unwrap();
        let request = self.client.post(self.own(page)).form(&[("token", token)]);
        self.visit(Method::POST, page, request).await
    }

    /// Decides at the provider's page, as this account; where the provider sends one back.
    pub(crate) async fn decide(&self, page: &str, decision: &str, account: &str) -> String {
        let form = [("decision", decision), ("account", account)];
        let answer = self.client.post(page).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 302, "{page}");
        answer.headers()[LOCATION].to_str().unwrap().to_owned()
    }

    /// Goes the whole way as this account; the last page.
    pub(crate) async fn agree(&self, link: &str, account: &str) -> Answer {
        let page = self.start(link).await;
        let back = self.decide(&page, "allow", account).await;
        self.open(&back).await
    }

    /// Opens an address of the API.
    pub(crate) async fn open(&self, url: &str) -> Answer {
        let request = self.client.get(self.own(url));
        self.visit(Method::GET, url, request).await
    }

    /// The public address is this world's.
    fn own(&self, url: &str) -> String {
        assert!(url.starts_with(PUBLIC), "{url}");
        url.replacen(PUBLIC, &self.counter.world.base, 1)
    }

    async fn visit(&self, method: Method, url: &str, request: reqwest::RequestBuilder) -> Answer {
        // What a proxy would pass on, and whoever is in between could write there.
        let request = request.header("host", "evil.example");
        let response = request.header(COOKIE, self.jar()).send().await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(
                cookie.ends_with("; HttpOnly; SameSite=Lax; Secure"),
                "{cookie}"
            );
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        let answer = Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        };
        let path = Url::parse(url).unwrap().path().to_owned();
        contract::hold(&method, &path, &answer);
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(!answer.text.contains("evil.example"), "{}", answer.text);
        answer
    }

    pub(crate) fn jar(&self) -> String {
        let cookies = self.cookies.lock().unwrap();
        let pairs = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }
}

impl Answer {
    /// The heading of a page.
    pub(crate) fn heading(&self) -> &str {
        let (_, rest) = self.text.split_once("<h1>").unwrap_or(("", &self.text));
        rest.split_once("</h1>")
            .map_or(rest, |(heading, _)| heading)
    }

    /// The link of a page, if it offers one.
    pub(crate) fn offer(&self) -> Option<String> {
        let (_, rest) = self.text.split_once("class=\"act\" href=\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    }
}

fn providers(sim: &Running) -> ProviderSettings {
    let page = |name, path| format!("{}{path}", sim.base_url(name));
    ProviderSettings {
        meta: MetaSettings {
            base_url: sim.base_url("facebook"),
            app_id: Some(simulator::META_APP_ID.to_owned()),
            app_secret: Some(simulator::META_APP_SECRET.into()),
            authorize_url: Some(page("facebook", "/v25.0/dialog/oauth")),
            whatsapp_config: Some(simulator::WHATSAPP_CONFIG_ID.to_owned()),
            ..MetaSettings::default()
        },
        instagram: InstagramSettings {
            base_url: sim.base_url("instagram"),
            authorize_url: page("instagram", "/oauth/authorize"),
            code_url: page("instagram", "/oauth/access_token"),
            app_id: Some(simulator::INSTAGRAM_APP_ID.to_owned()),
            app_secret: Some(simulator::INSTAGRAM_APP_SECRET.into()),
            ..InstagramSettings::default()
        },
        tiktok: TikTokSettings {
            base_url: sim.base_url("tiktok"),
            client_key: Some(simulator::TIKTOK_CLIENT_KEY.to_owned()),
            client_secret: Some(simulator::TIKTOK_CLIENT_SECRET.into()),
            authorize_url: page("tiktok", "/v2/auth/authorize/"),
            ..TikTokSettings::default()
        },
        tiktok_business: TikTokBusinessSettings {
            base_url: sim.base_url("tiktok_business"),
            app_id: Some(simulator::TIKTOK_APP_ID.to_owned()),
            app_secret: Some(simulator::TIKTOK_APP_SECRET.into()),
            authorize_url: page("tiktok_business", "/v2/auth/authorize/"),
            ..TikTokBusinessSettings::default()
        },
        tiktok_legacy: TikTokLegacySettings {
            base_url: sim.base_url("tiktok_legacy"),
        },
        oauth2: ["demo", "demo_body", "demo_json", "nameless"]
            .map(|name| (name.to_owned(), oauth2(sim, name)))
            .into(),
        ..ProviderSettings::default()
    }
}

/// A generic provider of the simulator, in the dialect that its name says; `nameless` is
/// `demo` to somebody who does not know where it names the account.
fn oauth2(sim: &Running, name: &str) -> OAuth2Settings {
    let nameless = name == "nameless";
    let simulated = if nameless { "demo" } else { name };
    let address = sim.base_url(&format!("oauth2:{simulated}"));
    OAuth2Settings {
        token_url: Some(format!("{address}/token")),
        authorize_url: (name != "demo_body").then(|| format!("{address}/authorize")),
        account: (!nameless).then(|| "user_id".to_owned()),
        client_id: simulator::OAUTH2_CLIENT_ID.to_owned(),
        client_secret: Some(simulator::OAUTH2_CLIENT_SECRET.into()),
        auth_style: Some(AuthStyle::Basic),
        body: (name == "demo_json").then_some(BodyFormat::Json),
        ..OAuth2Settings::default()
    }
}
