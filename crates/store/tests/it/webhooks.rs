//! Webhook endpoints and the outbox: each event once for each that hears of it.

use std::time::Duration;

use domain::{
    ChannelState, Clock as _, EndpointUid, EventKind, Generation, SystemClock, TenantUid, Timestamp,
};
use serde_json::json;
use store::{
    Channel, CreateError, Delivery, DeliveryResult, Endpoint, ExpiryWalk, NewEndpoint, NewGrant,
    Replayed, Retention, Settlement, Store,
};
use testkit::{Database, TestClock};

testkit::each_database!(
    an_event_is_delivered_once_to_each_endpoint_that_hears_of_it,
    of_many_schedulers_one_hands_an_event_on_and_one_takes_an_endpoint,
    a_call_is_taken_tried_again_or_given_up,
    news_during_a_visit_are_not_lost,
    an_endpoint_that_rests_is_not_woken_by_news,
    a_disabled_endpoint_gives_up_and_tells_the_tenants_others,
    a_replay_brings_back_what_happened_since_and_revives_the_endpoint,
    plain_refreshes_are_announced_as_long_as_somebody_listens,
    a_tenant_has_so_many_endpoints_and_takes_them_with_it,
    old_deliveries_go_before_their_events,
    the_end_of_a_refresh_token_is_told_14_3_and_1_days_before_once,
);

const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

/// A tenant with a channel that needs a person.
async fn setting(database: &Database) -> (Store, TestClock, Channel) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await;
    let channel = stuck(&store, &clock, tenant.uid).await;
    (store, clock, channel)
}

async fn stuck(store: &Store, clock: &TestClock, tenant: TenantUid) -> Channel {
    let mut new = testkit::channel(tenant, clock.now().plus(DAY));
    new.facts.state = ChannelState::NeedsReauth;
    testkit::channels(store, vec![new]).await.remove(0)
}

/// A person repairs the channel: `channel.recovered`.
async fn repair(store: &Store, clock: &TestClock, channel: &Channel) {
    let grant = NewGrant {
        generation: Generation(channel.generation.0 + 1),
        sealed: testkit::sealed("repaired"),
        facts: testkit::facts(clock.now().plus(DAY)),
        app_identity: None,
    };
    let repaired = store.replace_grant(channel.uid, grant).await.unwrap();
    assert!(repaired.is_some());
}

async fn recovered(store: &Store, clock: &TestClock, tenant: TenantUid) {
    let channel = stuck(store, clock, tenant).await;
    repair(store, clock, &channel).await;
}

async fn due(store: &Store, endpoint: &Endpoint) -> Vec<Delivery> {
    store.due_deliveries(endpoint.uid, 100).await.unwrap()
}

async fn read(store: &Store, endpoint: &Endpoint) -> Endpoint {
    store.endpoint(endpoint.uid).await.unwrap().unwrap()
}

async fn taken(store: &Store) -> Vec<EndpointUid> {
    let taken = store.take_endpoints(100).await.unwrap();
    taken.into_iter().map(|it| it.uid).collect()
}

fn settlement(delivery: &Delivery, result: DeliveryResult) -> Settlement {
    let good = result == DeliveryResult::Delivered;
    Settlement {
        event: delivery.event,
        result,
        error: (!good).then(|| "status_500".to_owned()),
        status: Some(if good { 204 } else { 500 }),
    }
}

async fn an_event_is_delivered_once_to_each_endpoint_that_hears_of_it(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let foreign = testkit::tenant(&store).await;
    let all = [EventKind::NeedsReauth, EventKind::Recovered];
    let one = testkit::endpoint(&store, channel.tenant, &all).await;
    let two = testkit::endpoint(&store, channel.tenant, &all[1..]).await;
    let deaf = testkit::endpoint(&store, channel.tenant, &all[..1]).await;
    let other = testkit::endpoint(&store, foreign.uid, &all).await;
    clock.advance(MINUTE);
    repair(&store, &clock, &channel).await;

    let dispatched = store.dispatch_events(100).await.unwrap();
    let again = store.dispatch_events(100).await.unwrap();

    assert_eq!((dispatched, again), (1, 0));
    let [first, second] = [due(&store, &one).await, due(&store, &two).await];
    assert_eq!(first, second);
    let tenant = store.tenant_by_uid(channel.tenant).await.unwrap().unwrap();
    let expected = Delivery {
        event: first[0].event,
        kind: EventKind::Recovered,
        at: clock.now(),
        payload: json!({
            "channel_id": channel.id, "provider": "tiktok", "state": "active", "reason": null,
            "generation": 2, "expires_at": clock.now().plus(DAY),
        }),
        tenant_id: tenant.id.to_string(),
        attempts: 0,
    };
    assert_eq!(first, [expected]);
    for silent in [&deaf, &other] {
        assert_eq!(due(&store, silent).await, []);
    }
    let mut woken = taken(&store).await;
    woken.sort_unstable();
    assert_eq!(woken, [one.uid, two.uid]);
}

