//! What goes wrong on demand, and what the ledger says of it.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use simulator::{Entry, FaultKind, Faults, Filter, Latency, MintRequest, Outcome};

use crate::support::{Rig, refresh, text, told};

const OK: fn(&Entry) -> (Option<u16>, Outcome) = |entry| (entry.status, entry.outcome);

async fn with_faults(text: &str) -> Rig {
    let faults: Faults = text.parse().expect("faults");
    Rig::with(|config| config.faults = faults).await
}

#[tokio::test]
async fn a_rotation_can_be_committed_and_its_answer_lost() {
    let rig = Rig::start().await;
    let minted = rig.scenario("tiktok", "cut_after_commit:1");

    let cut = rig.rotation(refresh(&minted), &[]).send().await;
    let again = rig.rotate(refresh(&minted)).await;

    assert!(cut.is_err_and(|error| !error.is_timeout()));
    assert_eq!(text(&again.1["error"]), "invalid_grant");
    let entry = &rig.entries(&minted.id)[0];
    assert_eq!(OK(entry), (None, Outcome::Cut));
    assert_eq!(
        (entry.refreshed, entry.fault),
        (true, Some(FaultKind::CutAfterCommit))
    );
}

#[tokio::test]
async fn a_connection_cut_before_the_commit_spends_nothing() {
    let rig = Rig::start().await;
    let minted = rig.scenario("tiktok", "cut_before_commit:1");

    let cut = rig.rotation(refresh(&minted), &[]).send().await;
    let again = rig.rotate(refresh(&minted)).await;

    assert!(cut.is_err());
    assert_eq!(again.0, 200);
    assert!(!rig.entries(&minted.id)[0].refreshed);
}

#[tokio::test]
async fn an_answer_cut_in_its_middle_was_committed() {
    let rig = Rig::start().await;
    let minted = rig.scenario("tiktok", "cut_body:1");

    let response = rig
        .rotation(refresh(&minted), &[])
        .send()
        .await
        .expect("a head");
    let status = response.status();
    let body = response.bytes().await;

    assert_eq!(status, 200);
    assert!(body.is_err());
    assert!(rig.entry(&minted.id, 1).await.refreshed);
}

#[tokio::test]
async fn a_hanging_request_is_abandoned_by_its_sender() {
    let rig = Rig::start().await;
    let before = rig.scenario("tiktok", "hang:1");
    let after = rig.scenario("tiktok", "hang_after_commit:1");

    for (minted, refreshed, next) in [(before, false, 200), (after, true, 400)] {
        let request = rig
            .rotation(refresh(&minted), &[])
            .timeout(Duration::from_millis(100));

        let waited = request.send().await;

        assert!(waited.is_err_and(|error| error.is_timeout()));
        let entry = rig.entry(&minted.id, 1).await;
        assert_eq!(
            (OK(&entry), entry.refreshed),
            ((None, Outcome::Abandoned), refreshed)
        );
        assert_eq!(rig.rotate(refresh(&minted)).await.0, next);
    }
}

#[tokio::test]
async fn a_slow_body_trickles_in_and_arrives_whole() {
    let rig = Rig::start().await;
    let minted = rig.scenario("tiktok", "slow_body:1");

    let mut response = rig
        .rotation(refresh(&minted), &[])
        .send()
        .await
        .expect("a head");
    let mut pieces = 0;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.expect("a piece") {
        pieces += 1;
        body.extend_from_slice(&piece);
    }

    assert!(pieces > 1, "{pieces} pieces");
    assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
    assert_eq!(
        OK(&rig.entry(&minted.id, 1).await),
        (Some(200), Outcome::Ok)
    );
}

#[tokio::test]
async fn every_provider_words_the_common_faults_itself() {
    let rig = Rig::start().await;
    let tiktok = async |name: &str| rig.rotate(&format!("rft_{name}")).await;
    let facebook = async |name: &str| rig.exchange(&format!("EAA_{name}")).await;
    let facturify = async |name: &str| rig.obtain(&rig.scenario("facturify", name)).await;

    assert_eq!(tiktok("status_500").await.1["error"], "server_error");
    assert_eq!(tiktok("status_429").await.1["error"], "rate_limit_exceeded");
    assert_eq!(tiktok("invalid_client").await.1["error"], "invalid_client");
    assert_eq!(tiktok("invalid_grant").await.1["error"], "invalid_grant");
    assert_eq!(facebook("status_500").await.1["error"]["code"], 2);
    assert_eq!(facebook("status_429").await.1["error"]["code"], 4);
    assert_eq!(facebook("invalid_client").await.1["error"]["code"], 1);
    assert_eq!(facebook("invalid_grant").await.1["error"]["code"], 190);
    assert_eq!(facturify("status_500").await.0, 500);
    assert_eq!(facturify("status_429").await.0, 429);
    assert_eq!(facturify("invalid_client").await.0, 401);
    for (status, name) in [
        (500, "html_500"),
        (503, "down"),
        (503, "status_503"),
        (302, "redirect"),
        (200, "garbage"),
    ] {
        let answer = tiktok(name).await;
        assert_eq!((answer.0, answer.1.is_string()), (status, true), "{name}");
    }
}

