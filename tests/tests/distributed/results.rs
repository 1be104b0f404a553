//! Results that are kept: for every host, and whatever is killed meanwhile.

use windlass_proto::v1::{self, Reason, RunState, step::Work};

use crate::{
    deployment::{Deployment, Kind, Program, eventually, submit, until_ended},
    work::Ledger,
};

/// One step with a cache.
fn cached(ledger: &Ledger) -> v1::Pipeline {
    let mut step = ledger.step("s0", &[], "printf '{\"rows\": 3}' > \"$WINDLASS_OUTPUT\"");
    let Some(Work::Task(task)) = &mut step.work else { unreachable!("it runs a program") };
    task.cache = Some(Box::default());
    v1::Pipeline { name: "cached".into(), steps: vec![step], ..Default::default() }
}

/// Runs it, and tells how often its step was started and which run its result is from.
async fn run(submitter: &Program, ledger: &Ledger) -> (usize, String) {
    let run_id = submit(submitter, &cached(ledger)).await;
    let run = until_ended(submitter, &run_id).await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    let request =
        v1::ListAttemptsRequest { run_id: run_id.clone(), step: "s0".into(), ..Default::default() };
    let attempts = submitter.runs().list_attempts(request).await.expect("listed").into_inner();
    let last = attempts.attempts.last().expect("an attempt");
    let source = last.cached_from.as_ref().map(|source| source.run_id.clone());
    assert_eq!(last.reason() == Reason::Cached, source.is_some(), "{last:?}");
    assert_eq!(last.host.is_empty(), source.is_some(), "{last:?}");
    (ledger.starts(&run_id).len(), source.unwrap_or(run_id))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_taken_on_another_host_and_its_log_says_so() {
    let deployment = Deployment::start().await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let (submitter, streamer, _scheduler, north) = tokio::join!(
        deployment.program(Kind::Submitter),
        deployment.program(Kind::Streamer),
        deployment.program(Kind::Scheduler),
        deployment.launcher("north", 2),
    );
    let (starts, first) = run(&submitter, &ledger).await;
    assert_eq!(starts, 1);
    assert_eq!(north.end().await, Some(0), "{}", north.log());
    let south = deployment.launcher("south", 2).await;
    assert_eq!(run(&submitter, &ledger).await, (0, first.clone()));
    let told = south.log();
    assert!(told.contains("a result is taken from the cache") && told.contains(&first), "{told}");

    let newest = v1::ListRunsRequest { page_size: 1, ..Default::default() };
    let newest = submitter.runs().list_runs(newest).await.expect("listed").into_inner().runs;
    let request = v1::StreamLogsRequest { run_id: newest[0].run_id.clone(), ..Default::default() };
    let mut stream = streamer.logs().stream_logs(request).await.expect("accepted").into_inner();
    let lines = stream.message().await.expect("read").expect("lines").lines;
    let line = String::from_utf8_lossy(&lines[0].content).into_owned();
    assert!(line.starts_with("nothing was run") && line.contains(&first), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_killed_between_a_commit_and_what_it_keeps_costs_one_more_start() {
    let deployment = Deployment::start().await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let settings = ["scheduler.lease_time=1s"];
    let fail_point = [("WINDLASS_FAIL_POINT", "scheduler.keeping")];
    let (submitter, doomed, _launcher) = tokio::join!(
        deployment.program(Kind::Submitter),
        deployment.program_with(Kind::Scheduler, &settings, &fail_point),
        deployment.launcher("north", 2),
    );
    let run_id = submit(&submitter, &cached(&ledger)).await;
    eventually("the scheduler is killed", async || doomed.has_ended().then_some(())).await;
    let _heir = deployment.program_with(Kind::Scheduler, &settings, &[]).await;
    assert_eq!(until_ended(&submitter, &run_id).await.state(), RunState::Succeeded);
    assert_eq!(ledger.starts(&run_id), [(("s0".to_owned(), 1), 1)].into());
    let (starts, second) = run(&submitter, &ledger).await;
    assert_eq!(starts, 1);
    assert_eq!(run(&submitter, &ledger).await, (0, second));
}
