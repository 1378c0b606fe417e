//! The schema: up, down, up again; older and newer databases; several processes at once.

use sea_orm::ConnectionTrait as _;
use store::{MigrationStatus, SchemaError, Store, StoreOptions};
use testkit::{Database, Kind};

testkit::each_database!(
    migrations_go_up_down_and_up_again,
    an_empty_database_is_told_from_a_newer_one,
    a_newer_database_is_not_touched,
    several_processes_migrate_at_once,
    now_is_the_databases_clock,
    a_closed_store_says_that_the_database_is_away,
);

async fn connect(database: &Database) -> Store {
    let store = Store::connect(StoreOptions {
        url: database.url().to_owned(),
        max_connections: 3,
        clock: None,
    });
    store.await.expect("the database answers")
}

fn is_applied(status: &MigrationStatus) -> bool {
    matches!(status, MigrationStatus::Applied(_))
}

async fn migrations_go_up_down_and_up_again(migrated: Database) {
    let database = Database::empty(migrated.kind()).await;
    let store = connect(&database).await;
    let all = store.migrations().await.unwrap();
    let count = u32::try_from(all.len()).unwrap();

    assert!(!all.iter().any(is_applied));
    store.migrate_up().await.unwrap();
    assert!(store.migrations().await.unwrap().iter().all(is_applied));
    store.migrate_down(1).await.unwrap();
    assert!(matches!(
        store.check_schema().await,
        Err(SchemaError::Pending(names)) if names.len() == 1
    ));
    store.migrate_down(count).await.unwrap();
    assert!(!store.migrations().await.unwrap().iter().any(is_applied));
    store.migrate_up().await.unwrap();

    assert!(store.check_schema().await.is_ok());
    testkit::tenant(&store).await;
}

async fn an_empty_database_is_told_from_a_newer_one(migrated: Database) {
    let database = Database::empty(migrated.kind()).await;
    let store = connect(&database).await;

    let checked = store.check_schema().await;

    let all = store.migrations().await.unwrap().len();
    assert!(matches!(checked, Err(SchemaError::Pending(names)) if names.len() == all));
}

async fn a_newer_database_is_not_touched(database: Database) {
    let db = sea_orm::Database::connect(database.url()).await.unwrap();
    db.execute_unprepared("INSERT INTO seaql_migrations VALUES ('m9999_future', 0)")
        .await
        .unwrap();
    let store = connect(&database).await;

    let checked = store.check_schema().await;
    let migrated = store.migrate_up().await;

    for answer in [checked, migrated] {
        assert!(matches!(answer, Err(SchemaError::Newer(names)) if names == ["m9999_future"]));
    }
}

async fn several_processes_migrate_at_once(migrated: Database) {
    let database = Database::empty(migrated.kind()).await;
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(connect(&database).await);
    }

    let tasks: Vec<_> = stores
        .iter()
        .cloned()
        .map(|store| tokio::spawn(async move { store.migrate_up().await }))
        .collect();

    for task in tasks {
        task.await.unwrap().expect("one migrates, the others wait");
    }
    assert!(stores[0].check_schema().await.is_ok());
}

async fn now_is_the_databases_clock(database: Database) {
    use domain::{Clock as _, SystemClock};

    let store = database.store().await;

    let before = SystemClock.now();
    let now = store.now().await.unwrap();
    let after = SystemClock.now();

    // The same machine, but SQLite cuts its milliseconds out of a float.
    let slack = std::time::Duration::from_millis(2);
    assert!(now >= before.minus(slack) && now <= after.plus(slack));
}

async fn a_closed_store_says_that_the_database_is_away(database: Database) {
    let store = database.store().await;
    let clone = store.clone();

    store.close().await;

    let answer = clone.ping().await;
    assert!(answer.is_err_and(|cause| cause.is_away()));
}

#[tokio::test]
async fn an_address_of_another_kind_is_refused_without_being_shown() {
    for url in ["mysql://root:secret@localhost/db", "", "sqlite::memory:"] {
        let options = StoreOptions {
            url: url.to_owned(),
            max_connections: 2,
            clock: None,
        };
        let shown = format!("{options:?}");

        let refused = Store::connect(options).await.expect_err("not an address");

        assert!(!shown.contains("secret"), "{shown}");
        assert!(!format!("{refused:?}").contains("secret"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_sqlite_file_is_durable_and_readers_do_not_wait_for_the_writer() {
    let database = Database::migrated(Kind::Sqlite).await;
    let db = sea_orm::Database::connect(database.url()).await.unwrap();
    let store = database.store().await;
    testkit::tenant(&store).await;

    let begin = db.execute_unprepared("BEGIN IMMEDIATE").await;
    let read = store.tenants(store::PageRequest::default()).await;

    begin.unwrap();
    assert_eq!(read.unwrap().items.len(), 1);
    let mode = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, "PRAGMA journal_mode");
    let mode = db.query_all_raw(mode).await.unwrap().remove(0);
    assert_eq!(mode.try_get_by_index::<String>(0).unwrap(), "wal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_postgres_dropped_its_connections_the_store_goes_on() {
    if !Kind::Postgres.is_wanted() {
        return;
    }
    let database = Database::migrated(Kind::Postgres).await;
    let store = database.store().await;
    let tenant = testkit::tenant(&store).await;
    let new = testkit::channel(tenant.uid, store.now().await.unwrap());
    let channel = testkit::channels(&store, vec![new]).await.remove(0);
    let db = sea_orm::Database::connect(database.url()).await.unwrap();

    db.execute_unprepared(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await
    .unwrap();

    // A connection of the pool may be found dead only when it is used: each costs one call.
    let mut refused = Vec::new();
    let outcome = loop {
        match store.lease(testkit::lease_request(&channel)).await {
            Ok(outcome) => break outcome,
            Err(cause) => refused.push(cause),
        }
        assert!(refused.len() < 10, "{refused:?}");
    };
    assert!(matches!(outcome, store::LeaseOutcome::Leased(_)));
    assert!(
        refused.iter().all(store::StoreError::is_away),
        "{refused:?}"
    );
}
