//! Containers that really run: what becomes of attempts is read from what a kubelet says, and not from what is played. One
//! control plane and one node are for all of it.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api, ResourceExt as _,
    api::{PostParams, WatchEvent, WatchParams},
};
use serde_json::json;
use windlass_engine::record::{RunRecord, RunState, StepState};
use windlass_pipeline::file;
use windlass_proto::id::RunId;
use windlass_servers::{Kubernetes, RealNode};
use windlass_tests::waiting;

use super::support::Ground;

/// How long a run may take whose containers really start.
const PATIENCE: Duration = Duration::from_mins(3);

/// How long pods stay that are looked at when they have ended.
const KEPT: Duration = Duration::from_mins(10);

/// What all pipelines begin with. IMAGE is what the node has.
const HEAD: &str = "
name: real
defaults:
  image: IMAGE
  retry: {system_limit: 0}
  pod:
    node_selector: {type: real}
    image_pull_policy: Never
    resources: {requests: {cpu: 20m}}
steps:
";

/// Steps that succeed, one after the other. What they are given they check themselves.
const GOOD: &str = r#"
  first:
    run: |
      test "$TOKEN" = "of the vault"
      test "$WINDLASS_STEP $WINDLASS_ATTEMPT" = "first 1"
      test "$WORDS" = 'a $(HOME) $$b'
      test "$(pwd)" = /tmp
      echo '{"rows": 12, "name": "ä"}' > "$WINDLASS_OUTPUT"
    working_dir: /tmp
    env: {TOKEN: "{{ vault.token }}", WORDS: a $(HOME) $$b}
    outputs: [rows, name]
  second:
    command: [sh, -c, 'test "$1 $2" = "12 ä" && test -e /shared/fetched', sh]
    args: ["${{ steps.first.outputs.rows }}", "${{ steps.first.outputs.name }}"]
    pod:
      volumes: [{name: shared, emptyDir: {}}]
      volume_mounts: [{name: shared, mountPath: /shared}]
      init_containers:
        - name: fetch
          image: "{{ image }}"
          imagePullPolicy: Never
          command: [touch, /shared/fetched]
          volumeMounts: [{name: shared, mountPath: /shared}]
  # It waits for what the container beside it writes, which would run for ever.
  third:
    depends_on: second
    run: until [ -e /shared/beside ]; do sleep 0.1; done
    termination_grace: 1s
    pod:
      volumes: [{name: shared, emptyDir: {}}]
      volume_mounts: [{name: shared, mountPath: /shared}]
      sidecars:
        - name: beside
          image: "{{ image }}"
          imagePullPolicy: Never
          command: [sh, -c, "touch /shared/beside; exec sleep 1000"]
          volumeMounts: [{name: shared, mountPath: /shared}]
"#;

/// A step that fails, the reason, and what the message has.
type Bad = (&'static str, &'static str, &'static str, &'static str);

/// Steps that fail, each in a way of its own.
const BAD: [Bad; 13] = [
    (
        "exits",
        r#"{run: "echo sorry > /dev/termination-log; exit 3"}"#,
        "ExitCode",
        "exit code 3: sorry",
    ),
    // The first process of a container is deaf to its own signals.
    ("killed", r#"{run: "sh -c 'kill -SEGV $$'; echo never"}"#, "Signal", "SIGSEGV"),
    (
        "grows",
        r#"{run: "x=$(head -c 200m /dev/zero | tr '\\0' x)", resources: {memory: 30Mi}}"#,
        "OutOfMemory",
        "more memory than it may",
    ),
    ("wordless", r#"{command: ["true"], outputs: [rows]}"#, "OutputInvalid", "rows"),
    (
        "talkative",
        r#"{run: "seq 10000 > $WINDLASS_OUTPUT", outputs: [rows]}"#,
        "OutputInvalid",
        "4096 bytes",
    ),
    ("unheard-of", "{command: [no-such-program]}", "CannotStart", "no-such-program"),
    (
        "unready",
        r#"{command: ["true"], pod: {init_containers:
        [{name: fetch, image: "{{ image }}", imagePullPolicy: Never, command: [sh, -c, exit 4]}]}}"#,
        "InitFailed",
        "`fetch` ended with exit code 4",
    ),
    (
        "absent",
        r#"{image: localhost/absent:1, command: ["true"]}"#,
        "ImagePull",
        "localhost/absent:1",
    ),
    (
        "unpulled",
        r#"{image: "127.0.0.1:1/absent:1", command: ["true"], pod: {image_pull_policy: Always}}"#,
        "ImagePull",
        "127.0.0.1:1/absent:1",
    ),
    (
        "secretless",
        r#"{command: ["true"], env: {TOKEN: "{{ absent.token }}"}}"#,
        "ConfigInvalid",
        "secret \"absent\" not found",
    ),
    (
        "late",
        "{run: sleep 1000, termination_grace: 1s, pod: {active_deadline: 4s}}",
        "Timeout",
        "deadline",
    ),
    (
        "obeys",
        r#"{run: "trap 'exit 0' TERM; while :; do sleep 0.1; done", timeout: 2s}"#,
        "Timeout",
        "",
    ),
    (
        "held-up",
        r#"{command: ["true"], startup_timeout: 6s, termination_grace: 1s, pod: {sidecars:
        [{name: proxy, image: "{{ image }}", imagePullPolicy: Never,
          command: [sh, -c, echo no such flag > /dev/termination-log; exit 1],
          startupProbe: {exec: {command: ["false"]}, periodSeconds: 1, failureThreshold: 100}}]}}"#,
        "StartupTimeout",
        "with exit code 1: no such flag",
    ),
];

