//! What can only be seen from inside: a commit whose answer was lost, and what is stored under other people's hands.

use std::collections::BTreeMap;

use redis::{Value, from_redis_value};
use windlass_engine::{
    layout::Expansion,
    record::{RunRecord, RunState, StepRecord},
};
use windlass_servers::{Program, RedisServer};

use super::*;
use crate::Submission;

fn run_id() -> RunId {
    "run_00000000000000000000000001".parse().unwrap()
}

fn new_run(id: RunId, steps: u32) -> NewRun {
    let submission = Submission {
        id,
        namespace: "team".into(),
        pipeline: "nightly".into(),
        labels: BTreeMap::new(),
        // Longer than what is read at once.
        arguments_json: format!("{{\"text\":\"{}\"}}", "x".repeat(5000)),
        digest: [1; 32],
        rerun_of: None,
        no_cache: false,
        priority: 0,
        steps,
    };
    NewRun { submission, pipeline: Bytes::from("a pipeline"), record: RunRecord::default() }
}

async fn with_a_run(server: &RedisServer) -> RedisStore {
    let (store, _) = RedisStore::open(&RedisConfig::new(server.url())).await.unwrap();
    assert_eq!(store.create(new_run(run_id(), 3)).await, Ok(Created::New));
    store
}

fn commit() -> Commit {
    Commit {
        run: run_id(),
        expected: Version::FIRST,
        commit: 77,
        record: RunRecord { state: RunState::Running, ..RunRecord::default() },
        steps: vec![(StepIndex(2), StepRecord { attempt: 1, ..StepRecord::default() })],
        attempts: Vec::new(),
        outputs: Vec::new(),
        expansions: vec![Expansion { step: StepIndex(0), first: StepIndex(3), items: 2 }],
        step_count: 5,
        orders_taken: None,
        amendment: None,
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_known_again() {
    let server = RedisServer::start().await;
    let store = with_a_run(&server).await;
    let (partition, commit) = (store.keys.of(run_id()), commit());
    let mut call = write::commit_call(&store, &partition, &[&commit]);
    let answer = async |call: &script::Call<'_>| {
        from_redis_value::<Vec<i64>>(call.run(&store.quick).await.unwrap()).unwrap()
    };
    assert_eq!(answer(&call).await, [1]);
    let before = store.load(run_id()).await.unwrap().unwrap();
    assert_eq!((before.steps.len(), &before.expansions), (5, &commit.expansions));
    assert_eq!(answer(&call).await, [0], "another one's of the same version is a conflict");
    call.set_repeated();
    assert_eq!(answer(&call).await, [1], "it was done");
    assert_eq!(store.load(run_id()).await.unwrap().unwrap(), before, "and is not done again");
    let other = Commit { commit: 78, ..commit };
    let mut call = write::commit_call(&store, &partition, &[&other]);
    call.set_repeated();
    assert_eq!(answer(&call).await, [0], "another one was done");
}

#[tokio::test]
async fn a_submission_longer_than_what_is_read_at_once_is_read_as_a_whole() {
    let server = RedisServer::start().await;
    let store = with_a_run(&server).await;
    let view = store.read_run(run_id()).await.unwrap().unwrap();
    assert_eq!(view.submission.arguments_json.len(), 5011);
    assert_eq!(store.load(run_id()).await.unwrap().unwrap().view, view);
    assert_eq!(store.read_pipeline(run_id()).await.unwrap().unwrap(), "a pipeline");
}

#[tokio::test]
async fn what_is_not_ours_under_a_name_of_ours_is_damage_and_changes_nothing() {
    let server = RedisServer::start().await;
    let store = with_a_run(&server).await;
    let partition = store.keys.of(run_id());
    let before = store.head(run_id()).await.unwrap();
    let ask = async |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        store.quick.ask(&command, store.quick.limit(0)).await.unwrap()
    };
    let with_output = Commit { outputs: vec![(StepIndex(0), "{}".into())], ..commit() };
    let foreign = [
        ("SET", partition.steps(run_id()), "too short"),
        ("RPUSH", partition.steps(run_id()), "a list"),
        ("RPUSH", partition.details(run_id()), "a list"),
        ("RPUSH", partition.expansions(run_id()), "a list"),
        ("SET", partition.expansions(run_id()), "no 12 bytes"),
    ];
    for (command, key, value) in foreign {
        let saved = ask(&["GET", &partition.steps(run_id())]).await;
        ask(&["DEL", &key]).await;
        ask(&[command, &key, value]).await;
        let committed = store.commit(vec![with_output.clone()]).await.unwrap();
        assert!(matches!(committed[..], [Committed::Damaged(_)]), "{command}: {committed:?}");
        assert_eq!(store.head(run_id()).await.unwrap(), before, "{command}");
        assert_eq!(ask(&["DEL", &key]).await, Value::Int(1));
        let saved: Vec<u8> = from_redis_value(saved).unwrap();
        let mut restored = redis::cmd("SET");
        restored.arg(partition.steps(run_id())).arg(saved);
        store.quick.ask(&restored, store.quick.limit(0)).await.unwrap();
    }
    assert!(store.load(run_id()).await.is_ok());
}

