//! S4.1 and S4.3: a log-in that renews itself, and never shows a 401.

use std::time::{Duration, Instant};

use client::{Client, ClientError, FileStorage, MemoryStorage, Session, SessionStorage as _};
use futures::future::join_all;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use testkit::Database;

use crate::world::{EMAIL, Setup, World, password};

testkit::each_database!(
    s4_3_a_hundred_requests_with_an_expired_token_share_one_refresh,
    s4_3_processes_that_share_a_saved_log_in_take_turns,
    s4_3_a_lost_answer_is_asked_for_once_more_within_the_grace,
    s4_3_a_dead_refresh_token_is_one_log_in_again_for_all,
    s4_3_a_refresh_goes_on_when_its_caller_gives_up,
    s4_3_tokens_of_seconds_cause_neither_log_out_nor_storm,
    s4_3_two_tabs_with_tokens_of_ten_seconds_and_a_lost_answer_go_on_without_a_storm,
    s4_3_a_server_that_is_away_is_not_stormed_and_logs_nobody_out,
    s4_2_logging_out_ends_the_log_in_here_and_there,
    s1_2_a_wrong_password_is_the_servers_word_and_saves_nothing,
);

/// Longer than an access token lives.
const A_WHILE: Duration = Duration::from_mins(20);

async fn log_in(world: &World, storage: impl client::SessionStorage + 'static) -> Session {
    let server = world.server.clone();
    let session = Session::log_in(server, storage, EMAIL, &password()).await;
    session.unwrap()
}

/// Asks who the caller is, so many times at once.
async fn ask(client: &Client, times: usize) -> Vec<Result<String, ClientError>> {
    let one = async || client.me().await.map(|me| me.nombre);
    join_all((0..times).map(|_| one())).await
}

