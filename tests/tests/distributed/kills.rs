//! `kill -9` of each service at each step of its loop.

use windlass_proto::v1::{self, RunState};

use crate::{
    deployment::{Deployment, Kind, Program, eventually, repeat, request, submit, until_ended},
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
    until_killed(&doomed).await;
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

async fn until_killed(doomed: &Program) {
    eventually("the program is killed where it should be", async || {
        doomed.has_ended().then_some(())
    })
    .await;
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

/// A submitter that is killed where it passes a place for the first time.
async fn doomed_submitter(deployment: &Deployment, place: &str) -> Program {
    let environment = [("WINDLASS_FAIL_POINT", place)];
    deployment.program_with(Kind::Submitter, &[], &environment).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_no_scheduler_was_told_of_starts_all_the_same_and_its_request_finds_it() {
    let deployment = Deployment::start().await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let (doomed, _scheduler, _launcher) = tokio::join!(
        doomed_submitter(&deployment, "submitter.created"),
        deployment.program(Kind::Scheduler),
        deployment.launcher("north", 2),
    );
    let request = request(&ledger.diamond(2));
    let answer = doomed.runs().submit_run(request.clone()).await;
    assert!(answer.is_err(), "{answer:?}");
    until_killed(&doomed).await;
    // There is no submitter that could tell of it.
    ledger.until_started(4).await;
    let heir = deployment.program(Kind::Submitter).await;
    let run_id = repeat(&heir, &request).await;
    let run = until_ended(&heir, &run_id).await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    ledger.assert_undisturbed(&run_id, 2);
    let runs = heir.runs().list_runs(v1::ListRunsRequest::default()).await.expect("listed");
    assert_eq!(runs.into_inner().runs.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_no_scheduler_was_told_of_is_followed_all_the_same() {
    let deployment = Deployment::start().await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let (doomed, heir, _scheduler, _launcher) = tokio::join!(
        doomed_submitter(&deployment, "submitter.ordered"),
        deployment.program(Kind::Submitter),
        deployment.program(Kind::Scheduler),
        deployment.launcher("north", 2),
    );
    let run_id = submit(&doomed, &ledger.held()).await;
    ledger.until_started(1).await;
    let request = v1::CancelRunRequest { run_id: run_id.clone() };
    let answer = doomed.runs().cancel_run(request).await;
    assert!(answer.is_err(), "{answer:?}");
    until_killed(&doomed).await;
    // The other one is only looked at: it tells nobody.
    let run = until_ended(&heir, &run_id).await;
    assert_eq!(run.state(), RunState::Cancelled, "{run:?}");
    assert_eq!(ledger.starts(&run_id), [(("s0".to_owned(), 1), 1)].into());
}
