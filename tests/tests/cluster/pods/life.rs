//! What becomes of pods where nothing is broken.

use std::time::Duration;

use windlass_engine::record::{RunState, StepState};
use windlass_proto::v1;
use windlass_servers::Verb;

use super::support::{Ground, phase_of, pipeline, pod, step, task, wide};

#[tokio::test(flavor = "multi_thread")]
async fn a_wide_run_costs_one_create_for_each_pod_and_few_calls_besides() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let run = ground.cluster.submit(wide(50, &[("run-for", "100ms")])).await;
    ground.succeeds(run).await;
    ground.until_no_pods().await;
    assert_eq!(ground.started(run), 50);
    let calls = ground.gate.calls();
    assert_eq!(calls.of(Verb::Create, "pods"), 50);
    assert_eq!((calls.of(Verb::Get, "pods"), calls.of(Verb::Patch, "pods")), (0, 0));
    // Shards are taken within moments, and each other set of them is listed once.
    assert!(calls.of(Verb::List, "pods") <= 4, "{calls:?}");
    assert_eq!((calls.of(Verb::Delete, "pods"), calls.of(Verb::DeleteCollection, "pods")), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_travel_in_the_termination_message_from_pod_to_pod() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher =
        ground.launcher_within(|budget| budget.keep_succeeded.0 = Duration::from_mins(10));
    let mut first = step("first", &[], &[("message", r#"{"rows": 12}"#)]);
    first.outputs = vec!["rows".into()];
    let mut second = step("second", &[], &[]);
    task(&mut second).args = vec!["--rows=${{ steps.first.outputs.rows }}".into()];
    let run = ground.cluster.submit(pipeline([first, second])).await;
    ground.succeeds(run).await;
    let pods = ground.pods().await;
    assert_eq!(pods.iter().map(phase_of).collect::<Vec<_>>(), ["Succeeded", "Succeeded"]);
    let commands: Vec<_> = pods
        .iter()
        .filter_map(|pod| {
            let main = pod.spec.as_ref()?.containers.first()?;
            main.command
                .clone()
                .map(|command| [command, main.args.clone().unwrap_or_default()].concat())
        })
        .collect();
    assert!(commands.contains(&vec!["true".to_owned(), "--rows=12".to_owned()]), "{commands:?}");
}

/// A step's name, what befalls its pods, the reason that is told, and after how many attempts it is given up.
type Row = (&'static str, [(&'static str, &'static str); 1], &'static str, usize);

#[tokio::test(flavor = "multi_thread")]
async fn failures_use_up_the_budget_of_whose_fault_they_are() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let behaviors: [Row; 6] = [
        ("exits", [("exit", "3")], "ExitCode", 2),
        ("killed", [("reason", "OOMKilled")], "OutOfMemory", 2),
        ("evicted", [("reason", "Evicted")], "Evicted", 3),
        ("shut", [("reason", "NodeShutdown")], "Evicted", 3),
        ("late", [("reason", "DeadlineExceeded")], "Timeout", 2),
        ("unnamed", [("waiting", "InvalidImageName")], "ImagePull", 3),
    ];
    let steps = behaviors.map(|(name, behavior, ..)| v1::Step {
        retry: Some(Box::new(v1::RetryPolicy {
            limit: 1,
            system_limit: Some(2),
            ..v1::RetryPolicy::default()
        })),
        ..step(name, &[], &behavior)
    });
    let run = ground.cluster.submit(pipeline(steps)).await;
    assert_eq!(ground.cluster.end_of(run).await.state, RunState::Failed);
    for (index, (name, _, reason, count)) in behaviors.into_iter().enumerate() {
        let index = u32::try_from(index).unwrap();
        let (said, message) = ground.failure(run, index, 1).await;
        assert_eq!(
            (&*said, ground.attempts(run, index).await.len()),
            (reason, count),
            "{name}: {message}"
        );
    }
    ground.assert_started_at_most_once(run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_leaves_no_pod_and_ends_when_the_last_is_gone() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let obeys = [("run", "forever"), ("term-after", "300ms"), ("term-exit", "0")];
    let run = ground.cluster.submit(wide(8, &obeys)).await;
    ground.until_pods(8, "Running").await;
    ground.cluster.cancel(run).await.expect("taken");
    let record = ground.cluster.end_of(run).await;
    let cancelled = record.counts[StepState::Cancelled as usize];
    assert_eq!((record.state, cancelled), (RunState::Cancelled, 8));
    ground.until_no_pods().await;
    ground.assert_started_at_most_once(run);
    assert_eq!(ground.gate.calls().of(Verb::Get, "pods"), 0, "what is deleted is not looked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_finds_no_node_fails_by_the_start_up_time_out_and_tells_the_schedulers_words() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let mut alone = step("alone", &[], &[]);
    pod(&mut alone).node_selector.insert("type".into(), "unheard-of".into());
    alone.startup_timeout = Some(prost_types::Duration { seconds: 2, nanos: 0 });
    alone.retry = Some(Box::new(v1::RetryPolicy { system_limit: Some(0), ..Default::default() }));
    let run = ground.cluster.submit(pipeline([alone])).await;
    assert_eq!(ground.cluster.end_of(run).await.state, RunState::Failed);
    let (reason, message) = ground.failure(run, 0, 1).await;
    assert_eq!(reason, "StartupTimeout");
    assert!(message.starts_with("it waited: Unschedulable: 0/"), "{message}");
    assert_eq!(ground.started(run), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_run_that_is_deleted_go_with_it_and_those_that_are_kept_stay_until_then() {
    let Some(ground) = Ground::shared().await else { return };
    let hour = Duration::from_hours(1);
    let _launcher = ground.launcher_within(|budget| {
        budget.keep_succeeded = (hour, None);
        budget.keep_failed = (hour, None);
    });
    let mut steps: Vec<_> =
        (0..3).map(|it| step(&format!("bad{it}"), &[], &[("exit", "1")])).collect();
    steps.push(step("good", &[], &[]));
    let run = ground.cluster.submit(pipeline(steps)).await;
    assert_eq!(ground.cluster.end_of(run).await.state, RunState::Failed);
    ground.until_pods(3, "Failed").await;
    ground.until_pods(1, "Succeeded").await;
    ground.cluster.delete(run).await.expect("deleted");
    ground.until_no_pods().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_a_namespace_that_is_not_served_says_so_and_starts_nothing() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let mut away = step("away", &[], &[]);
    pod(&mut away).namespace = "elsewhere".into();
    let run = ground.cluster.submit(pipeline([away])).await;
    assert_eq!(ground.cluster.end_of(run).await.state, RunState::Failed);
    let (reason, message) = ground.failure(run, 0, 1).await;
    assert_eq!(reason, "CannotStart");
    assert!(message.contains("serve no namespace `elsewhere`"), "{message}");
}
