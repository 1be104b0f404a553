//! Every example, run as the README says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn run(example: &str, parameters: &[&str]) -> Output {
    let file = examples().join(example).join("pipeline.yaml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"));
    command.arg("run").arg(file);
    for parameter in parameters {
        command.args(["-p", parameter]);
    }
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn hello_says_hello_to_whom_it_is_told() {
    let output = run("hello", &["name=Ada"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("Hello, Ada!"), "{}", text(&output));
}

#[test]
fn failing_fails_names_what_failed_and_cleans_up() {
    let output = run("failing", &[]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for expected in [
        "attempt 3: connected",
        "row 3 has 2 columns instead of 4",
        "import",
        "publish",
        "disconnected",
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
}

#[test]
fn penguins_finds_the_best_model_and_writes_its_report() {
    let out = tempfile::tempdir().unwrap();
    let output = run("penguins", &[&format!("out={}", out.path().display())]);
    assert!(output.status.success(), "{}", text(&output));
    let report = fs::read_to_string(out.path().join("report.md")).unwrap();
    insta::assert_snapshot!(report);
}

/// An example that no test names is not an example.
#[test]
fn every_example_is_run_by_a_test() {
    let mut names: Vec<_> = fs::read_dir(examples())
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().join("pipeline.yaml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["failing", "hello", "penguins"]);
}
