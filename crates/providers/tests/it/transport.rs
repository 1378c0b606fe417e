//! What the shared HTTP client does when there is no proper answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::{Grant, Verdict};
use providers::{ProviderSettings, Providers, RefreshError, SettingsError};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::stub::{Reply, Stub, json, json_with};
use crate::support::{APP_SECRET, Failed, Refresh, provider, settings};

fn tiktok_grant() -> Grant {
    Grant {
        refresh_token: Some("rft.planted-token".into()),
        ..Grant::default()
    }
}

async fn refreshed_at(stub: &Stub, timeout: Duration) -> Failed {
    let settings = ProviderSettings {
        timeout,
        ..settings(&stub.base_url)
    };
    Refresh::of(&tiktok_grant())
        .fail(&*provider("tiktok", settings))
        .await
}

#[tokio::test]
async fn a_cut_or_missing_answer_may_have_reached_the_provider() {
    for (reply, cause) in [
        (Reply::Cut, "closed_early"),
        (Reply::CutBody, "closed_early"),
        (Reply::Hang, "timed_out"),
    ] {
        let stub = Stub::start([reply.clone()]).await;

        let failed = refreshed_at(&stub, Duration::from_millis(500)).await;

        assert!(failed.error.may_have_reached_provider(), "{reply:?}");
        assert_eq!(failed.verdict, Verdict::Retry, "{reply:?}");
        assert_eq!(failed.reason(), "no_answer", "{reply:?}");
        assert_eq!(failed.cause(), Some(cause), "{reply:?}");
        assert_eq!(stub.lines().len(), 1, "{reply:?}");
    }
}

#[test]
fn an_answer_that_came_while_the_process_stood_still_is_read_although_its_time_is_over() {
    const TIMEOUT: Duration = Duration::from_millis(100);
    let elsewhere = tokio::runtime::Runtime::new().expect("threads");
    let answer = r#"{"access_token":"act.new","expires_in":7200,"refresh_token":"rft.new"}"#;
    let stub = elsewhere.block_on(Stub::start([json(200, answer)]));
    let settings = ProviderSettings {
        timeout: TIMEOUT,
        ..settings(&stub.base_url)
    };
    let tiktok = provider("tiktok", settings);
    let (grant, here) = (
        tiktok_grant(),
        tokio::runtime::Builder::new_current_thread(),
    );
    // Once the request has arrived, nothing runs here until its time is over.
    let stand_still = async {
        while stub.lines().is_empty() {
            tokio::task::yield_now().await;
        }
        let since = Instant::now();
        while since.elapsed() < 2 * TIMEOUT {
            std::thread::yield_now();
        }
    };

    let refresh = Refresh::of(&grant);
    let both = async { tokio::join!(refresh.fresh(&*tiktok), stand_still) };
    let (fresh, ()) = { here }
        .enable_all()
        .build()
        .expect("one thread")
        .block_on(both);

    let fresh = fresh.expect("the answer was there");
    let token = fresh.refresh_token.expect("a new one");
    assert_eq!(token.expose_secret(), "rft.new");
}

#[tokio::test]
async fn a_refused_connection_sent_nothing() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("it is bound");
    drop(free);
    let tiktok = provider("tiktok", settings(&format!("http://{address}")));

    let failed = Refresh::of(&tiktok_grant()).fail(&*tiktok).await;

    assert!(matches!(failed.error, RefreshError::NotSent { .. }));
    assert_eq!(failed.verdict, Verdict::Retry);
    assert_eq!(failed.reason(), "unreachable");
    assert_eq!(failed.cause(), Some("connection_refused"));
}

#[tokio::test]
async fn a_server_without_tls_behind_https_is_unreachable_for_its_tls() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("one comes");
        let said = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(said).await.expect("it listens");
        // It stays open until the other side leaves.
        drop(stream.read(&mut [0; 4096]).await);
    });
    let tiktok = provider("tiktok", settings(&format!("https://{address}")));

    let failed = Refresh::of(&tiktok_grant()).fail(&*tiktok).await;

    assert!(matches!(failed.error, RefreshError::NotSent { .. }));
    assert_eq!(failed.reason(), "unreachable");
    assert_eq!(failed.cause(), Some("tls"));
}

