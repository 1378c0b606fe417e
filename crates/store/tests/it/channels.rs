//! Channels: import, lists, filters.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::{ChannelState, ChannelUid, Clock as _, Name, ProviderName, TenantUid};
use store::{Channel, ChannelFilter, ChannelPatch, CreateError, PageRequest, Store};
use testkit::{Database, TestClock};

testkit::each_database!(
    a_taken_id_fails_alone,
    a_large_import_is_stored_in_chunks,
    an_imported_channel_is_read_as_it_was_answered,
    lists_are_filtered_and_paged,
    the_channels_of_all_tenants_in_a_state_are_listed_as_they_were_made,
    another_tenants_channel_is_not_found,
    a_nul_in_a_name_becomes_a_replacement_character,
    needing_refresh_finds_what_ends_soon_and_can_be_refreshed,
    a_batch_takes_what_is_due_or_ends_within_the_hour,
);

const HOUR: Duration = Duration::from_hours(1);

async fn ids(store: &Store, tenant: TenantUid, filter: ChannelFilter) -> Vec<String> {
    let page = store
        .channels(tenant, &filter, PageRequest::default())
        .await
        .unwrap();
    names(&page.items)
}

fn names(channels: &[Channel]) -> Vec<String> {
    channels.iter().map(|c| c.id.to_string()).collect()
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

async fn a_taken_id_fails_alone(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let (one, other) = (testkit::tenant(&store).await, testkit::tenant(&store).await);
    let ends = clock.now().plus(HOUR);
    let new = |tenant, id| {
        let mut new = testkit::channel(tenant, ends);
        new.id = name(id);
        new
    };

    let answers = store
        .import_channels(vec![
            new(one.uid, "a"),
            new(one.uid, "a"),
            new(other.uid, "a"),
            new(one.uid, "b"),
            new(TenantUid::generate(), "a"),
        ])
        .await;

    assert!(answers[0].is_ok() && answers[2].is_ok() && answers[3].is_ok());
    assert!(matches!(answers[1], Err(CreateError::Taken)));
    assert!(matches!(answers[4], Err(CreateError::NoTenant)));
    assert_eq!(
        ids(&store, one.uid, ChannelFilter::default()).await,
        ["a", "b"]
    );
}

async fn a_large_import_is_stored_in_chunks(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let ends = clock.now().plus(HOUR);
    let new = (0..1201)
        .map(|_| testkit::channel(tenant.uid, ends))
        .collect();

    let stored = testkit::channels(&store, new).await;

    let uids: BTreeSet<_> = stored.iter().map(|channel| channel.uid).collect();
    assert_eq!(uids.len(), 1201);
    assert_eq!(
        store.statistics(tenant.uid).await.unwrap().total_channels,
        1201
    );
}

async fn an_imported_channel_is_read_as_it_was_answered(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let mut new = testkit::channel(tenant.uid, clock.now().plus(HOUR));
    new.local_name = Some("Tienda «Ñandú»".to_owned());
    new.facts.external_id = Some("1789".to_owned());
    new.facts.refresh_expires_at = Some(clock.now().plus(100 * HOUR));

    let stored = testkit::channels(&store, vec![new]).await.remove(0);

    let by_name = store.channel(tenant.uid, &stored.id).await.unwrap();
    let by_uid = store.channel_by_uid(stored.uid).await.unwrap();
    let named = store
        .channels_named(
            tenant.uid,
            &[stored.id.clone(), stored.id.clone(), name("x")],
        )
        .await;
    assert_eq!(by_name.as_ref(), Some(&stored));
    assert_eq!(by_uid.as_ref(), Some(&stored));
    assert_eq!(named.unwrap(), [stored]);
}

async fn lists_are_filtered_and_paged(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let mut new = Vec::new();
    for (index, id) in ["d", "a", "c", "b"].into_iter().enumerate() {
        let hours = u32::try_from(index).unwrap();
        let mut channel = testkit::channel(tenant.uid, clock.now().plus(HOUR * hours));
        channel.id = name(id);
        new.push(channel);
    }
    new[1].provider = ProviderName::from_static("facebook");
    new[2].facts.state = ChannelState::NeedsReauth;
    testkit::channels(&store, new).await;

    let all = ids(&store, tenant.uid, ChannelFilter::default()).await;
    let stuck = ChannelFilter {
        state: Some(ChannelState::NeedsReauth),
        ..ChannelFilter::default()
    };
    let facebook = ChannelFilter {
        provider: Some(ProviderName::from_static("facebook")),
        ..ChannelFilter::default()
    };
    let soon = ChannelFilter {
        expiring_within: Some(HOUR),
        ..ChannelFilter::default()
    };
    let forever = ChannelFilter {
        expiring_within: Some(Duration::MAX),
        ..ChannelFilter::default()
    };
    let page = PageRequest {
        after: Some(name("b")),
        limit: 1,
    };
    let page = store
        .channels(tenant.uid, &ChannelFilter::default(), page)
        .await
        .unwrap();

    assert_eq!(all, ["a", "b", "c", "d"]);
    assert_eq!(ids(&store, tenant.uid, stuck).await, ["c"]);
    assert_eq!(ids(&store, tenant.uid, facebook).await, ["a"]);
    assert_eq!(ids(&store, tenant.uid, soon).await, ["a", "d"]);
    assert_eq!(ids(&store, tenant.uid, forever).await.len(), 4);
    assert_eq!(
        (names(&page.items), page.next),
        (vec!["c".to_owned()], Some(name("c")))
    );
}

async fn another_tenants_channel_is_not_found(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let (one, other) = (testkit::tenant(&store).await, testkit::tenant(&store).await);
    let new = testkit::channel(one.uid, clock.now());
    let stored = testkit::channels(&store, vec![new]).await.remove(0);

    assert_eq!(store.channel(other.uid, &stored.id).await.unwrap(), None);
    assert_eq!(
        store.channels_named(other.uid, &[stored.id]).await.unwrap(),
        []
    );
}

async fn a_nul_in_a_name_becomes_a_replacement_character(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let mut new = testkit::channel(tenant.uid, clock.now());
    "a\0b".clone_into(&mut new.display_name);

    let uid = testkit::channels(&store, vec![new]).await[0].uid;

    let stored = store.channel_by_uid(uid).await.unwrap();
    let name = stored.map(|channel| channel.display_name);
    assert_eq!(name.as_deref(), Some("a\u{fffd}b"));
}

async fn needing_refresh_finds_what_ends_soon_and_can_be_refreshed(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let mut new = Vec::new();
    for minutes in [59, 61, 0, 30, 20] {
        let ends = clock.now().plus(Duration::from_mins(minutes));
        let mut channel = testkit::channel(tenant.uid, ends);
        channel.id = name(&format!("in_{minutes}"));
        new.push(channel);
    }
    new[3].facts.has_refresh_material = false;
    new[4].facts.state = ChannelState::Error;
    testkit::channels(&store, new).await;
    clock.advance(Duration::from_secs(1));

    let all = store.needing_refresh(tenant.uid, HOUR, None).await.unwrap();
    let first = store.needing_refresh(tenant.uid, HOUR, Some(1)).await;
    let ever = store.needing_refresh(tenant.uid, Duration::MAX, None).await;

    assert_eq!(names(&all), ["in_0", "in_59"]);
    assert_eq!(names(&first.unwrap()), ["in_0"]);
    assert_eq!(ever.unwrap().len(), 3);
}

async fn a_batch_takes_what_is_due_or_ends_within_the_hour(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let mut new = Vec::new();
    for (id, hours) in [("soon", 1), ("due", 50), ("fresh", 50), ("paused", 0)] {
        let mut channel = testkit::channel(tenant.uid, clock.now().plus(HOUR * hours));
        channel.id = name(id);
        new.push(channel);
    }
    new[1].facts.refresh_due_at = Some(clock.now());
    new[3].facts.state = ChannelState::Paused;
    testkit::channels(&store, new).await;

    let batch = store.due_for_batch(tenant.uid).await.unwrap();

    assert_eq!(names(&batch), ["soon", "due"]);
}

async fn the_channels_of_all_tenants_in_a_state_are_listed_as_they_were_made(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let mut paused = Vec::new();
    for _ in 0..3 {
        let tenant = testkit::tenant(&store).await;
        let new = [1, 2].map(|hours| testkit::channel(tenant.uid, clock.now().plus(HOUR * hours)));
        let channels = testkit::channels(&store, new.into()).await;
        let patch = ChannelPatch {
            paused: Some(true),
            ..ChannelPatch::default()
        };
        store.patch_channel(channels[0].uid, patch).await.unwrap();
        paused.push(channels[0].uid);
    }
    let page = async |after| {
        let request = PageRequest { after, limit: 2 };
        let page = store.channels_in_state(ChannelState::Paused, request);
        let page = page.await.unwrap();
        let uids: Vec<ChannelUid> = page.items.iter().map(|channel| channel.uid).collect();
        (uids, page.next)
    };

    let first = page(None).await;
    let second = page(first.1).await;

    paused.sort_unstable();
    assert_eq!(first, (paused[..2].to_vec(), Some(paused[1])));
    assert_eq!(second, (paused[2..].to_vec(), None));
}
