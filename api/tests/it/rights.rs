//! "Who may do what": every address with every kind of caller, generated from the table.

use std::collections::BTreeMap;

use api::{Address, Right};
use domain::{Role, Scope};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Database;

use crate::people::{Person, text};
use crate::visitor::Counter;
use crate::world::{Answer, World, problem, reveal, send};

testkit::each_database!(
    without_a_token_every_address_that_needs_one_answers_401,
    a_role_that_may_not_answers_403_and_one_that_may_is_let_in,
    a_scope_that_does_not_bring_the_right_answers_403,
    everything_of_another_tenant_answers_404_and_stays_as_it_is,
);

/// A tenant with one of everything that an address can name.
struct Estate {
    tenant: String,
    job: String,
    batch: String,
    service_token: String,
}

impl Estate {
    async fn build(world: &World, id: &str) -> Self {
        let tenant = world.tenant(id).await;
        world.tiktok(&tenant, "channel_1", 7200).await;
        let channels = format!("/api/v1/tenants/{id}/channels");
        let job = world
            .post(&format!("{channels}/channel_1/refresh?wait=0"))
            .await;
        let batch = world.post(&format!("{channels}/refresh?wait=0")).await;
        Self {
            tenant: id.to_owned(),
            job: text(&job.json(), "job_id"),
            batch: text(&batch.json(), "batch_id"),
            service_token: world.service_token(id, &["channels:read"]).await.0,
        }
    }

    /// The address in this tenant. What is not known here is the name of nothing.
    fn path(&self, address: &Address) -> String {
        let named = |part: &str| match part {
            "{tenant}" => self.tenant.clone(),
            "{job}" => self.job.clone(),
            "{batch}" => self.batch.clone(),
            "{service_token}" => self.service_token.clone(),
            "{channel}" => "channel_1".to_owned(),
            _ if part.starts_with('{') => "none".to_owned(),
            _ => part.to_owned(),
        };
        let parts: Vec<String> = address.path.split('/').map(named).collect();
        // Nothing here works on the queue, so nobody waits for it.
        format!("{}?wait=0", parts.join("/"))
    }
}

fn guarded() -> impl Iterator<Item = (Address, Right)> {
    let addresses = api::addresses().into_iter();
    addresses.filter_map(|address| address.right.map(|right| (address, right)))
}

/// Whether the path names something of a tenant.
fn names_something(address: &Address) -> bool {
    ["{tenant}", "{job}", "{batch}", "{service_token}"]
        .iter()
        .any(|name| address.path.contains(name))
}

fn is_refused_by_the_gate(answer: &Answer) -> bool {
    answer.status == 401 || (answer.status == 403 && answer.json()["code"] == "forbidden")
}

async fn ask(world: &World, token: &str, address: &Address, path: &str) -> Answer {
    world.ask(token, address.method.clone(), path).await
}

async fn without_a_token_every_address_that_needs_one_answers_401(database: Database) {
    let world = World::start(database).await;
    let estate = Estate::build(&world, "t1").await;

    for (address, _) in guarded() {
        let path = estate.path(&address);
        let none = send(world.anonymous(address.method.clone(), &path)).await;
        let junk = ask(&world, "eyJhbGciOiJub25lIn0.e30.", &address, &path).await;

        assert_eq!(none.problem(), problem(401, "unauthorized", &[]), "{path}");
        assert_eq!(junk.problem(), problem(401, "unauthorized", &[]), "{path}");
        assert_eq!(none.header("www-authenticate"), "Bearer");
    }
}

async fn a_role_that_may_not_answers_403_and_one_that_may_is_let_in(database: Database) {
    let world = World::start(database).await;
    let estate = Estate::build(&world, "t1").await;

    for role in Role::ALL {
        let person = world.member("t1", role.as_str()).await;
        for (address, right) in guarded() {
            let path = estate.path(&address);
            let answer = ask(&world, &person.access, &address, &path).await;

            let told = format!("{role} {} {path}: {}", address.method, answer.text);
            if right.is_of(role) {
                assert!(!is_refused_by_the_gate(&answer), "{told}");
            } else {
                assert_eq!(answer.problem(), problem(403, "forbidden", &[]), "{told}");
            }
        }
    }
}

