//! What people see when something is wrong: every refusal through the real command.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use tempfile::TempDir;
use windlass_proto::v1;

use crate::support::{World, limited, pipeline, reason, script};

/// Runs the command in a directory.
pub(crate) fn windlass(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).stdin(Stdio::null()).output().unwrap()
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"));
    command.args(args).current_dir(dir).env("NO_COLOR", "1").env_remove("WINDLASS_SERVER");
    command
}

/// The exit code and all that is said, with what differs from run to run replaced.
fn said(dir: &Path, output: &Output) -> String {
    let code = output.status.code().map_or("none".to_owned(), |code| code.to_string());
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    format!("exit code {code}\n{out}{err}").replace(dir.to_str().unwrap(), "DIR")
}

/// Runs `windlass validate` on a file of these bytes.
fn validate(pipeline: impl AsRef<[u8]>) -> String {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("pipeline.yaml"), pipeline).unwrap();
    said(dir.path(), &windlass(dir.path(), &["validate", "pipeline.yaml"]))
}

/// Runs `windlass run` on a file, with further arguments.
fn run(pipeline: &str, args: &[&str]) -> String {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("pipeline.yaml"), pipeline).unwrap();
    said(dir.path(), &windlass(dir.path(), &[&["run", "pipeline.yaml"], args].concat()))
}

#[test]
fn a_file_that_breaks_a_rule_is_refused_with_the_place_and_what_to_do() {
    let cases = [
        (
            "cycle",
            "name: p\nsteps:\n  a: {run: ':', depends_on: b}\n  b: {run: ':', depends_on: c}\n  c: {run: ':', depends_on: a}\n",
        ),
        (
            "unknown dependency",
            "name: p\nsteps:\n  load: {run: ':'}\n  train: {run: ':', depends_on: laod}\n",
        ),
        ("duplicate name", "name: p\nsteps:\n  a: {run: ':'}\n  a: {run: ':'}\n"),
        ("unlawful name", "name: p\nsteps:\n  Big Step: {run: ':'}\n"),
        (
            "undeclared output",
            "name: p\nsteps:\n  a: {run: ':', outputs: [rows]}\n  b: {command: [echo, '${{ steps.a.outputs.row }}']}\n",
        ),
        (
            "unknown parameter",
            "name: p\nparameters: {rate: 1}\nsteps:\n  a: {command: [echo, '${{ params.rat }}']}\n",
        ),
        (
            "reference in a script",
            "name: p\nparameters: {rate: 1}\nsteps:\n  a: {run: 'echo ${{ params.rate }}'}\n",
        ),
        ("empty pipeline", "name: p\nsteps: {}\n"),
        ("empty file", ""),
        ("negative time-out", "name: p\nsteps:\n  a: {run: ':', timeout: -5s}\n"),
        ("too many at once", "name: p\nmax_parallelism: 5000000000\nsteps:\n  a: {run: ':'}\n"),
        ("too few at once", "name: p\nmax_parallelism: -1\nsteps:\n  a: {run: ':'}\n"),
        ("unknown key", "name: p\nsteps:\n  a: {run: ':', retires: 3}\n"),
        ("two kinds of work", "name: p\nsteps:\n  a: {run: ':', command: [echo]}\n"),
        ("not YAML", "name: p\nsteps: [\n"),
    ];
    let told: Vec<String> =
        cases.iter().map(|(name, file)| format!("## {name}\n{}", validate(file))).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_file_that_would_exhaust_memory_is_refused_at_once() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{aliases}]\n");
    }
    let deep = format!("name: p\nsteps: {}", "[".repeat(100_000));
    let large = format!("name: p\ndescription: {}\n", "x".repeat(33 << 20));
    let told = [("bomb", bomb), ("deep", deep), ("large", large)]
        .map(|(name, file)| format!("## {name}\n{}", validate(file)));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_file_that_is_not_text_or_not_there_is_refused() {
    let invalid = validate(b"name: p\nsteps:\n  a: {run: '\xff\xfe'}\n");
    let dir = TempDir::new().unwrap();
    let missing = said(dir.path(), &windlass(dir.path(), &["run", "nowhere.yaml"]));
    let directory = said(dir.path(), &windlass(dir.path(), &["run", "."]));
    insta::assert_snapshot!(format!(
        "## invalid UTF-8\n{invalid}\n## missing\n{missing}\n## directory\n{directory}"
    ));
}