/// A right refresh at each of these providers, with a token declared to go through `scenario`.
fn declared(rig: &Rig, scenario: &str) -> [(&'static str, RequestBuilder); 5] {
    let value = |prefix: &str| format!("{prefix}{scenario}-planted");
    let service = rig.service(Method::POST).bearer_auth(value("svc_"));
    [
        (
            "instagram",
            rig.prolongation(Method::GET, &value("IGAA_"), &[]),
        ),
        ("tiktok_business", rig.business(&value("brft_"), &[])),
        ("tiktok_legacy", rig.legacy(&value("lrft_"), &[])),
        ("service_token", service),
        ("oauth2:demo", rig.refresh_at_demo(&value("rt_"))),
    ]
}

#[tokio::test]
async fn what_no_provider_words_itself_is_the_same_at_each() {
    let rig = Rig::start().await;

    for (status, fault) in [
        (500, "html_500"),
        (503, "down"),
        (503, "status_503"),
        (302, "redirect"),
        (200, "garbage"),
    ] {
        for (provider, request) in declared(&rig, fault) {
            let answer = told(request).await;

            assert_eq!(
                (answer.0, answer.1.is_string()),
                (status, true),
                "{provider}"
            );
        }
    }
    assert_eq!(rig.sim.summary().refreshes, 0);
}

#[tokio::test]
async fn every_provider_can_commit_and_lose_its_answer() {
    let rig = Rig::start().await;

    for (provider, request) in declared(&rig, "cut_after_commit") {
        let cut = request.send().await;

        assert!(cut.is_err_and(|error| !error.is_timeout()), "{provider}");
        let totals = rig.sim.summary().providers[provider];
        assert_eq!((totals.refreshes, totals.cut), (1, 1), "{provider}");
    }
}

#[tokio::test]
async fn every_provider_can_repeat_the_token_in_a_refusal() {
    let rig = Rig::start().await;

    for (provider, request) in declared(&rig, "echo") {
        let body = told(request).await.1.to_string();

        assert!(body.contains("_echo-planted"), "{provider}: {body}");
    }
}

#[tokio::test]
async fn throttling_names_the_seconds_of_the_setting() {
    let rig = Rig::with(|config| config.retry_after = Some(Duration::from_secs(90))).await;
    let silent = Rig::with(|config| config.retry_after = None).await;
    let header = async |rig: &Rig| {
        let response = rig
            .rotation("rft_status_429", &[])
            .send()
            .await
            .expect("an answer");
        response.headers().get("retry-after").cloned()
    };

    assert_eq!(header(&rig).await.expect("the header"), "90");
    assert_eq!(header(&silent).await, None);
}

#[tokio::test]
async fn an_echo_repeats_the_presented_token() {
    let rig = Rig::start().await;
    let (facebook, tiktok) = ("EAA_echo-planted", "rft_echo-planted");
    let facturify = rig.scenario("facturify", "echo");

    let facebook_text = rig.exchange(facebook).await.1.to_string();
    let tiktok_text = rig.rotate(tiktok).await.1.to_string();
    let facturify_text = rig.obtain(&facturify).await.1.to_string();

    assert!(facebook_text.contains(facebook), "{facebook_text}");
    assert!(tiktok_text.contains(tiktok), "{tiktok_text}");
    let form = facturify.import_form();
    assert!(
        facturify_text.contains(text(&form["api_key"])),
        "{facturify_text}"
    );
}

#[tokio::test]
async fn a_huge_body_is_eight_mebibytes_of_json() {
    let rig = Rig::start().await;

    let (status, body) = rig.rotate("rft_huge_body").await;

    assert_eq!(
        (status, text(&body["padding"]).len()),
        (200, 8 * 1024 * 1024)
    );
}

#[tokio::test]
async fn faults_by_rate_hit_their_share_and_nothing_else() {
    let rig = with_faults("status_500=0.3,facebook.status_500=0").await;
    let minted = rig.mint(&MintRequest::of("facebook"));

    let mut failed = 0;
    for _ in 0..200 {
        failed += u32::from(rig.rotate("rft_ok").await.0 == 500);
        let (status, _) = rig.exchange(crate::support::access(&minted)).await;
        assert_eq!(status, 200);
    }

    assert!((35..=85).contains(&failed), "{failed} of 200");
    assert_eq!(
        rig.sim.summary().providers["tiktok"].faults,
        u64::from(failed)
    );
}

#[tokio::test]
async fn the_same_seed_and_requests_meet_the_same_faults() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let rig = with_faults("status_500=0.5").await;
        let mut statuses = Vec::new();
        for _ in 0..20 {
            statuses.push(rig.rotate("rft_access_denied").await.0);
        }
        runs.push(statuses);
    }

    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&500) && runs[0].contains(&400));
}