#[tokio::test]
async fn no_error_shows_a_url_with_its_query() {
    for reply in [
        Reply::Cut,
        Reply::CutBody,
        Reply::Hang,
        json(200, "EAAplanted-token"),
    ] {
        let stub = Stub::start([reply]).await;
        let settings = ProviderSettings {
            timeout: Duration::from_millis(500),
            ..settings(&stub.base_url)
        };
        let grant = Grant {
            access_token: Some("EAAplanted-token".into()),
            ..Grant::default()
        };

        let facebook = provider("facebook", settings);
        let failed = Refresh::ending(&grant, 3600).fail(&*facebook).await;

        for secret in ["planted", APP_SECRET, "access_token", "?"] {
            assert!(!failed.text.contains(secret), "{}", failed.text);
        }
    }
}

/// Everything that a subscriber at trace level wrote.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_secret_is_logged_even_at_trace_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let disagreeing = r#"{"jwt":{"token":"eyJ.eyJpYXQiOjAsImV4cCI6MX0.planted","expires_in":9}}"#;
    let echo = r#"{"error":{"code":100,"message":"EAAplanted-token"}}"#;
    let grant = Grant {
        access_token: Some("EAAplanted-token".into()),
        refresh_token: Some("rft.planted-token".into()),
        keys: BTreeMap::from([
            ("api_key".to_owned(), "key-planted".into()),
            ("api_secret".to_owned(), "secret-planted".into()),
        ]),
        ..Grant::default()
    };

    for (name, reply) in [
        ("facturify", json(200, disagreeing)),
        ("facebook", json(400, echo)),
        ("tiktok", json(200, "rft.planted-token")),
        ("tiktok", Reply::Cut),
    ] {
        let stub = Stub::start([reply]).await;
        let provider = provider(name, settings(&stub.base_url));
        drop(Refresh::ending(&grant, 3600).run(&*provider).await);
    }
    drop(guard);

    let written = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let written = String::from_utf8(written).expect("it is text");
    assert!(written.contains("expires_in and its own exp disagree"));
    for secret in ["planted", APP_SECRET, "tiktok_secret"] {
        assert!(!written.contains(secret), "{written}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Stub::start([json(200, "{}")]).await;
    let stub = Stub::start([json_with(307, ("location", &elsewhere.base_url), "")]).await;

    let failed = refreshed_at(&stub, Duration::from_secs(5)).await;

    assert_eq!(
        (failed.verdict.clone(), failed.reason()),
        (Verdict::Misconfigured, "redirected")
    );
    assert_eq!(failed.details.http_status, Some(307));
    assert_eq!(elsewhere.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn an_endless_success_is_no_answer_and_an_endless_error_an_error() {
    let huge = "x".repeat(10 * 1024 * 1024);
    let success = Stub::start([json(200, &huge)]).await;
    let error = Stub::start([json(500, &huge)]).await;

    let success = refreshed_at(&success, Duration::from_secs(5)).await;
    let error = refreshed_at(&error, Duration::from_secs(5)).await;

    assert!(success.error.may_have_reached_provider());
    assert_eq!(success.reason(), "answer_too_large");
    assert_eq!(error.verdict, Verdict::Retry);
    assert_eq!(error.details.http_status, Some(500));
}

#[tokio::test]
async fn an_address_without_tls_is_refused_by_the_name_of_its_setting() {
    let error = Providers::new(settings("http://graph.facebook.com")).expect_err("it is refused");

    assert!(matches!(
        error,
        SettingsError::BaseUrl {
            setting: "META_BASE_URL"
        }
    ));
}

#[test]
fn providers_are_found_by_name_and_by_synonym() {
    let providers = Providers::new(ProviderSettings::default()).expect("the defaults are fine");

    let names: Vec<&str> = providers
        .names()
        .map(domain::ProviderName::as_str)
        .collect();
    let resolved = |word| providers.resolve(word).map(|name| name.to_string());

    assert_eq!(
        names,
        [
            "facebook",
            "facturify",
            "instagram",
            "service_token",
            "tiktok",
            "tiktok_business",
            "tiktok_legacy",
            "whatsapp",
        ]
    );
    assert_eq!(resolved("meta").as_deref(), Some("facebook"));
    assert_eq!(resolved("tiktok").as_deref(), Some("tiktok"));
    assert_eq!(resolved("Tiktok"), None);
    assert_eq!(resolved(""), None);
}
