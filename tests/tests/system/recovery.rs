//! `kill -9` of the server, and what the next one on the same state directory makes of it.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use crate::support::{Runs, limited, pipeline, script, until_ended};
use tempfile::TempDir;
use windlass_proto::v1::{self, RunState, StepState};

/// `windlass dev` on a state directory.
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    pub(crate) async fn start(state_dir: &Path) -> Self {
        Self::start_with(state_dir, &[]).await
    }

    /// With more in its environment.
    pub(crate) async fn start_with(state_dir: &Path, environment: &[(&str, &str)]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listen = format!("127.0.0.1:{port}");
        let child = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
            .args(["dev", "--slots", "4", "--listen", &listen, "--state-dir"])
            .arg(state_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .env("NO_COLOR", "1")
            .env("WINDLASS_LOG", "off")
            .envs(environment.iter().copied())
            .spawn()
            .unwrap();
        let server = Self { child, address: format!("http://{listen}") };
        limited(server.until_it_answers()).await;
        server
    }

    async fn until_it_answers(&self) {
        loop {
            if let Ok(mut runs) = Runs::connect(self.address.clone()).await
                && runs.list_runs(v1::ListRunsRequest::default()).await.is_ok()
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn runs(&self) -> Runs {
        Runs::connect(self.address.clone()).await.unwrap()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(mut self) {
        while self.child.try_wait().unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) async fn submit(server: &Server, pipeline: v1::Pipeline) -> String {
    let request = v1::SubmitRunRequest { pipeline: Some(pipeline), ..Default::default() };
    server.runs().await.submit_run(request).await.unwrap().into_inner().run.unwrap().run_id
}

/// What a command that has ended has said, with what differs from run to run replaced.
fn said(dir: &Path, output: &Output) -> String {
    let code = output.status.code().map_or("none".to_owned(), |code| code.to_string());
    let said = String::from_utf8_lossy(&output.stderr);
    format!("exit code {code}\n{said}").replace(dir.to_str().unwrap(), "DIR")
}

/// How often each line stands in a file.
fn counted(file: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(file).unwrap_or_default().lines() {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    counts
}

async fn until_lines(file: &Path, count: usize) {
    limited(async {
        while counted(file).len() < count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_killed_again_and_again_finishes_the_run_and_runs_no_step_twice() {
    let dir = TempDir::new().unwrap();
    let (state, started) = (dir.path().join("state"), dir.path().join("started"));
    let steps: Vec<_> = (0..30)
        .map(|n| {
            let body = format!("echo s{n}/$WINDLASS_ATTEMPT >> {}; sleep 0.15", started.display());
            let depends_on = if n < 3 { Vec::new() } else { vec![format!("s{}", n - 3)] };
            v1::Step { depends_on, ..script(&format!("s{n}"), &body) }
        })
        .collect();
    let mut server = Server::start(&state).await;
    let run = submit(&server, pipeline("killed", steps)).await;
    for round in 1..=4 {
        until_lines(&started, round * 6).await;
        server.kill();
        server = Server::start(&state).await;
    }
    let ended = until_ended(&mut server.runs().await, &run).await;
    assert_eq!(ended.state(), RunState::Succeeded);
    let expected: BTreeMap<_, _> = (0..30).map(|n| (format!("s{n}/1"), 1)).collect();
    assert_eq!(counted(&started), expected);
    server.kill();
}

#[tokio::test]
async fn a_step_that_ends_while_no_server_is_there_counts_as_it_ended() {
    let dir = TempDir::new().unwrap();
    let (state, gate, ended) =
        (dir.path().join("state"), dir.path().join("gate"), dir.path().join("ended"));
    let wait = format!(
        "until [ -e {} ]; do sleep 0.02; done; echo '{{\"n\": 7}}' > \"$WINDLASS_OUTPUT\"; echo done > {}",
        gate.display(),
        ended.display()
    );
    let steps = vec![v1::Step { outputs: vec!["n".into()], ..script("wait", &wait) }];
    let server = Server::start(&state).await;
    let run = submit(&server, pipeline("alone", steps)).await;
    let mut runs = server.runs().await;
    limited(async {
        while step(&mut runs, &run).await.state() != StepState::Running {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.kill();
    fs::write(&gate, "").unwrap();
    until_lines(&ended, 1).await;
    let server = Server::start(&state).await;
    let mut runs = server.runs().await;
    assert_eq!(until_ended(&mut runs, &run).await.state(), RunState::Succeeded);
    let step = step(&mut runs, &run).await;
    assert_eq!(step.attempt, 1);
    let seven = prost_types::value::Kind::NumberValue(7.0);
    assert_eq!(step.outputs["n"].kind, Some(seven));
    server.kill();
}

async fn step(runs: &mut Runs, run: &str) -> v1::StepStatus {
    let request = v1::ListStepsRequest { run_id: run.to_owned(), ..Default::default() };
    runs.list_steps(request).await.unwrap().into_inner().steps.remove(0)
}

#[tokio::test]
async fn a_second_server_on_the_same_state_directory_says_who_holds_it_and_leaves_it_alone() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path()).await;
    let second = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
        .args(["dev", "--listen", "127.0.0.1:0", "--state-dir"])
        .arg(dir.path())
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    insta::assert_snapshot!(said(dir.path(), &second));
    let run = submit(&server, pipeline("goes-on", vec![script("a", ":")])).await;
    assert_eq!(until_ended(&mut server.runs().await, &run).await.state(), RunState::Succeeded);
    server.kill();
}

#[tokio::test]
async fn a_run_that_was_paused_or_had_ended_is_found_as_it_was() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path()).await;
    let ended = submit(&server, pipeline("ended", vec![script("fails", "exit 3")])).await;
    assert_eq!(until_ended(&mut server.runs().await, &ended).await.state(), RunState::Failed);
    let gate = dir.path().join("gate");
    let slow = format!("until [ -e {} ]; do sleep 0.02; done", gate.display());
    let next = v1::Step { depends_on: vec!["slow".into()], ..script("next", ":") };
    let paused = submit(&server, pipeline("paused", vec![script("slow", &slow), next])).await;
    let mut runs = server.runs().await;
    limited(async {
        while step(&mut runs, &paused).await.state() != StepState::Running {
            tokio::task::yield_now().await;
        }
    })
    .await;
    runs.pause_run(v1::PauseRunRequest { run_id: paused.clone() }).await.unwrap();
    server.kill();
    let server = Server::start(dir.path()).await;
    let mut runs = server.runs().await;
    let get = |run_id: &str| v1::GetRunRequest { run_id: run_id.to_owned() };
    let run = runs.get_run(get(&ended)).await.unwrap().into_inner().run.unwrap();
    assert_eq!((run.state(), run.reason()), (RunState::Failed, v1::Reason::StepFailed));
    let run = runs.get_run(get(&paused)).await.unwrap().into_inner().run.unwrap();
    assert_eq!(run.state(), RunState::Paused);
    fs::write(&gate, "").unwrap();
    runs.resume_run(v1::ResumeRunRequest { run_id: paused.clone() }).await.unwrap();
    assert_eq!(until_ended(&mut runs, &paused).await.state(), RunState::Succeeded);
    server.kill();
}

#[tokio::test]
async fn a_server_whose_state_directory_is_removed_ends_and_takes_nothing_more() {
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("state");
    let server = Server::start(&state).await;
    let mut runs = server.runs().await;
    let run = submit(&server, pipeline("before", vec![script("a", ":")])).await;
    until_ended(&mut runs, &run).await;
    fs::remove_dir_all(&state).unwrap();
    let output = server.child.wait_with_output().unwrap();
    insta::assert_snapshot!(said(dir.path(), &output));
    let request = v1::SubmitRunRequest {
        pipeline: Some(pipeline("after", vec![script("a", ":")])),
        ..Default::default()
    };
    assert!(runs.submit_run(request).await.is_err());
}

#[test]
fn an_empty_store_beside_the_attempts_of_runs_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let run = "run_0123456789abcdefghijklmnop";
    fs::create_dir_all(dir.path().join("attempts").join(run)).unwrap();
    fs::write(dir.path().join("state.db"), "").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
        .args(["dev", "--listen", "127.0.0.1:0", "--state-dir"])
        .arg(dir.path())
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    insta::assert_snapshot!(said(dir.path(), &output));
    assert_eq!(fs::metadata(dir.path().join("state.db")).unwrap().len(), 0);
}
