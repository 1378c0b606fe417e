//! Every typed call, against the shapes that the API really gives.

use client::{
    Call, ChannelFilter, ChannelPatch, Client, FreshnessSpan, JobFilter, JobStatus, NewChannel,
    NewInvitation, NewServiceToken, NewTenant, Paging, Refreshed, RefreshedMany, Report,
};
use domain::{ChannelState, Misfire, Role, Scope};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::json;
use testkit::Database;

use crate::world::{Setup, World};

testkit::each_database!(
    tenants_and_schedules_are_typed,
    channels_tokens_and_reports_are_typed,
    freshness_and_forecast_are_typed,
    refreshes_jobs_and_batches_are_typed,
    people_and_service_tokens_are_typed,
    a_stream_of_events_is_read_to_its_end,
    a_refusal_tells_its_code_and_its_fields,
    no_id_is_another_address,
);

/// Jobs in Redis go by the machine's clock.
fn real_time() -> Setup {
    Setup {
        real_time: true,
        ..Setup::default()
    }
}

/// A client of the platform admin, with the tenant `acme`.
async fn with_acme(world: &World) -> Client {
    let admin = world.admin();
    let new = NewTenant {
        id: Some("acme".to_owned()),
        name: Some("Acme".to_owned()),
    };
    admin.create_tenant(new).await.unwrap();
    admin
}

async fn import(client: &Client, id: &str) {
    let new = NewChannel {
        id: Some(id.to_owned()),
        provider: "tiktok".to_owned(),
        display_name: "Our shop".to_owned(),
        local_name: None,
        credentials: json!({
            "access_token": "planted-access-token", "refresh_token": "planted", "expires_in": 86_400,
        }),
    };
    let made = client.tenant("acme").import(new).await.unwrap();
    assert_eq!((made.id.as_str(), made.state), (id, ChannelState::Active));
}

async fn tenants_and_schedules_are_typed(database: Database) {
    let world = World::with(database, real_time()).await;
    let client = with_acme(&world).await;
    let acme = client.tenant("acme");

    let first = Paging {
        limit: Some(1),
        ..Paging::default()
    };
    let first = client.tenants(&first).await.unwrap();
    let rest = Paging {
        cursor: first.next_cursor.clone(),
        ..Paging::default()
    };
    let rest = client.tenants(&rest).await.unwrap();
    let made = acme.put_schedule(120, Some(30), Misfire::Skip);
    let made = made.await.unwrap();
    let shown = acme.schedule().await.unwrap();
    let cancelled = [
        acme.cancel_schedule().await.unwrap(),
        acme.cancel_schedule().await.unwrap(),
    ];

    assert_eq!((first.items.len(), rest.next_cursor), (1, None));
    let mut all = first.items.iter().chain(&rest.items);
    assert!(all.any(|tenant| tenant.id == "acme"));
    assert_eq!(acme.show().await.unwrap().name, "Acme");
    assert_eq!(made, shown);
    assert_eq!(
        (made.interval_minutes, made.refresh_before_minutes),
        (120, Some(30))
    );
    assert_eq!(made.misfire, Misfire::Skip);
    assert_eq!(cancelled, [true, false]);
    acme.delete().await.unwrap();
    let gone = acme.show().await.unwrap_err();
    assert_eq!(gone.problem().unwrap().status, 404);
}

