//! The database is away when the answers come.

use std::path::{Path, PathBuf};

use simulator::{MintRequest, Minted};
use testkit::{Database, Outage};
use tokio::task::JoinSet;

use super::flush::flush;
use super::world::is_fresh;
use super::{Server, World, until};
use crate::harness::Running;

const CHANNELS: u32 = 50;

testkit::each_database!(
    answers_that_the_database_does_not_take_are_stored_when_it_is_back,
    answers_in_escrow_survive_their_worker,
    another_machine_finds_the_copy_of_an_answer_before_it_asks_anew,
    a_redis_that_lost_its_copies_gets_them_again,
    a_worker_that_cannot_start_gives_the_copies_again_of_the_one_before,
    the_file_of_a_worker_that_stands_still_is_found_by_its_neighbour,
    what_a_killed_worker_had_received_is_stored_by_the_next_one,
    what_a_worker_that_stands_still_had_received_is_found_by_its_neighbour,
    a_file_in_escrow_that_was_cut_off_disturbs_nobody,
    a_key_that_answers_in_escrow_need_is_not_retired,
    after_an_outage_of_the_database_the_first_reads_are_answered,
);

async fn answers_that_the_database_does_not_take_are_stored_when_it_is_back(database: Database) {
    let (world, _roles, server, minted) = answers_on_their_way(database).await;
    let worker = world.worker("data-1", &[]);
    requests_left(&world, &minted).await;

    let outage = world.outage().await;
    let kept = in_escrow(&world.site.path("data-1"), minted.len()).await;
    outage.end().await;

    server.recovered().await;
    server.channels_until(is_fresh).await;
    each_was_asked_once(&world, &minted);
    assert_eq!(kept, minted.len());
    in_escrow(&world.site.path("data-1"), 0).await;
    worker.stop();
}

async fn answers_in_escrow_survive_their_worker(database: Database) {
    let mut kept = Kept::of(database).await;

    kept.kill();
    let next = kept.given_to_a_worker_in("data-1").await;

    kept.each_is_stored().await;
    next.stop();
}

async fn another_machine_finds_the_copy_of_an_answer_before_it_asks_anew(database: Database) {
    let mut kept = Kept::of(database).await;

    kept.kill();
    let next = kept.given_to_a_worker_in("data-2").await;

    kept.each_is_stored().await;
    next.stop();
}

async fn a_redis_that_lost_its_copies_gets_them_again(database: Database) {
    let mut kept = Kept::of(database).await;

    flush(&kept.world).await;
    copies(&kept.world, kept.minted.len()).await;
    kept.kill();
    let next = kept.given_to_a_worker_in("data-2").await;

    kept.each_is_stored().await;
    next.stop();
}

async fn a_worker_that_cannot_start_gives_the_copies_again_of_the_one_before(database: Database) {
    let mut kept = Kept::of(database).await;

    kept.kill();
    flush(&kept.world).await;
    let nowhere = "postgres://tokenfleet@127.0.0.1:1/away";
    let start_without_database = || {
        let mut command = kept.world.site.command(&["worker", "--data-dir", "data-1"]);
        command.env("DATABASE_URL", nowhere);
        command
    };
    let mut alone = start_without_database();
    let alone = alone.env("REDIS_URL", "redis://127.0.0.1:1").output();
    let ended = start_without_database().output();
    let said = String::from_utf8(alone.expect("it can be started").stderr).expect("text");
    assert!(said.contains("answers in escrow are here alone"), "{said}");
    assert!(!ended.expect("it can be started").status.success());
    copies(&kept.world, kept.minted.len()).await;
    let next = kept.given_to_a_worker_in("data-2").await;

    kept.each_is_stored().await;
    next.stop();
}

async fn the_file_of_a_worker_that_stands_still_is_found_by_its_neighbour(database: Database) {
    let mut kept = Kept::of(database).await;

    kept.worker.signal("STOP");
    flush(&kept.world).await;
    let next = kept.given_to_a_worker_in("data-1").await;

    kept.each_is_stored().await;
    kept.worker.signal("CONT");
    kept.worker.stop();
    next.stop();
}

