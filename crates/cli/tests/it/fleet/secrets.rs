//! Planted secrets, and those that the providers issue, are found nowhere.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sea_orm::{ConnectionTrait as _, Database as Connection, Statement};
use serde_json::{Value, json};
use testkit::redis::RedisServer;
use testkit::{Database, Kind};

use super::server::channel_path;
use super::world::{Import, import};
use super::{Server, World, until};
use crate::harness::{ADMIN_TOKEN, MASTER_KEYS, SIGNING, Site};

const DATABASE_PASSWORD: &str = "needle-database-password";
/// Credentials that the simulator takes at their word: the name of what happens stands in them.
const PLANTED: [(&str, &str, &str); 9] = [
    ("facebook", "EAA_ok-needle1", ""),
    ("facebook", "EAA_echo-needle2", ""),
    ("facebook", "EAA_190_460-needle3", ""),
    ("tiktok", "act_ok-needle4", "rft_ok-needle4"),
    ("tiktok", "act_echo-needle5", "rft_echo-needle5"),
    ("tiktok", "act_garbage-needle6", "rft_garbage-needle6"),
    ("facturify", "key_ok-needle7", "secret_ok-needle7"),
    ("facturify", "key_echo-needle8", "secret_echo-needle8"),
    (
        "facturify",
        "key_status_500-needle9",
        "secret_status_500-needle9",
    ),
];

/// The signing secret of a webhook, and the same in base64.
const WEBHOOK_SECRET: [&str; 2] = [
    "needle-webhook-secret-0123456789",
    "bmVlZGxlLXdlYmhvb2stc2VjcmV0LTAxMjM0NTY3ODk=",
];

/// Something that was written somewhere.
struct Text {
    place: String,
    content: String,
}

impl Text {
    fn new(place: &str, content: &[u8]) -> Self {
        let (place, content) = (
            place.to_owned(),
            String::from_utf8_lossy(content).into_owned(),
        );
        Self { place, content }
    }