/// Steps that run until they are stopped: two that obey, and one that does not.
const ENDLESS: &str = r#"
  obeys: {run: "trap 'exit 7' TERM; while :; do sleep 0.1; done"}
  concedes: {run: "trap 'exit 0' TERM; while :; do sleep 0.1; done"}
  defies: {run: "trap '' TERM; while :; do sleep 0.1; done", termination_grace: 2s}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kubelet_says_of_containers_is_understood() {
    if RealNode::is_impossible() {
        return;
    }
    let kubernetes = Kubernetes::start().await;
    let _node = RealNode::start(&kubernetes).await;
    let ground = Ground::on(&kubernetes).await;
    let secret = json!({"metadata": {"name": "vault"}, "stringData": {"token": "of the vault"}});
    let secret: Secret = serde_json::from_value(secret).expect("a secret");
    let secrets = Api::namespaced(kubernetes.client(), &ground.namespace);
    secrets.create(&PostParams::default(), &secret).await.expect("made");
    let _launcher = ground.launcher_within(|budget| budget.keep_succeeded = (KEPT, None));
    good_ones_succeed(&ground).await;
    bad_ones_fail(&ground).await;
    endless_ones_are_cancelled(&ground).await;
}

async fn good_ones_succeed(ground: &Ground<'_>) {
    let run = submit(ground, GOOD).await;
    let record = end_of(ground, run).await;
    let failures = [ground.attempts(run, 0).await, ground.attempts(run, 1).await];
    assert_eq!(record.state, RunState::Succeeded, "{failures:?}");
    // A pod has ended when all in it has, and a container that ended by itself would have taken long.
    let pods = ground.until_pods(3, "Succeeded").await;
    let third = pods.iter().find(|pod| pod.name_any().starts_with("third-")).expect("it is there");
    let beside = third.status.as_ref().and_then(|it| it.init_container_statuses.as_ref()?.first());
    let state = beside.and_then(|it| it.state.as_ref()).expect("it is told of");
    assert!(state.terminated.is_some(), "{state:?}");
}

async fn bad_ones_fail(ground: &Ground<'_>) {
    let steps = BAD.map(|(name, step, ..)| format!("  {name}: {step}\n"));
    let run = submit(ground, &steps.concat()).await;
    assert_eq!(end_of(ground, run).await.state, RunState::Failed);
    let mut wrong = Vec::new();
    for ((name, _, reason, words), index) in BAD.into_iter().zip(0..) {
        let (told, message) = ground.failure(run, index, 1).await;
        if told != reason || !message.contains(words) {
            wrong.push(format!("{name}: {told}: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn endless_ones_are_cancelled(ground: &Ground<'_>) {
    let run = submit(ground, ENDLESS).await;
    let pods = ground.until_pods(3, "Running").await;
    let api: Api<Pod> = ground.api().1;
    let params = WatchParams::default().labels(&format!("windlass.dev/run={run}"));
    let version = pods[0].resource_version().expect("it has one");
    let mut changes = pin!(api.watch(&params, &version).await.expect("watched"));
    ground.cluster.cancel(run).await.expect("taken");
    let mut codes = BTreeMap::new();
    while codes.len() < 3 {
        let change = changes.next().await.expect("it goes on").expect("it is read");
        if let WatchEvent::Deleted(pod) = change {
            let step = pod.name_any().split('-').next().map(str::to_owned);
            codes.insert(step.expect("it has a name"), exit_code(&pod));
        }
    }
    let expected = [("concedes", Some(0)), ("defies", Some(137)), ("obeys", Some(7))];
    assert_eq!(codes, expected.map(|(step, code)| (step.to_owned(), code)).into());
    let record = end_of(ground, run).await;
    let cancelled = record.counts[StepState::Cancelled as usize];
    assert_eq!((record.state, cancelled), (RunState::Cancelled, 3));
}

fn exit_code(pod: &Pod) -> Option<i32> {
    let main = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    Some(main.state.as_ref()?.terminated.as_ref()?.exit_code)
}

async fn submit(ground: &Ground<'_>, steps: &str) -> RunId {
    let text = format!("{HEAD}{steps}").replace("IMAGE", RealNode::IMAGE);
    let pipeline = file::parse(text.as_bytes(), &file::FileOptions::default());
    ground.cluster.submit(pipeline.unwrap_or_else(|error| panic!("{error}"))).await
}

/// Waits until a run has ended, and tells how.
async fn end_of(ground: &Ground<'_>, run: RunId) -> RunRecord {
    let ended = async || {
        let (_, record) = ground.cluster.store.read_record(run).await.expect("read")?;
        record.state.is_final().then_some(record)
    };
    waiting::eventually(PATIENCE, "the run ends", ended).await
}