async fn of_many_schedulers_one_hands_an_event_on_and_one_takes_an_endpoint(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let endpoint = testkit::endpoint(&store, channel.tenant, &[EventKind::Recovered]).await;
    for _ in 0..20 {
        recovered(&store, &clock, channel.tenant).await;
    }

    let schedulers: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let dispatched = store.dispatch_events(7).await.unwrap();
                (dispatched, store.take_endpoints(7).await.unwrap().len())
            })
        })
        .collect();
    let mut dispatched = 0;
    for scheduler in schedulers {
        dispatched += scheduler.await.unwrap().0;
    }
    while dispatched < 20 {
        dispatched += store.dispatch_events(7).await.unwrap();
    }

    assert_eq!(dispatched, 20);
    assert_eq!(due(&store, &endpoint).await.len(), 20);
    let again = taken(&store).await.len();
    assert!(again <= 1, "{again}");
    assert_eq!(taken(&store).await, []);
    clock.advance(MINUTE * 3);
    assert_eq!(taken(&store).await, [endpoint.uid], "nobody has visited it");
}

async fn a_call_is_taken_tried_again_or_given_up(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let endpoint = testkit::endpoint(&store, channel.tenant, &[EventKind::Recovered]).await;
    for _ in 0..3 {
        clock.advance(MINUTE);
        recovered(&store, &clock, channel.tenant).await;
    }
    store.dispatch_events(100).await.unwrap();
    let seen = store.take_endpoints(9).await.unwrap().remove(0);
    let waiting = due(&store, &endpoint).await;

    let results = [
        DeliveryResult::GivenUp,
        DeliveryResult::Delivered,
        DeliveryResult::Again(MINUTE),
    ];
    for (delivery, result) in waiting.iter().zip(results) {
        let settlement = settlement(delivery, result);
        store
            .settle_delivery(endpoint.uid, settlement)
            .await
            .unwrap();
    }
    let rest = store.rest_endpoint(endpoint.uid, seen.next_handout_at, None);
    rest.await.unwrap();

    assert_eq!(due(&store, &endpoint).await, []);
    let found = read(&store, &endpoint).await;
    let expected = Endpoint {
        next_handout_at: Some(clock.now().plus(MINUTE)),
        failing_since: Some(clock.now()),
        last_error: Some("status_500".to_owned()),
        last_status: Some(500),
        last_success_at: Some(clock.now()),
        delivered: 1,
        given_up: 1,
        ..endpoint.clone()
    };
    assert_eq!(found, expected);
    let listed = store.endpoints(channel.tenant).await.unwrap();
    assert_eq!(listed, [(expected, 1)]);
    clock.advance(MINUTE);
    let again = due(&store, &endpoint).await;
    assert_eq!((again.len(), again[0].attempts), (1, 1));
    assert_eq!(again[0].event, waiting[2].event);
}

async fn news_during_a_visit_are_not_lost(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let endpoint = testkit::endpoint(&store, channel.tenant, &[EventKind::Recovered]).await;
    repair(&store, &clock, &channel).await;
    store.dispatch_events(100).await.unwrap();
    let seen = store.take_endpoints(9).await.unwrap().remove(0);
    let first = due(&store, &endpoint).await.remove(0);
    clock.advance(MINUTE);

    recovered(&store, &clock, channel.tenant).await;
    store.dispatch_events(100).await.unwrap();
    let taken_off = settlement(&first, DeliveryResult::Delivered);
    store
        .settle_delivery(endpoint.uid, taken_off)
        .await
        .unwrap();
    let rest = store.rest_endpoint(endpoint.uid, seen.next_handout_at, None);
    rest.await.unwrap();

    assert_eq!(taken(&store).await, [endpoint.uid]);
    assert_eq!(due(&store, &endpoint).await.len(), 1);
}

