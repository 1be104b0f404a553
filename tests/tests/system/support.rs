//! A world to test in: all services in one process, on processes or on simulated attempts.

use std::{collections::BTreeMap, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::{net::TcpListener, time::timeout};
use tonic::{Status, transport::Channel};
use tonic_types::StatusExt as _;
use windlass::embedded::{Embedded, EmbeddedConfig, RuntimeConfig, StateDir};
use windlass_launcher::runtime::{
    process::Supervisor,
    simulated::{Plan, SimulatedAttempt, SimulatedEnd},
};
use windlass_pipeline::file::{self, FileOptions};
use windlass_proto::v1::{
    self, RunState, StepState, log_service_client::LogServiceClient,
    run_service_client::RunServiceClient, step::Work,
};

/// No condition takes longer than this on a machine that works.
const LIMIT: Duration = Duration::from_mins(1);

pub(crate) type Runs = RunServiceClient<Channel>;

/// All services in one process.
pub(crate) struct World {
    embedded: Embedded,
    files: TempDir,
}

impl World {
    /// Steps are processes.
    pub(crate) async fn processes() -> Self {
        Self::processes_in(NonZeroUsize::new(4).unwrap()).await
    }

    /// Steps are processes, at most so many at once.
    pub(crate) async fn processes_in(slots: NonZeroUsize) -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_windlass-under-test"));
        let supervisor = Supervisor { program, args: vec!["supervise".into()] };
        let slots = Some(slots);
        Self::start(RuntimeConfig::Process { slots, supervisor: Some(supervisor) }).await
    }

    /// Steps succeed at once.
    pub(crate) async fn simulated() -> Self {
        let end = SimulatedEnd::Succeed(None);
        let attempt = SimulatedAttempt { duration: Duration::ZERO, end };
        Self::simulated_with(Arc::new(move |_| attempt.clone())).await
    }

    /// Steps do as planned.
    pub(crate) async fn simulated_with(plan: Plan) -> Self {
        let window = NonZeroUsize::new(1024).unwrap();
        Self::start(RuntimeConfig::Simulated { plan, window }).await
    }

    async fn start(runtime: RuntimeConfig) -> Self {
        let state = StateDir::temporary().unwrap();
        let embedded = Embedded::start(EmbeddedConfig { state, runtime }).await.unwrap();
        Self { embedded, files: TempDir::new().unwrap() }
    }

    /// Ends the services, with a run's attempts stopped. The files of steps stay until what is returned is dropped.
    pub(crate) async fn leave(self, run_id: &str) -> TempDir {
        limited(self.embedded.leave(run_id.parse().unwrap())).await;
        self.files
    }

    /// Serves clients that connect from outside; where.
    pub(crate) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(self.embedded.serve(listener));
        url
    }

    /// What the steps of a run that has ended wrote, by name, without the last end of line.
    pub(crate) async fn lines(&self, run_id: &str) -> BTreeMap<String, String> {
        let request = v1::StreamLogsRequest { run_id: run_id.to_owned(), ..Default::default() };
        let mut stream = self.logs().stream_logs(request).await.unwrap().into_inner();
        let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        while let Some(message) = limited(stream.message()).await.unwrap() {
            for line in message.lines {
                let text = String::from_utf8_lossy(&line.content).into_owned();
                texts.entry(line.step).or_default().push(text);
            }
        }
        texts.into_iter().map(|(step, lines)| (step, lines.join("\n"))).collect()
    }

    pub(crate) fn channel(&self) -> Channel {
        self.embedded.channel()
    }

    pub(crate) fn runs(&self) -> Runs {
        RunServiceClient::new(self.channel())
    }

    pub(crate) fn logs(&self) -> LogServiceClient<Channel> {
        LogServiceClient::new(self.channel())
    }

    /// A path that is this world's own.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    pub(crate) async fn submit(&self, pipeline: v1::Pipeline) -> String {
        let request = v1::SubmitRunRequest { pipeline: Some(pipeline), ..Default::default() };
        self.runs().submit_run(request).await.unwrap().into_inner().run.unwrap().run_id
    }

    /// Submits the pipeline that a file's text is.
    pub(crate) async fn submit_file(&self, text: &str) -> String {
        self.submit(parsed(text)).await
    }

    pub(crate) async fn until_ended(&self, run_id: &str) -> v1::Run {
        until_ended(&mut self.runs(), run_id).await
    }

    /// Waits until a step is in a state, or past it.
    pub(crate) async fn until_step(&self, run_id: &str, step: &str, state: StepState) {
        let reached = async {
            while self.steps(run_id).await[step].state() < state {
                tokio::task::yield_now().await;
            }
        };
        limited(reached).await;
    }

    /// The steps of a run, by name.
    pub(crate) async fn steps(&self, run_id: &str) -> BTreeMap<String, v1::StepStatus> {
        let request = v1::ListStepsRequest { run_id: run_id.to_owned(), ..Default::default() };
        let steps = self.runs().list_steps(request).await.unwrap().into_inner().steps;
        steps.into_iter().map(|step| (step.name.clone(), step)).collect()
    }
}

/// Waits for something that must come.
pub(crate) async fn limited<T>(condition: impl Future<Output = T>) -> T {
    timeout(LIMIT, condition).await.expect("it did not come to pass within the limit")
}

pub(crate) async fn until_ended(runs: &mut Runs, run_id: &str) -> v1::Run {
    let request = v1::WatchRunRequest { run_id: run_id.to_owned(), run_only: true };
    let mut stream = runs.watch_run(request).await.unwrap().into_inner();
    let mut last = None;
    while let Some(message) = limited(stream.message()).await.unwrap() {
        last = match message.event.unwrap() {
            v1::watch_run_response::Event::Snapshot(snapshot) => snapshot.run,
            v1::watch_run_response::Event::Delta(delta) => delta.run,
        };
    }
    let run = last.expect("a watch begins with the present state");
    let ended = matches!(run.state(), RunState::Succeeded | RunState::Failed | RunState::Cancelled);
    assert!(ended, "{run:?}");
    run
}

/// The pipeline that a file's text is.
pub(crate) fn parsed(text: &str) -> v1::Pipeline {
    let parsed = file::parse(text.as_bytes(), &FileOptions::default());
    parsed.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub(crate) fn pipeline(name: &str, steps: Vec<v1::Step>) -> v1::Pipeline {
    v1::Pipeline { name: name.into(), steps, ..Default::default() }
}

/// A step that does nothing.
pub(crate) fn step(name: &str, depends_on: &[String]) -> v1::Step {
    v1::Step { depends_on: depends_on.to_vec(), ..script(name, ":") }
}

/// A step that never ends by itself.
pub(crate) fn sleeping(name: &str) -> v1::Step {
    script(name, "exec sleep 1000")
}

/// A step that is a shell script.
pub(crate) fn script(name: &str, script: &str) -> v1::Step {
    let command = ["/bin/sh", "-euc", script].map(str::to_owned).to_vec();
    let task = v1::Task { command, ..Default::default() };
    v1::Step { name: name.into(), work: Some(Work::Task(Box::new(task))), ..Default::default() }
}

pub(crate) fn ids(runs: &[v1::Run]) -> Vec<String> {
    runs.iter().map(|run| run.run_id.clone()).collect()
}

/// The id of a run that is not there.
pub(crate) fn run_id() -> String {
    format!("run_{}", "a".repeat(26))
}

/// The reason of a refusal.
pub(crate) fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details.error_info().map(|info| info.reason.clone()).unwrap_or_default()
}
