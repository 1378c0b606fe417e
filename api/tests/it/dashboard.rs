//! S5.9: the dashboard, as a browser loads it, and what it asks the API.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;
use testkit::Database;

use crate::world::{Answer, Setup, World, problem, send};

testkit::each_database!(
    s5_9_browsers_get_the_dashboard_and_programs_get_directions,
    s5_9_the_dashboard_comes_from_the_server_alone,
    a_browser_that_has_a_file_of_the_dashboard_is_not_sent_it_again,
);

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The name that the SVG standard gives its elements; nothing is loaded from there.
const SVG: &str = "http://www.w3.org/2000/svg";

/// The scripts, by name.
fn scripts() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dashboard");
    let files = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap());
    let mut scripts: Vec<(String, String)> = files
        .map(|file| (file.file_name().into_string().unwrap(), file.path()))
        .filter(|(name, _)| is_script(name))
        .map(|(name, path)| (name, std::fs::read_to_string(path).unwrap()))
        .collect();
    scripts.sort();
    scripts
}

fn is_script(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, end)| end == "js")
}

/// What stands in quotes of any kind.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| line.split(['"', '\'', '`']).skip(1).step_by(2))
}

async fn browse(world: &World, method: Method) -> Answer {
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    send(world.anonymous(method, "/").header("accept", accept)).await
}

#[test]
fn s5_9_the_dashboard_calls_addresses_that_exist() {
    let scripts = scripts();

    let called: BTreeSet<&str> = scripts
        .iter()
        .flat_map(|(_, text)| quoted(text))
        .filter(|it| {
            it.split_once(' ')
                .is_some_and(|(_, path)| path.starts_with('/'))
        })
        .collect();

    let addresses = api::addresses().into_iter();
    let known: BTreeSet<String> = addresses
        .map(|it| format!("{} {}", it.method, it.path))
        .collect();
    let unknown: Vec<&&str> = called.iter().filter(|it| !known.contains(**it)).collect();
    assert_eq!(unknown, Vec::<&&str>::new());
    assert!(called.contains("POST /api/auth/refresh"), "{called:?}");
    assert!(called.len() > 15, "{called:?}");
    let fetches: usize = scripts
        .iter()
        .map(|(_, text)| text.matches("fetch(").count())
        .sum();
    assert_eq!(
        fetches, 1,
        "calls that do not go through `call` are not checked here"
    );
}

#[test]
fn the_dashboard_has_words_for_every_reason() {
    let failure = include_str!("../../../crates/domain/src/failure.rs");
    let (_, reasons) = failure.split_once("pub mod reason {").unwrap();
    let (reasons, _) = reasons.split_once("\n}").unwrap();
    let words = include_str!("../../src/dashboard/words.js");

    let wordless: Vec<&str> = reasons
        .lines()
        .filter(|line| line.contains("pub const"))
        .flat_map(quoted)
        .filter(|reason| !words.contains(&format!("\n  {reason}: \"")))
        .collect();

    assert_eq!(wordless, Vec::<&str>::new(), "add sentences to words.js");
    assert!(reasons.matches("pub const").count() > 20);
}

#[test]
fn s5_9_the_dashboard_takes_what_it_is_told_for_text() {
    for (name, text) in scripts() {
        for way in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "localStorage",
            "cookie",
        ] {
            assert!(!text.contains(way), "{way} in {name}");
        }
    }
}

async fn s5_9_browsers_get_the_dashboard_and_programs_get_directions(database: Database) {
    let mut setup = Setup::default();
    "<Acme>".clone_into(&mut setup.settings.app_name);
    let world = World::with(database, setup).await;

    let page = browse(&world, Method::GET).await;
    let head = browse(&world, Method::HEAD).await;
    let posted = browse(&world, Method::POST).await;
    let program = send(world.anonymous(Method::GET, "/")).await;

    assert_eq!((page.status, head.status), (200, 200));
    for answer in [&page, &head] {
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("content-security-policy"), POLICY);
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert_eq!(answer.header("vary"), "accept");
    }
    assert!(
        page.text.contains("<title>&lt;Acme&gt;</title>"),
        "{}",
        page.text
    );
    assert_eq!(head.text, "");
    assert_eq!(posted.problem(), problem(405, "method_not_allowed", &[]));
    assert_eq!(program.header("content-type"), "text/plain; charset=utf-8");
    assert!(program.text.starts_with("<Acme>: "), "{}", program.text);
}

async fn s5_9_the_dashboard_comes_from_the_server_alone(database: Database) {
    let world = World::start(database).await;
    let page = browse(&world, Method::GET).await.text;

    let mut wanted: Vec<String> = quoted(&page)
        .filter_map(|it| it.strip_prefix("dashboard/").map(str::to_owned))
        .collect();
    let mut loaded = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if !loaded.insert(name.clone()) {
            continue;
        }
        let answer = send(world.anonymous(Method::GET, &format!("/dashboard/{name}"))).await;
        let (status, kind) = (answer.status, answer.header("content-type"));
        let expected = if is_script(&name) {
            "text/javascript"
        } else {
            "text/css"
        };
        assert_eq!(
            (status, kind),
            (200, &*format!("{expected}; charset=utf-8")),
            "{name}"
        );
        let text = answer.text.replace(SVG, "");
        assert!(
            !text.contains("://") && !text.contains("url("),
            "{name} names an origin"
        );
        let imports = quoted(&answer.text).filter_map(|it| it.strip_prefix("./"));
        wanted.extend(imports.map(str::to_owned));
    }
    let missing = send(world.anonymous(Method::GET, "/dashboard/page.html")).await;

    let mut files: BTreeSet<String> = scripts().into_iter().map(|(name, _)| name).collect();
    files.insert("style.css".to_owned());
    assert_eq!(loaded, files);
    assert!(!page.contains("://") && !page.contains("style="), "{page}");
    assert_eq!(missing.problem(), problem(404, "not_found", &[]));
}

async fn a_browser_that_has_a_file_of_the_dashboard_is_not_sent_it_again(database: Database) {
    let world = World::start(database).await;
    let path = "/dashboard/main.js";
    let first = send(world.anonymous(Method::GET, path)).await;
    let asking = |tag: &str| {
        world
            .anonymous(Method::GET, path)
            .header("if-none-match", tag)
    };

    let again = send(asking(first.header("etag"))).await;
    let other = send(asking("\"another\"")).await;

    assert_eq!((again.status, &*again.text), (304, ""));
    // A browser takes the headers of this answer for those of the file that it has.
    assert_eq!(again.header("content-security-policy"), POLICY);
    assert_eq!(again.header("cache-control"), "no-cache");
    assert_eq!(other.text, first.text);
}
