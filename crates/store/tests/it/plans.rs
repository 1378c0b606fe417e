//! The hot statements use their indexes.

use std::time::Duration;

use domain::{Clock as _, SystemClock};
use sea_orm::ConnectionTrait as _;
use testkit::Database;

testkit::each_database!(the_due_scan_walks_its_index);

async fn the_due_scan_walks_its_index(database: Database) {
    let store = database.store().await;
    let tenant = testkit::tenant(&store).await;
    let new = (0..3000).map(|minutes| {
        let ends = SystemClock.now().plus(Duration::from_mins(minutes));
        testkit::channel(tenant.uid, ends)
    });
    testkit::channels(&store, new.collect()).await;
    let db = sea_orm::Database::connect(database.url()).await.unwrap();
    db.execute_unprepared("ANALYZE").await.unwrap();

    let plan = store.explain_due().await.unwrap();

    let plan = plan.join("\n");
    assert_eq!(plan.matches("channels_due").count(), 4, "{plan}");
    assert!(!plan.to_lowercase().contains("seq scan"), "{plan}");
    assert!(!plan.contains("SCAN channels"), "{plan}");
}
