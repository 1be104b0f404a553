//! Programs that are asked to end in the midst of work, as an upgrade does, one after the other.

use tonic::Code;
use windlass_proto::v1::{self, RunState};

use crate::{
    crew::Crew,
    deployment::{Deployment, Kind, submit, until_ended},
    work::Ledger,
};

const SETTINGS: [&str; 2] = ["launcher.host=east", "launcher.slots=2"];

/// Ends one of its kind, and starts another in its place: what runs on a host is its launcher's alone.
async fn ends_in_order(kind: Kind) {
    let deployment = Deployment::start().await;
    let crew = Crew::start(&deployment).await;
    let ending = deployment.program_with(kind, &SETTINGS, &[]).await;
    let mut heir = None;
    crew.is_undisturbed_by(&deployment, async || {
        assert_eq!(ending.end().await, Some(0), "{}", ending.log());
        heir = Some(deployment.program_with(kind, &SETTINGS, &[]).await);
    })
    .await;
    assert!(heir.is_some_and(|heir| !heir.has_ended()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_ends_in_order() {
    ends_in_order(Kind::Scheduler).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_ends_in_order() {
    ends_in_order(Kind::Launcher).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submitter_that_ends_has_its_watchers_come_again() {
    let deployment = Deployment::start().await;
    let crew = Crew::start(&deployment).await;
    let ending = deployment.program(Kind::Submitter).await;
    let ledger = Ledger::new(deployment.file("watched"));
    let run_id = submit(&ending, &ledger.held()).await;
    let request = v1::WatchRunRequest { run_id: run_id.clone(), ..Default::default() };
    let mut watch = ending.runs().watch_run(request).await.expect("watched").into_inner();
    ledger.until_started(1).await;
    crew.is_undisturbed_by(&deployment, async || {
        assert_eq!(ending.end().await, Some(0), "{}", ending.log());
    })
    .await;
    let told = async {
        while let Some(_change) = watch.message().await? {}
        Ok::<_, tonic::Status>(())
    };
    assert_eq!(told.await.map_err(|status| status.code()), Err(Code::Unavailable));
    ledger.let_go();
    let run = until_ended(&crew.submitter, &run_id).await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    assert_eq!(ledger.starts(&run_id), [(("s0".to_owned(), 1), 1)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_that_ends_has_its_readers_come_again() {
    let deployment = Deployment::start().await;
    let crew = Crew::start(&deployment).await;
    let ending = deployment.program(Kind::Streamer).await;
    let ledger = Ledger::new(deployment.file("read"));
    let run_id = submit(&crew.submitter, &ledger.held()).await;
    let request = v1::StreamLogsRequest { run_id, follow: true, ..Default::default() };
    let mut lines = ending.logs().stream_logs(request.clone()).await.expect("read").into_inner();
    crew.is_undisturbed_by(&deployment, async || {
        assert_eq!(ending.end().await, Some(0), "{}", ending.log());
    })
    .await;
    let told = async {
        while let Some(_lines) = lines.message().await? {}
        Ok::<_, tonic::Status>(())
    };
    assert_eq!(told.await.map_err(|status| status.code()), Err(Code::Unavailable));
    ledger.let_go();
    let mut lines = crew.streamer.logs().stream_logs(request).await.expect("read").into_inner();
    while lines.message().await.expect("it ends well").is_some() {}
}
