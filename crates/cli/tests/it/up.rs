//! `tokenfleet up`: its data directory, its Redis, its end.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Site, number_in, path_of, runs, until};

const UP: [&str; 3] = ["up", "--bind", "127.0.0.1:0"];
const READY: &str = "Ctrl-C stops it.";

fn redis_pid(site: &Site) -> u32 {
    let log = std::fs::read_to_string(site.path("tokenfleet-data/redis/redis.log"));
    let log = log.expect("redis-server writes a log");
    let last = log
        .lines()
        .rfind(|line| line.contains("Redis is starting"))
        .expect("it has started");
    last.split(':')
        .next()
        .and_then(|pid| pid.trim().parse().ok())
        .expect("lines begin with a process id")
}

#[test]
fn up_needs_no_settings_and_keeps_its_data_over_a_restart() {
    let site = Site::new();

    let up = site.start(&UP, READY);
    site.ok(&["tenant", "create", "acme", "--server", &up.url()]);
    up.stop();
    let up = site.start(&UP, READY);
    let tenants = site.json(&["tenant", "list", "--server", &up.url()]);

    assert_eq!(tenants[0]["id"], json!("acme"));
    up.stop();
}

#[test]
fn a_log_that_cannot_be_written_ends_nobody() {
    let site = Site::new();
    let full = OpenOptions::new().write(true).open("/dev/full");
    let mut command = site.command(&UP);
    command.stdout(Stdio::piped());
    let mut up = command
        .stderr(full.expect("Linux has it"))
        .spawn()
        .expect("it can be started");
    let out = up.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(out).lines().map_while(Result::ok);

    let (tell, heard) = mpsc::channel();
    std::thread::spawn(move || tell.send(lines.any(|line| line.contains(READY))));
    let is_ready = heard.recv_timeout(Duration::from_secs(30)) == Ok(true);
    let signal = if is_ready { "-TERM" } else { "-KILL" };
    let pid = up.id().to_string();
    let asked = Command::new("kill").args([signal, &pid]).status();
    let ended = up.wait().expect("it is our child");

    assert!(is_ready, "{ended}");
    assert!(asked.expect("kill is there").success());
    assert!(ended.success(), "{ended}");
}

#[test]
fn a_killed_up_takes_its_redis_along() {
    let site = Site::new();
    let mut up = site.start(&UP, READY);
    let redis = redis_pid(&site);
    assert!(runs(redis));

    up.signal("KILL");
    up.wait();

    until("redis-server has ended", || !runs(redis));
    site.start(&UP, READY).stop();
}

#[test]
fn a_redis_that_a_killed_up_left_behind_is_ended_and_its_data_used() {
    let site = Site::new();
    let path = path_of(&site, &["redis-server"]);
    let site = site.env("PATH", path);
    let mut up = site.start(&UP, READY);
    let orphan = redis_pid(&site);
    up.signal("KILL");
    up.wait();
    assert!(runs(orphan), "without setpriv it lives on");

    let up = site.start(&UP, READY);

    assert!(!runs(orphan));
    let next = redis_pid(&site);
    assert_ne!(next, orphan);
    up.stop();
    assert!(!runs(next));
}

#[test]
fn a_private_redis_that_dies_is_started_again() {
    let site = Site::new();
    let up = site.start(&UP, READY);
    let first = redis_pid(&site);

    let killed = std::process::Command::new("kill")
        .args(["-KILL", &first.to_string()])
        .status();

    assert!(killed.is_ok_and(|status| status.success()));
    until("another redis-server runs", || redis_pid(&site) != first);
    let ready = || site.run(&["stats", "--server", &up.url()]).code == Some(0);
    until("the API has its queues again", ready);
    up.stop();
}

#[test]
fn a_data_directory_with_a_long_path_works_too() {
    let long = "x".repeat(120);
    let site = Site::new().env("TOKENFLEET_DATA_DIR", &long);

    let up = site.start(&UP, READY);
    site.ok(&["tenant", "create", "acme", "--server", &up.url()]);
    up.stop();

    assert!(site.path(&long).join("tokenfleet.db").is_file());
}

#[test]
fn everything_in_the_data_directory_is_out_of_reach_for_others() {
    let site = Site::new();
    site.start(&UP, READY).stop();

    let mode = |name: &str| {
        let meta = site.path("tokenfleet-data").join(name).metadata();
        meta.expect("it is there").permissions().mode() & 0o077
    };
    let all = [
        "",
        "admin-token",
        "jwt-secret",
        "refresh-token-secret",
        "master-keys",
        "tokenfleet.db",
        "redis",
        "redis/redis.conf",
        "redis/redis.log",
        "run",
    ];
    assert_eq!(all.map(mode), [0; 10]);
}

#[test]
fn up_prints_neither_its_master_key_nor_its_admin_token() {
    let site = Site::new().env("TOKENFLEET_LOG", "trace");
    let up = site.start(&UP, READY);
    site.ok(&["tenant", "list", "--server", &up.url()]);

    let said = up.said();

    for secret in [
        "admin-token",
        "jwt-secret",
        "master-keys",
        "refresh-token-secret",
    ] {
        let file = site.path("tokenfleet-data").join(secret);
        let text = std::fs::read_to_string(file).expect("it is there");
        let secret = text.trim().rsplit(':').next().expect("it is not empty");
        assert!(!said.contains(secret));
    }
    up.stop();
}

#[test]
fn the_second_signal_stops_at_once_and_leaves_no_redis() {
    let site = Site::new();
    let mut up = site.start(&UP, READY);
    let redis = redis_pid(&site);

    up.signal("TERM");
    up.signal("TERM");
    let code = up.wait();

    assert!(matches!(code, Some(0 | 130)), "{code:?}");
    until("redis-server has ended", || !runs(redis));
}

#[test]
fn the_lock_file_names_the_process() {
    let site = Site::new();
    let up = site.start(&UP, READY);

    assert_eq!(number_in(&site.path("tokenfleet-data/up.lock")), up.pid());

    up.stop();
}