    fn of_file(path: &Path) -> Self {
        let content = std::fs::read(path).expect("it can be read");
        Self::new(&path.display().to_string(), &content)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_logs_answers_or_any_file_of_the_data_directory() {
    let world = World::alone().await.set("TOKENFLEET_LOG", "trace");
    let (up, server) = world.up().await;
    let keys = world.site.path("tokenfleet-data/master-keys");
    let keys = std::fs::read_to_string(keys).expect("up has made one");

    let mut secrets = live_through_everything(&world, &server).await;
    let mut texts = told_to_people(&world.site, &server);
    texts.push(Text::new("what up said", up.said().as_bytes()));
    assert!(
        up.said().contains("\"TRACE\""),
        "it says all that it can say"
    );
    // What only memory or a log of changes holds goes to the files at the latest now.
    let mut files = files_below(&world.site.path("tokenfleet-data"));
    let running: Vec<Text> = files.iter().map(|it| Text::of_file(it)).collect();
    up.stop();
    files.extend(files_below(&world.site.path("tokenfleet-data")));
    files.retain(|it| it.exists());

    secrets.insert(keys.trim().rsplit(':').next().expect("a key").to_owned());
    let names = [
        "tokenfleet.db",
        "tokenfleet.db-wal",
        "appendonly.aof.1.incr.aof",
    ];
    for name in names {
        let found = running.iter().find(|it| it.place.ends_with(name));
        let found = found.unwrap_or_else(|| panic!("{name} was not looked at"));
        assert!(!found.content.is_empty(), "{name}");
    }
    let own = |text: &Text| {
        [
            "master-keys",
            "admin-token",
            "jwt-secret",
            "refresh-token-secret",
        ]
        .iter()
        .any(|it| text.place.ends_with(it))
    };
    texts.extend(running);
    texts.extend(files.iter().map(|it| Text::of_file(it)));
    texts.retain(|text| !own(text));
    assert_clean(&texts, &secrets);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_postgresql_or_in_anything_that_redis_was_sent() {
    testkit::run_on(Kind::Postgres, in_servers).await;
}

async fn in_servers(database: Database) {
    let url = database
        .url()
        .replace("tokenfleet@", &format!("tokenfleet:{DATABASE_PASSWORD}@"));
    assert!(url.contains(DATABASE_PASSWORD));
    let world = World::on(database).await;
    let world = world
        .set("TOKENFLEET_LOG", "trace")
        .set("DATABASE_URL", &url);
    let redis = world.redis.as_ref().expect("this world has one");
    let sent = overheard(redis);
    let (up, server) = world.up().await;

    let mut secrets = live_through_everything(&world, &server).await;
    let mut texts = told_to_people(&world.site, &server);
    texts.extend(in_redis(redis).await);
    texts.push(Text::new("what up said", up.said().as_bytes()));
    up.stop();
    texts.push(Text::new(
        "what Redis was sent",
        &sent.lock().expect("no reader panics"),
    ));
    let database = world.database.as_ref().expect("this world has one");
    texts.extend(in_tables(database.url()).await);

    secrets.insert(DATABASE_PASSWORD.to_owned());
    let channels = texts.iter().find(|it| it.place == "table channels");
    assert!(channels.is_some_and(|it| it.content.contains("envelope")));
    let sent = texts.iter().find(|it| it.place == "what Redis was sent");
    assert!(sent.is_some_and(|it| it.content.contains("refresh:tiktok")));
    assert_clean(&texts, &secrets);
}

/// Imports, refreshes, failures and refusals; every secret that took part.
async fn live_through_everything(world: &World, server: &Server) -> BTreeSet<String> {
    let mut secrets: BTreeSet<String> = [
        simulator::META_APP_SECRET,
        simulator::TIKTOK_CLIENT_SECRET,
        ADMIN_TOKEN,
        SIGNING[0].1,
        SIGNING[1].1,
        MASTER_KEYS.rsplit(':').next().expect("a key"),
    ]
    .map(str::to_owned)
    .into();
    webhook(server).await;
    secrets.extend(WEBHOOK_SECRET.map(str::to_owned));
    let mut channels = Vec::new();
    for (number, (provider, one, other)) in PLANTED.into_iter().enumerate() {
        secrets.extend(
            [one, other]
                .into_iter()
                .filter(|it| !it.is_empty())
                .map(str::to_owned),
        );
        let credentials = match provider {
            "facturify" => json!({ "api_key": one, "api_secret": other }),
            "tiktok" => json!({ "access_token": one, "refresh_token": other, "expires_in": 7200 }),
            _ => json!({ "access_token": one, "expires_in": 3600 }),
        };
        channels.push(Import::new(
            &format!("channel_{number}"),
            provider,
            &credentials,
        ));
    }
    import(server, channels).await;
    refused_imports(server).await;
    secrets.extend(issued(world));
    for round in 0..2 {
        for number in 0..PLANTED.len() {
            let id = format!("channel_{number}");
            let path = format!("{}/refresh?wait=3", channel_path(&id));
            let answer = server.post(&path).await;
            assert!(
                [200, 202, 409].contains(&answer.status),
                "{round}: {}",
                answer.text
            );
            server.attempts(&id).await;
            secrets.extend(issued(world));
        }
    }
    let echoed = until("the echo was heard", async || {
        let attempts = server.attempts("channel_4").await;
        attempts
            .first()
            .map(|it| it["details"]["provider_message"].clone())
    })
    .await;
    assert!(
        echoed.as_str().is_some_and(|it| it.contains("malformed")),
        "{echoed}"
    );
    for path in [
        "/api/v1/tenants",
        "/api/v1/jobs/status",
        "/api/v1/tenants/acme/refresh/statistics",
    ] {
        server.get(path).await.of(200);
    }
    let metrics = server.get("/metrics").await.text;
    assert!(metrics.contains("tokenfleet_channels{"), "{metrics}");
    server.channels().await;
    until("the webhook was visited", async || {
        let webhooks = server.get("/api/v1/tenants/acme/webhooks").await.of(200);
        (webhooks["items"][0]["last_error"] == "not_reached").then_some(())
    })
    .await;
    let jobs = server.all("/api/v1/tenants/acme/jobs").await;
    for job in jobs.iter().filter_map(|it| it["id"].as_str()) {
        server.get(&format!("/api/v1/jobs/{job}")).await;
    }
    assert!(server.channel("channel_3").await["generation"].as_i64() > Some(1));
    assert!(
        secrets
            .iter()
            .any(|it| it.starts_with("act") && !PLANTED.iter().any(|p| p.1 == it))
    );
    secrets
}

/// A webhook that hears of every refresh, at an address that nobody has; its secret is shown
/// once, to whoever makes it.
async fn webhook(server: &Server) {
    let path = "/api/v1/tenants/acme/webhooks";
    let body = |secret: &str| {
        json!({
            "url": "https://hooks.example.invalid/in", "events": ["channel.refreshed"],
            "secret": secret,
        })
    };
    let secret = format!("whsec_{}", WEBHOOK_SECRET[1]);
    let made = server.unheard().post_json(path, &body(&secret)).await;
    assert_eq!(made.of(201)["secret"], json!(secret));
    let refused = server.post_json(path, &body(WEBHOOK_SECRET[0])).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    server.get(path).await.of(200);
}

/// Bodies with secrets in places where they do not belong.
async fn refused_imports(server: &Server) {
    let secret = PLANTED[3].2;
    let path = "/api/v1/tenants/acme/channels";
    let bodies = [
        json!({ "provider": "tiktok", "display_name": "x", "credentials": secret }),
        json!({ "provider": "tiktok", "display_name": "x", "credentials": { "refresh_token": [secret] } }),
        json!({ "provider": "tiktok", "display_name": "x", "credentials": { "refresh_token": secret, "expires_in": secret } }),
        json!({ "provider": "tiktok", "display_name": "x", "credentials": { "refresh_token": format!("{secret}\n") } }),
        json!({ "provider": "facebook", "display_name": "x", "credentials": { "access_token": secret, "kind": secret } }),
    ];
    for body in bodies {
        let answer = server.post_json(path, &body).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
    }
}

/// The newest tokens of every grant at the simulator.
fn issued(world: &World) -> BTreeSet<String> {
    let mut secrets = BTreeSet::new();
    for provider in ["facebook", "tiktok", "facturify"] {
        for number in 1..=u32::try_from(PLANTED.len()).expect("few") {
            let view = world.simulator.grant(&format!("{provider}-{number}"), true);
            let Some(minted) = view.and_then(|it| it.revealed) else {
                continue;
            };
            let form = minted.import_form();
            let names = [
                "access_token",
                "refresh_token",
                "user_access_token",
                "api_key",
                "api_secret",
            ];
            let values = names.into_iter().filter_map(|name| form[name].as_str());
            secrets.extend(values.map(str::to_owned));
        }
    }
    secrets
}

/// Answers of the API, output of commands, and messages about settings that are wrong.
fn told_to_people(site: &Site, server: &Server) -> Vec<Text> {
    let mut texts = vec![Text::new("answers of the API", server.heard().as_bytes())];
    let commands = [
        &["config", "check", "--all"][..],
        &["config", "check", "--all", "--json"],
        &["doctor", "--json"],
        &[
            "up",
            "--set",
            "database.url=mysql://u:needle-database-password@h/d",
        ],
        &[
            "up",
            "--set",
            "redis.url=http://u:needle-database-password@h/0",
        ],
        &["up", "--set", "api.admin_token=an-admin-token-for-tests\n"],
        &[
            "up",
            "--set",
            "master_keys=k1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=,x",
        ],
        &[
            "up",
            "--set",
            "master_keys=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
        ],
        &["tenant", "list", "--server", "http://127.0.0.1:1"],
    ];
    for command in commands {
        let ended = site.run(command);
        let text = format!("{}\n{}", ended.out, ended.err);
        texts.push(Text::new(&command.join(" "), text.as_bytes()));
    }
    // What was typed is known to whoever typed it.
    for text in &mut texts {
        text.place = text
            .place
            .split(" --set ")
            .next()
            .unwrap_or_default()
            .to_owned();
    }
    texts
}

/// Every command that this server gets from now on.
fn overheard(redis: &RedisServer) -> Arc<Mutex<Vec<u8>>> {
    let url = redis.url();
    let address = url.trim_start_matches("redis://").trim_end_matches("/0");
    let mut stream = TcpStream::connect(address).expect("it answers");
    stream.write_all(b"MONITOR\r\n").expect("it listens");
    let heard = Arc::<Mutex<Vec<u8>>>::default();
    let kept = Arc::clone(&heard);
    std::thread::spawn(move || {
        let mut some = vec![0; 65_536];
        while let Ok(length @ 1..) = stream.read(&mut some) {
            kept.lock()
                .expect("no reader panics")
                .extend(&some[..length]);
        }
    });
    heard
}

/// What is in the server: the file that it would leave on disk, uncompressed.
async fn in_redis(redis: &RedisServer) -> Vec<Text> {
    let mut connection = redis.connection().await.expect("it answers");
    for setting in ["rdbcompression", "rdbchecksum"] {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg(setting).arg("no");
        // The second cannot be changed at run time, which does not matter.
        drop(command.query_async::<()>(&mut connection).await);
    }
    redis::cmd("SAVE")
        .query_async::<()>(&mut connection)
        .await
        .expect("it saves");
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg("dir");
    let dir: Vec<String> = command
        .query_async(&mut connection)
        .await
        .expect("it tells");
    let file = Text::of_file(&Path::new(&dir[1]).join("dump.rdb"));
    assert!(
        file.content.contains("tokenfleet:"),
        "its keys are readable"
    );
    vec![file]
}

/// Every row of every table as text; bytes are in hexadecimal.
async fn in_tables(url: &str) -> Vec<Text> {
    let connection = Connection::connect(url)
        .await
        .expect("the database answers");
    let rows = async |sql: String| {
        let backend = connection.get_database_backend();
        let rows = connection
            .query_all_raw(Statement::from_string(backend, sql))
            .await;
        let rows = rows.expect("it can be read");
        let text = |row: &sea_orm::QueryResult| row.try_get_by_index::<String>(0).expect("a text");
        rows.iter().map(text).collect::<Vec<_>>()
    };
    let names = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    let mut texts = Vec::new();
    for table in rows(names.to_owned()).await {
        let all = rows(format!("SELECT row_to_json(t)::text FROM {table} t")).await;
        texts.push(Text::new(
            &format!("table {table}"),
            all.join("\n").as_bytes(),
        ));
    }
    texts
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).expect("it is there").flatten() {
        let kind = entry.file_type().expect("it has one");
        if kind.is_dir() {
            files.extend(files_below(&entry.path()));
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files
}

#[track_caller]
fn assert_clean(texts: &[Text], secrets: &BTreeSet<String>) {
    assert!(secrets.len() > 20, "{}", secrets.len());
    let mut found = Vec::new();
    for secret in secrets {
        for form in forms(secret) {
            for text in texts {
                if let Some(place) = text.content.find(&form) {
                    let around = text.content[..place]
                        .lines()
                        .next_back()
                        .unwrap_or_default();
                    let around: String = around.chars().rev().take(200).collect();
                    let around: String = around.chars().rev().collect();
                    found.push(format!("{secret} in {} after {around}", text.place));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A secret as it is, in hexadecimal, and in Base64 at any offset of a longer text.
fn forms(secret: &str) -> Vec<String> {
    use std::fmt::Write as _;
    let mut hexadecimal = String::new();
    for byte in secret.bytes() {
        write!(hexadecimal, "{byte:02x}").expect("a text grows");
    }
    let mut forms = vec![secret.to_owned(), hexadecimal];
    for offset in 0..3 {
        let padded = [" ".repeat(offset).as_bytes(), secret.as_bytes()].concat();
        let whole = STANDARD.encode(padded);
        let inner: Value = json!(whole[4..whole.len() - 4]);
        forms.extend(inner.as_str().map(str::to_owned));
    }
    forms
}
