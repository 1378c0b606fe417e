//! The commands that look and talk: `config`, `doctor`, `migrate`, `simulate`, and those of the
//! API.

use serde_json::{Value, json};

use crate::harness::{ADMIN_TOKEN, MASTER_KEYS, Running, Site, until};

const UP: [&str; 3] = ["up", "--bind", "127.0.0.1:0"];

/// A simulator, and a site whose `.env` is what it printed.
fn with_simulator() -> (Running, Site) {
    let site = Site::new();
    let simulator = site.start(
        &["simulate", "--bind", "127.0.0.1:0"],
        "DEMO_JSON__ACCOUNT=",
    );
    let printed = simulator.said();
    let settings: Vec<&str> = printed.lines().filter(|line| line.contains('=')).collect();
    std::fs::write(site.path(".env"), settings.join("\n")).expect("it is writable");
    (simulator, site)
}

#[test]
fn config_check_tells_values_and_sources_and_hides_secrets() {
    let site = Site::new()
        .env("META_APP_ID", "4711")
        .env("META_APP_SECRET", "hush")
        .env("TOKENFLEET_MASTER_KEYS", MASTER_KEYS)
        .env("DATABASE_URL", "postgres://u:hush@h/d");
    std::fs::write(site.path("tokenfleet.toml"), "[worker]\nconcurrency = 9\n")
        .expect("it is writable");

    let report = site.json(&["config", "check"]);

    let line = |key: &str| {
        let all = report["settings"].as_array().expect("a list");
        let line = all.iter().find(|line| line["key"] == key);
        let line = line.expect("every setting is told");
        (line["value"].clone(), line["source"].clone())
    };
    let by = |name: &str| json!(format!("environment variable {name}"));
    assert_eq!(
        line("providers.meta.app_id"),
        (json!("4711"), by("META_APP_ID"))
    );
    assert_eq!(
        line("providers.meta.app_secret"),
        (json!("set"), by("META_APP_SECRET"))
    );
    assert_eq!(
        line("database.url"),
        (json!("postgres://u:***@h/d"), by("DATABASE_URL"))
    );
    assert_eq!(line("worker.concurrency").0, json!("9"));
    assert_eq!(line("redis.url"), (json!("not set"), Value::Null));
    let shown = site.ok(&["config", "check", "--all"]) + &report.to_string();
    assert!(
        !shown.contains("hush") && !shown.contains("BwcHBw"),
        "{shown}"
    );
}

#[test]
fn what_simulate_prints_is_a_dotenv_file() {
    let (simulator, site) = with_simulator();

    let report = site.json(&["config", "check"]);

    let all = report["settings"].as_array().expect("a list");
    let tiktok = all
        .iter()
        .find(|line| line["key"] == "providers.tiktok.base_url");
    let address = tiktok.expect("it is told")["value"].as_str();
    assert!(
        address.is_some_and(|url| url.starts_with("http://127.0.0.1:") && url.ends_with("/tiktok"))
    );
    simulator.stop();
}

#[test]
fn migrate_goes_up_and_down_and_tells_where_it_stands() {
    let site = Site::new();

    let before = site.run(&["migrate", "status"]);
    site.ok(&["migrate", "up"]);
    let after = site.run(&["migrate", "status"]);
    site.ok(&["migrate", "down", "--steps", "1", "--yes"]);
    let down = site.run(&["migrate", "status"]);

    assert_eq!(
        (before.code, after.code, down.code),
        (Some(1), Some(0), Some(1))
    );
    assert!(before.out.lines().all(|line| line.starts_with("pending")));
    assert!(after.out.lines().all(|line| line.starts_with("applied")));
    let pending = |line: &&str| line.starts_with("pending");
    assert_eq!(down.out.lines().filter(pending).count(), 1);
}

#[test]
fn a_doctor_finds_nothing_wrong_with_a_fleet_that_is_well() {
    let (simulator, site) = with_simulator();
    let up = site.start(&UP, "Ctrl-C stops it.");

    let report = site.json(&["doctor"]);

    assert_eq!(report["ok"], json!(true), "{report:#}");
    up.stop();
    simulator.stop();
}

#[test]
fn a_doctor_names_queues_that_are_paused() {
    let (simulator, site) = with_simulator();
    let site = site.env("TOKENFLEET_ADMIN_TOKEN", ADMIN_TOKEN);
    let up = site.start(&UP, "Ctrl-C stops it.");
    let url = up.url();
    site.ok(&["queue", "pause", "sweep", "--server", &url]);

    let ended = site.run(&["doctor", "--json"]);
    site.ok(&["queue", "resume", "sweep", "--server", &url]);
    let after = site.json(&["doctor"]);

    assert_eq!(ended.code, Some(1), "{}", ended.out);
    let report: Value = serde_json::from_str(&ended.out).expect("it prints JSON");
    let findings = report["findings"].as_array().expect("a list");
    let bad: Vec<&Value> = findings.iter().filter(|it| it["ok"] == false).collect();
    assert_eq!(bad.len(), 1, "{report:#}");
    assert_eq!(bad[0]["found"], "sweep is paused");
    assert_eq!(
        bad[0]["fix"],
        "`tokenfleet queue resume sweep` when it may go on"
    );
    assert_eq!(after["ok"], json!(true), "{after:#}");
    up.stop();
    simulator.stop();
}