async fn an_endpoint_that_rests_is_not_woken_by_news(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let endpoint = testkit::endpoint(&store, channel.tenant, &[EventKind::Recovered]).await;
    repair(&store, &clock, &channel).await;
    store.dispatch_events(100).await.unwrap();
    let seen = store.take_endpoints(9).await.unwrap().remove(0);
    let rest = store.rest_endpoint(endpoint.uid, seen.next_handout_at, Some(MINUTE * 5));
    rest.await.unwrap();

    recovered(&store, &clock, channel.tenant).await;
    store.dispatch_events(100).await.unwrap();

    assert_eq!(taken(&store).await, []);
    clock.advance(MINUTE * 5);
    assert_eq!(taken(&store).await, [endpoint.uid]);
    assert_eq!(due(&store, &endpoint).await.len(), 2);
}

async fn a_disabled_endpoint_gives_up_and_tells_the_tenants_others(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let kinds = [EventKind::Recovered, EventKind::WebhookDisabled];
    let dead = testkit::endpoint(&store, channel.tenant, &kinds).await;
    let alive = testkit::endpoint(&store, channel.tenant, &kinds[1..]).await;
    repair(&store, &clock, &channel).await;
    store.dispatch_events(100).await.unwrap();

    let disabled = store.disable_endpoint(dead.uid, "gone").await.unwrap();
    let again = store.disable_endpoint(dead.uid, "gone").await.unwrap();
    recovered(&store, &clock, channel.tenant).await;
    store.dispatch_events(100).await.unwrap();

    assert_eq!((disabled, again), (true, false));
    assert_eq!(due(&store, &dead).await, []);
    let found = read(&store, &dead).await;
    assert_eq!(found.disabled_at, Some(clock.now()));
    assert_eq!(
        (found.given_up, found.last_error.as_deref()),
        (1, Some("gone"))
    );
    let told = due(&store, &alive).await.remove(0);
    assert_eq!(told.kind, EventKind::WebhookDisabled);
    let expected = json!({ "webhook_id": dead.uid.to_string(), "reason": "gone" });
    assert_eq!(told.payload, expected);
}

async fn a_replay_brings_back_what_happened_since_and_revives_the_endpoint(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let endpoint = testkit::endpoint(&store, channel.tenant, &[EventKind::Recovered]).await;
    let mut instants: Vec<Timestamp> = Vec::new();
    for _ in 0..4 {
        clock.advance(MINUTE);
        instants.push(clock.now());
        recovered(&store, &clock, channel.tenant).await;
    }
    store.dispatch_events(100).await.unwrap();
    let delivered = due(&store, &endpoint).await.remove(1);
    let delivered = settlement(&delivered, DeliveryResult::Delivered);
    store
        .settle_delivery(endpoint.uid, delivered)
        .await
        .unwrap();
    store.disable_endpoint(endpoint.uid, "gone").await.unwrap();

    let tenant = channel.tenant;
    let replay = |since, limit| store.replay(tenant, endpoint.uid, since, limit);
    let two = replay(instants[1], 2).await.unwrap();
    let found = due(&store, &endpoint).await;
    let rest = replay(instants[3], 2).await.unwrap();
    let foreign = testkit::tenant(&store).await.uid;
    let none = store.replay(foreign, endpoint.uid, instants[0], 9).await;

    let replayed = |count, next_since| Some(Replayed { count, next_since });
    assert_eq!(two, replayed(2, Some(instants[3])));
    assert_eq!(rest, replayed(1, None));
    assert_eq!(none.unwrap(), None);
    let at: Vec<_> = found.iter().map(|it| (it.at, it.attempts)).collect();
    assert_eq!(at, [(instants[1], 0), (instants[2], 0)]);
    assert_eq!(read(&store, &endpoint).await.disabled_at, None);
    assert_eq!(taken(&store).await, [endpoint.uid]);
}

async fn plain_refreshes_are_announced_as_long_as_somebody_listens(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let keeps = testkit::endpoint(&store, channel.tenant, &[EventKind::Recovered]).await;
    let kinds = [EventKind::Refreshed, EventKind::Recovered];
    let listens = testkit::endpoint(&store, channel.tenant, &kinds).await;
    repair(&store, &clock, &channel).await;
    let channel = store.channel_by_uid(channel.uid).await.unwrap().unwrap();
    refresh(&store, &clock, &channel).await;
    store.dispatch_events(100).await.unwrap();
    let heard = due(&store, &listens).await.len();

    let deleted = store.delete_endpoint(channel.tenant, listens.uid).await;
    let channel = store.channel_by_uid(channel.uid).await.unwrap().unwrap();
    refresh(&store, &clock, &channel).await;

    assert!(deleted.unwrap());
    assert_eq!((heard, due(&store, &keeps).await.len()), (2, 1));
    assert_eq!(
        store.dispatch_events(100).await.unwrap(),
        0,
        "nobody asked for it"
    );
    let again = store.delete_endpoint(channel.tenant, listens.uid).await;
    assert!(!again.unwrap());
}