/// The commit that has a run of so many steps grow.
fn growth(run: RunId, expected: Version, from: u32, to: u32) -> Commit {
    let expansion = Expansion { step: StepIndex(0), first: StepIndex(from), items: to - from };
    Commit {
        run,
        expected,
        steps: Vec::new(),
        expansions: vec![expansion],
        step_count: to,
        ..commit()
    }
}

#[tokio::test]
async fn the_steps_of_a_grown_run_take_no_more_memory_than_those_of_one_that_began_so_large() {
    for program in [Program::Valkey, Program::Redis] {
        let server = RedisServer::builder().program(program).start().await;
        let (store, _) = RedisStore::open(&RedisConfig::new(server.url())).await.unwrap();
        let mut ids = (0..).map(|number| format!("run_{number:026}").parse::<RunId>().unwrap());
        let memory = async |run: RunId| {
            let mut command = redis::cmd("MEMORY");
            command.arg("USAGE").arg(store.keys.of(run).steps(run));
            let answer = store.quick.ask(&command, store.quick.limit(0)).await.unwrap();
            from_redis_value::<u64>(answer).unwrap()
        };
        for sizes in [&[10, 20][..], &[10, 500, 1010], &[1, 5000, 10_000], &[1000, 100_000]] {
            let [grown, fresh] = [ids.next().unwrap(), ids.next().unwrap()];
            store.create(new_run(grown, sizes[0])).await.unwrap();
            store.create(new_run(fresh, sizes[sizes.len() - 1])).await.unwrap();
            let mut version = Version::FIRST;
            for pair in sizes.windows(2) {
                let grow = growth(grown, version, pair[0], pair[1]);
                version = version.next(grow.commit);
                assert_eq!(store.commit(vec![grow]).await, Ok(vec![Committed::Done(version)]));
            }
            let [grown, fresh] = [memory(grown).await, memory(fresh).await];
            // What the allocator adds to a text may differ by some bytes; a text that grew by itself would have room for more.
            assert!(grown <= fresh + 64, "{program:?} {sizes:?}: {grown} and {fresh}");
        }
    }
}

#[tokio::test]
async fn a_run_that_the_server_has_no_text_long_enough_for_stays_as_it_is_and_others_are_done() {
    let server = RedisServer::builder().args(["--proto-max-bulk-len", "1mb"]).start().await;
    let (store, _) = RedisStore::open(&RedisConfig::new(server.url())).await.unwrap();
    let partition = |run: &RunId| run.partition(store.keys.partitions);
    let mut ids = (0..).map(|number| format!("run_{number:026}").parse().unwrap());
    let first = ids.next().unwrap();
    // In one call, and so of one partition.
    let mut ids = std::iter::once(first).chain(ids.filter(|id| partition(id) == partition(&first)));
    // One whose steps would be moved, and one that would grow where it is.
    for (from, to) in [(10, 100_000), (30_000, 34_000)] {
        let [run, other] = [ids.next().unwrap(), ids.next().unwrap()];
        store.create(new_run(run, from)).await.unwrap();
        store.create(new_run(other, 1)).await.unwrap();
        let marked = Commit { expansions: Vec::new(), step_count: from, run, ..commit() };
        let version = Version::FIRST.next(marked.commit);
        assert_eq!(store.commit(vec![marked]).await, Ok(vec![Committed::Done(version)]));
        let before = store.load(run).await;
        let grow = Commit { commit: 78, ..growth(run, version, from, to) };
        let upon = growth(run, version.next(78), to, to + 1);
        let well = growth(other, Version::FIRST, 1, 2);
        let outcomes = store.commit(vec![grow, upon, well]).await.unwrap();
        let [Committed::Damaged(why), Committed::Conflict, Committed::Done(_)] = &outcomes[..]
        else {
            panic!("{outcomes:?}")
        };
        assert!(why.contains(&format!("it cannot have {to} steps: ")), "{why}");
        assert_eq!(store.load(run).await, before);
    }
}
