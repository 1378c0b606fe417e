//! Clusters and Sentinels, with real ones.

use tokenfleet_queue::{ConnectOptions, Outcome, Queues};

use testkit::redis::RedisServer;

use crate::support::{job, name, of, until};
use crate::worker::{Log, options, start};

async fn ask(server: &RedisServer, words: &[&str]) -> redis::RedisResult<redis::Value> {
    let mut redis = server.connection().await?;
    redis::cmd(words[0])
        .arg(&words[1..])
        .query_async(&mut redis)
        .await
}

async fn is(server: &RedisServer, words: &[&str], state: &str) -> bool {
    match ask(server, words).await {
        Ok(redis::Value::BulkString(text)) => String::from_utf8_lossy(&text).contains(state),
        _ => false,
    }
}

#[tokio::test]
async fn a_cluster_keeps_each_queue_on_one_shard_and_takes_whole_scripts() {
    let node = RedisServer::start_cluster().await.unwrap();
    let url = format!("redis+cluster://127.0.0.1:{}", node.port());

    // Without its data Redis would refuse a script whose keys lie in several slots.
    let queues = Queues::connect(ConnectOptions::new(url)).await.unwrap();
    let (mails, sweeps) = (queues.queue(&name("mail")), queues.queue(&name("sweep")));
    let ran = Log::default();
    let log = ran.clone();
    let handler = move |key: String, _| {
        log.add(key);
        async { Ok(Outcome::Done) }
    };
    let workers = [
        start(&mails, options(3), handler.clone()),
        start(&sweeps, options(3), handler),
    ];
    let of_mails = (0..200).map(|at| of(&format!("t{}", at % 7), &format!("m{at}")));
    mails.push_many(of_mails.collect()).await.unwrap();
    let of_sweeps = (0..200).map(|at| of(&format!("t{}", at % 7), &format!("s{at}")));
    sweeps.push_many(of_sweeps.collect()).await.unwrap();

    until("all ran", || async { ran.all().len() == 400 }).await;
    let pushed = mails.push(job("last")).await.unwrap();
    let soon = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    assert!(mails.wait(pushed.id(), soon).await.is_ok());
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_worker_follows_a_failover_to_the_master_that_its_sentinel_names() {
    let master = RedisServer::start().await.unwrap();
    let port = master.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port])
        .await
        .unwrap();
    until("the replica has the data", || async {
        is(&replica, &["INFO", "replication"], "master_link_status:up").await
    })
    .await;
    let sentinel = RedisServer::start_sentinel_of(&master, "main")
        .await
        .unwrap();
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
    let queues = Queues::connect(ConnectOptions::new(url)).await.unwrap();
    let queue = queues.queue(&name("mail"));
    let ran = Log::default();
    let log = ran.clone();
    let worker = start(&queue, options(3), move |key, _| {
        log.add(key);
        async { Ok(Outcome::Done) }
    });
    queue.push(job("before")).await.unwrap();
    until("the first ran", || async { ran.all().len() == 1 }).await;

    // It knows of the replica only after a while; until then it refuses.
    until("the failover began", || async {
        ask(&sentinel, &["SENTINEL", "FAILOVER", "main"])
            .await
            .is_ok()
    })
    .await;
    // Until the old master knows that it is none, it takes what will be lost.
    let roles = async || {
        let replication = ["INFO", "replication"];
        is(&replica, &replication, "role:master").await
            && is(&master, &replication, "role:slave").await
    };
    until("they changed places", || async { roles().await }).await;

    until("a push is taken", || async {
        queue.push(job("after")).await.is_ok()
    })
    .await;
    until("it ran", || async {
        ran.all().contains(&"after".to_owned())
    })
    .await;
    until("it ran on the new master", || async {
        let kept = ask(&replica, &["HLEN", "{tokenfleet:mail}:ok"]).await;
        kept.is_ok_and(|kept| kept == redis::Value::Int(2))
    })
    .await;
    worker.stop().await;
}
