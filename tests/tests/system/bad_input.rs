//! What people see when something is wrong: every refusal through the real command.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

fn windlass(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
        .args(args)
        .current_dir(dir)
        .env("NO_COLOR", "1")
        .env_remove("WINDLASS_SERVER")
        .stdin(Stdio::null())
        .output()
        .unwrap()
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
    ]
    .map(|(name, told)| format!("## {name}\n{told}"));
    insta::assert_snapshot!(told.join("\n"));
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
