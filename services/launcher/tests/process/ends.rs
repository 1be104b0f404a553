//! How attempts end by themselves.

use std::{fs, os::unix::fs::PermissionsExt};

use nix::sys::signal::Signal;
use windlass_engine::{
    event::{AttemptPhase, AttemptReport},
    reason::{Failure, FailureReason},
};
use windlass_launcher::runtime::AttemptSpec;
use windlass_proto::v1;

use crate::host::{Host, command, is_alive, key, script};

fn failure(report: AttemptReport) -> Failure {
    match report.phase {
        AttemptPhase::Failed(failure) => failure,
        other => panic!("it did not fail: {other:?}"),
    }
}

#[tokio::test]
async fn a_step_that_succeeds_has_its_outputs_and_all_its_times() {
    let mut host = Host::new();
    let mut spec =
        script(4, "printf '{\"rows\": 12345678901234567890123}\\n' > \"$WINDLASS_OUTPUT\"");
    spec.outputs = vec!["rows".to_owned()];
    let report = host.run(spec).await;
    let outputs = "{\"rows\": 12345678901234567890123}";
    assert_eq!(report.phase, AttemptPhase::Succeeded(Some(outputs.into())));
    let (created, started, ended) =
        (report.created_at.unwrap(), report.started_at.unwrap(), report.ended_at.unwrap());
    assert!(created <= started && started <= ended, "{report:?}");
}

#[tokio::test]
async fn a_step_finds_its_environment_and_nothing_of_its_supervisor() {
    let mut host = Host::new();
    let mut spec = script(
        4,
        "echo $WINDLASS_RUN_ID $WINDLASS_STEP $WINDLASS_ATTEMPT $OWN > \"$WINDLASS_RUN_DIR/env\"
         pwd > \"$WINDLASS_RUN_DIR/pwd\"
         for fd in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && printf '%s ' $fd; done > \"$WINDLASS_RUN_DIR/fds\"
         grep -E 'SigBlk|SigIgn' /proc/self/status | cut -f 2 > \"$WINDLASS_RUN_DIR/signals\"
         wc -c > \"$WINDLASS_RUN_DIR/stdin\"",
    );
    spec.env.insert("OWN".to_owned(), "own".to_owned());
    spec.working_dir = Some("/usr".into());
    assert_eq!(host.run(spec).await.phase, AttemptPhase::Succeeded(None));
    let written = |name: &str| fs::read_to_string(host.run_dir().join(name)).unwrap();
    assert_eq!(written("env"), "run_0123456789abcdefghijklmnop step-4 1 own\n");
    assert_eq!(written("pwd"), "/usr\n");
    assert_eq!(written("stdin").trim(), "0");
    // Above all not the lock, which would make a dead attempt look alive.
    assert!(["0 1 2 ", "0 1 2 3 "].contains(&&*written("fds")), "{}", written("fds"));
    let masks: Vec<u64> =
        written("signals").lines().map(|mask| u64::from_str_radix(mask, 16).unwrap()).collect();
    let ignored_pipe = masks[1] & 1 << (Signal::SIGPIPE as u64 - 1);
    assert_eq!((masks[0], ignored_pipe), (0, 0));
}

#[tokio::test]
async fn a_program_that_ends_badly_is_told_with_its_exit_code_or_signal() {
    let mut host = Host::new();
    let exit = failure(host.run(script(1, "exit 3")).await);
    assert_eq!(
        (exit.reason, exit.exit_code, exit.signal),
        (FailureReason::ExitCode, Some(3), None)
    );
    let signal = failure(host.run(script(2, "kill -USR1 $$")).await);
    let expected = (FailureReason::Signal, None, Some(10));
    assert_eq!((signal.reason, signal.exit_code, signal.signal), expected);
    assert_eq!(signal.message, "the program was ended by SIGUSR1; its log may say why");
    // Nobody here sent it, and the kernel did not run out of memory.
    let killed = failure(host.run(script(3, "kill -KILL $$")).await);
    assert_eq!((killed.reason, killed.signal), (FailureReason::Signal, Some(9)));
}

