//! How many run at once, and that each runs once.

use std::{fs, time::Instant};

use windlass_engine::event::AttemptPhase;
use windlass_launcher::runtime::Runtime as _;

use crate::host::{Host, WAIT, key, script};

#[tokio::test]
async fn no_more_attempts_run_at_once_than_there_are_slots() {
    let mut host = Host::with(2, 1024);
    let body = "echo + >> \"$WINDLASS_RUN_DIR/course\"; sleep 0.02; echo - >> \"$WINDLASS_RUN_DIR/course\"";
    host.runtime().start((0..8).map(|step| script(step, body)).collect(), Instant::now()).await;
    let mut ended = 0;
    while ended < 8 {
        ended += u32::from(host.any_report().await.phase == AttemptPhase::Succeeded(None));
    }
    let course = fs::read_to_string(host.run_dir().join("course")).unwrap();
    let mut running = 0;
    let mut most = 0;
    for line in course.lines() {
        running += if line == "+" { 1 } else { -1 };
        most = most.max(running);
    }
    assert_eq!(most, 2, "{course}");
}

#[tokio::test]
async fn an_attempt_that_was_started_before_is_reported_and_not_created_again() {
    let mut host = Host::with(1, 1024);
    let spec = script(1, &format!("echo once >> \"$WINDLASS_RUN_DIR/count\"; {WAIT}"));
    host.runtime().start(vec![spec.clone(), spec.clone()], Instant::now()).await;
    let running = host.running(key(1)).await;
    host.start(spec.clone()).await;
    assert_eq!(host.report_of(key(1)).await, running);
    host.release();
    let end = host.end_of(key(1)).await;
    host.start(spec.clone()).await;
    assert_eq!(host.report_of(key(1)).await, end);
    host.restart_launcher();
    host.start(spec).await;
    // At the start, and once more for the order.
    assert_eq!(host.report_of(key(1)).await, end);
    assert_eq!(host.report_of(key(1)).await, end);
    assert_eq!(host.written("count").await, "once\n");
}
