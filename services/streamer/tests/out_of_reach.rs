//! What is told of attempts whose logs are not where the streamer looks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeMap, fs, sync::Arc};

use prost::Message as _;
use tempfile::TempDir;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use windlass_bus::MemoryBus;
use windlass_engine::{
    record::{RunRecord, RunState, StepIndex, StepRecord, StepState},
    time::Timestamp,
};
use windlass_proto::{
    holder,
    id::RunId,
    v1::{self, log_service_server::LogService as _},
};
use windlass_store::{Commit, Committed, MemoryStore, NewRun, Store as _, Submission, Version};
use windlass_streamer::{LogPlaces, Streamer};

/// A run whose only step runs in its first attempt.
async fn running(store: &MemoryStore) -> RunId {
    let run: RunId = format!("run_{}", "a".repeat(26)).parse().unwrap();
    let step = v1::Step { name: "load".to_owned(), ..v1::Step::default() };
    let pipeline = v1::Pipeline { name: "p".to_owned(), steps: vec![step], ..Default::default() };
    let submission = Submission {
        id: run,
        namespace: "default".into(),
        pipeline: "p".into(),
        labels: BTreeMap::new(),
        arguments_json: "{}".into(),
        digest: [0; 32],
        rerun_of: None,
        no_cache: false,
        priority: 0,
        steps: 1,
    };
    let pipeline = pipeline.encode_to_vec().into();
    store.create(NewRun { submission, pipeline, record: RunRecord::default() }).await.unwrap();
    let step = StepRecord {
        state: StepState::Running,
        attempt: 1,
        queued_at: Timestamp(1),
        started_at: Timestamp(2),
        ..StepRecord::default()
    };
    let commit = Commit {
        run,
        expected: Version::FIRST,
        commit: 1,
        record: RunRecord { state: RunState::Running, ..RunRecord::default() },
        steps: vec![(StepIndex(0), step)],
        attempts: Vec::new(),
        outputs: Vec::new(),
        expansions: Vec::new(),
        step_count: 0,
        orders_taken: None,
        amendment: None,
    };
    let committed = store.commit(vec![commit]).await.unwrap();
    assert!(matches!(committed[..], [Committed::Done(_)]), "{committed:?}");
    run
}

/// What reading its log ends with; none where it ends without a word.
async fn end(store: &Arc<MemoryStore>, dir: &TempDir, run: RunId, follow: bool) -> Option<Status> {
    let places = LogPlaces::Hosts(dir.path().to_owned());
    let bus = Arc::new(MemoryBus::new());
    let streamer = Streamer::new(bus, store.clone(), places, CancellationToken::new());
    let request = v1::StreamLogsRequest { run_id: run.to_string(), follow, ..Default::default() };
    let mut lines = streamer.stream_logs(Request::new(request)).await.unwrap().into_inner();
    lines.next().await.map(Result::unwrap_err)
}

/// Time is the test's: who follows is told after a while, and the test does not wait for it.
#[tokio::test(start_paused = true)]
async fn who_follows_a_log_that_the_streamer_cannot_find_is_told_while_the_step_runs() {
    let (store, dir) = (Arc::new(MemoryStore::new()), TempDir::new().unwrap());
    fs::create_dir(dir.path().join("north")).unwrap();
    let run = running(&store).await;
    store.claim(run, "south.0a1b2c3d", &[(StepIndex(0), 1)]).await.unwrap();
    for follow in [false, true] {
        let told = end(&store, &dir, run, follow).await.expect("it says why there is nothing");
        assert_eq!(told.code(), Code::FailedPrecondition, "{told:?}");
        let details = told.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(info.reason, "LOG_OUT_OF_REACH");
        assert_eq!(
            (info.metadata["step"].as_str(), info.metadata["host"].as_str()),
            ("load", "south")
        );
        let place = dir.path().join("south").display().to_string();
        assert!(told.message().contains(&place), "{}", told.message());
    }
}

#[tokio::test]
async fn of_an_attempt_that_is_a_pod_is_told_how_kubernetes_shows_its_log() {
    let (store, dir) = (Arc::new(MemoryStore::new()), TempDir::new().unwrap());
    let run = running(&store).await;
    store.claim(run, &holder::of_cluster("gpu"), &[(StepIndex(0), 1)]).await.unwrap();
    let told = end(&store, &dir, run, false).await.expect("it says why there is nothing");
    let details = told.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.reason, "LOG_OUT_OF_REACH");
    assert_eq!((info.metadata["cluster"].as_str(), info.metadata.get("host")), ("gpu", None));
    let selector = format!("windlass.dev/run={run},windlass.dev/step=load,windlass.dev/attempt=1");
    let command = format!("`kubectl logs -n NAMESPACE -l {selector} -c main --tail=-1`");
    assert!(told.message().contains(&command), "{}", told.message());
    assert!(!told.message().contains("launcher.directory"), "{}", told.message());
}

/// As those of a simulated launcher.
#[tokio::test]
async fn of_attempts_that_ran_on_no_host_there_is_nothing_to_say() {
    let (store, dir) = (Arc::new(MemoryStore::new()), TempDir::new().unwrap());
    let run = running(&store).await;
    assert!(end(&store, &dir, run, false).await.is_none());
}
