//! What is told of runs that no scheduler has touched.

use std::{num::NonZeroU32, sync::Arc};

use prost::Message as _;
use tokio_util::sync::CancellationToken;
use windlass_bus::MemoryBus;
use windlass_engine::{
    event::Order,
    layout::Item,
    limits::{LimitConfig, Rate},
    reason::{FailureReason, Reason},
    record::{RunRecord, StepIndex},
    run::Obstacle,
    time::Timestamp,
};
use windlass_pipeline::outline::RunSteps;
use windlass_proto::{
    encoded::EncodedPipeline,
    v1::{self, ObstacleKind, step::Work, wait::Cause},
};
use windlass_service::error::ErrorReason;
use windlass_store::{LimitView, MemoryStore, NewRun, Store as _, Submission};

use super::{
    AT_ONCE,
    lines::{self, Line},
    wait_words,
    words::Words,
};
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
        (None, Obstacle::LinesFull(100)),
        (None, Obstacle::NextStart(StepIndex(0))),
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

#[test]
fn who_stands_in_line_is_told_who_holds_what_and_how_many_come_before() {
    let own = "run_00000000000000000000000000";
    let other = "run_11111111111111111111111111";
    let run = own.parse().unwrap();
    let held_by = |run_id: &str, step: &str| v1::LimitHolder {
        run_id: run_id.to_owned(),
        step: step.to_owned(),
        ..v1::LimitHolder::default()
    };
    let line = |size: u32, held, before, holders: &[v1::LimitHolder]| {
        let config = Some(LimitConfig { size: NonZeroU32::new(size), rate: None });
        let limit = LimitView { name: "gpu".into(), config, held, waiting: 9 };
        Line { limit, holders: holders.to_vec(), before }
    };
    let rate = |line: Line, period_ms| {
        let rate = Some(Rate { starts: NonZeroU32::new(10).unwrap(), period_ms });
        let config = line.limit.config.map(|config| LimitConfig { rate, ..config });
        Line { limit: LimitView { config, ..line.limit }, ..line }
    };
    let [ours, theirs, gone] = [held_by(own, "fit"), held_by(other, "a.b"), held_by(other, "")];
    let nobody_has_set_it = {
        let line = line(1, 1, Some(1), std::slice::from_ref(&theirs));
        Line { limit: LimitView { config: None, ..line.limit }, ..line }
    };
    let held = line(2, 2, Some(3), &[ours.clone(), theirs]);
    let cases = [
        vec![nobody_has_set_it],
        vec![held.clone()],
        vec![line(9, 9, None, &[ours, gone])],
        vec![rate(line(0, 4, Some(0), &[]), 60_000)],
        vec![rate(line(0, 4, Some(2), &[]), 1500)],
        vec![held, line(2, 1, Some(0), &[]), line(2, 1, None, &[])],
    ];
    let told = cases.map(|lines| lines::told(run, &lines, v1::Obstacle::default()));
    assert_eq!(told[1].steps, ["fit"]);
    insta::assert_snapshot!(told.map(|it| it.message).join("\n"));
}

#[test]
fn every_wait_for_a_cluster_is_a_sentence() {
    let pod = |node: &str, container: &str, reason: &str, message: &str| {
        let [namespace, name] = ["jobs", "fit-0a1b"].map(str::to_owned);
        let [node, container, reason, message] =
            [node, container, reason, message].map(str::to_owned);
        Cause::Pod(v1::PodWait { namespace, name, node, container, reason, message })
    };
    let live_pods = |namespace: &str, share, live| {
        let namespace = namespace.to_owned();
        Cause::LivePods(v1::LivePodsWait { namespace, limit: 10, share, live })
    };
    let api_server = |code, message: &str| {
        Cause::ApiServer(v1::ApiServerWait { code, message: message.to_owned() })
    };
    let quota = "exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2";
    let causes = [
        pod("", "", "Unschedulable", "0/3 nodes are available: 3 Insufficient cpu."),
        pod("n1", "", "ContainerCreating", ""),
        pod("n1", "fetch", "ErrImagePull", "dial tcp: i/o timeout"),
        pod("n1", "", "", "the init container `fetch` runs"),
        pod("", "", "", ""),
        Cause::Quota(v1::QuotaWait { namespace: "jobs".into(), message: quota.into() }),
        live_pods("", 10, 10),
        live_pods("", 5, 5),
        live_pods("jobs", 10, 10),
        api_server(429, "Too many requests, please try again later."),
        api_server(0, "no answer from the API server within 30 s"),
        Cause::Creation(v1::CreationWait { under_way: 1, allowed: 8, waiting: 120 }),
        Cause::NotLaunching(v1::NotLaunching {}),
    ];
    let obstacle = v1::Obstacle { message: "it waits".to_owned(), ..v1::Obstacle::default() };
    let told = causes.map(|cause| {
        let wait = v1::Wait { cluster: "gpu".into(), since: None, cause: Some(cause) };
        let told = wait_words::told(&wait, obstacle.clone());
        assert_eq!(told.wait, Some(wait));
        told.message
    });
    let newer = wait_words::told(&v1::Wait::default(), obstacle.clone()).message;
    let untold = wait_words::untold("gpu", obstacle).message;
    insta::assert_snapshot!([&told[..], &[newer, untold]].concat().join("\n"));
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
