//! Runs from their submission to their end, and a witness that no attempt was created twice.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tonic::transport::Channel;
use windlass_proto::v1::{
    self, AttemptPhase, RunState, event::Event, run_service_client::RunServiceClient,
    watch_run_response::Event as Watched,
};
use windlass_tests::pipelines::{self, Dependencies};

use crate::installation::{Installation, NAME};

pub(crate) type Client = RunServiceClient<Channel>;

/// How long nothing may happen before a run counts as stalled.
const STALLED: Duration = Duration::from_mins(2);

/// How long many runs may take to end.
const LONGEST: Duration = Duration::from_mins(20);

/// How often to look whether they have ended.
const LOOK: Duration = Duration::from_millis(100);

/// How many submissions are under way at once, where there are many.
const SUBMISSIONS_AT_ONCE: usize = 64;

/// More steps than this are submitted in parts, as large runs are.
const LARGE: usize = 10_000;

/// The most runs on a page of a list.
const PAGE: i32 = 1000;

/// Submits a run of so many steps; tells its id.
pub(crate) async fn submit(
    mut client: Client,
    request_id: String,
    steps: usize,
    dependencies: Dependencies,
) -> anyhow::Result<String> {
    let run = if steps > LARGE {
        let parts = tokio_stream::iter(pipelines::parts(request_id, steps, dependencies));
        client.submit_large_run(parts).await?.into_inner().run
    } else {
        let request = pipelines::whole(request_id, steps, dependencies);
        client.submit_run(request).await?.into_inner().run
    };
    Ok(run.context("a submission is answered with its run")?.run_id)
}

/// Submits so many runs, several at once; tells their ids.
pub(crate) async fn submit_many(
    client: &Client,
    runs: usize,
    steps: usize,
    dependencies: Dependencies,
) -> anyhow::Result<Vec<String>> {
    stream::iter(0..runs)
        .map(|number| submit(client.clone(), format!("run-{number}"), steps, dependencies))
        .buffer_unordered(SUBMISSIONS_AT_ONCE)
        .try_collect()
        .await
}

/// Waits until a run has ended. An error if it does not end well.
pub(crate) async fn until_succeeded(
    mut client: Client,
    run_id: String,
    steps: usize,
) -> anyhow::Result<()> {
    let request = v1::WatchRunRequest { run_id: run_id.clone(), run_only: true };
    let mut watch = client.watch_run(request).await?.into_inner();
    let mut last = v1::Run::default();
    while let Some(message) = timeout(STALLED, watch.message())
        .await
        .with_context(|| format!("{run_id} has stalled: {:?}", last.step_counts))??
    {
        let run = match message.event {
            Some(Watched::Snapshot(snapshot)) => snapshot.run,
            Some(Watched::Delta(delta)) => delta.run,
            None => None,
        };
        last = run.unwrap_or(last);
    }
    ensure_succeeded(&last, steps)
}

/// Waits until none of many runs is active any more. An error if one does not end well.
pub(crate) async fn until_all_succeeded(
    client: &mut Client,
    runs: usize,
    steps: usize,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let active =
        [RunState::Pending, RunState::Running, RunState::Paused, RunState::Stopping].map(i32::from);
    // One is enough to know that there are any.
    let mut request = v1::ListRunsRequest { page_size: 1, ..Default::default() };
    request.filter = Some(v1::RunFilter { states: active.to_vec(), ..Default::default() });
    while let Some(run) = client.list_runs(request.clone()).await?.into_inner().runs.first() {
        ensure!(began.elapsed() < LONGEST, "runs have stalled, among them {run:?}");
        tokio::time::sleep(LOOK).await;
    }
    let mut request = v1::ListRunsRequest { page_size: PAGE, ..Default::default() };
    let mut ended = 0;
    loop {
        let page = client.list_runs(request.clone()).await?.into_inner();
        page.runs.iter().try_for_each(|run| ensure_succeeded(run, steps))?;
        ended += page.runs.len();
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    ensure!(ended == runs, "{ended} of {runs} runs are there");
    Ok(())
}

fn ensure_succeeded(run: &v1::Run, steps: usize) -> anyhow::Result<()> {
    let counts = run.step_counts.unwrap_or_default();
    let well = run.state() == RunState::Succeeded && counts.succeeded as usize == steps;
    ensure!(well, "{} ended as {:?}: {counts:?} {}", run.run_id, run.state(), run.message);
    Ok(())
}

/// Listens to what launchers report, beside the schedulers.
pub(crate) struct Witness {
    stop: oneshot::Sender<()>,
    heard: JoinHandle<anyhow::Result<Vec<Bytes>>>,
}

impl Witness {
    pub(crate) async fn of(installation: &Installation) -> anyhow::Result<Self> {
        let client = async_nats::connect(installation.nats.url()).await?;
        let mut events = client.subscribe(format!("{NAME}.event.*")).await?;
        client.flush().await?;
        let (stop, mut stopped) = oneshot::channel();
        // Only kept: what is done with it is not part of what is measured.
        let heard = tokio::spawn(async move {
            let mut heard = Vec::new();
            loop {
                tokio::select! {
                    event = events.next() => match event {
                        Some(event) => heard.push(event.payload),
                        None => return Ok(heard),
                    },
                    _ = &mut stopped, if !stopped.is_terminated() => events.drain().await?,
                }
            }
        });
        Ok(Self { stop, heard })
    }

    /// An error unless so many attempts were created, each once, and each was its step's first.
    pub(crate) async fn confirm(self, attempts: usize) -> anyhow::Result<()> {
        // The task ends early only by an error, which it tells.
        let _ = self.stop.send(());
        let mut created: BTreeMap<(String, u32), u32> = BTreeMap::new();
        for payload in self.heard.await?? {
            for run in v1::EventBatch::decode(payload)?.runs {
                for event in run.events {
                    let Some(Event::Report(report)) = event.event else { continue };
                    let first = report.attempt == 1;
                    ensure!(first, "{} had to be tried again: {report:?}", run.run_id);
                    // Only the report of a creation tells its time, and with steps that take none it is that of the end.
                    if report.phase() == AttemptPhase::Ended && report.create_time_ms > 0 {
                        *created.entry((run.run_id.clone(), report.step)).or_default() += 1;
                    }
                }
            }
        }
        let twice = created.iter().find(|(_, times)| **times > 1);
        let all = created.values().filter(|times| **times > 1).count();
        ensure!(twice.is_none(), "{all} attempts were created twice, such as {twice:?}");
        ensure!(created.len() == attempts, "{} of {attempts} attempts ended", created.len());
        Ok(())
    }
}
