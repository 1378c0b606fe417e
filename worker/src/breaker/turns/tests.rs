//! Turns by a clock that is moved by hand, and those of two processes that share a Redis.

use std::sync::Arc;

use cache::CacheOptions;
use proptest::prelude::*;
use testkit::redis::{Data, RedisServer};
use tokio::task::JoinSet;

use super::*;

const EACH: Duration = Duration::from_millis(10);

fn drawn(turns: u32) -> Drawn {
    Drawn {
        turns,
        wait: Duration::ZERO,
        each: EACH,
    }
}

fn filled(turns: u32, now: Instant) -> Handful {
    let mut handful = Handful::empty();
    handful.fill(&drawn(turns), now);
    handful
}

#[test]
fn turns_are_used_in_order_and_not_before_their_time() {
    let now = Instant::now();
    let mut handful = filled(3, now);

    let taken = [(); 4].map(|()| handful.take(now));

    let wanted = [Some(now), Some(now + EACH), Some(now + EACH * 2), None];
    assert_eq!(taken, wanted);
}

#[test]
fn a_turn_that_nobody_wanted_in_time_is_lost() {
    let now = Instant::now();
    let mut handful = filled(5, now);

    let at_the_end = handful.take(now + LATE);
    let one_too_late = handful.take(now + EACH + LATE + Duration::from_millis(1));
    let all_too_late = handful.take(now + Duration::from_secs(9));

    assert_eq!(at_the_end, Some(now));
    assert_eq!(one_too_late, Some(now + EACH * 2));
    assert_eq!(all_too_late, None);
    assert_eq!(handful.wanted(0, 100), 2, "as many as were used");
}

#[test]
fn as_many_are_drawn_as_wait_and_more_while_all_are_used() {
    let now = Instant::now();
    let mut handful = Handful::empty();
    let mut wanted = Vec::new();

    for _ in 0..6 {
        let want = handful.wanted(0, 20);
        wanted.push(want);
        handful.fill(&drawn(want), now);
        while handful.take(now).is_some() {}
    }

    assert_eq!(wanted, [1, 2, 4, 8, 16, 20]);
    assert_eq!(Handful::empty().wanted(7, 20), 7);
}

#[test]
fn what_left_without_a_turn_is_paid_first() {
    let now = Instant::now();
    let mut handful = Handful {
        owed: 3,
        ..Handful::empty()
    };

    assert_eq!(handful.wanted(1, 20), 4);
    handful.fill(&drawn(2), now);
    let none = handful.take(now);
    handful.fill(&drawn(2), now);
    let second = handful.take(now);

    assert_eq!((none, second), (None, Some(now + EACH)));
    assert_eq!(handful.owed, 0);
}

proptest! {
    #[test]
    fn no_second_has_more_than_its_budget_whoever_comes_when(
        budget in 1_u32..400,
        pauses in prop::collection::vec(0_u64..60, 1..600),
    ) {
        let begin = Instant::now();
        let each = SECOND / budget + Duration::from_micros(1);
        let (mut now, mut free_at, mut handful) = (begin, begin, Handful::empty());
        let mut left = Vec::new();

        for pause in pauses {
            now += Duration::from_millis(pause);
            let at = handful.take(now).or_else(|| {
                let turns = handful.wanted(1, 20);
                let first = free_at.max(now);
                free_at = first + each * turns;
                handful.fill(&Drawn { turns, wait: first - now, each }, now);
                handful.take(now)
            });
            // It leaves at its turn, or at once if that is a little past.
            now = now.max(at.expect("just drawn"));
            left.push(now - begin);
        }

        for (at, from) in left.iter().enumerate() {
            let within = left[at..].iter().take_while(|it| **it < *from + Duration::from_secs(1));
            prop_assert!(within.count() <= budget as usize);
        }
    }
}

/// Requests of one process, until the fleet has sent enough.
async fn send(turns: Arc<Turns>, per_second: f64, sent: Arc<std::sync::Mutex<Vec<Instant>>>) {
    const ENOUGH: usize = 400;
    loop {
        let taken = turns.take(per_second).await;
        let mut sent = sent.lock().expect("nobody panics");
        if sent.len() >= ENOUGH {
            return;
        }
        if taken == Taken::Granted {
            sent.push(Instant::now());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_a_budget_and_no_second_has_more_without_a_draw_for_each() {
    const BUDGET: u32 = 200;
    let redis = RedisServer::start().await.expect("redis-server is there");
    let sent = Arc::default();
    let mut senders = JoinSet::new();
    for _ in 0..2 {
        let cache = Cache::open(CacheOptions::new(redis.url())).expect("a good address");
        let turns = Arc::new(Turns::new("app".to_owned(), cache));
        for _ in 0..16 {
            let (turns, sent) = (Arc::clone(&turns), Arc::clone(&sent));
            senders.spawn(send(turns, BUDGET.into(), sent));
        }
    }

    senders.join_all().await;
    let draws = draws(&redis).await;

    let sent = sent.lock().expect("nobody panics");
    for (at, from) in sent.iter().enumerate() {
        let second = *from + Duration::from_secs(1);
        let within = sent[at..].iter().take_while(|it| **it < second).count();
        assert!(within <= BUDGET as usize, "{within} in a second");
    }
    assert!(draws < 200, "{draws} draws for 400 requests");
}

/// Scripts that were called.
async fn draws(redis: &RedisServer) -> u32 {
    let mut connection = redis.connection().await.expect("it answers");
    let stats: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(&mut connection)
        .await
        .expect("it answers");
    let (_, calls) = stats.split_once("cmdstat_evalsha:calls=").expect("some");
    let calls = calls.split(',').next().expect("a number");
    calls.parse().expect("a number")
}

#[tokio::test]
async fn while_redis_is_away_what_runs_may_go_on() {
    let mut redis = RedisServer::start().await.expect("redis-server is there");
    let cache = Cache::open(CacheOptions::new(redis.url())).expect("a good address");
    let turns = Turns::new("app".to_owned(), cache);
    redis.halt(Data::Lost).await.expect("it stops");

    assert_eq!(turns.take(0.001).await, Taken::Granted);
}

#[tokio::test]
async fn few_prepare_while_turns_are_rare_and_room_is_given_on() {
    let cache = Cache::open(CacheOptions::new("redis://127.0.0.1:1")).expect("a good address");
    let turns = Arc::new(Turns::new("app".to_owned(), cache));

    let first = [turns.let_in(1.0).await, turns.let_in(1.0).await];
    let waits = Arc::clone(&turns);
    let third = tokio::spawn(async move { while waits.let_in(1.0).await == Taken::Not {} });
    turns.had();
    third.await.expect("it is let in");

    assert_eq!(first, [Taken::Granted; 2]);
    assert_eq!(turns.prepared.load(Ordering::Relaxed), 2);
}