async fn a_scope_that_does_not_bring_the_right_answers_403(database: Database) {
    let world = World::start(database).await;

    for (number, scope) in Scope::ALL.into_iter().enumerate() {
        let tenant = format!("t{number}");
        let estate = Estate::build(&world, &tenant).await;
        let (_, token) = world.service_token(&tenant, &[scope.as_str()]).await;
        let made = world
            .ask(&token, Method::POST, "/api/auth/service-token/refresh")
            .await;
        let access = text(&made.json(), "access_token");
        // First what is refused: what is allowed may delete things.
        let (allowed, refused): (Vec<_>, Vec<_>) =
            guarded().partition(|(_, right)| right.is_in(scope));
        for (address, _) in refused {
            let path = estate.path(&address);
            for token in [&token, &access] {
                let answer = ask(&world, token, &address, &path).await;

                let told = format!("{scope} {} {path}: {}", address.method, answer.text);
                assert_eq!(answer.problem(), problem(403, "forbidden", &[]), "{told}");
            }
        }
        for (address, _) in allowed {
            let path = estate.path(&address);
            let answer = ask(&world, &access, &address, &path).await;

            let told = format!("{scope} {} {path}: {}", address.method, answer.text);
            assert!(!is_refused_by_the_gate(&answer), "{told}");
        }
    }
}

async fn everything_of_another_tenant_answers_404_and_stays_as_it_is(database: Database) {
    let Counter { world, .. } = &Counter::open(database).await;
    let theirs = Estate::build(world, "theirs").await;
    let links = "/api/v1/tenants/theirs/connect-links";
    let link = world.request(Method::POST, links);
    let made = reveal(link.json(&json!({"provider": "tiktok"}))).await;
    assert_eq!(made.status, 201, "{}", made.text);
    world.tenant("ours").await;
    let owner = world.member("ours", "owner").await;
    let viewer = world.member("ours", "viewer").await;
    let (_, program) = world.service_token("ours", &["admin"]).await;
    let before = everything(world, &theirs).await;

    for (address, _) in guarded().filter(|(address, _)| names_something(address)) {
        let path = theirs.path(&address);
        for token in [&owner.access, &viewer.access, &program] {
            let answer = ask(world, token, &address, &path).await;

            let told = format!("{} {path}: {}", address.method, answer.text);
            assert_eq!(answer.problem(), problem(404, "not_found", &[]), "{told}");
        }
    }

    assert_eq!(connect_links(world).await.len(), 1);
    assert_eq!(everything(world, &theirs).await, before);
    not_named_either(world, &owner).await;
}

/// What a tenant looks like to the platform.
async fn everything(world: &World, estate: &Estate) -> Value {
    let mut all = Vec::new();
    for path in [
        "",
        "/channels",
        "/schedule",
        "/users",
        "/invitations",
        "/jobs",
        "/jobs/status",
        "/refresh/statistics",
    ] {
        let path = format!("/api/v1/tenants/{}{path}", estate.tenant);
        all.push(world.get(&path).await.json());
    }
    let path = format!("/api/v1/service-tokens?tenant_id={}", estate.tenant);
    all.push(world.get(&path).await.json());
    all.push(json!(connect_links(world).await));
    json!(all)
}

/// Every connect link that can be opened, with what it stands for: one that somebody else
/// opened, or made, would show. They are in Redis alone.
async fn connect_links(world: &World) -> BTreeMap<String, String> {
    let mut connection = world.redis.connection().await.unwrap();
    let keys = redis::cmd("KEYS").arg("*:once:connect:*").to_owned();
    let keys: Vec<String> = keys.query_async(&mut connection).await.unwrap();
    let mut links = BTreeMap::new();
    for key in keys {
        let read = redis::cmd("GET").arg(&key).to_owned();
        links.insert(key, read.query_async(&mut connection).await.unwrap());
    }
    links
}

/// Addresses that take a tenant as an argument.
async fn not_named_either(world: &World, owner: &Person) {
    let get = |path: &'static str| world.ask(&owner.access, Method::GET, path);
    let mint = json!({"name": "bot", "days": 30, "tenant_id": "theirs"});

    let answers = [
        get("/api/v1/service-tokens?tenant_id=theirs").await,
        get("/api/v1/audit?tenant_id=theirs").await,
        world
            .tell(&owner.access, Method::POST, "/api/v1/service-tokens", mint)
            .await,
    ];

    for answer in answers {
        assert_eq!(answer.problem(), problem(404, "not_found", &[]));
    }
}