#[tokio::test]
async fn a_whole_provider_can_go_down_and_come_back() {
    let rig = Rig::start().await;

    rig.sim.set_down("tiktok", true).expect("it is simulated");
    let down = rig.rotate("rft_ok").await;
    let other = rig.exchange("EAA_ok").await;
    rig.sim.set_down("tiktok", false).expect("it is simulated");
    let back = rig.rotate("rft_ok").await;

    assert_eq!((down.0, other.0, back.0), (503, 200, 200));
    assert!(rig.sim.set_down("orkut", true).is_err());
}

#[tokio::test]
async fn latency_is_the_providers_time_to_think() {
    let latency = Latency {
        fixed: Duration::from_millis(50),
        jitter: Duration::from_millis(20),
    };
    let rig = Rig::with(|config| config.latency = latency).await;

    let started = std::time::Instant::now();
    let (status, _) = rig.rotate("rft_ok").await;

    assert_eq!(status, 200);
    assert!(started.elapsed() >= latency.fixed);
}

#[tokio::test]
async fn two_requests_for_one_grant_at_once_are_an_overlap_of_both() {
    let rig = Rig::with(|c| c.latency.fixed = Duration::from_millis(200)).await;
    let minted = rig.mint(&MintRequest::of("tiktok"));

    let (first, second) = tokio::join!(rig.rotate(refresh(&minted)), rig.rotate(refresh(&minted)));

    let statuses = [first.0, second.0];
    assert!(
        statuses == [200, 400] || statuses == [400, 200],
        "{statuses:?}"
    );
    let overlaps: Vec<bool> = rig.entries(&minted.id).iter().map(|e| e.overlap).collect();
    assert_eq!(overlaps, [true, true]);
    let summary = rig.sim.summary();
    assert_eq!(
        (summary.overlaps, summary.reuses, summary.refreshes),
        (2, 1, 1)
    );
    assert_eq!(
        (
            summary.generations,
            summary.generations_repeated,
            summary.generations_doubled
        ),
        (1, 1, 0)
    );
    assert_eq!(
        (
            summary.repeated[0].grant.as_str(),
            summary.repeated[0].requests
        ),
        (&*minted.id, 2)
    );
}

#[tokio::test]
async fn the_ledger_names_tokens_by_their_fingerprint_only() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok"));

    rig.rotate(refresh(&minted)).await;
    let (_, shown) = told(rig.control(Method::GET, &format!("/ledger?grant={}", minted.id))).await;

    let mut entry = shown["entries"][0].clone();
    assert!(entry["finished_ms"].as_i64() >= entry["started_ms"].as_i64());
    assert!(entry["port"].as_u64() > Some(0));
    for varies in ["port", "started_ms", "finished_ms"] {
        entry[varies] = json!(0);
    }
    assert_eq!(
        entry,
        json!({
            "seq": 1, "port": 0, "provider": "tiktok", "endpoint": "oauth/token",
            "grant": minted.id, "generation": 1,
            "token": simulator::fingerprint(refresh(&minted)),
            "started_ms": 0, "finished_ms": 0,
            "status": 200, "outcome": "ok", "code": null, "fault": null,
            "refreshed": true, "reuse": false, "overlap": false,
        })
    );
}

#[tokio::test]
async fn the_ledger_is_bounded_and_the_totals_are_not() {
    let rig = Rig::with(|config| config.ledger_capacity = 32).await;

    for _ in 0..100 {
        rig.rotate("rft_access_denied").await;
    }

    let kept: Vec<u64> = rig
        .sim
        .ledger(&Filter::default())
        .iter()
        .map(|e| e.seq)
        .collect();
    let summary = rig.sim.summary();
    assert_eq!(kept, (69..=100).collect::<Vec<u64>>());
    assert_eq!(
        (
            summary.requests,
            summary.kept,
            summary.providers["tiktok"].refused
        ),
        (100, 32, 100)
    );
}

#[tokio::test]
async fn clearing_forgets_requests_and_keeps_grants() {
    let rig = Rig::start().await;
    let minted = rig.mint(&MintRequest::of("tiktok"));
    let (_, next) = rig.rotate(refresh(&minted)).await;

    let (status, _) = told(rig.control(Method::DELETE, "/ledger")).await;

    let summary = rig.sim.summary();
    assert_eq!(status, 204);
    assert_eq!(
        (summary.requests, summary.generations, summary.kept),
        (0, 0, 0)
    );
    assert_eq!(rig.rotate(text(&next["refresh_token"])).await.0, 200);
    assert_eq!(rig.sim.summary().generations, 1);
}

#[tokio::test]
async fn a_stop_cuts_what_hangs_and_frees_the_port() {
    let rig = Rig::start().await;
    let addr = rig.sim.addr();
    let hanging = tokio::spawn(rig.rotation("rft_hang", &[]).send());
    for _ in 0..500 {
        let in_flight = rig
            .sim
            .grant("tiktok-1", false)
            .is_some_and(|view| view.requests == 1);
        if in_flight {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    rig.sim.shutdown().await;

    let error = hanging.await.expect("no panic").expect_err("it was cut");
    assert!(!error.is_timeout(), "it was cut and not waited for");
    let free = tokio::net::TcpListener::bind(addr).await;
    assert!(free.is_ok());
}
