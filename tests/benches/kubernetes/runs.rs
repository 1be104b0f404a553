//! Runs from their submission to their end.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use windlass_proto::v1::{
    self, RunState, run_service_client::RunServiceClient, watch_run_response::Event as Watched,
};

use crate::work::Work;

pub(crate) type Client = RunServiceClient<Channel>;

/// How long nothing may happen before a run counts as stalled.
const STALLED: Duration = Duration::from_mins(2);

/// Submits all runs of a case, one after the other as it says, and waits until all have ended well; tells their ids.
pub(crate) async fn complete(
    client: &Client,
    round: &str,
    work: Work,
) -> anyhow::Result<Vec<String>> {
    let one = |number: u32| async move {
        sleep(work.gap * number).await;
        let submission = work.submission(format!("{round}-{number}"));
        let answer = client.clone().submit_run(submission).await?.into_inner();
        let run = answer.run.context("a submission is answered with its run")?.run_id;
        until_succeeded(client.clone(), &run, work.steps).await?;
        anyhow::Ok(run)
    };
    try_join_all((0..work.runs).map(one)).await
}

/// Waits until a run has ended. An error if it does not end well.
async fn until_succeeded(mut client: Client, run_id: &str, steps: u32) -> anyhow::Result<()> {
    let request = v1::WatchRunRequest { run_id: run_id.to_owned(), run_only: true };
    let mut watch = client.watch_run(request).await?.into_inner();
    let mut run = v1::Run::default();
    while let Some(message) = timeout(STALLED, watch.message())
        .await
        .with_context(|| format!("{run_id} has stalled: {:?}", run.step_counts))??
    {
        let told = match message.event {
            Some(Watched::Snapshot(snapshot)) => snapshot.run,
            Some(Watched::Delta(delta)) => delta.run,
            None => None,
        };
        run = told.unwrap_or(run);
    }
    let counts = run.step_counts.unwrap_or_default();
    let is_well = run.state() == RunState::Succeeded && counts.succeeded == steps;
    ensure!(is_well, "{run_id} ended as {:?}: {counts:?} {}", run.state(), run.message);
    Ok(())
}