async fn what_a_killed_worker_had_received_is_stored_by_the_next_one(database: Database) {
    let mut kept = Kept::in_its_journal(database).await;
    let data_dir = kept.world.site.path("data-1");

    kept.kill();
    kept.nothing_else_has_it().await;
    kept.outage_ends().await;
    let site = &kept.world.site;
    let retire = ["keys", "retire", "k1", "--data-dir", "data-1"];
    let refused = site.refusal(&retire);
    let doctor = site.command(&["doctor", "--data-dir", "data-1"]).output();
    let next = kept.world.worker("data-1", &[]);

    kept.each_is_stored().await;
    let needed = "'k1' is still needed by 50 answers in escrow";
    assert!(refused.contains(needed), "{refused}");
    let told = String::from_utf8(doctor.expect("it can be started").stdout).expect("text");
    let left = "a process was killed with up to 50 answers";
    assert!(told.contains(left), "{told}");
    until("the journal is not needed any more", async || {
        (lines(&data_dir) == 0).then_some(())
    })
    .await;
    next.stop();
    assert_eq!(owners(&data_dir), Vec::<PathBuf>::new());
}

async fn what_a_worker_that_stands_still_had_received_is_found_by_its_neighbour(
    database: Database,
) {
    let mut kept = Kept::in_its_journal(database).await;

    kept.worker.signal("STOP");
    kept.nothing_else_has_it().await;
    let next = kept.given_to_a_worker_in("data-1").await;

    kept.each_is_stored().await;
    kept.worker.signal("CONT");
    kept.worker.stop();
    next.stop();
}

async fn a_file_in_escrow_that_was_cut_off_disturbs_nobody(database: Database) {
    let mut kept = Kept::of(database).await;
    kept.kill();
    let damaged = files(&kept.world.site.path("data-1")).remove(0);
    let text = std::fs::read_to_string(&damaged).expect("an answer");
    std::fs::write(&damaged, &text[..text.len() / 2]).expect("our own directory");

    let next = kept.given_to_a_worker_in("data-1").await;

    // What the file held is in the copy as well.
    kept.each_is_stored().await;
    let aside = damaged.with_extension("damaged");
    assert!(aside.exists(), "{}", aside.display());
    assert!(next.said().contains("a file in escrow is skipped"));
    next.stop();
}

async fn a_key_that_answers_in_escrow_need_is_not_retired(database: Database) {
    let mut kept = Kept::of(database).await;
    copies(&kept.world, kept.minted.len()).await;
    kept.kill();
    kept.outage_ends().await;

    let refused = kept.world.site.refusal(&["keys", "retire", "k1"]);

    let number = kept.minted.len();
    let expected = format!("'k1' is still needed by {number} answers in escrow");
    assert!(refused.contains(&expected), "{refused}");
}

async fn after_an_outage_of_the_database_the_first_reads_are_answered(database: Database) {
    const READS: usize = 20;
    let world = World::on(database).await;
    let (api, server) = world.api().await;
    let reads = async || {
        let mut all = JoinSet::new();
        for _ in 0..READS {
            let server = server.clone();
            all.spawn(async move { server.get("/api/v1/tenants/acme/channels").await.status });
        }
        all.join_all().await
    };
    let before = reads().await;

    let outage = world.outage().await;
    let during = server.get("/api/v1/tenants/acme/channels").await.status;
    outage.end().await;
    let after = reads().await;

    assert_eq!(before, [200; READS]);
    // On SQLite only writers wait.
    assert!([200, 503].contains(&during), "{during}");
    assert_eq!(after, [200; READS]);
    api.stop();
}

/// Answers that a worker in `data-1` keeps in escrow, because the database is away.
struct Kept {
    // Dropped in this order: the servers last.
    outage: Option<Outage>,
    worker: Running,
    minted: Vec<Minted>,
    server: Server,
    _roles: [Running; 2],
    world: World,
}

impl Kept {
    async fn of(database: Database) -> Self {
        let kept = Self::on_their_way(database).await;
        in_escrow(&kept.world.site.path("data-1"), kept.minted.len()).await;
        kept
    }

    /// Each has just arrived.
    async fn in_its_journal(database: Database) -> Self {
        let kept = Self::on_their_way(database).await;
        let data_dir = kept.world.site.path("data-1");
        until("the answers are in the journal", async || {
            (lines(&data_dir) == kept.minted.len()).then_some(())
        })
        .await;
        kept
    }