async fn channels_tokens_and_reports_are_typed(database: Database) {
    let world = World::with(database, real_time()).await;
    let client = with_acme(&world).await;
    import(&client, "shop").await;
    let channel = client.tenant("acme").channel("shop");

    let token = channel.token(300).await.unwrap();
    let reports = [
        channel.report_token(token.generation).await.unwrap(),
        channel.report_token(token.generation).await.unwrap(),
    ];
    let patch = ChannelPatch {
        local_name: Some("shop-1".to_owned()),
        paused: Some(true),
        ..ChannelPatch::default()
    };
    let patched = channel.patch(patch).await.unwrap();
    let filter = ChannelFilter {
        state: Some(ChannelState::Paused),
        provider: Some("tiktok".to_owned()),
        expiring_within_minutes: Some(2000),
    };
    let acme = client.tenant("acme");
    let listed = acme.channels(&filter, &Paging::default()).await.unwrap();

    assert_eq!(token.access_token.expose_secret(), "planted-access-token");
    assert!(token.ttl.is_some_and(|ttl| ttl > 86_000) && !token.degraded);
    assert!(!format!("{token:?}").contains("planted"));
    assert!(matches!(reports[0], Report::Refreshing { .. }));
    assert_eq!(reports[1], Report::AlreadyReported);
    assert_eq!(patched.state, ChannelState::Paused);
    assert_eq!(patched.local_name.as_deref(), Some("shop-1"));
    assert_eq!(listed.items, [channel.show().await.unwrap()]);
    assert_eq!(acme.statistics().await.unwrap().total_channels, 1);
    assert_eq!(
        channel.attempts(&Paging::default()).await.unwrap().items,
        []
    );
    channel.delete().await.unwrap();
    assert_eq!(acme.statistics().await.unwrap().total_channels, 0);
}

async fn freshness_and_forecast_are_typed(database: Database) {
    let world = World::with(database, real_time()).await;
    let client = with_acme(&world).await;
    import(&client, "shop").await;
    let acme = client.tenant("acme");
    let span = FreshnessSpan {
        hours: Some(2),
        margin_minutes: Some(0),
    };

    let of_acme = acme.freshness(span).await.unwrap();
    let of_all = client.freshness(span).await.unwrap();
    let comes = acme.forecast(Some(90)).await.unwrap();
    let comes_to_all = client.forecast(None).await.unwrap();

    assert_eq!((of_acme.hours, of_acme.margin_minutes), (2, 0));
    assert_eq!(
        (of_acme.all.channels, of_acme.all.valid_share),
        (1, Some(1.0))
    );
    assert_eq!((of_all.tenants, &of_all.whole), (1, &of_acme));
    assert_eq!(of_all.by_tenant[0].tenant_id, "acme");
    assert_eq!(of_all.by_tenant[0].figures, of_acme.all);
    assert_eq!(of_acme.all.lag_ms.max, None);
    assert_eq!(comes.need_person.days, 90);
    let calls = &comes.calls.by_provider["tiktok"];
    assert_eq!((calls.total, calls.by_hour.iter().sum::<u64>()), (1, 1));
    assert_eq!(
        (comes_to_all.calls, comes_to_all.need_person.days),
        (comes.calls, 7)
    );
}

async fn refreshes_jobs_and_batches_are_typed(database: Database) {
    let world = World::with(database, real_time()).await;
    let client = with_acme(&world).await;
    for id in ["one", "two"] {
        import(&client, id).await;
    }
    let acme = client.tenant("acme");

    // Nobody works here, so every job waits.
    let later = acme.channel("one").refresh_later(30).await.unwrap();
    let delayed = client.job(&later.job_id).show().await.unwrap();
    let now = acme.channel("one").refresh(0).await.unwrap();
    let many = acme.refresh_many(Some(&["two", "three"]), 0).await.unwrap();
    let none = acme.refresh_many(Some(&[]), 1).await.unwrap();
    let expiring = acme.needing_refresh(Some(2000)).await.unwrap();
    let filter = JobFilter {
        state: Some("waiting".to_owned()),
        channel: Some("two".to_owned()),
    };
    let waiting = acme.jobs(&filter, &Paging::default()).await.unwrap();

    assert_eq!(
        (delayed.state.as_str(), delayed.run_at),
        ("delayed", Some(later.run_at))
    );
    let Refreshed::Accepted(now) = now else {
        panic!("nobody works: {now:?}");
    };
    assert_eq!(
        (now.job_id.as_str(), now.state.as_str()),
        (&later.job_id[..], "waiting")
    );
    let RefreshedMany::Accepted { batch_id } = many else {
        panic!("nobody works: {many:?}");
    };
    let batch = client.batch(&batch_id).await.unwrap();
    assert_eq!((batch.processed, batch.failed, batch.pending), (1, 1, 1));
    assert!(matches!(none, RefreshedMany::Ended(batch) if batch.processed == 0));
    let mut ids: Vec<_> = expiring.iter().map(|it| it.channel_id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["one", "two"]);
    assert_eq!(waiting.items.len(), 1);
    let job = client.job(&waiting.items[0].id);
    job.cancel().await.unwrap();
    assert_eq!(job.show().await.unwrap().state, "cancelled");
    let retried = job.retry().await.unwrap();
    assert_eq!(client.job(&retried).show().await.unwrap().state, "waiting");
    let status = JobStatus {
        jobs_waiting: 2,
        jobs_cancelled: 1,
        ..JobStatus::default()
    };
    assert_eq!(acme.job_status().await.unwrap(), status);
    assert_eq!(client.job_status().await.unwrap(), status);
}

