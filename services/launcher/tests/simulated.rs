//! The simulated runtime.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{self, UnboundedReceiver};
use windlass_engine::{
    event::AttemptPhase,
    reason::{Failure, FailureReason},
};
use windlass_launcher::runtime::{
    AttemptKey, AttemptSpec, Report, Runtime as _,
    simulated::{SimulatedAttempt, SimulatedEnd, SimulatedRuntime},
};

fn runtime(duration: Duration, end: SimulatedEnd) -> (SimulatedRuntime, UnboundedReceiver<Report>) {
    let (sender, reports) = mpsc::unbounded_channel();
    let plan = Arc::new(move |_: &AttemptSpec| SimulatedAttempt { duration, end: end.clone() });
    (SimulatedRuntime::new(sender, plan).counting_starts(), reports)
}

fn spec(step: u32) -> AttemptSpec {
    let run = "run_0123456789abcdefghijklmnop".parse().unwrap();
    AttemptSpec {
        key: AttemptKey { run, step, attempt: 1 },
        namespace: "default".to_owned(),
        pipeline: "p".to_owned(),
        image: None,
        args: Vec::new(),
        secrets: BTreeMap::new(),
        pod: None,
        step: format!("step-{step}"),
        command: vec!["true".to_owned()],
        env: BTreeMap::new(),
        working_dir: None,
        termination_grace: Duration::ZERO,
        memory_bytes: None,
        outputs: Vec::new(),
        cache: None,
        cached: None,
    }
}

async fn next(reports: &mut UnboundedReceiver<Report>) -> AttemptPhase {
    reports.recv().await.unwrap().report.phase
}

#[tokio::test]
async fn a_batch_without_duration_has_ended_when_start_returns_and_each_once() {
    let (runtime, mut reports) = runtime(Duration::ZERO, SimulatedEnd::Succeed(None));
    runtime.start((0..100_000).map(spec).collect(), Instant::now()).await;
    for step in 0..100_000 {
        let Report { report, .. } = reports.try_recv().unwrap();
        assert_eq!((report.step.0, report.phase), (step, AttemptPhase::Succeeded(None)));
    }
    runtime.start(vec![spec(7)], Instant::now()).await;
    assert_eq!(next(&mut reports).await, AttemptPhase::Succeeded(None));
    assert_eq!(runtime.starts(spec(7).key), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_runs_for_its_duration_and_ends_as_planned() {
    let message = "as planned".to_owned();
    let failure =
        Failure { reason: FailureReason::ExitCode, message, exit_code: Some(1), signal: None };
    let hour = Duration::from_hours(1);
    let (runtime, mut reports) = runtime(hour, SimulatedEnd::Fail(failure.clone()));
    let before = tokio::time::Instant::now();
    runtime.start(vec![spec(1)], Instant::now()).await;
    assert_eq!(next(&mut reports).await, AttemptPhase::Running);
    assert_eq!(next(&mut reports).await, AttemptPhase::Failed(failure));
    assert_eq!(before.elapsed(), hour);
}

#[tokio::test]
async fn a_stop_ends_what_runs_and_forbids_what_does_not_exist() {
    for (duration, end) in [
        (Duration::from_hours(1), SimulatedEnd::Succeed(None)),
        (Duration::ZERO, SimulatedEnd::Hang),
    ] {
        let (runtime, mut reports) = runtime(duration, end);
        runtime.start(vec![spec(1)], Instant::now()).await;
        assert_eq!(next(&mut reports).await, AttemptPhase::Running);
        assert!(!runtime.probe(spec(2).key).await);
        for (step, expected) in [(1, AttemptPhase::Stopped), (2, AttemptPhase::NotCreated)] {
            runtime.stop(spec(step).key).await;
            assert_eq!(next(&mut reports).await, expected);
            runtime.start(vec![spec(step)], Instant::now()).await;
            assert_eq!(next(&mut reports).await, expected);
            assert!(runtime.probe(spec(step).key).await);
            assert_eq!(next(&mut reports).await, expected);
        }
        assert_eq!([1, 2].map(|step| runtime.starts(spec(step).key)), [1, 0]);
        runtime.remove(spec(1).key.run).await;
        assert!(!runtime.probe(spec(1).key).await);
    }
}
