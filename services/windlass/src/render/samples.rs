//! Runs to render, for tests.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use prost_types::{Duration, Timestamp as Moment};
use windlass_client::v1::{
    Attempt, AttemptState, ExplainRunResponse, Limit, LimitHolder, LimitRate, LogLine, LogStream,
    Obstacle, ObstacleKind, PodWait, Reason, Run, RunState, StepCounts, StepExplanation, StepState,
    StepStatus, Wait, wait::Cause,
};
use windlass_cluster::{
    AttemptPod, Done, Finding, Item, Outcome, RIGHTS, Report, ServiceAccountRef, Verdict,
};
use windlass_pipeline::{
    file::{self, FileOptions},
    plan::Plan,
};
use windlass_proto::json;

use super::Theme;
use crate::orphans::Orphans;

pub(crate) fn theme() -> Theme {
    Theme { colour: false, width: 100, height: 40, zone: TimeZone::UTC }
}

/// So many seconds after the runs' start.
pub(crate) fn at(seconds: i64) -> Moment {
    Moment { seconds: 1_769_860_800 + seconds, nanos: 250_000_000 }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_769_860_800 + 90).unwrap()
}

pub(crate) fn step(name: &str, state: StepState) -> StepStatus {
    StepStatus { name: name.to_owned(), state: state.into(), attempt: 1, ..StepStatus::default() }
}

fn run(digit: char, state: RunState) -> Run {
    Run {
        run_id: format!("run_{}", digit.to_string().repeat(26)),
        namespace: "default".to_owned(),
        pipeline: "nightly".to_owned(),
        labels: BTreeMap::from([
            ("team".to_owned(), "data".to_owned()),
            ("env".to_owned(), "test".to_owned()),
        ]),
        arguments: BTreeMap::from([(
            "day".to_owned(),
            json::to_value(&serde_json::json!("2026-01-31")),
        )]),
        state: state.into(),
        create_time: Some(at(0)),
        start_time: Some(at(1)),
        version: 7,
        ..Run::default()
    }
}

pub(crate) fn running_run() -> Run {
    let step_counts = StepCounts {
        total: 1200,
        waiting: 400,
        running: 12,
        succeeded: 785,
        failed: 3,
        ..StepCounts::default()
    };
    Run { step_counts: Some(step_counts), ..run('a', RunState::Running) }
}

pub(crate) fn failed_run() -> Run {
    let step_counts =
        StepCounts { total: 5, succeeded: 2, failed: 1, skipped: 2, ..StepCounts::default() };
    Run {
        reason: Reason::StepFailed.into(),
        message: "step `transform` failed".to_owned(),
        end_time: Some(at(63)),
        step_counts: Some(step_counts),
        ..run('b', RunState::Failed)
    }
}

pub(crate) fn cancelled_run() -> Run {
    let step_counts =
        StepCounts { total: 3, succeeded: 1, skipped: 1, cancelled: 1, ..StepCounts::default() };
    Run {
        reason: Reason::RunCancelled.into(),
        message: "the run was cancelled".to_owned(),
        end_time: Some(at(4)),
        step_counts: Some(step_counts),
        ..run('c', RunState::Cancelled)
    }
}

pub(crate) fn succeeded_run() -> Run {
    let step_counts =
        StepCounts { total: 1_000_000, succeeded: 1_000_000, ..StepCounts::default() };
    Run {
        end_time: Some(at(4000)),
        step_counts: Some(step_counts),
        ..run('d', RunState::Succeeded)
    }
}

pub(crate) fn steps_of_failed_run() -> Vec<StepStatus> {
    let mut load = step("load", StepState::Succeeded);
    (load.start_time, load.end_time) = (Some(at(1)), Some(at(3)));
    load.outputs = BTreeMap::from([("rows".to_owned(), json::to_value(&serde_json::json!(12)))]);
    let mut transform = step("transform", StepState::Failed);
    (transform.attempt, transform.failures) = (3, 3);
    (transform.retry_limit, transform.system_retry_limit) = (2, 3);
    (transform.start_time, transform.end_time) = (Some(at(20)), Some(at(62)));
    transform.reason = Reason::ExitCode.into();
    transform.message = "exited with code 1".to_owned();
    let mut clean = step("clean", StepState::Succeeded);
    (clean.start_time, clean.end_time) = (Some(at(62)), Some(at(63)));
    let skipped = ["publish", "report"].map(|name| StepStatus {
        attempt: 0,
        reason: Reason::UpstreamFailed.into(),
        message: "skipped because step `transform` failed".to_owned(),
        cause: "transform".to_owned(),
        ..step(name, StepState::Skipped)
    });
    let mut steps = vec![load, transform];
    steps.extend(skipped);
    steps.push(clean);
    for (index, step) in (0..).zip(&mut steps) {
        step.index = index;
    }
    steps
}

