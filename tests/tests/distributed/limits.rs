//! Named limits, in Redis, while schedulers are killed.

use windlass_proto::v1::{self, RunState, step::Work};

use crate::{
    deployment::{Deployment, Kind, eventually, submit, until_ended},
    work::Ledger,
};

/// Steps beside each other that hold one limit, and fail where another one of any run is at work.
fn exclusive(deployment: &Deployment, ledger: &Ledger, width: u32) -> v1::Pipeline {
    let lock = deployment.file("lock");
    let script = format!("mkdir '{0}'; sleep 0.02; rmdir '{0}'", lock.display());
    let mut steps: Vec<_> =
        (0..width).map(|index| ledger.step(&format!("s{index}"), &[], &script)).collect();
    for step in &mut steps {
        if let Some(Work::Task(task)) = &mut step.work {
            task.limits = vec!["lock".to_owned()];
        }
    }
    v1::Pipeline { name: "exclusive".into(), steps, ..Default::default() }
}

/// A scheduler is killed where it passes a place for the n-th time; another one takes over.
async fn holds_though_killed_at(place: &str, passes: u32) {
    let deployment = Deployment::start().await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let fail_point = format!("{place}:{passes}");
    let short = ["scheduler.lease_time=1s", "scheduler.sweep=1s"];
    let doomed = deployment.spawn(Kind::Scheduler, &short, &[("WINDLASS_FAIL_POINT", &fail_point)]);
    doomed.until_ready().await;
    let (submitter, _launcher) =
        tokio::join!(deployment.program(Kind::Submitter), deployment.launcher("north", 4));
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(submit(&submitter, &exclusive(&deployment, &ledger, 5)).await);
    }
    eventually("the scheduler is killed where it should be", async || {
        doomed.has_ended().then_some(())
    })
    .await;
    let _heir = deployment.program_with(Kind::Scheduler, &short, &[]).await;
    for run_id in &runs {
        let run = until_ended(&submitter, run_id).await;
        assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
        assert_eq!(ledger.starts(run_id).values().sum::<u32>(), 5, "each step once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_killed_gives_no_limit_away_and_keeps_none() {
    for (place, passes) in [("committed", 7), ("limits", 0), ("limits", 6), ("published", 8)] {
        holds_though_killed_at(&format!("scheduler.{place}"), passes).await;
    }
}
