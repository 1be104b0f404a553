//! Launchers of two clusters, those of one away at first.

use windlass_proto::v1::{self, RunState, step::Work};

use crate::{
    deployment::{Deployment, Kind, eventually, submit, until_ended},
    work::Ledger,
};

/// How many steps each cluster has.
const WIDTH: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn steps_go_on_while_the_launchers_of_another_cluster_are_away() {
    let deployment = Deployment::start().await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let (submitter, _scheduler, _launcher) = tokio::join!(
        deployment.program(Kind::Submitter),
        deployment.program(Kind::Scheduler),
        deployment.launcher("north", 4),
    );
    let mut pipeline = ledger.wide(2 * WIDTH);
    for step in pipeline.steps.iter_mut().skip(WIDTH as usize) {
        let Some(Work::Task(task)) = &mut step.work else { panic!("it is a task") };
        "gpu".clone_into(&mut task.cluster);
    }
    let run_id = submit(&submitter, &pipeline).await;
    eventually("the steps of the default cluster have ended", async || {
        let request = v1::GetRunRequest { run_id: run_id.clone() };
        let run = submitter.runs().get_run(request).await.ok()?.into_inner().run?;
        (run.step_counts?.succeeded == WIDTH).then_some(())
    })
    .await;
    let settings = ["launcher.cluster=gpu", "launcher.host=south", "launcher.slots=4"];
    let _launcher = deployment.program_with(Kind::Launcher, &settings, &[]).await;
    let run = until_ended(&submitter, &run_id).await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    let expected = (0..2 * WIDTH).map(|index| ((format!("s{index}"), 1), 1)).collect();
    assert_eq!(ledger.starts(&run_id), expected);
}