pub(crate) fn attempts() -> Vec<Attempt> {
    let attempt = |number, state: AttemptState| Attempt {
        number,
        state: state.into(),
        start_time: Some(at(10 * i64::from(number))),
        ..Attempt::default()
    };
    vec![
        Attempt {
            reason: Reason::ExitCode.into(),
            message: "exited with code 1".to_owned(),
            end_time: Some(at(12)),
            exit_code: Some(1),
            duration: Some(Duration { seconds: 2, nanos: 0 }),
            ..attempt(1, AttemptState::Failed)
        },
        Attempt {
            reason: Reason::Signal.into(),
            message: "ended by signal 9".to_owned(),
            end_time: Some(at(24)),
            signal: Some(9),
            ..attempt(2, AttemptState::Failed)
        },
        attempt(3, AttemptState::Running),
    ]
}

/// The same on hosts, but for the last, which has no host yet.
pub(crate) fn attempts_on_hosts() -> Vec<Attempt> {
    let mut attempts = attempts();
    for (attempt, host) in attempts.iter_mut().zip(["north", "south.example"]) {
        attempt.host = host.to_owned();
    }
    attempts
}

/// A run in which a cancel is on its way, a step waits, one is tried again, one starts, and one runs.
pub(crate) fn explained() -> ExplainRunResponse {
    let obstacle = |kind: ObstacleKind, message: &str| Obstacle {
        kind: kind.into(),
        message: message.to_owned(),
        ..Obstacle::default()
    };
    let explained = |name: &str, state, obstacles: &[Obstacle]| StepExplanation {
        step: Some(step(name, state)),
        obstacles: obstacles.to_vec(),
    };
    let waits = Obstacle {
        steps: vec!["load".to_owned(), "clean".to_owned()],
        ..obstacle(ObstacleKind::Dependencies, "it waits for the end of steps `load` and `clean`")
    };
    let paused =
        obstacle(ObstacleKind::Paused, "the run is paused; `windlass resume R` lets it go on");
    let retry = obstacle(
        ObstacleKind::Retry,
        "its latest attempt failed, and the next one waits for its delay: exited with code 1",
    );
    let starting = obstacle(ObstacleKind::Starting, "its attempt exists and does not run yet");
    let pod = PodWait {
        namespace: "jobs".to_owned(),
        name: "fit-0a1b".to_owned(),
        reason: "Unschedulable".to_owned(),
        message: "0/3 nodes are available: 3 Insufficient cpu.".to_owned(),
        ..PodWait::default()
    };
    let unplaced = Obstacle {
        since: Some(at(80)),
        until: Some(at(110)),
        wait: Some(Wait {
            cluster: "default".to_owned(),
            since: Some(at(81)),
            cause: Some(Cause::Pod(pod)),
        }),
        ..obstacle(
            ObstacleKind::Starting,
            "its pod `fit-0a1b` in namespace `jobs` of cluster `default` exists and does not run yet: \
             Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.",
        )
    };
    let order = "a cancel was asked for and has not been taken up yet";
    ExplainRunResponse {
        run: Some(running_run()),
        obstacles: vec![obstacle(ObstacleKind::Order, order)],
        steps: vec![
            explained(
                "train",
                StepState::Starting,
                &[Obstacle { since: Some(at(80)), until: Some(at(110)), ..starting }],
            ),
            explained(
                "transform",
                StepState::Waiting,
                &[waits, Obstacle { since: Some(at(30)), ..paused }],
            ),
            explained("publish", StepState::Delayed, &[Obstacle { until: Some(at(333)), ..retry }]),
            explained("fit", StepState::Starting, &[unplaced]),
            explained("load", StepState::Running, &[]),
        ],
        more: 12,
    }
}

/// What a pipeline would do that has a bit of everything.
pub(crate) fn plan() -> Plan {
    let text = r#"
name: nightly
max_parallelism: 4
timeout: 2h
parameters:
  day: {type: string}
  sizes: [1, 2, 3]
steps:
  load:
    env: {DAY: "${{ params.day }}", GREETING: "it's ${{ params.day }}"}
    command: [python, load.py, --day, "${{ params.day }}", "--run=${{ run.id }}"]
    retry: {limit: 2, delay: 5s, factor: 2, jitter: 0.1}
    timeout: 10m
    outputs: parts
  fit:
    for_each: {items: "${{ params.sizes }}", max_parallelism: 2}
    depends_on: load
    env:
      SIZE: ${{ item }}
      LOOKS_LIKE: {value: "{{ db.password }}"}
      PASSWORD: {secret: db, key: password}
      TOKEN: {secret: registry-token, key: token, optional: true}
    cluster: gpu
    image: trainer:7
    pod:
      namespace: ${{ params.day }}
      labels: {day: "${{ params.day }}"}
      resources: {limits: {nvidia.com/gpu: 1}}
      active_deadline: 90m
      tolerations: [{key: gpu, operator: Exists}]
    run: |
      echo "$SIZE"
      ./fit
    resources: {memory: 512Mi}
    limits: [gpu, license]
  parts:
    for_each: "${{ steps.load.outputs.parts }}"
    when: params.day != ''
    steps:
      clean: {command: [clean, "${{ item }}"]}
      store: {command: [store, "${{ steps.clean.state }}"], working_dir: /srv}
  publish:
    trigger_rule: all_done
    depends_on: [fit, parts]
    branches:
      loud: {when: "params.day == 'monday'", command: [shout]}
      quiet: {command: [whisper]}
exit_steps:
  report: {command: [report, "${{ run.state }}"]}
"#;
    let pipeline = file::parse(text.as_bytes(), &FileOptions::default()).expect("it is right");
    let day = json::to_value(&serde_json::json!("monday"));
    Plan::of(&pipeline, &BTreeMap::from([("day".to_owned(), day)])).expect("so are its arguments")
}

