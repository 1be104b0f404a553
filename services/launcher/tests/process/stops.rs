//! Orders to stop.

use std::time::{Duration, Instant};

use windlass_engine::{event::AttemptPhase, reason::FailureReason};
use windlass_launcher::runtime::Runtime as _;

use crate::host::{Host, WAIT, is_alive, key, script};

#[tokio::test]
async fn a_stop_is_term_to_the_whole_group_and_the_program_may_end_as_it_likes() {
    let mut host = Host::new();
    host.start(script(
        1,
        "trap 'echo term > \"$WINDLASS_RUN_DIR/heard\"; exit 0' TERM
         sleep 600 & echo $! > \"$WINDLASS_RUN_DIR/child\"; wait",
    ))
    .await;
    let child = host.written("child").await.trim().parse().unwrap();
    host.runtime().stop(key(1)).await;
    let report = host.end_of(key(1)).await;
    assert_eq!(report.phase, AttemptPhase::Stopped);
    assert!(report.started_at.is_some() && report.ended_at.is_some());
    assert_eq!(host.written("heard").await, "term\n");
    assert!(!is_alive(child));
}

#[tokio::test]
async fn a_program_that_does_not_heed_term_is_killed_after_the_grace() {
    let mut host = Host::new();
    let mut spec =
        script(1, "trap '' TERM; echo > \"$WINDLASS_RUN_DIR/ready\"; while :; do sleep 600; done");
    spec.termination_grace = Duration::from_millis(50);
    host.start(spec).await;
    host.written("ready").await;
    host.runtime().stop(key(1)).await;
    assert_eq!(host.end_of(key(1)).await.phase, AttemptPhase::Stopped);
}

#[tokio::test]
async fn a_stop_right_behind_its_start_is_not_missed() {
    let mut host = Host::new();
    for step in 0..20 {
        host.start(script(step, "sleep 600")).await;
        host.runtime().stop(key(step)).await;
        let end = host.end_of(key(step)).await.phase;
        assert!(matches!(end, AttemptPhase::Stopped | AttemptPhase::NotCreated), "{end:?}");
    }
}

#[tokio::test]
async fn an_attempt_stopped_before_it_exists_is_never_created() {
    let mut host = Host::with(1, 1024);
    host.start(script(1, WAIT)).await;
    host.running(key(1)).await;
    let touch = |step| script(step, "echo > \"$WINDLASS_RUN_DIR/created\"");
    // One waits for the slot, one was never heard of.
    host.start(touch(2)).await;
    for step in [2, 3] {
        host.runtime().stop(key(step)).await;
        assert_eq!(host.end_of(key(step)).await.phase, AttemptPhase::NotCreated);
    }
    host.release();
    host.end_of(key(1)).await;
    host.restart_launcher();
    host.runtime().start(vec![touch(2), touch(3), script(4, "true")], Instant::now()).await;
    host.end_of(key(4)).await;
    for step in [2, 3] {
        assert!(host.runtime().probe(key(step)).await);
        assert_eq!(host.end_of(key(step)).await.phase, AttemptPhase::NotCreated);
    }
    assert!(!host.run_dir().join("created").exists());
}

#[tokio::test]
async fn a_stop_after_the_end_changes_nothing() {
    let mut host = Host::new();
    let report = host.run(script(1, "exit 7")).await;
    host.runtime().stop(key(1)).await;
    assert_eq!(host.end_of(key(1)).await, report);
}

#[tokio::test]
async fn a_supervisor_that_was_suspended_is_told_to_go_on_and_stops_its_attempt() {
    let mut host = Host::with_stop_margin(Duration::from_secs(3));
    let mut spec = script(1, "sleep 600");
    spec.termination_grace = Duration::from_millis(50);
    host.start(spec).await;
    host.running(key(1)).await;
    let program = host.program(key(1));
    host.suspend_supervisor(key(1)).await;
    host.runtime().stop(key(1)).await;
    assert_eq!(host.end_of(key(1)).await.phase, AttemptPhase::Stopped);
    assert!(!is_alive(program));
}

#[tokio::test]
async fn a_step_that_suspends_its_supervisor_ends_as_it_did() {
    let mut host = Host::with_patrol_interval(Duration::from_millis(50));
    let end = host.run(script(1, "kill -STOP $PPID; exit 7")).await;
    let AttemptPhase::Failed(failure) = end.phase else { panic!("{end:?}") };
    assert_eq!((failure.reason, failure.exit_code), (FailureReason::ExitCode, Some(7)));
}

#[tokio::test]
async fn a_supervisor_that_never_heeds_an_order_is_killed_and_its_attempt_lost_and_not_left_running()
 {
    let mut host = Host::with_hanging_supervisor();
    let mut spec = script(1, "what it should do");
    spec.termination_grace = Duration::ZERO;
    host.start(spec).await;
    host.running(key(1)).await;
    let program = host.written("program").await.trim().parse().unwrap();
    host.runtime().stop(key(1)).await;
    let end = host.end_of(key(1)).await;
    let AttemptPhase::Failed(failure) = end.phase else { panic!("{end:?}") };
    assert_eq!(failure.reason, FailureReason::Lost, "{}", failure.message);
    assert!(failure.message.contains("SIGKILL"), "{}", failure.message);
    assert!(!is_alive(program));
}
