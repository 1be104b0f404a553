//! What a launcher finds that comes after another one.

use std::fs;

use windlass_engine::{
    event::{AttemptPhase, AttemptReport},
    reason::FailureReason,
};
use windlass_launcher::runtime::Runtime as _;

use crate::host::{Host, WAIT, is_alive, key, script, until};

fn is_lost(report: &AttemptReport) -> bool {
    matches!(&report.phase, AttemptPhase::Failed(failure) if failure.reason == FailureReason::Lost)
}

#[tokio::test]
async fn an_attempt_outlives_its_launcher_and_is_adopted_by_the_next_one() {
    let mut host = Host::with(1, 1024);
    host.start(script(1, &format!("{WAIT} exit 5"))).await;
    let running = host.running(key(1)).await;
    host.restart_launcher();
    assert_eq!(host.report_of(key(1)).await, running);
    // It takes up the only slot.
    host.start(script(2, "true")).await;
    assert!(host.runtime().probe(key(2)).await);
    assert!(!host.attempt_dir(key(2)).exists());
    host.release();
    let end = host.end_of(key(1)).await;
    assert!(matches!(&end.phase, AttemptPhase::Failed(failure) if failure.exit_code == Some(5)));
    assert_eq!((end.created_at, end.started_at), (running.created_at, running.started_at));
    assert_eq!(host.end_of(key(2)).await.phase, AttemptPhase::Succeeded(None));
}

#[tokio::test]
async fn an_adopted_attempt_can_be_stopped() {
    let mut host = Host::new();
    host.start(script(1, "sleep 600")).await;
    host.running(key(1)).await;
    host.restart_launcher();
    host.runtime().stop(key(1)).await;
    assert_eq!(host.end_of(key(1)).await.phase, AttemptPhase::Stopped);
}

#[tokio::test]
async fn an_attempt_that_ends_without_a_launcher_is_reported_by_the_next_one() {
    let mut host = Host::new();
    host.start(script(1, &format!("{WAIT} echo '{{\"a\":1}}' > \"$WINDLASS_OUTPUT\""))).await;
    let running = host.running(key(1)).await;
    host.lose_launcher();
    host.release();
    let outcome = host.attempt_dir(key(1)).join("outcome.json");
    until(|| outcome.exists().then_some(())).await;
    host.restart_launcher();
    let end = host.report_of(key(1)).await;
    assert_eq!(end.phase, AttemptPhase::Succeeded(Some("{\"a\":1}".into())));
    assert_eq!(end.started_at, running.started_at);
}

#[tokio::test]
async fn an_attempt_whose_supervisor_is_killed_is_lost_and_does_not_run_on() {
    for launcher_lives in [true, false] {
        let mut host = Host::new();
        // One in the group, one that left it and says by its environment whose it is.
        host.start(script(
            1,
            "setsid sh -c 'echo $$ > \"$WINDLASS_RUN_DIR/daemon\"; sleep 600; sleep 600' &
             env -i /bin/sh -c \"echo \\$\\$ > '$WINDLASS_RUN_DIR/child'; sleep 600; sleep 600\"; sleep 600",
        ))
        .await;
        host.running(key(1)).await;
        let pids = [host.written("child").await, host.written("daemon").await];
        if launcher_lives {
            host.kill_supervisor(key(1)).await;
        } else {
            host.lose_launcher();
            // The launcher that was lost is not quite gone: its thread would clean up before the next one can.
            host.kill_supervisor(key(1)).await;
            host.restart_launcher();
        }
        let end = host.end_of(key(1)).await;
        assert!(is_lost(&end), "{end:?}");
        for pid in pids {
            assert!(!is_alive(pid.trim().parse().unwrap()));
        }
        // What was said once stays true.
        assert!(host.runtime().probe(key(1)).await);
        assert_eq!(host.report_of(key(1)).await, end);
    }
}

#[tokio::test]
async fn an_attempt_that_was_only_begun_to_be_created_is_lost_and_never_created() {
    let mut host = Host::new();
    host.lose_launcher();
    // As a launcher leaves it that is killed after each step before the supervisor.
    for (step, files) in [(1, &[][..]), (2, &["lock"]), (3, &["lock", "spec.json"])] {
        let dir = host.attempt_dir(key(step));
        fs::create_dir_all(&dir).unwrap();
        for file in files {
            fs::write(dir.join(file), "").unwrap();
        }
    }
    host.restart_launcher();
    let mut lost = 0;
    while lost < 3 {
        lost += u32::from(is_lost(&host.any_report().await));
    }
    for step in 1..=3 {
        host.start(script(step, "echo > \"$WINDLASS_RUN_DIR/created\"")).await;
        assert!(is_lost(&host.end_of(key(step)).await));
    }
    assert!(!host.run_dir().join("created").exists());
}

#[tokio::test]
async fn a_supervisor_that_does_not_exist_is_a_failure_of_the_launch_not_of_the_step() {
    let mut host = Host::without_supervisor();
    let end = host.run(script(1, "true")).await;
    let AttemptPhase::Failed(failure) = end.phase else { panic!("{end:?}") };
    assert_eq!(failure.reason, FailureReason::LaunchFailed);
    assert!(failure.message.contains("/no/supervisor"), "{}", failure.message);
    assert!(!host.runtime().probe(key(2)).await);
}
