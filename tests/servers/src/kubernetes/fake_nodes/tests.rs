//! The plan: what a node writes when.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time};
use serde_json::json;

use super::plan::{Action, Life, plan};

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_millis(milliseconds)
}

fn pod(annotations: &[(&str, &str)]) -> Pod {
    let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
    let container = json!({ "name": "main", "image": "none" });
    serde_json::from_value(json!({
        "metadata": { "name": "p", "annotations": annotations },
        "spec": { "containers": [container] },
    }))
    .unwrap()
}

/// What a pod says at these times, one after the other, and when it is looked at next.
fn story(mut pod: Pod, times: &[i64], mut each: impl FnMut(&mut Pod, i64)) -> Vec<String> {
    let mut life = Life::of(&pod, at(0));
    let mut told = Vec::new();
    for &time in times {
        each(&mut pod, time);
        loop {
            match plan(&pod, &life, at(time)) {
                Action::Become(next, status) => {
                    life = next;
                    if let Some(phase) = status.and_then(|it| it.phase) {
                        told.push(format!("{time} {phase}"));
                    }
                }
                Action::Remove => {
                    told.push(format!("{time} removed"));
                    break;
                }
                Action::Wait(next) => {
                    let next = next.map(|it| it.as_millisecond().to_string());
                    told.push(format!("{time} until {}", next.as_deref().unwrap_or("changed")));
                    break;
                }
            }
        }
    }
    told
}

#[test]
fn a_pod_starts_and_ends_in_time_and_is_looked_at_no_sooner() {
    let pod = pod(&[("fake/start-after", "500ms"), ("fake/run-for", "2s")]);
    let told = story(pod, &[0, 499, 500, 2499, 2500, 9000], |_, _| {});
    let expected = [
        "0 Pending",
        "0 until 500",
        "499 until 500",
        "500 Running",
        "500 until 2500",
        "2499 until 2500",
        "2500 Succeeded",
        "2500 until changed",
        "9000 until changed",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_deleted_pod_ends_when_it_obeys_or_its_grace_is_over_and_is_removed() {
    let rows = [
        ("1s", "143", 30, "3000 Failed"),
        ("1h", "0", 1, "3000 Failed"),
        ("0s", "3", 30, "2000 Failed"),
        ("0s", "0", 30, "2000 Succeeded"),
    ];
    for (term_after, term_exit, grace, ended) in rows {
        let pod = pod(&[
            ("fake/run", "forever"),
            ("fake/term-after", term_after),
            ("fake/term-exit", term_exit),
        ]);
        let told = story(pod, &[0, 2000, 3000], |pod, time| {
            if time == 2000 {
                pod.metadata.deletion_timestamp = Some(Time(at(32_000)));
                pod.metadata.deletion_grace_period_seconds = Some(grace);
            }
        });
        let removed = ended.replace("Failed", "removed").replace("Succeeded", "removed");
        assert_eq!(told[..2], ["0 Running", "0 until changed"]);
        let last: Vec<_> = told.iter().skip_while(|it| *it != ended).take(2).collect();
        assert_eq!(last, [ended, &removed], "{term_after} {grace}: {told:?}");
    }
}

#[test]
fn a_pod_that_waits_for_ever_is_looked_at_for_its_deadline() {
    let mut pod = pod(&[("fake/waiting", "ErrImagePull")]);
    pod.spec.as_mut().unwrap().active_deadline_seconds = Some(3);
    let told = story(pod, &[0, 3000], |_, _| {});
    assert_eq!(told, ["0 Pending", "0 until 3000", "3000 Failed", "3000 until changed"]);
}

#[test]
fn a_pod_that_ran_on_a_node_before_goes_on_and_is_not_started_again() {
    let mut pod = pod(&[("fake/run-for", "5s")]);
    pod.status = serde_json::from_value(json!({
        "phase": "Running",
        "startTime": at(-3000),
        "containerStatuses": [{
            "name": "main", "image": "", "imageID": "", "ready": true, "restartCount": 0,
            "state": { "running": { "startedAt": at(-2000) } },
        }],
    }))
    .unwrap();
    let told = story(pod, &[0, 3000], |_, _| {});
    assert_eq!(told, ["0 until 3000", "3000 Succeeded", "3000 until changed"]);
}