#[test]
fn a_doctor_names_a_fix_for_each_finding() {
    let site = Site::new()
        .env("DATABASE_URL", "postgres://u@127.0.0.1:1/d")
        .env("REDIS_URL", "redis://127.0.0.1:1")
        .env("META_APP_ID", "1")
        .env("META_APP_SECRET", "s")
        .env("META_BASE_URL", "http://127.0.0.1:1");

    let ended = site.run(&["doctor", "--json"]);

    assert_eq!(ended.code, Some(1));
    let report: Value = serde_json::from_str(&ended.out).expect("it prints JSON");
    let findings = report["findings"].as_array().expect("a list");
    let bad: Vec<&Value> = findings.iter().filter(|it| it["ok"] == false).collect();
    let parts: Vec<&str> = bad.iter().filter_map(|it| it["part"].as_str()).collect();
    assert_eq!(parts, ["database", "redis", "providers"]);
    assert!(bad.iter().all(|it| it["fix"].is_string()));
}

#[test]
fn a_doctor_asks_at_the_token_url_of_a_generic_provider() {
    let site = Site::new();
    let described = "[providers.oauth2.crm]\ntoken_url = \"http://127.0.0.1:1/token\"\n\
                     client_id = \"4711\"\nclient_secret = \"hush\"\n";
    std::fs::write(site.path("tokenfleet.toml"), described).expect("it is writable");

    let ended = site.run(&["doctor", "--json"]);

    assert_eq!(ended.code, Some(1));
    let report: Value = serde_json::from_str(&ended.out).expect("it prints JSON");
    let findings = report["findings"].as_array().expect("a list");
    let told = "oauth2:crm does not answer: its token_url is http://127.0.0.1:1/token";
    assert!(findings.iter().any(|it| it["found"] == told), "{report:#}");
    assert!(!ended.out.contains("hush"));
}

#[test]
fn a_settings_mistake_is_a_finding_of_the_doctor() {
    let ended = Site::new()
        .env("TOKENFLEET_WORKR__CONCURRENCY", "1")
        .run(&["doctor", "--json"]);

    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .out
            .contains("did you mean TOKENFLEET_WORKER__CONCURRENCY?"),
        "{}",
        ended.out
    );
}

#[test]
fn tenants_channels_schedules_jobs_and_figures_are_commands() {
    let (simulator, site) = with_simulator();
    let site = site.env("TOKENFLEET_ADMIN_TOKEN", ADMIN_TOKEN);
    let up = site.start(&UP, "Ctrl-C stops it.");
    let site = site.env("TOKENFLEET_SERVER", up.url());
    // The simulator's own account at Facturify.
    let credentials = json!({ "api_key": "key_ok-demo", "api_secret": "secret_ok-demo" });
    std::fs::write(site.path("grant.json"), credentials.to_string()).expect("it is writable");

    site.ok(&["tenant", "create", "acme", "--name", "Acme"]);
    let import = [
        "channel",
        "import",
        "acme",
        "--id",
        "facturas",
        "--provider",
        "facturify",
        "--name",
        "Facturas",
        "--credentials",
        "grant.json",
    ];
    let channel = site.json(&import);
    assert_eq!(channel["id"], json!("facturas"));
    until("it is refreshed without being asked", || {
        site.json(&["channel", "show", "acme", "facturas"])["generation"].as_i64() > Some(1)
    });

    let refreshed = site.json(&["channel", "refresh", "acme", "facturas"]);
    assert_eq!(
        (&refreshed["success"], &refreshed["refreshed"]),
        (&json!(true), &json!(true))
    );
    let attempts = site.json(&["channel", "attempts", "acme", "facturas"]);
    assert!(
        attempts.as_array().is_some_and(|all| all.len() >= 2),
        "{attempts}"
    );

    let link = ["channel", "connect", "acme", "--provider", "oauth2:demo"];
    let opens = format!("{}/connect/oauth2:demo?token=", up.url());
    assert!(site.ok(&link).starts_with(&opens));
    let link = ["channel", "connect", "acme", "--channel", "facturas"];
    assert!(site.refusal(&link).contains("provider"));
    let account = ["channel", "account", "acme", "facturas"];
    assert!(site.refusal(&account).contains("(404)"));

    let every = ["schedule", "set", "acme", "--every", "2h"];
    let schedule = site.json(&every);
    assert_eq!(schedule["interval_minutes"], json!(120));
    assert_eq!(schedule["misfire"], "once");
    let schedule = site.json(&[&every[..], &["--misfire", "skip"]].concat());
    assert_eq!(schedule["misfire"], "skip");
    assert_eq!(
        site.json(&["schedule", "cancel", "acme"]),
        json!({ "cancelled": true })
    );
    assert!(
        site.refusal(&["schedule", "show", "acme"])
            .contains("(404)")
    );

    let later = site.json(&["channel", "refresh", "acme", "facturas", "--later", "30m"]);
    let job = later["job_id"].as_str().expect("a job was made");
    assert_eq!(site.json(&["job", "show", job])["state"], json!("delayed"));
    site.ok(&["job", "cancel", job]);
    let cancelled = site.json(&["job", "list", "acme", "--state", "cancelled"]);
    assert_eq!(cancelled[0]["id"], json!(job));

    let figures = site.json(&["stats", "acme"]);
    assert_eq!(figures["refresh"]["total_channels"], json!(1));
    assert_eq!(figures["jobs"]["jobs_cancelled"], json!(1));
    shows_figures(&site);
    assert!(site.ok(&["channel", "list", "acme"]).contains("facturas"));
    site.ok(&["channel", "delete", "acme", "facturas", "--yes"]);
    site.ok(&["tenant", "delete", "acme", "--yes"]);
    let left = site.json(&["tenant", "list"]);
    let names: Vec<_> = left.as_array().into_iter().flatten().collect();
    assert!(names.iter().all(|it| it["id"] == "platform"), "{left}");
    up.stop();
    simulator.stop();
}