#[test]
fn arguments_that_do_not_fit_the_parameters_are_refused() {
    let pipeline =
        "name: p\nparameters:\n  rate: 0.1\n  folds: {type: integer}\nsteps:\n  a: {run: ':'}\n";
    let told = [
        ("missing", run(pipeline, &[])),
        ("wrong type", run(pipeline, &["-p", "folds=many"])),
        ("unknown", run(pipeline, &["-p", "folds=3", "-p", "rat=1"])),
        ("no value", run(pipeline, &["-p", "folds"])),
        ("two values", run(pipeline, &["-p", "folds=3", "-p", "folds=4"])),
        ("two labels", run(pipeline, &["-p", "folds=3", "--label", "a=1", "--label", "a=2"])),
    ]
    .map(|(name, told)| format!("## {name}\n{told}"));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn an_object_that_has_a_name_twice_is_refused() {
    let pipeline = "name: p\nparameters:\n  o: {type: object}\nsteps:\n  a: {run: ':'}\n";
    let told = run(pipeline, &["-p", r#"o={"a": 1, "a": 2}"#]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_file_that_never_ends_is_refused() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("pipeline.yaml"), "name: p\nsteps:\n  a: {run: ':'}\n").unwrap();
    let params = ["run", "pipeline.yaml", "--params-file", "/dev/zero"];
    let stdin = command(dir.path(), &["validate", "-"])
        .stdin(File::open("/dev/zero").unwrap())
        .output()
        .unwrap();
    insta::assert_snapshot!(format!(
        "## file\n{}\n## parameters\n{}\n## standard input\n{}\n## certificates\n{}",
        said(dir.path(), &windlass(dir.path(), &["validate", "/dev/zero"])),
        said(dir.path(), &windlass(dir.path(), &params)),
        said(dir.path(), &stdin),
        said(dir.path(), &windlass(dir.path(), &["list", "--tls-ca", "/dev/zero"]))
    ));
}

#[test]
fn a_pipe_is_read_as_a_file_is() {
    let dir = TempDir::new().unwrap();
    let pipe = dir.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    thread::spawn(move || fs::write(pipe, "name: p\nsteps:\n  a: {run: ':'}\n"));
    let output = windlass(dir.path(), &["validate", "pipe"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(dir.path(), &output));
}

#[test]
fn a_command_that_does_not_exist_fails_its_step_and_says_so() {
    let told = run("name: p\nsteps:\n  a: {command: [no-such-program]}\n", &[]);
    assert!(told.starts_with("exit code 1\n"), "{told}");
    assert!(told.contains("no-such-program"), "{told}");
}

#[test]
fn a_server_that_is_not_there_is_named_with_what_to_do() {
    let dir = TempDir::new().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = format!("http://127.0.0.1:{port}");
    let output = windlass(dir.path(), &["list", "--server", &server]);
    insta::assert_snapshot!(said(dir.path(), &output).replace(&port.to_string(), "PORT"));
}

#[test]
fn a_connection_that_cannot_be_secured_is_told_with_what_to_do() {
    let dir = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // It speaks HTTP, and no TLS.
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Until the client goes, whose words are in the way of a clean end.
        io::copy(&mut client, &mut io::sink()).ok();
    });
    let url = format!("https://127.0.0.1:{port}");
    let list = |args: &[&str]| {
        let args: Vec<_> = ["list", "--server", &url].iter().chain(args).copied().collect();
        said(dir.path(), &windlass(dir.path(), &args)).replace(&port.to_string(), "PORT")
    };
    let told = [
        ("a file that is not there", list(&["--tls-ca", "no-such-file"])),
        ("a certificate without a key", list(&["--tls-cert", "client.pem"])),
        ("a server without TLS", list(&[])),
    ]
    .map(|(name, told)| format!("## {name}\n{told}"));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let dir = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let output = windlass(dir.path(), &["dev", "--listen", &listen, "--state-dir", "state"]);
    insta::assert_snapshot!(said(dir.path(), &output).replace(&listen, "ADDRESS"));
}

#[test]
fn a_damaged_store_is_named_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    let garbage = b"this is no store".repeat(1000);
    fs::write(state.join("state.db"), &garbage).unwrap();
    let output = windlass(dir.path(), &["dev", "--listen", "127.0.0.1:0", "--state-dir", "state"]);
    assert_eq!(fs::read(state.join("state.db")).unwrap(), garbage);
    insta::assert_snapshot!(said(dir.path(), &output));
}

#[test]
fn a_state_directory_that_cannot_be_used_is_named_with_what_to_do() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    fs::create_dir_all(dir.path().join("odd/state.db")).unwrap();
    fs::create_dir_all(dir.path().join("blocked")).unwrap();
    fs::write(dir.path().join("blocked/attempts"), "").unwrap();
    let told = ["file", "odd", "blocked"].map(|state| {
        let args = ["dev", "--listen", "127.0.0.1:0", "--state-dir", state];
        format!("## {state}\n{}", said(dir.path(), &windlass(dir.path(), &args)))
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn a_log_that_its_step_has_cut_off_is_refused_with_what_may_have_done_it() {
    let world = World::processes().await;
    // What is written later lies behind a hole.
    let cut = "echo one; : > \"$(dirname \"$WINDLASS_OUTPUT\")/log\"; echo two";
    let run_id = world.submit(pipeline("cuts", vec![script("a", cut)])).await;
    assert_eq!(world.until_ended(&run_id).await.state(), v1::RunState::Succeeded);
    let request = v1::StreamLogsRequest { run_id, ..Default::default() };
    let mut lines = world.logs().stream_logs(request).await.unwrap().into_inner();
    let refused = limited(lines.message()).await.unwrap_err();
    assert_eq!(reason(&refused), "DAMAGED");
    assert!(refused.message().contains("a step has written to it"), "{}", refused.message());
}

/// What a method of `RunService` answers to a message of another type than its own.
async fn answered<T: prost::Message + 'static>(
    world: &World,
    method: &str,
    message: T,
) -> tonic::Status {
    let mut service = tonic::client::Grpc::new(world.channel());
    service.ready().await.unwrap();
    let path = format!("/windlass.v1.RunService/{method}").parse().unwrap();
    let codec = tonic_prost::ProstCodec::<T, v1::SubmitRunResponse>::default();
    service.unary(tonic::Request::new(message), path, codec).await.unwrap_err()
}

/// docs/errors.md promises these codes, and that nothing else is refused without a reason.
#[tokio::test]
async fn what_the_transport_refuses_before_a_service_sees_it_has_a_code_and_no_reason() {
    let world = World::simulated().await;
    let huge = v1::SubmitRunRequest { request_id: "x".repeat(16 << 20), ..Default::default() };
    let told = [
        ("too large", answered(&world, "SubmitRun", huge).await),
        ("no such method", answered(&world, "SubmitAll", v1::SubmitRunRequest::default()).await),
    ]
    .map(|(name, status)| {
        assert_eq!(reason(&status), "", "{name}");
        // Where it went wrong comes before what did.
        let what = status.message().rsplit(": ").next().unwrap_or_default().to_owned();
        format!("{name}: {:?} ({what})", status.code())
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn a_message_that_cannot_be_a_request_is_refused_with_a_reason_before_it_is_decoded() {
    let world = World::simulated().await;
    // Its first field is a number, where that of the request is a text.
    let not_a_request = prost_types::Duration { seconds: 1, nanos: 0 };
    let mut deep = prost_types::Value::default();
    for _ in 0..90 {
        let list = prost_types::ListValue { values: vec![deep] };
        deep = prost_types::Value { kind: Some(prost_types::value::Kind::ListValue(list)) };
    }
    let arguments = [("x".to_owned(), deep)].into();
    let deep = v1::SubmitRunRequest { arguments, ..Default::default() };
    let hollow = pipeline("hollow", vec![v1::Step::default(); 10_001]);
    let hollow = v1::SubmitRunRequest { pipeline: Some(hollow), ..Default::default() };
    let wordy = v1::GetRunRequest { run_id: "x".repeat(64 << 10) };
    let told = [
        ("not a request", answered(&world, "SubmitRun", not_a_request).await),
        ("not any request", answered(&world, "CancelRun", not_a_request).await),
        ("too deep", answered(&world, "SubmitRun", deep).await),
        ("hollow", answered(&world, "SubmitRun", hollow).await),
        ("wordy", answered(&world, "GetRun", wordy).await),
    ]
    .map(|(name, status)| {
        format!("{name}: {:?} {}: {}", status.code(), reason(&status), status.message())
    });
    insta::assert_snapshot!(told.join("\n"));
}