async fn refresh(store: &Store, clock: &TestClock, channel: &Channel) {
    let lease = store.lease(testkit::lease_request(channel)).await.unwrap();
    let store::LeaseOutcome::Leased(lease) = lease else {
        panic!("{lease:?}");
    };
    let change = store::Change::Stored {
        sealed: testkit::sealed("next"),
        facts: testkit::facts(clock.now().plus(DAY)),
    };
    let job = uuid::Uuid::now_v7().to_string();
    store
        .finish(testkit::finish(&lease, &job, change))
        .await
        .unwrap();
}

async fn a_tenant_has_so_many_endpoints_and_takes_them_with_it(database: Database) {
    let (store, clock, channel) = setting(&database).await;
    let new = |tenant| NewEndpoint {
        uid: EndpointUid::generate(),
        tenant,
        url: "https://hooks.example/in".to_owned(),
        events: vec![EventKind::Recovered],
        sealed: testkit::sealed("webhook"),
    };
    let first = store.create_endpoint(new(channel.tenant), 1).await.unwrap();
    repair(&store, &clock, &channel).await;
    store.dispatch_events(100).await.unwrap();

    let second = store.create_endpoint(new(channel.tenant), 1).await;
    store.delete_tenant(channel.tenant).await.unwrap();
    let late = store.create_endpoint(new(channel.tenant), 1).await;

    assert!(matches!(second, Err(CreateError::Taken)));
    assert!(matches!(late, Err(CreateError::NoTenant)));
    assert_eq!(store.endpoint(first.uid).await.unwrap(), None);
    assert_eq!(due(&store, &first).await, []);
}

async fn old_deliveries_go_before_their_events(database: Database) {
    // The keys of events are made of the true time.
    let clock = TestClock::at(SystemClock.now());
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await.uid;
    let endpoint = testkit::endpoint(&store, tenant, &[EventKind::Recovered]).await;
    recovered(&store, &clock, tenant).await;
    store.dispatch_events(100).await.unwrap();
    assert_eq!(due(&store, &endpoint).await.len(), 1);

    clock.advance(DAY * 91);
    let pruned = store.prune_history(Retention::default(), 100).await;

    assert_eq!(pruned.unwrap().others, 2);
    assert_eq!(due(&store, &endpoint).await, []);
}

async fn the_end_of_a_refresh_token_is_told_14_3_and_1_days_before_once(database: Database) {
    let clock = TestClock::start();
    let store = database.store_at(&clock).await;
    let tenant = testkit::tenant(&store).await.uid;
    let endpoint = testkit::endpoint(&store, tenant, &[EventKind::Expiring]).await;
    let ends_in = |days: u32, state| {
        let mut new = testkit::channel(tenant, clock.now().plus(DAY));
        new.facts.refresh_expires_at = Some(clock.now().plus(DAY * days));
        new.facts.state = state;
        new
    };
    let new = vec![
        ends_in(15, ChannelState::Active),
        ends_in(15, ChannelState::NeedsReauth),
        ends_in(300, ChannelState::Active),
    ];
    let channels = testkit::channels(&store, new).await;

    let mut told = Vec::new();
    for _ in 0..16 {
        for _ in 0..2 {
            walk(&store).await;
        }
        store.dispatch_events(100).await.unwrap();
        for delivery in due(&store, &endpoint).await {
            told.push((
                delivery.payload["channel_id"].clone(),
                delivery.payload["days"].clone(),
            ));
            let taken = settlement(&delivery, DeliveryResult::Delivered);
            store.settle_delivery(endpoint.uid, taken).await.unwrap();
        }
        clock.advance(DAY);
    }

    let expected = [14, 3, 1].map(|days| (json!(channels[0].id), json!(days)));
    assert_eq!(told, expected);
}

/// One round, two channels at a time.
async fn walk(store: &Store) {
    let mut walk = ExpiryWalk::default();
    loop {
        walk = store.tell_expiring(walk, 2).await.unwrap();
        if walk.after.is_none() {
            return;
        }
    }
}
