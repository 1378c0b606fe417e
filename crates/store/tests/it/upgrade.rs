//! While a fleet is upgraded, programs of the last version work on tables of the next one.

use std::time::Duration;

use domain::{Clock as _, EventKind, Misfire, ProcessUid};
use sea_orm::ConnectionTrait as _;
use store::{AuditFilter, Channel, PageRequest, ProcessInfo, Store, Tenant};
use testkit::{Database, TestClock};
use uuid::Uuid;

testkit::each_database!(columns_that_a_newer_version_adds_disturb_nobody);

/// So many has a pool of the test kit: each must have prepared all that is read.
const CONNECTIONS: usize = 4;

/// Tables of which whole rows are read.
const TABLES: [&str; 12] = [
    "attempts",
    "audit_log",
    "batches",
    "channels",
    "invitations",
    "master_keys",
    "processes",
    "schedules",
    "service_tokens",
    "tenants",
    "users",
    "webhook_endpoints",
];

async fn columns_that_a_newer_version_adds_disturb_nobody(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let (tenant, channel) = populated(&store, &clock).await;
    let newer = sea_orm::Database::connect(database.url()).await.unwrap();
    let mut before = Vec::new();
    for _ in 0..CONNECTIONS {
        before = read(&store, &tenant, &channel).await;
    }

    for table in TABLES {
        let change = format!("ALTER TABLE {table} ADD COLUMN added_later TEXT DEFAULT 'x'");
        newer.execute_unprepared(&change).await.unwrap();
    }
    let after = read(&store, &tenant, &channel).await;

    assert_eq!(after, before);
    let put = store.put_schedule(tenant.uid, 60, None, Misfire::Once);
    put.await.expect("a statement that writes and reads");
    let lease = store.lease(testkit::lease_request(&channel));
    lease.await.expect("a statement that locks");
}

/// A row in most of the tables; what writes them is prepared by then.
async fn populated(store: &Store, clock: &TestClock) -> (Tenant, Channel) {
    let tenant = testkit::tenant(store).await;
    let ends = clock.now().plus(Duration::from_hours(2));
    let new = vec![testkit::channel(tenant.uid, ends)];
    let channel = testkit::channels(store, new).await.remove(0);
    testkit::endpoint(store, tenant.uid, &[EventKind::NeedsReauth]).await;
    let put = store.put_schedule(tenant.uid, 120, None, Misfire::Once);
    put.await.unwrap();
    store.active_key("k1").await.unwrap();
    let process = ProcessInfo {
        uid: ProcessUid::generate(),
        role: "worker".to_owned(),
        host: "here".to_owned(),
        version: "1".to_owned(),
        key_ids: vec!["k1".to_owned()],
        seals_with: None,
    };
    store.register_process(process).await.unwrap();
    let attempt = testkit::attempt(&channel, "job");
    store.record(attempt).await.unwrap();
    (tenant, channel)
}

/// What the store tells of everything, in words.
async fn read(store: &Store, tenant: &Tenant, channel: &Channel) -> Vec<String> {
    let all = || PageRequest::<Uuid> {
        after: None,
        limit: 10,
    };
    let uid = tenant.uid;
    vec![
        format!("{:?}", store.tenant(&tenant.id).await.unwrap()),
        format!("{:?}", store.channel(uid, &channel.id).await.unwrap()),
        format!("{:?}", store.held(uid, &channel.id).await.unwrap()),
        format!("{:?}", store.attempts_of_job("job").await.unwrap()),
        format!("{:?}", store.endpoints(uid).await.unwrap()),
        format!("{:?}", store.schedule(uid).await.unwrap()),
        format!("{:?}", store.known_keys().await.unwrap()),
        format!("{:?}", store.processes().await.unwrap()),
        format!("{:?}", store.users(uid, all()).await.unwrap().items),
        format!("{:?}", store.invitations(uid, all()).await.unwrap().items),
        format!(
            "{:?}",
            store.service_tokens(uid, all()).await.unwrap().items
        ),
        format!(
            "{:?}",
            store
                .audit_log(&AuditFilter::default(), all())
                .await
                .unwrap()
                .items
        ),
        format!("{:?}", store.batch(Uuid::nil()).await.unwrap()),
    ]
}