#[tokio::test]
async fn a_program_that_cannot_start_is_told_with_what_to_do() {
    let mut host = Host::new();
    let file = |name: &str, mode: u32, text: &str| {
        let dir = host.run_dir();
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (plain, orphan) = (file("plain", 0o600, ""), file("orphan", 0o700, "#!/no/shell\n"));
    let empty = file("empty", 0o700, "neither script nor program\n");
    let mut elsewhere = script(5, "true");
    elsewhere.working_dir = Some("/no/directory".into());
    let own_program = AttemptSpec { image: Some("python".to_owned()), ..command(9, &[]) };
    let secret = v1::SecretKey { name: "db".into(), key: "password".into(), optional: true };
    let secretive =
        AttemptSpec { secrets: [("PASSWORD".to_owned(), secret)].into(), ..command(10, &["true"]) };
    for (spec, hint) in [
        (command(1, &["no-such-program"]), "is in no directory of PATH"),
        (command(2, &["/no/such/program"]), "correct the path"),
        (command(3, &[&plain]), "chmod +x"),
        (command(4, &[&orphan]), "the interpreter that its first line names"),
        (elsewhere, "the working directory /no/directory does not exist"),
        (command(6, &[&empty]), "#!/bin/sh"),
        (command(7, &["a\0b"]), "correct the step's command"),
        (command(8, &[]), "name a program"),
        (own_program, "give it a `command`"),
        (secretive, "the variable `PASSWORD` is `password` of the secret `db`"),
    ] {
        let report = host.run(spec).await;
        assert_eq!(report.started_at, None);
        let failure = failure(report);
        assert_eq!(failure.reason, FailureReason::CannotStart, "{}", failure.message);
        assert!(failure.message.contains(hint), "{}", failure.message);
    }
}

#[tokio::test]
async fn outputs_that_are_not_as_declared_fail_the_step() {
    let mut host = Host::new();
    let cases = [
        ("echo not json > \"$WINDLASS_OUTPUT\"", "not a JSON object"),
        ("echo '[1]' > \"$WINDLASS_OUTPUT\"", "not a JSON object"),
        ("echo '{\"b\": 1}' > \"$WINDLASS_OUTPUT\"", "did not write: a;"),
        ("true", "did not write: a;"),
        ("head -c 70000 /dev/zero > \"$WINDLASS_OUTPUT\"", "more than 65536 bytes"),
        ("mkfifo \"$WINDLASS_OUTPUT\"", "write a plain file"),
        (
            "printf '{\"a\": \"\\377\"}' > \"$WINDLASS_OUTPUT\"",
            "not UTF-8 text, as JSON must be: byte 8",
        ),
    ];
    for (step, (text, hint)) in (0..).zip(cases) {
        let mut spec = script(step, text);
        spec.outputs = vec!["a".to_owned()];
        let failure = failure(host.run(spec).await);
        assert_eq!(failure.reason, FailureReason::OutputInvalid, "{}", failure.message);
        assert!(failure.message.contains(hint), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_step_over_its_memory_limit_is_ended_and_told_so() {
    let mut host = Host::new();
    // What `tail` is given has no line feed, so that it keeps all of it.
    let mut spec = script(1, "head -c 1000000000 /dev/zero | tail; true");
    spec.memory_bytes = Some(64 * 1024 * 1024);
    let failure = failure(host.run(spec).await);
    assert_eq!((failure.reason, failure.signal), (FailureReason::OutOfMemory, Some(9)));
    assert!(failure.message.contains("may use 64.0 MiB"), "{}", failure.message);
    let mut spec = script(2, "true");
    spec.memory_bytes = Some(64 * 1024 * 1024);
    assert_eq!(host.run(spec).await.phase, AttemptPhase::Succeeded(None));
}

#[tokio::test]
async fn what_a_step_leaves_behind_ends_with_it() {
    let mut host = Host::new();
    let report = host
        .run(script(
            1,
            "sleep 600 & echo $! > \"$WINDLASS_RUN_DIR/child\"
             setsid sh -c 'echo $$ > \"$WINDLASS_RUN_DIR/daemon\"; trap \"\" TERM HUP; sleep 600; sleep 600' &
             until [ -s \"$WINDLASS_RUN_DIR/daemon\" ]; do sleep 0.01; done",
        ))
        .await;
    assert_eq!(report.phase, AttemptPhase::Succeeded(None));
    for name in ["child", "daemon"] {
        let pid = host.written(name).await.trim().parse().unwrap();
        assert!(!is_alive(pid), "{name} is alive");
    }
}

#[tokio::test]
async fn an_outcome_that_cannot_be_written_is_reported_as_lost_and_why() {
    let mut host = Host::new();
    let blocked =
        "new=\"$(dirname \"$WINDLASS_OUTPUT\")/.outcome.json.new\"; rm \"$new\"; mkdir \"$new\"";
    let gone = "rm -r \"$(dirname \"$WINDLASS_OUTPUT\")\"";
    for (step, script_text, why) in
        [(1, blocked, "Is a directory"), (2, gone, "it was removed while it was in use")]
    {
        let failure = failure(host.run(script(step, script_text)).await);
        assert_eq!(failure.reason, FailureReason::Lost);
        let message = failure.message;
        assert!(message.contains("could not write down how it ended"), "{message}");
        assert!(message.contains(why) && !message.contains("full"), "{message}");
    }
}

#[tokio::test]
async fn room_for_the_largest_outcome_is_taken_before_the_program_starts_and_given_back() {
    use std::os::unix::fs::MetadataExt as _;
    let mut host = Host::new();
    // Its quotes are doubled where the outcome is written as JSON.
    let quotes = "printf '[%s\"\"]' \"$(yes '\"\",' | head -n 21000 | tr -d '\\n')\" > list
         printf '{\"a\": %s}' \"$(cat list)\" > \"$WINDLASS_OUTPUT\"";
    let script_text = format!("{} cd \"$WINDLASS_RUN_DIR\"; {quotes}", crate::host::WAIT);
    host.start(script(1, &script_text)).await;
    host.running(key(1)).await;
    let dir = host.attempt_dir(key(1));
    let reserved = fs::metadata(dir.join(".outcome.json.new")).unwrap().blocks() * 512;
    host.release();
    let end = host.end_of(key(1)).await;
    let AttemptPhase::Succeeded(Some(outputs)) = end.phase else { panic!("{end:?}") };
    assert!((60_000..=65_536).contains(&outputs.len()), "{}", outputs.len());
    let outcome = fs::metadata(dir.join("outcome.json")).unwrap();
    assert!(outcome.len() > 100_000 && outcome.len() < reserved, "{} of {reserved}", outcome.len());
    assert!(!dir.join(".outcome.json.new").exists());
    let small = host.run(script(2, "true")).await;
    assert_eq!(small.phase, AttemptPhase::Succeeded(None));
    assert!(fs::metadata(host.attempt_dir(key(2)).join("outcome.json")).unwrap().len() < 1000);
}

#[tokio::test]
async fn a_run_that_is_removed_leaves_nothing_and_is_not_removed_while_it_runs() {
    use windlass_launcher::runtime::Runtime as _;
    let mut host = Host::new();
    host.start(script(1, crate::host::WAIT)).await;
    host.running(key(1)).await;
    host.runtime().remove(key(1).run).await;
    assert!(host.attempt_dir(key(1)).exists());
    host.release();
    assert_eq!(host.end_of(key(1)).await.phase, AttemptPhase::Succeeded(None));
    host.runtime().remove(key(1).run).await;
    assert!(!host.run_dir().exists());
    assert!(!host.runtime().probe(key(1)).await);
}