#[track_caller]
fn all_are_ana(answers: &[Result<String, ClientError>]) {
    let others: Vec<_> = answers
        .iter()
        .filter(|answer| !matches!(answer, Ok(name) if name == "Ana"))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

async fn s4_3_a_hundred_requests_with_an_expired_token_share_one_refresh(database: Database) {
    let world = World::start(database).await;
    let session = log_in(&world, MemoryStorage::default()).await;
    let client = world.server.client(session);
    all_are_ana(&ask(&client, 1).await);
    let before = world.front.renewals();
    world.clock.advance(A_WHILE);

    let answers = ask(&client, 100).await;

    assert_eq!(answers.len(), 100);
    all_are_ana(&answers);
    assert_eq!((before, world.front.renewals()), (0, 1));
}

async fn s4_3_processes_that_share_a_saved_log_in_take_turns(database: Database) {
    let setup = Setup {
        grace: Duration::ZERO,
        ..Setup::default()
    };
    let world = World::with(database, setup).await;
    let dir = TempDir::new().unwrap();
    let storage = || FileStorage::new(dir.path().join("login.json"));
    log_in(&world, storage()).await;

    for round in 1..=3 {
        // What two processes have: nothing but the file.
        let process = || Session::new(world.server.clone(), storage());
        let (one, other) = (process(), process());
        let (one, other) = (world.server.client(one), world.server.client(other));
        all_are_ana(&ask(&one, 1).await);
        all_are_ana(&ask(&other, 1).await);
        world.clock.advance(A_WHILE);
        // A server without grace takes a second use of a refresh token for theft.
        let (ours, theirs) = tokio::join!(ask(&one, 50), ask(&other, 50));

        all_are_ana(&ours);
        all_are_ana(&theirs);
        assert_eq!(world.front.renewals(), round);
    }
}

async fn s4_3_a_lost_answer_is_asked_for_once_more_within_the_grace(database: Database) {
    let world = World::start(database).await;
    let storage = MemoryStorage::default();
    let client = world.server.client(log_in(&world, storage.clone()).await);
    let spent = storage.load().unwrap().unwrap().refresh_token;
    all_are_ana(&ask(&client, 1).await);
    world.clock.advance(A_WHILE);
    world.front.lose(1);

    let answers = ask(&client, 10).await;

    all_are_ana(&answers);
    assert_eq!(world.front.renewals(), 2);
    let saved = storage.load().unwrap().unwrap().refresh_token;
    assert_ne!(saved.expose_secret(), spent.expose_secret());
    let again = Session::new(world.server.clone(), storage);
    world.clock.advance(A_WHILE);
    all_are_ana(&ask(&world.server.client(again), 1).await);
}

async fn s4_3_a_dead_refresh_token_is_one_log_in_again_for_all(database: Database) {
    let world = World::start(database).await;
    let storage = MemoryStorage::default();
    let client = world.server.client(log_in(&world, storage.clone()).await);
    all_are_ana(&ask(&client, 1).await);
    let elsewhere = MemoryStorage::default();
    elsewhere.save(&storage.load().unwrap().unwrap()).unwrap();
    let elsewhere = Session::new(world.server.clone(), elsewhere);
    assert!(elsewhere.log_out().await.unwrap());

    let answers = ask(&client, 100).await;
    let later = ask(&client, 100).await;

    for answer in answers.iter().chain(&later) {
        let error = answer.as_ref().unwrap_err();
        assert!(matches!(error, ClientError::LogInAgain { .. }), "{error}");
        assert!(error.to_string().ends_with("log in again"), "{error}");
    }
    assert_eq!(world.front.renewals(), 1, "nobody asks for what is dead");
    log_in(&world, storage).await;
    all_are_ana(&ask(&client, 100).await);
    assert_eq!(world.front.renewals(), 1);
}

async fn s4_3_a_refresh_goes_on_when_its_caller_gives_up(database: Database) {
    let setup = Setup {
        grace: Duration::ZERO,
        ..Setup::default()
    };
    let world = World::with(database, setup).await;
    let storage = MemoryStorage::default();
    let session = log_in(&world, storage.clone()).await;
    let client = world.server.client(session.clone());
    all_are_ana(&ask(&client, 1).await);
    let spent = storage.load().unwrap().unwrap().refresh_token;
    world.clock.advance(A_WHILE);
    world.front.hold();
    let impatient = tokio::spawn({
        let client = client.clone();
        async move { client.me().await }
    });
    world.front.await_renewals(1).await;

    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    world.front.release();
    session.settled().await;

    let saved = storage.load().unwrap().unwrap().refresh_token;
    assert_ne!(saved.expose_secret(), spent.expose_secret());
    all_are_ana(&ask(&client, 10).await);
    assert_eq!(world.front.renewals(), 1);
}

async fn s4_3_tokens_of_seconds_cause_neither_log_out_nor_storm(database: Database) {
    let setup = Setup {
        access: Duration::from_secs(2),
        real_time: true,
        ..Setup::default()
    };
    let world = World::with(database, setup).await;
    let client = world
        .server
        .client(log_in(&world, MemoryStorage::default()).await);
    let start = Instant::now();

    // A token of two seconds may live for little more than one: its times are whole seconds.
    while world.front.renewals() < 3 {
        assert!(start.elapsed() < Duration::from_secs(30), "it is renewed");
        all_are_ana(&ask(&client, 10).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let most = start.elapsed().as_secs() + 1;
    let renewals = world.front.renewals() as u64;
    assert!(renewals <= most, "{renewals} renewals in {most} s");
}

/// The setting and the mishaps that the requirement names, by the machine's clock.
async fn s4_3_two_tabs_with_tokens_of_ten_seconds_and_a_lost_answer_go_on_without_a_storm(
    database: Database,
) {
    let setup = Setup {
        access: Duration::from_secs(10),
        real_time: true,
        ..Setup::default()
    };
    let world = World::with(database, setup).await;
    let dir = TempDir::new().unwrap();
    let storage = || FileStorage::new(dir.path().join("login.json"));
    log_in(&world, storage()).await;
    let tab = || {
        world
            .server
            .client(Session::new(world.server.clone(), storage()))
    };
    let (one, other) = (tab(), tab());
    world.front.lose(1);

    let both_ask = async || {
        let (ours, theirs) = tokio::join!(ask(&one, 10), ask(&other, 10));
        all_are_ana(&ours);
        all_are_ana(&theirs);
    };
    let start = Instant::now();
    while world.front.renewals() == 0 {
        assert!(start.elapsed() < Duration::from_mins(1), "it is renewed");
        both_ask().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    both_ask().await;

    // The one whose answer was lost, and the one that brought the token for both.
    assert_eq!(world.front.renewals(), 2);
}

async fn s4_3_a_server_that_is_away_is_not_stormed_and_logs_nobody_out(database: Database) {
    let world = World::start(database).await;
    let client = world
        .server
        .client(log_in(&world, MemoryStorage::default()).await);
    all_are_ana(&ask(&client, 1).await);
    world.clock.advance(A_WHILE);
    world.front.refuse(usize::MAX);

    let answers = ask(&client, 100).await;

    for answer in &answers {
        let error = answer.as_ref().unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
    // The pauses double: ten of them would take minutes.
    assert!(world.front.renewals() < 10, "{}", world.front.renewals());
    world.front.refuse(0);
    let start = Instant::now();
    while let Err(error) = client.me().await {
        assert!(error.is_transient(), "{error}");
        assert!(start.elapsed() < Duration::from_mins(1), "it comes back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    all_are_ana(&ask(&client, 100).await);
}

async fn s4_2_logging_out_ends_the_log_in_here_and_there(database: Database) {
    let world = World::start(database).await;
    let dir = TempDir::new().unwrap();
    let storage = FileStorage::new(dir.path().join("login.json"));
    let session = log_in(&world, storage.clone()).await;
    let kept = storage.load().unwrap().unwrap();

    let first = session.log_out().await.unwrap();
    let second = session.log_out().await.unwrap();

    assert_eq!((first, second), (true, false));
    assert!(storage.load().unwrap().is_none());
    let error = world.server.client(session).me().await.unwrap_err();
    assert!(matches!(error, ClientError::LogInAgain { .. }), "{error}");
    let copy = MemoryStorage::default();
    copy.save(&kept).unwrap();
    let copy = Session::new(world.server.clone(), copy);
    let error = world.server.client(copy).me().await.unwrap_err();
    assert!(matches!(error, ClientError::LogInAgain { .. }), "{error}");
}

async fn s1_2_a_wrong_password_is_the_servers_word_and_saves_nothing(database: Database) {
    let world = World::start(database).await;
    let storage = MemoryStorage::default();

    let server = world.server.clone();
    let outcome = Session::log_in(server, storage.clone(), EMAIL, &"wrong horse".into()).await;

    let error = outcome.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!(
        (problem.status, problem.code.as_str()),
        (401, "invalid_credentials")
    );
    assert!(storage.load().unwrap().is_none());
}
