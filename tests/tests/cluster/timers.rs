//! What is due at a time is done then, once, whoever has died meanwhile.

use std::{sync::Arc, time::Duration};

use windlass_engine::{
    reason::{Failure, FailureReason},
    record::{RunState, StepIndex, StepState},
};
use windlass_launcher::runtime::{
    AttemptKey, AttemptSpec,
    simulated::{Plan, SimulatedAttempt, SimulatedEnd},
};
use windlass_proto::v1;
use windlass_scheduler::Ownership;

use crate::support::{Cluster, eventually, leased, step};

/// Fails at the first attempt, succeeds at the second.
fn failing_once() -> Plan {
    Arc::new(|attempt: &AttemptSpec| {
        let failure = Failure {
            reason: FailureReason::ExitCode,
            message: String::new(),
            exit_code: Some(1),
            signal: None,
        };
        let end = match attempt.key.attempt {
            1 => SimulatedEnd::Fail(failure),
            _ => SimulatedEnd::Succeed(None),
        };
        SimulatedAttempt { duration: Duration::ZERO, end }
    })
}

fn retried_after(delay: Duration) -> v1::Pipeline {
    let retry = v1::RetryPolicy {
        limit: 3,
        delay: Some(delay.try_into().expect("a short time")),
        ..Default::default()
    };
    let step = v1::Step { retry: Some(Box::new(retry)), ..step("again", &[]) };
    v1::Pipeline { name: "retried".into(), steps: vec![step], ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_made_once_though_its_scheduler_died_while_it_was_due() {
    let cluster = Cluster::new();
    let lease_time = Duration::from_millis(600);
    let first = cluster.scheduler(leased("first", lease_time));
    let (_launcher, runtime) = cluster.launcher(failing_once());
    let run = cluster.submit(retried_after(Duration::from_millis(300))).await;
    eventually("the step waits for its retry", async || {
        let read = cluster.store.read_steps(run, &[StepIndex(0)]).await.expect("read");
        let (_, steps) = read.expect("the run is there");
        (steps[0].state == StepState::Delayed).then_some(())
    })
    .await;
    first.kill();
    let second = cluster.scheduler(leased("second", lease_time));
    assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
    let starts = [1, 2, 3].map(|attempt| runtime.starts(AttemptKey { run, step: 0, attempt }));
    assert_eq!(starts, [1, 1, 0]);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_two_schedulers_watch_fires_once() {
    let cluster = Cluster::new();
    let _schedulers = [cluster.scheduler(Ownership::All), cluster.scheduler(Ownership::All)];
    let (_launcher, runtime) = cluster.launcher(failing_once());
    let mut runs = Vec::new();
    for _ in 0..20 {
        runs.push(cluster.submit(retried_after(Duration::from_millis(100))).await);
    }
    for run in runs {
        assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
        let starts = [1, 2, 3].map(|attempt| runtime.starts(AttemptKey { run, step: 0, attempt }));
        assert_eq!(starts, [1, 1, 0]);
    }
}
