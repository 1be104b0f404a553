//! A program from its start to its end, as a process.

use crate::process::{Process, command, get};

#[test]
fn a_signal_ends_readiness_first_then_the_service_and_the_code_is_0() {
    // As long as it is told to: the delay ends with the service, which ends with its input.
    let mut process = Process::start("end with the input", &["shutdown.delay=1h"]);
    let line = process.line("operators are answered");
    let address = line.trim().rsplit_once("address=").unwrap().1.to_owned();
    process.line("begun");
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 200"), "ready");
    assert!(!line.contains('\u{1b}'), "no colours where there is no terminal: {line:?}");

    process.signal();
    process.line("ending");
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 503"), "no longer ready");
    assert!(get(&address, "/livez").starts_with("HTTP/1.1 200"), "it still runs");
    drop(process.child.stdin.take());
    let (code, log) = process.end();
    assert_eq!(code, 0, "{log}");
}

#[test]
fn the_service_is_told_to_end_after_the_delay() {
    let mut process = Process::start("end as asked", &["shutdown.delay=1ms"]);
    process.line("begun");
    process.signal();
    process.line("told to end");
    assert_eq!(process.end().0, 0);
}

#[test]
fn what_has_not_ended_within_the_limit_is_left_with_code_1() {
    let mut process = Process::start("hang", &["shutdown.limit=10ms"]);
    process.line("begun");
    process.signal();
    let (code, log) = process.end();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("shutdown.limit"), "{log}");
}

#[test]
fn a_second_signal_leaves_at_once_with_code_130() {
    let mut process = Process::start("hang", &["shutdown.limit=1h"]);
    process.line("begun");
    process.signal();
    process.line("ending");
    process.signal();
    let (code, log) = process.end();
    assert_eq!(code, 130, "{log}");
}

#[test]
fn a_service_that_fails_panics_or_ends_by_itself_ends_the_program_with_code_1() {
    for (behaviour, said) in [
        ("fail", "failed: the bus cannot be reached: connection refused"),
        ("panic", "panicked: a defect"),
        ("panic in a task", "panicked: a defect"),
        ("block a thread", "failed: left a thread behind"),
        ("end", "ended without being asked to"),
    ] {
        let (code, log) = Process::start(behaviour, &[]).end();
        assert_eq!(code, 1, "{behaviour}: {log}");
        assert!(log.contains(said), "{behaviour}: {log}");
    }
}

#[test]
fn a_taken_port_for_operators_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let set = format!("submitter.admin_listen={}", taken.local_addr().unwrap());
    let (code, log) = Process::start("hang", &[&set]).end();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("admin_listen"), "{log}");
}

#[test]
fn a_wrong_configuration_ends_with_code_2_before_anything_starts() {
    let output = command()
        .args(["--set", "bus.urll=x", "--set", "bus.replicas=7", "--check-config"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("`bus.url`?") && said.contains("from 1 to 5"), "{said}");
    assert!(output.stdout.is_empty());
    assert_eq!(command().arg("--sett").output().unwrap().status.code(), Some(2));
}

#[test]
fn a_right_configuration_is_shown_with_where_it_comes_from() {
    let output = command()
        .env("WINDLASS_BUS__TOKEN", "hunter2")
        .args(["--check-config", "--log-format", "json", "--set", "bus.replicas=3"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("replicas = 3 # from --set\n"), "{shown}");
    assert!(shown.contains("format = \"json\" # from --log-format\n"), "{shown}");
    assert!(
        shown.contains("token = \"(set)\" # from the variable WINDLASS_BUS__TOKEN\n"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(output.stderr.is_empty());
}

#[test]
fn help_and_version_are_those_of_the_program() {
    let output = command().arg("--help").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
    let output = command().arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "windlass-submitter 1.2.3\n");
}
