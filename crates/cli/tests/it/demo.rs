//! `tokenfleet demo`.

use crate::harness::{Ended, Site, until};

/// The numbers of a provider's row in the summary.
fn row(ended: &Ended, provider: &str) -> Vec<u64> {
    let line = ended
        .out
        .lines()
        .find(|line| line.trim_start().starts_with(provider))
        .unwrap_or_else(|| panic!("no row of {provider}: {} {}", ended.out, ended.err));
    line.split_whitespace()
        .skip(1)
        .take(4)
        .map(|cell| cell.parse().expect("a number"))
        .collect()
}

#[test]
fn a_demo_ends_with_zero_when_every_due_channel_was_refreshed() {
    let site = Site::new();

    let ended = site.run(&["demo", "--channels", "40", "--once"]);

    assert_eq!(ended.code, Some(0), "{} {}", ended.out, ended.err);
    assert_eq!(row(&ended, "all"), [40, 40, 0, 0]);
    assert!(
        !site.path("tokenfleet-data").exists(),
        "it uses no directory of ours"
    );
}

#[test]
fn a_demo_with_faults_ends_complete_and_counts_its_retries() {
    let site = Site::new();

    let ended = site.run(&[
        "demo",
        "--channels",
        "60",
        "--once",
        "--fault",
        "status_500=0.3",
    ]);

    assert_eq!(ended.code, Some(0), "{} {}", ended.out, ended.err);
    let [channels, refreshed, retried, stuck] = row(&ended, "all")[..] else {
        panic!("four numbers");
    };
    assert_eq!((channels, refreshed, stuck), (60, 60, 0));
    assert!(retried > 0, "{}", ended.out);
}

#[test]
fn a_demo_whose_grants_are_dead_ends_with_one() {
    let site = Site::new();

    let ended = site.run(&[
        "demo",
        "--channels",
        "20",
        "--once",
        "--fault",
        "tiktok.invalid_grant",
    ]);

    assert_eq!(ended.code, Some(1), "{} {}", ended.out, ended.err);
    let [channels, refreshed, _, stuck] = row(&ended, "tiktok")[..] else {
        panic!("four numbers");
    };
    assert_eq!((refreshed, stuck), (0, channels));
}

#[test]
fn a_second_demo_in_the_same_directory_works_too() {
    let site = Site::new();
    let demo = ["demo", "--channels", "20", "--once", "--data-dir", "d"];

    let first = site.run(&demo);
    let second = site.run(&demo);

    assert_eq!(
        (first.code, second.code),
        (Some(0), Some(0)),
        "{}",
        second.err
    );
    assert_eq!(row(&second, "all"), [20, 20, 0, 0]);
}

#[test]
fn a_demo_reads_no_database_of_the_environment() {
    let site = Site::new()
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/production")
        .env("REDIS_URL", "redis://127.0.0.1:1");

    let ended = site.run(&["demo", "--channels", "10", "--once"]);

    assert_eq!(ended.code, Some(0), "{} {}", ended.out, ended.err);
}

#[test]
fn s5_9_the_demo_prints_a_log_in_that_works() {
    let site = Site::new();
    let home = site.path("home").to_string_lossy().into_owned();
    let site = site.env("HOME", home);

    let demo = site.start(&["demo", "--channels", "1"], "log: ");
    let said = demo.said();
    let (_, rest) = said.split_once("with the password ").expect("a log-in");
    let password = rest.lines().next().expect("it ends its line");
    let url = demo.url();
    let login = ["login", "--server", &url, "--email", "demo@example.com"];
    let ended = site.fed(&login, &format!("{password}\n"));

    assert_eq!(ended.code, Some(0), "{} {}", ended.out, ended.err);
    // A demo that is stopped before all are refreshed says so with its exit code.
    until("the one channel is refreshed", || {
        demo.said().contains("The fleet keeps running")
    });
    demo.stop();
}

#[test]
fn an_unknown_fault_is_wrong_usage_and_the_right_ones_are_told() {
    let ended = Site::new().run(&["demo", "--fault", "bad_luck=0.2"]);

    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("status_500"), "{}", ended.err);
}
