//! What holds of any status, also of those that no kubelet would write.

use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use windlass_pod::{
    judge::{Judgement, judge, judge_gone},
    observed::ObservedPod,
};

fn times() -> impl Strategy<Value = Value> {
    select(vec![
        Value::Null,
        json!("1970-01-01T00:00:00Z"),
        json!("0001-01-01T00:00:00Z"),
        json!("2026-03-01T10:00:08Z"),
        json!("9999-12-30T22:00:00Z"),
    ])
}

fn containers() -> impl Strategy<Value = Value> {
    let names = select(vec!["main", "fetch", "agent", ""]);
    let reasons = select(vec![
        "",
        "Error",
        "Completed",
        "OOMKilled",
        "StartError",
        "ContainerStatusUnknown",
        "ImagePullBackOff",
        "PodInitializing",
        "CrashLoopBackOff",
    ]);
    let ends = (any::<i32>(), any::<Option<i32>>(), reasons.clone(), ".*", times(), times()).prop_map(
        |(code, signal, reason, message, started, finished)| {
            json!({"terminated": {"exitCode": code, "signal": signal, "reason": reason, "message": message,
                "startedAt": started, "finishedAt": finished}})
        },
    );
    let states = prop_oneof![
        Just(json!({})),
        Just(Value::Null),
        times().prop_map(|time| json!({"running": {"startedAt": time}})),
        (reasons, ".*").prop_map(
            |(reason, message)| json!({"waiting": {"reason": reason, "message": message}})
        ),
        ends,
    ];
    let one = (names, states.clone(), states)
        .prop_map(|(name, state, last)| json!({"name": name, "state": state, "lastState": last}));
    prop::collection::vec(one, 0..4).prop_map(Value::from)
}

prop_compose! {
    fn pods()(
        phase in select(vec!["", "Pending", "Running", "Succeeded", "Failed", "Unknown"]),
        policy in select(vec![json!(null), json!("Never"), json!("Always")]),
        reason in select(vec!["", "Evicted", "NodeLost", "DeadlineExceeded", "OutOfcpu", "anything"]),
        disrupted in select(vec!["True", "False"]),
        disruption in select(vec!["PreemptionByScheduler", "DeletionByPodGC", "other"]),
        outputs in select(vec!["", "rows", ",,"]),
        grace in any::<Option<i64>>(),
        deletion in times(),
        main in containers(),
        init in containers(),
    ) -> ObservedPod {
        serde_json::from_value(json!({
            "metadata": {
                "deletionTimestamp": deletion, "deletionGracePeriodSeconds": grace,
                "annotations": {"windlass.dev/outputs": outputs},
            },
            "spec": {"restartPolicy": policy, "initContainers": [{"name": "agent", "restartPolicy": "Always"}]},
            "status": {
                "phase": phase, "reason": reason,
                "conditions": [{"type": "DisruptionTarget", "status": disrupted, "reason": disruption}],
                "containerStatuses": main, "initContainerStatuses": init,
            },
        })).expect("a pod")
    }
}

proptest! {
    #[test]
    fn a_pod_that_is_gone_has_an_end_and_the_one_it_had(pod in pods()) {
        let gone = judge_gone(&pod);
        match (judge(&pod), &gone) {
            (_, Judgement::Waiting { .. } | Judgement::Running { .. }) => prop_assert!(false, "{:?}", gone),
            (Judgement::Waiting { .. } | Judgement::Running { .. }, _) => {}
            (Judgement::Succeeded { outputs, .. }, now) => {
                let same = matches!(now, Judgement::Succeeded { outputs: now, must_delete: false, .. } if *now == outputs);
                prop_assert!(same, "{:?}", now);
            }
            (Judgement::Failed { failure, .. }, now) => {
                let same = matches!(now, Judgement::Failed { failure: now, must_delete: false, .. } if *now == failure);
                prop_assert!(same, "{:?}", now);
            }
            (stopped, now) => prop_assert_eq!(&stopped, now),
        }
    }

    #[test]
    fn what_was_told_to_end_before_it_had_ended_has_not_succeeded(pod in pods()) {
        if let Judgement::Succeeded { ended_at, .. } = judge(&pod) && pod.is_being_deleted() {
            prop_assert!(ended_at.is_some() && ended_at < pod.deletion_asked_at(), "{:?}", ended_at);
        }
    }

    #[test]
    fn a_failure_says_something(pod in pods()) {
        if let Judgement::Failed { failure, .. } | Judgement::Stopped { failure, .. } = judge_gone(&pod) {
            prop_assert!(failure.message.len() > 20);
        }
    }
}
