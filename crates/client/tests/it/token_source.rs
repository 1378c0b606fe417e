//! S3.4: short access tokens from a service token, one renewal for all who ask.

use std::time::{Duration, Instant};

use client::{Client, ClientError, TokenSource};
use domain::Scope;
use futures::future::join_all;
use testkit::Database;

use crate::world::{Setup, World};

testkit::each_database!(
    s3_4_a_hundred_callers_share_one_access_token,
    s3_4_a_hundred_requests_with_an_expired_token_share_one_renewal,
    s3_4_a_revoked_service_token_is_the_servers_word_for_all,
    s3_4_a_living_token_outlasts_a_server_that_gives_no_new_one,
);

async fn source(world: &World) -> Client {
    let made = world.service_token(&[Scope::ChannelsRead]).await;
    let source = TokenSource::new(world.server.clone(), made.token.unwrap());
    world.server.client(source)
}

async fn ask(client: &Client, times: usize) -> Vec<Result<String, ClientError>> {
    let one = async || client.tenant("acme").show().await.map(|tenant| tenant.id);
    join_all((0..times).map(|_| one())).await
}

#[track_caller]
fn all_see_acme(answers: &[Result<String, ClientError>]) {
    let others: Vec<_> = answers
        .iter()
        .filter(|answer| !matches!(answer, Ok(id) if id == "acme"))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

async fn s3_4_a_hundred_callers_share_one_access_token(database: Database) {
    let world = World::start(database).await;
    let client = source(&world).await;

    let answers = ask(&client, 100).await;

    all_see_acme(&answers);
    assert_eq!(world.front.renewals(), 1);
}

async fn s3_4_a_hundred_requests_with_an_expired_token_share_one_renewal(database: Database) {
    let world = World::start(database).await;
    let client = source(&world).await;
    all_see_acme(&ask(&client, 1).await);
    // The client's own clock says that it lives: only the 401 tells.
    world.clock.advance(Duration::from_mins(16));

    let answers = ask(&client, 100).await;

    all_see_acme(&answers);
    assert_eq!(world.front.renewals(), 2);
}

async fn s3_4_a_revoked_service_token_is_the_servers_word_for_all(database: Database) {
    let world = World::start(database).await;
    let made = world.service_token(&[Scope::ChannelsRead]).await;
    let source = TokenSource::new(world.server.clone(), made.token.unwrap());
    let client = world.server.client(source);
    all_see_acme(&ask(&client, 1).await);
    world.admin().revoke_service_token(&made.id).await.unwrap();

    let answers = ask(&client, 100).await;

    for answer in &answers {
        let status = answer.as_ref().unwrap_err().problem().unwrap().status;
        assert_eq!(status, 401);
    }
    assert_eq!(world.front.renewals(), 2);
}

async fn s3_4_a_living_token_outlasts_a_server_that_gives_no_new_one(database: Database) {
    let setup = Setup {
        access: Duration::from_secs(8),
        real_time: true,
        ..Setup::default()
    };
    let world = World::with(database, setup).await;
    let client = source(&world).await;
    all_see_acme(&ask(&client, 1).await);
    world.front.refuse(1);
    let start = Instant::now();

    // From half its life on it is to be renewed: the first try fails, the second works.
    while world.front.renewals() < 3 {
        assert!(start.elapsed() < Duration::from_secs(30), "it is renewed");
        all_see_acme(&ask(&client, 10).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    all_see_acme(&ask(&client, 10).await);
    assert_eq!(world.front.renewals(), 3);
}
