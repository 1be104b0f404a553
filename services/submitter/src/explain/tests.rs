//! What is told of runs that no scheduler has touched.

use std::sync::Arc;

use prost::Message as _;
use tokio_util::sync::CancellationToken;
use windlass_bus::MemoryBus;
use windlass_engine::{
    event::Order,
    layout::Item,
    reason::{FailureReason, Reason},
    record::{RunRecord, StepIndex},
    run::Obstacle,
    time::Timestamp,
};
use windlass_pipeline::outline::RunSteps;
use windlass_proto::{
    encoded::EncodedPipeline,
    v1::{self, ObstacleKind, step::Work},
};
use windlass_service::error::ErrorReason;
use windlass_store::{MemoryStore, NewRun, Store as _, Submission};

use super::{AT_ONCE, words::Words};
use crate::{Submitter, SubmitterConfig};

/// A submitter with nobody else, and a run.
async fn alone() -> (Submitter, Arc<MemoryStore>, String) {
    let store = Arc::new(MemoryStore::default());
    let config = SubmitterConfig { installation: "i".to_owned(), partitions: 1 };
    let bus = Arc::new(MemoryBus::default());
    let submitter = Submitter::new(config, bus, store.clone(), CancellationToken::new());
    let task = v1::Task { command: vec!["x".into()], ..v1::Task::default() };
    let step = v1::Step {
        name: "a".into(),
        work: Some(Work::Task(Box::new(task))),
        ..v1::Step::default()
    };
    let pipeline = v1::Pipeline { name: "p".into(), steps: vec![step], ..v1::Pipeline::default() };
    let request =
        v1::SubmitRunRequest { pipeline: Some(pipeline), ..v1::SubmitRunRequest::default() };
    let run = submitter.submit(request).await.unwrap();
    (submitter, store, run.run_id)
}

fn request(run_id: &str, step: &str) -> v1::ExplainRunRequest {
    v1::ExplainRunRequest { run_id: run_id.to_owned(), step: step.to_owned() }
}

/// All obstacles but those that the tests of the whole system meet.
fn rare_obstacles() -> Vec<(Option<&'static str>, Obstacle)> {
    let (step, at) = (StepIndex(0), Timestamp(1));
    let timeout = Reason::Failure(FailureReason::Timeout);
    let first: Vec<_> = std::iter::repeat_n(step, 10).collect();
    vec![
        (None, Obstacle::Dependencies { first, total: 11 }),
        (None, Obstacle::ItemNotBegun { item: Item { of: step, index: 7 }, before: 0 }),
        (None, Obstacle::ItemNotBegun { item: Item { of: step, index: 7 }, before: 1 }),
        (None, Obstacle::ReadyFirst(1)),
        (None, Obstacle::ReadyFirst(2)),
        (None, Obstacle::LoopFirst(step)),
        (None, Obstacle::StepsNotEnded(1)),
        (None, Obstacle::StartGap(at)),
        (None, Obstacle::Room),
        (None, Obstacle::Launcher(at)),
        (Some("north"), Obstacle::Launcher(at)),
        (Some("north"), Obstacle::Starting { since: at, until: None }),
        (None, Obstacle::Stopping(timeout)),
        (None, Obstacle::Approval { since: at, until: Some(at) }),
        (None, Obstacle::Holds { open: 1, first: vec![step], items: 0 }),
        (None, Obstacle::Holds { open: 0, first: vec![step], items: 1 }),
    ]
}

#[test]
fn every_obstacle_is_a_sentence() {
    let step = v1::Step { name: "fit".into(), ..v1::Step::default() };
    let pipeline = v1::Pipeline { steps: vec![step], ..v1::Pipeline::default() };
    let encoded = EncodedPipeline::new(pipeline.encode_to_vec().into()).unwrap();
    let names = RunSteps::of_encoded(&encoded).unwrap();
    let words = Words { run: "run_00000000000000000000000000".parse().unwrap(), names: &names };
    let (name, message) = ("fit".to_owned(), "the step's time-out passed".to_owned());
    let status = v1::StepStatus { name, message, ..v1::StepStatus::default() };
    let sentences: Vec<_> = rare_obstacles()
        .iter()
        .map(|(host, obstacle)| words.obstacle(&status, *host, obstacle).message)
        .collect();
    insta::assert_snapshot!(sentences.join("\n"));
}

#[tokio::test]
async fn a_run_that_no_scheduler_has_begun_says_so_and_which_orders_it_has() {
    let (submitter, store, run) = alone().await;
    for order in [Order::Pause, Order::Cancel] {
        store.place_order(run.parse().unwrap(), order).await.unwrap();
    }
    let explained = submitter.explain(request(&run, "")).await.unwrap();
    let sentences: Vec<_> = explained.obstacles.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(
        sentences,
        [
            "a pause was asked for and has not been taken up yet",
            "a cancel was asked for and has not been taken up yet"
        ]
    );
    let [step] = explained.steps.as_slice() else { panic!("{explained:?}") };
    assert_eq!(step.step.as_ref().unwrap().name, "a");
    let kinds: Vec<_> = step.obstacles.iter().map(v1::Obstacle::kind).collect();
    assert_eq!(kinds, [ObstacleKind::RunNotBegun]);
}

#[tokio::test]
async fn a_run_that_cannot_be_loaded_is_refused_as_damaged() {
    let (submitter, store, run) = alone().await;
    let submission = store.load(run.parse().unwrap()).await.unwrap().unwrap().view.submission;
    let id = "run_00000000000000000000000000".parse().unwrap();
    let submission = Submission { id, ..Submission::clone(&submission) };
    let (record, pipeline) = (RunRecord::default(), "no pipeline".into());
    store.create(NewRun { submission, pipeline, record }).await.unwrap();
    let refused = submitter.explain(request(&id.to_string(), "")).await.unwrap_err();
    assert_eq!(refused.reason, ErrorReason::Damaged);
    assert!(refused.message.contains("restore the store from a copy"), "{refused}");
}

#[tokio::test]
async fn no_more_runs_are_loaded_at_once_than_there_is_room_for() {
    let (submitter, _, run) = alone().await;
    let room = submitter.loads.clone().acquire_many_owned(AT_ONCE as u32).await.unwrap();
    let refused = submitter.explain(request(&run, "a")).await.unwrap_err();
    assert_eq!(refused.reason, ErrorReason::Unavailable);
    assert!(refused.retry_after.is_some());
    drop(room);
    submitter.explain(request(&run, "a")).await.unwrap();
}
