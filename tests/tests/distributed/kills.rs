//! `kill -9` of each service at each step of its loop.

use windlass_proto::v1::RunState;

use crate::{
    deployment::{Deployment, Kind, eventually, submit, until_ended},
    work::Ledger,
};

/// Runs work while one program is killed where it passes a place for the n-th time; another of its kind takes over.
async fn survives(kind: Kind, place: &str, passes: u32) {
    let deployment = Deployment::start().await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let fail_point = format!("{place}:{passes}");
    let doomed = deployment.spawn(
        kind,
        &["launcher.host=doomed", "launcher.slots=2", "scheduler.lease_time=1s"],
        &[("WINDLASS_FAIL_POINT", &fail_point)],
    );
    doomed.until_ready().await;
    let mut others = Vec::new();
    for other in [Kind::Submitter, Kind::Scheduler, Kind::Launcher] {
        if other != kind {
            others.push(deployment.program_with(other, &["launcher.slots=2"], &[]).await);
        }
    }
    let submitter = others.iter().find(|it| it.kind == Kind::Submitter).unwrap_or(&doomed);
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(submit(submitter, &ledger.diamond(6)).await);
    }
    eventually("the program is killed where it should be", async || {
        doomed.has_ended().then_some(())
    })
    .await;
    // Another process in the place of the dead one, as whatever watches over programs would start it.
    let heir = deployment
        .program_with(
            kind,
            &["launcher.host=doomed", "launcher.slots=2", "scheduler.lease_time=1s"],
            &[],
        )
        .await;
    let submitter = others.iter().find(|it| it.kind == Kind::Submitter).unwrap_or(&heir);
    for run_id in &runs {
        let run = until_ended(submitter, run_id).await;
        assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
        ledger.assert_each_once(run_id, 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_may_be_killed_anywhere_in_its_loop() {
    for place in ["fetched", "committed", "published", "acked"] {
        survives(Kind::Scheduler, &format!("scheduler.{place}"), 4).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_may_be_killed_anywhere_in_its_loop() {
    for place in ["fetched", "claimed", "started", "acked", "reporting", "reported"] {
        survives(Kind::Launcher, &format!("launcher.{place}"), 2).await;
    }
}
