//! What pods' statuses mean, as kubelets, schedulers and controllers write them.
//!
//! Each row is a status and what it is judged to be, in a short form that [`Row`] explains.

mod cluster;
mod observed;
mod outputs;
mod program;
mod properties;
mod waiting;

use serde_json::{Value, json};
use windlass_engine::{
    reason::{Failure, Fault},
    time::Timestamp,
};
use windlass_pod::{
    judge::{Judgement, judge, judge_gone},
    observed::ObservedPod,
};

/// A pod, and what it is judged to be: a line such as `failed Lost (System) 3..8 delete code=1 signal=9 | the message`. The
/// times are seconds after 10:00, and `_` where they are not known.
struct Row {
    name: &'static str,
    pod: Value,
    judged: &'static str,
}

/// Checks all rows, by `judge`.
#[track_caller]
fn check(rows: Vec<Row>) {
    check_with(judge, rows);
}

/// Checks all rows as the last states of pods that are gone.
#[track_caller]
fn check_gone(rows: Vec<Row>) {
    check_with(judge_gone, rows);
}

#[track_caller]
fn check_with(judge: fn(&ObservedPod) -> Judgement, rows: Vec<Row>) {
    let wrong: Vec<String> = rows
        .into_iter()
        .filter_map(|Row { name, pod, judged }| {
            let pod = serde_json::from_value(pod).unwrap_or_else(|error| panic!("{name}: {error}"));
            let found = show(&judge(&pod));
            (found != judged).then(|| format!("{name}\n  expected {judged}\n     found {found}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn show(judgement: &Judgement) -> String {
    let delete = |must_delete: bool| if must_delete { " delete" } else { "" };
    match judgement {
        Judgement::Waiting { message } => {
            format!("waiting | {}", message.as_deref().unwrap_or("no word"))
        }
        Judgement::Running { started_at } => format!("running {}", seconds(*started_at)),
        Judgement::Succeeded { outputs, started_at, ended_at, must_delete } => format!(
            "succeeded {}{} | {}",
            span(*started_at, *ended_at),
            delete(*must_delete),
            outputs.as_deref().unwrap_or("no outputs"),
        ),
        Judgement::Failed { failure, started_at, ended_at, must_delete } => {
            show_failure("failed", failure, &span(*started_at, *ended_at), delete(*must_delete))
        }
        Judgement::Stopped { failure, started_at, ended_at } => {
            show_failure("stopped", failure, &span(*started_at, *ended_at), "")
        }
    }
}

fn show_failure(word: &str, failure: &Failure, span: &str, delete: &str) -> String {
    let Failure { reason, message, exit_code, signal } = failure;
    let code = exit_code.map(|code| format!(" code={code}")).unwrap_or_default();
    let signal = signal.map(|signal| format!(" signal={signal}")).unwrap_or_default();
    let fault = match reason.fault() {
        Fault::Step => "Step",
        Fault::System => "System",
    };
    format!("{word} {reason:?} ({fault}) {span}{delete}{code}{signal} | {message}")
}

fn span(started_at: Option<Timestamp>, ended_at: Option<Timestamp>) -> String {
    format!("{}..{}", seconds(started_at), seconds(ended_at))
}

fn seconds(time: Option<Timestamp>) -> String {
    let ten = "2026-03-01T10:00:00Z".parse::<jiff::Timestamp>().expect("written as a time");
    let ten = u64::try_from(ten.as_millisecond()).expect("after 1970");
    time.map_or_else(|| "_".to_owned(), |time| (time.since(Timestamp(ten)) / 1000).to_string())
}

/// A time so many seconds after 10:00.
fn at(seconds: u32) -> String {
    format!("2026-03-01T10:{:02}:{:02}Z", seconds / 60, seconds % 60)
}

/// A pod on a node, in some phase, with the containers that are given.
fn pod(phase: &str, containers: Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": "p"},
        "spec": {"nodeName": "n1", "restartPolicy": "Never"},
        "status": {"phase": phase},
    });
    pod["status"]["containerStatuses"] = containers;
    pod
}

/// The same, and more of its parts: what is given in `more` is put over it.
fn with(mut pod: Value, more: Value) -> Value {
    fn merge(into: &mut Value, from: Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                for (key, value) in from {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (into, from) => *into = from,
        }
    }
    merge(&mut pod, more);
    pod
}

/// A container that ran from 3 to 8 and ended with a code, a reason and perhaps a message.
fn ended(name: &str, code: i32, reason: &str, message: Option<&str>) -> Value {
    let mut end = json!({
        "exitCode": code,
        "reason": reason,
        "startedAt": at(3),
        "finishedAt": at(8),
        "containerID": "containerd://1",
    });
    if let Some(message) = message {
        end["message"] = message.into();
    }
    json!({"name": name, "state": {"terminated": end}, "lastState": {}, "restartCount": 0, "ready": false})
}

/// A container that runs since 3.
fn running(name: &str) -> Value {
    json!({"name": name, "state": {"running": {"startedAt": at(3)}}, "lastState": {}})
}

/// A container that waits.
fn waiting(name: &str, reason: &str, message: Option<&str>) -> Value {
    let mut waiting = json!({"reason": reason});
    if let Some(message) = message {
        waiting["message"] = message.into();
    }
    json!({"name": name, "state": {"waiting": waiting}, "lastState": {}})
}

/// That somebody has asked for the pod's deletion at a time, with 30 seconds to go.
fn deleted_at(seconds: u32) -> Value {
    json!({"metadata": {"deletionTimestamp": at(seconds + 30), "deletionGracePeriodSeconds": 30}})
}

/// The condition that a pod is to be disrupted, since 7.
fn disrupted(reason: &str, message: &str) -> Value {
    disrupted_at(7, reason, message)
}

/// The condition that a pod is to be disrupted, since so many seconds after 10:00.
fn disrupted_at(seconds: u32, reason: &str, message: &str) -> Value {
    json!({"status": {"conditions": [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": at(1)},
        {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message,
         "lastTransitionTime": at(seconds)},
    ]}})
}