pub(crate) fn line(step: &str, text: &str) -> LogLine {
    LogLine {
        step: step.to_owned(),
        attempt: 1,
        time: Some(at(2)),
        stream: LogStream::Stdout.into(),
        content: text.as_bytes().to_vec().into(),
        ..LogLine::default()
    }
}

/// Set, with a rate alone, and not set.
pub(crate) fn limits() -> [Limit; 3] {
    let period = Some(Duration { seconds: 60, nanos: 0 });
    [
        Limit {
            name: "gpu".to_owned(),
            is_set: true,
            size: Some(4),
            rate: Some(LimitRate { starts: 10, period }),
            held: 4,
            waiting: 12,
        },
        Limit {
            name: "partner-api".to_owned(),
            is_set: true,
            rate: Some(LimitRate {
                starts: 1,
                period: Some(Duration { seconds: 0, nanos: 500_000_000 }),
            }),
            waiting: 1,
            ..Limit::default()
        },
        Limit { name: "warehouse".to_owned(), size: Some(1), held: 1, ..Limit::default() },
    ]
}

/// Some of the steps that hold the first one of the limits.
pub(crate) fn holders() -> [LimitHolder; 2] {
    let run_id = format!("run_{}", "7".repeat(26));
    [
        LimitHolder {
            run_id: run_id.clone(),
            step: "sweep.3.fit".to_owned(),
            attempt: 2,
            since: Some(at(30)),
        },
        LimitHolder { run_id, attempt: 1, ..LimitHolder::default() },
    ]
}

/// A cluster in which something is missing.
pub(crate) fn cluster_report() -> Report {
    let [create, .., log] = RIGHTS;
    let finding = |item, verdict| Finding { item, verdict };
    let right = |right, namespace: &str| Item::Right { right, namespace: namespace.to_owned() };
    let admission = |namespace: &str| Item::Admission { namespace: namespace.to_owned() };
    Report {
        cluster: "gpu".to_owned(),
        server: "https://10.0.0.1:6443/".to_owned(),
        namespace: "jobs".to_owned(),
        findings: vec![
            finding(Item::Version("v1.34.10".to_owned()), Verdict::Present),
            finding(
                Item::Namespace("jobs".to_owned()),
                Verdict::Unknown("namespaces \"jobs\" is forbidden".to_owned()),
            ),
            finding(
                Item::ServiceAccount(ServiceAccountRef::default()),
                Verdict::Missing("create it".to_owned()),
            ),
            finding(right(create, "jobs"), Verdict::Present),
            finding(right(log, "jobs"), Verdict::Missing("add the rule".to_owned())),
            finding(admission("jobs"), Verdict::Present),
            finding(Item::Namespace("training".to_owned()), Verdict::Present),
            finding(right(create, "training"), Verdict::Present),
            finding(right(log, "training"), Verdict::Present),
            finding(
                admission("training"),
                Verdict::Unknown("a quota is used up; pods wait".to_owned()),
            ),
        ],
    }
}

/// What was made in a cluster.
pub(crate) fn prepared() -> [Done; 3] {
    let done = |kind: &str, name: &str, outcome| Done {
        kind: kind.to_owned(),
        name: name.to_owned(),
        outcome,
    };
    [
        done("Namespace", "jobs", Outcome::Unchanged),
        done("ServiceAccount", "jobs/windlass", Outcome::Created),
        done("Role", "jobs/windlass", Outcome::Changed),
    ]
}

/// Pods of a run that nobody knows: an old one, and one that is too young to be removed.
pub(crate) fn orphans() -> Orphans {
    let pod = |name: &str, step: &str, phase, seconds| AttemptPod {
        namespace: "jobs".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-of-{name}"),
        run: format!("run_{}", "3".repeat(26)).parse().unwrap(),
        step: step.to_owned(),
        phase,
        created_at: Some(now() - jiff::SignedDuration::from_secs(seconds)),
    };
    Orphans {
        cluster: "gpu".to_owned(),
        server: "https://10.0.0.1:6443/".to_owned(),
        namespaces: vec!["jobs".to_owned(), "training".to_owned()],
        installation: "windlass".to_owned(),
        pods: vec![
            pod("fit-3-k2q9", "sweep.3.fit", "Running", 266_400),
            pod("load-7h3d", "load", "Pending", 5),
        ],
        now: now(),
    }
}