async fn a_stream_of_events_is_read_to_its_end(database: Database) {
    let world = World::with(database, real_time()).await;
    let client = with_acme(&world).await;
    let watch = async |tenant: &str| {
        let call = Call::new(Method::GET, &["tenants", tenant, "jobs", "events"]);
        client.events(&call.query("wait", Some(0))).await
    };

    let mut events = watch("acme").await.unwrap();
    let mut told = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        told.push((event.name, event.data));
    }
    let refused = watch("nobody").await.unwrap_err();

    let expected = [
        ("watching".to_owned(), json!({ "seconds": 0 })),
        ("end".to_owned(), json!({ "reason": "time_over" })),
    ];
    assert_eq!(told, expected);
    assert_eq!(refused.problem().unwrap().status, 404);
}

async fn people_and_service_tokens_are_typed(database: Database) {
    let world = World::with(database, real_time()).await;
    let client = with_acme(&world).await;
    let acme = client.tenant("acme");

    let new = NewInvitation {
        name: "Eva".to_owned(),
        email: "eva@example.com".to_owned(),
        role: Role::Viewer,
    };
    let invitation = acme.invite(new).await.unwrap();
    let new = NewServiceToken {
        name: "bot".to_owned(),
        days: None,
        scopes: vec![Scope::Refresh],
        tenant_id: Some("acme".to_owned()),
    };
    let made = client.create_service_token(new).await.unwrap();
    let token = made.token.clone().unwrap();
    let bot = world.server.client(client::FixedToken(token));
    let me = bot.me().await.unwrap();
    client.revoke_service_token(&made.id).await.unwrap();
    let first = Paging::default();
    let listed = client.service_tokens(Some("acme"), &first).await.unwrap();

    assert!(invitation.invitation_token.expose_secret().len() > 20);
    assert_eq!(acme.users(&Paging::default()).await.unwrap().items, []);
    assert_eq!((me.id, me.scopes), (made.id, Some(vec![Scope::Refresh])));
    assert_eq!(made.expires_at, None);
    assert!(listed.items[0].revoked_at.is_some() && listed.items[0].token.is_none());
    let refused = bot.me().await.unwrap_err();
    assert_eq!(refused.problem().unwrap().status, 401);
    assert_eq!(client.me().await.unwrap().id, "admin");
}

async fn a_refusal_tells_its_code_and_its_fields(database: Database) {
    let world = World::with(database, real_time()).await;
    let client = with_acme(&world).await;

    let error = client
        .tenant("acme")
        .put_schedule(0, None, Misfire::Once)
        .await;
    let gone = client.tenant("nobody").show().await.unwrap_err();

    let error = error.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!(
        (problem.status, problem.code.as_str()),
        (422, "invalid_input")
    );
    assert_eq!(problem.errors[0].field, "interval_minutes");
    assert!(!error.is_transient());
    assert_eq!(gone.to_string(), "There is no such tenant. (404)");
}

async fn no_id_is_another_address(database: Database) {
    let world = World::with(database, real_time()).await;
    let client = with_acme(&world).await;

    let error = client.tenant("acme/schedule").show().await.unwrap_err();
    let above = client.tenant("..").show().await.unwrap_err();

    assert_eq!(error.problem().unwrap().status, 404);
    assert_eq!(above.to_string(), "\"..\" is no id");
}
