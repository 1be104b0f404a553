//! What the command tells people of an installation that is not as it should be.

use std::{fs, process::Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    time::timeout,
};
use windlass_proto::v1::RunState;

use crate::{
    crew::Crew,
    deployment::{Deployment, Kind, PATIENCE, Program, until_ended},
};

/// The command, as a client of these two.
fn windlass(submitter: &Program, streamer: Option<&Program>, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"));
    for variable in ["SERVER", "LOG_SERVER", "TLS_CA", "TLS_CERT", "TLS_KEY"] {
        command.env_remove(format!("WINDLASS_{variable}"));
    }
    command.env("WINDLASS_SERVER", url(submitter)).env("NO_COLOR", "1").args(args);
    if let Some(streamer) = streamer {
        command.env("WINDLASS_LOG_SERVER", url(streamer));
    }
    command.kill_on_drop(true);
    command
}

/// Where a program answers clients.
fn url(program: &Program) -> String {
    let log = program.log();
    let address = log.lines().find_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let fields = &line["fields"];
        let is_of_clients = fields["message"].as_str()?.starts_with("clients");
        is_of_clients.then(|| fields["address"].as_str().map(ToOwned::to_owned))?
    });
    format!("http://{}", address.expect("it is ready"))
}

/// Runs the command to its end: exit code, standard output, standard error.
async fn told(mut command: Command) -> (i32, String, String) {
    let output = timeout(PATIENCE, command.output()).await.expect("it ends").expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

fn write_pipeline(deployment: &Deployment, script: &str) -> String {
    let file = deployment.file("pipeline.yaml");
    fs::write(&file, format!("name: p\nsteps:\n  a: {{run: '{script}'}}\n")).expect("written");
    file.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_that_waits_for_the_store_says_so_and_starts_its_run_once_it_is_back() {
    let deployment = Deployment::start().await;
    let crew = Crew::start(&deployment).await;
    let file = write_pipeline(&deployment, ":");
    deployment.redis.kill();
    crew.submitter.until_unready().await;
    let mut submit = windlass(&crew.submitter, None, &["submit", "--base-dir", "/", &file])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut said = BufReader::new(submit.stderr.take().expect("it is piped")).lines();
    let line = timeout(PATIENCE, said.next_line()).await.expect("soon").expect("read");
    let line = line.expect("it says something before it ends");
    assert!(line.starts_with("the server is not ready: the store "), "{line}");
    assert!(line.ends_with("; trying again for up to 60 s"), "{line}");
    deployment.redis.start_again().await;
    let output = timeout(PATIENCE, submit.wait_with_output()).await.expect("it ends");
    let run_id = String::from_utf8(output.expect("it ends").stdout).expect("text");
    let run = until_ended(&crew.submitter, run_id.trim()).await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    let next = said.next_line().await.expect("read").unwrap_or_default();
    assert!(next.starts_with("follow it with"), "it was told once: {next}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_the_streamer_cannot_find_are_told_with_host_and_directory_after_those_it_can() {
    let deployment = Deployment::start().await;
    let (submitter, _scheduler, streamer) = tokio::join!(
        deployment.program(Kind::Submitter),
        deployment.program(Kind::Scheduler),
        deployment.program(Kind::Streamer),
    );
    let unseen = format!("launcher.directory={}", deployment.file("unseen").display());
    let south =
        deployment.program_with(Kind::Launcher, &["launcher.host=south", &unseen], &[]).await;
    let script = "echo this is $WINDLASS_ATTEMPT; test $WINDLASS_ATTEMPT = 2";
    let file = write_pipeline(&deployment, script);
    let client = |args: &[&str]| windlass(&submitter, Some(&streamer), args);
    let (_, run_id, _) = told(client(&["submit", "--base-dir", "/", &file])).await;
    let run_id = run_id.trim();
    assert_eq!(until_ended(&submitter, run_id).await.state(), RunState::Failed);

    let attempts = deployment.file("attempts");
    for args in [
        &["logs", run_id][..],
        &["logs", run_id, "a"],
        &["logs", "--follow", run_id],
        &["logs", "--download", run_id],
    ] {
        let (code, lines, said) = told(client(args)).await;
        assert_eq!((code, lines.as_str()), (5, ""), "{args:?}: {said}");
        let wanted = format!(
            "error: the log of step `a`, attempt 1, is not where the streamer looks: it was written on host `south`, and there \
             is no directory {} where the streamer runs; ",
            attempts.display()
        );
        assert!(said.starts_with(&wanted), "{args:?}: {said}");
    }

    assert_eq!(south.end().await, Some(0));
    let _north = deployment.launcher("north", 1).await;
    told(client(&["retry", run_id])).await;
    assert_eq!(until_ended(&submitter, run_id).await.state(), RunState::Succeeded);
    let (code, lines, said) = told(client(&["logs", run_id])).await;
    assert_eq!((code, lines.as_str()), (5, "a/2 | this is 2\n"), "{said}");
    let south = attempts.join("south").display().to_string();
    assert!(said.contains("attempt 1") && said.contains(&south), "{said}");
    let (code, lines, said) = told(client(&["logs", run_id, "a", "--attempt", "2"])).await;
    assert_eq!((code, lines.as_str(), said.as_str()), (0, "this is 2\n", ""));

    // Where the directory comes to be there, nothing is left to say.
    fs::rename(deployment.file("unseen").join("south"), attempts.join("south")).expect("moved");
    let (code, lines, said) = told(client(&["logs", run_id, "a"])).await;
    assert_eq!((code, lines.as_str()), (0, "this is 1\nthis is 2\n"), "{said}");
    assert_eq!(said, "attempt 2:\n");
}
