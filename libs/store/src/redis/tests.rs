//! What can only be seen from inside: a commit whose answer was lost, and what is stored under other people's hands.

use std::collections::BTreeMap;

use redis::{Value, from_redis_value};
use windlass_engine::record::{RunRecord, RunState, StepRecord};
use windlass_servers::RedisServer;

use super::*;
use crate::Submission;

fn run_id() -> RunId {
    "run_00000000000000000000000001".parse().unwrap()
}

async fn with_a_run(server: &RedisServer) -> RedisStore {
    let (store, _) = RedisStore::open(&RedisConfig::new(server.url())).await.unwrap();
    let submission = Submission {
        id: run_id(),
        namespace: "team".into(),
        pipeline: "nightly".into(),
        labels: BTreeMap::new(),
        // Longer than what is read at once.
        arguments_json: format!("{{\"text\":\"{}\"}}", "x".repeat(5000)),
        digest: [1; 32],
        rerun_of: None,
        steps: 3,
    };
    let run =
        NewRun { submission, pipeline: Bytes::from("a pipeline"), record: RunRecord::default() };
    assert_eq!(store.create(run).await, Ok(Created::New));
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
        orders_taken: None,
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