/// Freshness and forecast, also of a tenant that is called like one of them.
fn shows_figures(site: &Site) {
    let fresh = site.json(&["stats", "freshness", "acme", "--hours", "1"]);
    let table = site.ok(&["stats", "freshness", "--margin-minutes", "60"]);
    let forecast = site.json(&["stats", "forecast", "--days", "30"]);
    let of_acme = site.ok(&["stats", "forecast", "acme"]);
    site.ok(&["tenant", "create", "freshness"]);

    assert_eq!(
        (&fresh["hours"], &fresh["all"]["valid"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        site.json(&["stats", "acme", "freshness", "--hours", "1"]),
        fresh
    );
    for told in ["PROVIDER", "facturify", "TENANT", "acme", "100.00"] {
        assert!(table.contains(told), "{table}");
    }
    assert_eq!(forecast["need_person"]["days"], json!(30));
    assert!(of_acme.contains("facturify"), "{of_acme}");
    let named = site.ok(&["stats", "--", "freshness"]);
    assert!(named.contains("refresh.total_channels"), "{named}");
    let both = site.refusal(&["stats", "acme", "forecast", "freshness"]);
    assert!(both.contains("name one tenant"), "{both}");
    let too_far = site.refusal(&["stats", "forecast", "--days", "91"]);
    assert!(too_far.contains("days"), "{too_far}");
    site.ok(&["tenant", "delete", "freshness", "--yes"]);
}

#[test]
fn up_with_a_key_of_its_own_moves_on_to_another_one() {
    let site = Site::new();
    let missing = site.refusal(&["keys", "status"]);
    site.start(&UP, "Ctrl-C stops it.").stop();
    site.ok(&["keys", "generate", "--save"]);
    let third = site.ok(&["keys", "generate"]);
    let again = site.refusal(&["keys", "generate", "k1"]);
    let up = site.start(&UP, "Ctrl-C stops it.");

    let told = site.ok(&["keys", "rotate"]);
    site.ok(&["keys", "retire", "k1"]);

    assert!(missing.contains("there is no database"), "{missing}");
    assert!(third.starts_with("k3:"), "{third}");
    assert!(again.contains("there is a key 'k1' already"), "{again}");
    assert!(told.starts_with("'k2' seals from here on"), "{told}");
    let line = |id: &str, state: &str, sealing: u32| {
        json!({
            "id": id, "state": state, "here": "yes", "channels": 0,
            "webhooks": 0, "processes_with_it": 1, "processes_sealing": sealing, "processes": 1,
        })
    };
    let expected = json!([line("k1", "retired", 0), line("k2", "active", 1)]);
    assert_eq!(site.json(&["keys", "status"]), expected);
    up.stop();
    let site = site.env("TOKENFLEET_MASTER_KEYS", MASTER_KEYS);
    let elsewhere = site.refusal(&["keys", "generate", "--save"]);
    assert!(elsewhere.contains("TOKENFLEET_MASTER_KEYS"), "{elsewhere}");
    let namesake = site.run(&["keys", "status"]);
    assert_eq!(namesake.code, Some(1));
    assert!(namesake.out.contains("ANOTHER KEY"), "{}", namesake.out);
}

#[test]
fn a_problem_of_the_server_is_a_message_with_its_fields() {
    let site = Site::new();
    let up = site.start(&UP, "Ctrl-C stops it.");
    let site = site.env("TOKENFLEET_SERVER", up.url());
    site.ok(&["tenant", "create", "acme"]);
    std::fs::write(site.path("grant.json"), "{}").expect("it is writable");

    let import = [
        "channel",
        "import",
        "acme",
        "--provider",
        "myspace",
        "--name",
        "x",
        "--credentials",
        "grant.json",
    ];
    let message = site.refusal(&import);

    assert!(
        message.contains("(422)") && message.contains("provider: "),
        "{message}"
    );
    assert!(message.contains("facebook"), "{message}");
    up.stop();
}