    async fn on_their_way(database: Database) -> Self {
        let (world, roles, server, minted) = answers_on_their_way(database).await;
        let worker = world.worker("data-1", &[]);
        requests_left(&world, &minted).await;
        let outage = Some(world.outage().await);
        Self {
            outage,
            worker,
            minted,
            server,
            _roles: roles,
            world,
        }
    }

    /// Takes away what a slow test has brought into escrow.
    async fn nothing_else_has_it(&self) {
        for file in files(&self.world.site.path("data-1")) {
            std::fs::remove_file(file).expect("our own directory");
        }
        flush(&self.world).await;
    }

    fn kill(&mut self) {
        self.worker.signal("KILL");
        self.worker.wait();
    }

    async fn outage_ends(&mut self) {
        let outage = self.outage.take().expect("it ends once");
        outage.end().await;
    }

    /// The database is back, and another worker begins.
    async fn given_to_a_worker_in(&mut self, data_dir: &str) -> Running {
        self.outage_ends().await;
        self.world.worker(data_dir, &[])
    }

    async fn each_is_stored(&self) {
        self.server.recovered().await;
        self.server.channels_until(is_fresh).await;
        each_was_asked_once(&self.world, &self.minted);
    }
}

/// A scheduler has handed channels out whose provider takes its time.
async fn answers_on_their_way(database: Database) -> (World, [Running; 2], Server, Vec<Minted>) {
    let world = World::slow(3000, Some(database)).await;
    let world = world
        .set("TOKENFLEET_QUEUE__LEASE", "5s")
        .set("TOKENFLEET_WORKER__CONCURRENCY", &CHANNELS.to_string())
        .set("TOKENFLEET_WORKER__PROVIDER_TIMEOUT", "6s")
        .set("TOKENFLEET_WORKER__REFRESH_LEASE", "18s")
        .set("TOKENFLEET_WORKER__TAKEOVER_GRACE", "18s")
        .set("FACTURIFY_TIMEOUT", "6s")
        .set("TOKENFLEET_PROVIDERS__CONNECT_TIMEOUT", "1s");
    let (api, server) = world.api().await;
    let order = MintRequest::of("tiktok").expires_in(0).count(CHANNELS);
    let minted = world.import(&server, &order).await;
    let scheduler = world.scheduler();
    (world, [api, scheduler], server, minted)
}

async fn requests_left(world: &World, minted: &[Minted]) {
    until("the requests have arrived", async || {
        let arrived = |it: &Minted| {
            let view = world.simulator.grant(&it.id, false);
            view.expect("it was minted").requests > 0
        };
        minted.iter().all(arrived).then_some(())
    })
    .await;
}

/// Waits for so many copies in Redis.
async fn copies(world: &World, count: usize) {
    let redis = world.redis.as_ref().expect("a Redis of its own");
    let mut connection = redis.connection().await.expect("it answers");
    until("the copies are in Redis", async || {
        let keys = redis::cmd("KEYS")
            .arg("*:escrow:answers:*")
            .query_async::<Vec<String>>(&mut connection)
            .await
            .expect("it answers");
        (keys.len() == count).then_some(())
    })
    .await;
}

/// Waits for so many files.
async fn in_escrow(data_dir: &Path, count: usize) -> usize {
    until("the answers are in escrow, or no longer", async || {
        Some(files(data_dir).len()).filter(|kept| *kept == count)
    })
    .await
}

fn files(data_dir: &Path) -> Vec<PathBuf> {
    let all = owners(data_dir).into_iter().flat_map(|dir| entries(&dir));
    all.filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect()
}

/// How many answers are in journals.
fn lines(data_dir: &Path) -> usize {
    let all = owners(data_dir).into_iter().flat_map(|dir| entries(&dir));
    all.filter(|path| path.extension().is_some_and(|it| it == "journal"))
        .map(|path| std::fs::read_to_string(path).unwrap_or_default())
        .map(|text| text.lines().count())
        .sum()
}

/// The processes that have something in escrow.
fn owners(data_dir: &Path) -> Vec<PathBuf> {
    entries(&data_dir.join("escrow"))
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// No refresh token was spent twice, and what is stored is what lives.
fn each_was_asked_once(world: &World, minted: &[Minted]) {
    for it in minted {
        let view = world.simulator.grant(&it.id, false).expect("it was minted");
        assert_eq!(
            (view.requests, view.generation, view.reuses),
            (1, 2, 0),
            "{view:?}"
        );
    }
}
