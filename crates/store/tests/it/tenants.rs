//! Tenants: names, pages, and taking one away.

use domain::{Clock as _, JobTotals, Misfire, Name};
use store::{CreateError, PageRequest};
use testkit::{Database, TestClock};

testkit::each_database!(
    a_name_is_given_once,
    pages_follow_the_order_of_the_ids,
    a_deleted_tenant_is_gone_at_once_and_its_name_is_free,
    the_fleets_totals_outlive_a_tenant,
);

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

async fn a_name_is_given_once(database: Database) {
    let store = database.store().await;

    let first = store.create_tenant(Some(name("tenant_456")), None).await;
    let second = store
        .create_tenant(Some(name("tenant_456")), Some("Other".to_owned()))
        .await;

    let first = first.expect("the name is free");
    assert_eq!(first.name, "tenant_456");
    assert!(matches!(second, Err(CreateError::Taken)));
    assert_eq!(store.tenant(&first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.tenant_by_uid(first.uid).await.unwrap(), Some(first));
}

async fn pages_follow_the_order_of_the_ids(database: Database) {
    let store = database.store().await;
    for id in ["b", "A", "_", "a", "-"] {
        store.create_tenant(Some(name(id)), None).await.unwrap();
    }

    let mut seen = Vec::new();
    let mut page = PageRequest {
        after: None,
        limit: 2,
    };
    loop {
        let part = store.tenants(page.clone()).await.unwrap();
        seen.extend(part.items.iter().map(|tenant| tenant.id.to_string()));
        page.after = part.next;
        if page.after.is_none() {
            break;
        }
    }

    assert_eq!(seen, ["-", "A", "_", "a", "b"]);
}

async fn a_deleted_tenant_is_gone_at_once_and_its_name_is_free(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = store.create_tenant(Some(name("acme")), None).await.unwrap();
    let ends = clock.now().plus(std::time::Duration::from_hours(2));
    let channel = testkit::channels(&store, vec![testkit::channel(tenant.uid, ends)]).await;
    let schedule = store.put_schedule(tenant.uid, 60, None, Misfire::Once);
    schedule.await.unwrap();

    assert!(store.delete_tenant(tenant.uid).await.unwrap());

    assert!(!store.delete_tenant(tenant.uid).await.unwrap());
    assert_eq!(store.tenant(&tenant.id).await.unwrap(), None);
    assert_eq!(store.channel_by_uid(channel[0].uid).await.unwrap(), None);
    assert_eq!(store.schedule(tenant.uid).await.unwrap(), None);
    assert!(store.create_tenant(Some(name("acme")), None).await.is_ok());
    let late = testkit::channel(tenant.uid, ends);
    let refused = store.import_channels(vec![late]).await.remove(0);
    assert!(matches!(refused, Err(CreateError::NoTenant)));

    assert_eq!(store.remove_empty_tenants(10).await.unwrap(), 0);
    let due = store.take_due(10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(store.remove_deleted(&[due[0].channel]).await.unwrap(), 1);
    assert_eq!(store.remove_empty_tenants(10).await.unwrap(), 1);
}

async fn the_fleets_totals_outlive_a_tenant(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let ends = clock.now().plus(std::time::Duration::from_hours(2));
    let channel = testkit::channels(&store, vec![testkit::channel(tenant.uid, ends)]).await;
    store
        .record(testkit::attempt(&channel[0], "job"))
        .await
        .unwrap();

    store.delete_tenant(tenant.uid).await.unwrap();
    store.remove_deleted(&[channel[0].uid]).await.unwrap();
    store.remove_empty_tenants(10).await.unwrap();

    let one = JobTotals {
        completed: 1,
        ..JobTotals::default()
    };
    assert_eq!(store.job_totals(None).await.unwrap(), one);
    assert_eq!(
        store.job_totals(Some(tenant.uid)).await.unwrap(),
        JobTotals::default()
    );
}
