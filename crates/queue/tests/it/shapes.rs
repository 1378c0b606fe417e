//! Answers that no script of ours gives.

use tokenfleet_queue::{ConnectOptions, Outcome, PushError, QueueError, Queues};

use testkit::redis::RedisServer;

use crate::support::{job, name};
use crate::worker::{options, start};

/// What answers in the place of scripts: with a number, and with a list of nothing.
const IMPOSTORS: [&str; 2] = ["EXISTS", "MGET"];

async fn queues_on(impostor: &str) -> (RedisServer, Queues) {
    let renamed = [
        "--rename-command",
        "EVALSHA",
        "HIDDEN",
        "--rename-command",
        impostor,
        "EVALSHA",
    ];
    let server = RedisServer::start_with(&renamed).await.unwrap();
    let queues = Queues::connect(ConnectOptions::new(server.url())).await;
    (server, queues.unwrap())
}

#[tokio::test]
async fn an_answer_of_the_wrong_shape_is_named() {
    for impostor in IMPOSTORS {
        let (_server, queues) = queues_on(impostor).await;
        let queue = queues.queue(&name("mail"));

        let id = "mail-a-abcdefgh".parse().unwrap();
        let told = [
            match queue.push(job("a")).await {
                Err(PushError::Queue(error)) => error,
                other => panic!("{impostor}: {other:?}"),
            },
            queue.cancel(&id).await.unwrap_err(),
            queue.retry(&id).await.unwrap_err(),
            queue.promote(&id).await.unwrap_err(),
            queue.purge_tenant("acme").await.unwrap_err(),
            queue.heal().await.unwrap_err(),
        ];

        for error in told {
            assert!(
                matches!(&error, QueueError::Answer(queue) if queue == "mail"),
                "{error:?}"
            );
            assert!(error.to_string().contains("queue mail"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_worker_outlives_answers_of_the_wrong_shape() {
    for impostor in IMPOSTORS {
        let (server, queues) = queues_on(impostor).await;
        let worker = start(&queues.queue(&name("mail")), options(3), |_, _| async {
            Ok(Outcome::Done)
        });
        let mut redis = server.connection().await.unwrap();
        let counter = format!("cmdstat_{}:calls=", impostor.to_lowercase());

        for _ in 0..1000 {
            let mut info = redis::cmd("INFO");
            let info: String = info
                .arg("commandstats")
                .query_async(&mut redis)
                .await
                .unwrap();
            let calls = info.lines().find_map(|line| line.strip_prefix(&counter));
            let calls = calls.and_then(|rest| rest.split(',').next()?.parse().ok());
            if calls.unwrap_or(0) >= 3 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }

        assert!(!worker.worker.is_finished(), "{impostor}");
        worker.stop().await;
    }
}
