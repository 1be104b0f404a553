//! `windlass cluster orphans`: pods that are left of an installation whose store was lost, beside those of the one that was made
//! anew.

use std::{collections::BTreeSet, fs, path::Path, process::Output};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::{
    core::v1::Pod,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};
use tokio::process::Command;
use windlass_proto::v1::{self, RunState};
use windlass_servers::Kubernetes;

use crate::{
    clocks::JumpyClock,
    deployment::{Kind, Program, eventually, submit, until_ended},
    pods::{Stand, clusters, step_that},
};

/// By how many seconds the command's clock is wrong where pods are to be too young for it, or old enough.
const MINUTES: i32 = 600;

/// More runs than the server is asked about at once, and more pods than the API server lists at once.
const MANY: usize = 1050;

/// Somebody who calls the command.
struct Caller<'a> {
    server: &'a str,
    clusters_file: &'a Path,
    clock: &'a JumpyClock,
}

impl Caller<'_> {
    /// Calls it, and returns its exit code, what it printed, and its error; both are JSON.
    async fn orphans(&self, options: &[&str]) -> (i32, Value, Value) {
        let output = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
            .args(["--output", "json", "cluster", "orphans", "default"])
            .args(["--server", self.server, "--clusters-file"])
            .arg(self.clusters_file)
            .args(options)
            .envs(self.clock.environment())
            .output();
        let Output { status, stdout, stderr } = output.await.expect("it runs");
        let read = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
        (status.code().expect("it ends by itself"), read(&stdout), read(&stderr))
    }
}

/// What is said of each orphan under this name, without repetition.
fn said(orphans: &Value, name: &str) -> BTreeSet<String> {
    let orphans = orphans["orphans"].as_array().expect("there is a list").iter();
    orphans.map(|it| it[name].to_string().trim_matches('"').to_owned()).collect()
}

/// Steps beside each other whose pods run until they are stopped.
fn endless(count: usize) -> v1::Pipeline {
    let steps = (0..count).map(|it| step_that(("fake/run", "forever"), &format!("s{it}"), vec![]));
    v1::Pipeline { name: "endless".into(), steps: steps.collect(), ..Default::default() }
}

/// The pods that run, by name, waited for until there are so many.
async fn running(pods: &Api<Pod>, count: usize) -> BTreeSet<String> {
    eventually(&format!("{count} pods run"), async || {
        let pods = pods.list(&ListParams::default()).await.ok()?.items;
        let phase = |pod: &Pod| pod.status.as_ref().and_then(|it| it.phase.clone());
        let is_running = |pod| phase(pod).as_deref() == Some("Running");
        (pods.iter().all(is_running) && pods.len() == count)
            .then(|| pods.iter().map(Pod::name_any).collect())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_lost_store_are_removed_once_they_are_old_enough_and_others_go_on() {
    let Some(clock) = JumpyClock::find() else { return };
    let Some(lost) = Stand::start().await else { return };
    let pods: Api<Pod> = Api::namespaced(Kubernetes::shared().await.client(), &lost.namespace);
    let launchers = lost.launchers(1).await;
    let forgotten = submit(&lost.submitter, &endless(3)).await;
    let left = running(&pods, 3).await;
    for launcher in &launchers {
        launcher.kill();
    }
    let anew = lost.anew().await;
    let _launchers = anew.launchers(1).await;
    let known = submit(&anew.submitter, &endless(2)).await;
    let all = running(&pods, 5).await;

    let (server, clusters_file) = (anew.submitter.url(), anew.clusters_file());
    let caller = Caller { server: &server, clusters_file: &clusters_file, clock: &clock };
    clock.set(-MINUTES);
    let (code, listed, _) = caller.orphans(&[]).await;
    assert_eq!((code, said(&listed, "pod"), &listed["removed"]), (1, left, &Value::Null));
    assert_eq!(said(&listed, "run_id"), [forgotten].into());
    assert_eq!(said(&listed, "step"), ["s0", "s1", "s2"].map(str::to_owned).into());
    assert_eq!(said(&listed, "phase"), ["Running".to_owned()].into());
    let (code, young, _) = caller.orphans(&["--remove"]).await;
    assert_eq!(
        (code, &young["removed"], said(&young, "too_young")),
        (1, &json!(0), ["true".to_owned()].into())
    );
    clock.set(MINUTES);
    let (code, _, error) = caller.orphans(&["--remove", "--installation", "other"]).await;
    let message = error["error"]["message"].as_str().unwrap_or_default();
    assert!(code == 2 && message.contains("of the installation `windlass`"), "{error}");
    assert_eq!(running(&pods, 5).await, all, "none was removed");

    let (code, removed, _) = caller.orphans(&["--remove"]).await;
    assert_eq!((code, &removed["removed"], &removed["gone"]), (0, &json!(3), &json!(0)));
    let kept = running(&pods, 2).await;
    assert!(kept.is_subset(&all));
    let (code, none, _) = caller.orphans(&["--remove"]).await;
    assert_eq!((code, said(&none, "pod"), &none["removed"]), (0, [].into(), &json!(0)));
    let request = v1::CancelRunRequest { run_id: known.clone() };
    anew.submitter.runs().cancel_run(request).await.expect("taken");
    assert_eq!(until_ended(&anew.submitter, &known).await.state(), RunState::Cancelled);
}

/// Makes pods that never start, each of a run of its own, as if an installation had left them.
async fn leave_pods(pods: &Api<Pod>, count: usize) {
    let creates = (0..count).map(async |number| {
        let pod = json!({
            "metadata": {"name": format!("left-{number}"), "labels": {
                "app.kubernetes.io/managed-by": "windlass",
                "windlass.dev/installation": "windlass",
                "windlass.dev/run": format!("run_{number:026}"),
            }},
            "spec": {
                "containers": [{"name": "main", "image": "example.com/work:1"}],
                // No scheduler looks at it.
                "schedulingGates": [{"name": "example.com/never"}],
            },
        });
        let pod = serde_json::from_value(pod).expect("a pod");
        pods.create(&PostParams::default(), &pod).await.expect("created");
    });
    stream::iter(creates).buffer_unordered(32).collect::<()>().await;
}

/// Lets a user list pods, and do nothing else.
async fn let_list(kubernetes: &Kubernetes, namespace: &str, user: &str) {
    let name = json!({"name": "onlookers"});
    let role = json!({"metadata": name, "rules": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ]});
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "metadata": name,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "onlookers"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    });
    let params = PostParams::default();
    let roles: Api<Role> = Api::namespaced(kubernetes.client(), namespace);
    let role = serde_json::from_value(role).expect("a role");
    roles.create(&params, &role).await.expect("made");
    let bindings: Api<RoleBinding> = Api::namespaced(kubernetes.client(), namespace);
    let binding = serde_json::from_value(binding).expect("a binding");
    bindings.create(&params, &binding).await.expect("made");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_rights_or_without_the_server_nothing_is_removed_and_the_rule_that_is_missing_is_named()
 {
    let Some(clock) = JumpyClock::find() else { return };
    let Some(stand) = Stand::start().await else { return };
    clock.set(MINUTES);
    let kubernetes = Kubernetes::shared().await;
    let pods: Api<Pod> = Api::namespaced(kubernetes.client(), &stand.namespace);
    leave_pods(&pods, MANY).await;
    let_list(kubernetes, &stand.namespace, "onlooker").await;
    let file_for = |user: &str| {
        let file = stand.deployment.file(&format!("{user}.toml"));
        let text = clusters(&kubernetes.kubeconfig_for(user), &stand.namespace);
        fs::write(&file, text).expect("written");
        file
    };
    let (nobody, onlooker) = (file_for("nobody"), file_for("onlooker"));
    let server = stand.submitter.url();
    let call = |clusters_file| Caller { server: &server, clusters_file, clock: &clock };

    for (file, verb) in [(&nobody, "list"), (&onlooker, "delete")] {
        // Who may do what is known to the API server a moment later.
        let rule = format!(r#"{{apiGroups: [""], resources: [pods], verbs: [{verb}]}}"#);
        eventually("the right is named", async || {
            let (code, _, error) = call(file).orphans(&["--remove"]).await;
            let message = error["error"]["message"].as_str().unwrap_or_default().to_owned();
            assert_eq!(
                (code, &error["error"]["code"]),
                (2, &json!("permission_denied")),
                "{error}"
            );
            message.contains(&rule).then_some(())
        })
        .await;
    }
    let (code, listed, _) = call(&onlooker).orphans(&[]).await;
    assert_eq!((code, said(&listed, "pod").len()), (1, MANY));

    let administrator = stand.clusters_file();
    stand.submitter.kill();
    let (code, _, error) = call(&administrator).orphans(&["--remove"]).await;
    assert_eq!((code, &error["error"]["code"]), (4, &json!("unavailable")), "{error}");
    let there = pods.list_metadata(&ListParams::default()).await.expect("listed");
    assert_eq!(there.items.len(), MANY, "none was removed");

    let submitter: Program = stand.deployment.program(Kind::Submitter).await;
    let caller = Caller { server: &submitter.url(), ..call(&administrator) };
    let (code, removed, error) = caller.orphans(&["--remove"]).await;
    assert_eq!((code, &removed["removed"]), (0, &json!(MANY)), "{error}");
    let there = pods.list_metadata(&ListParams::default()).await.expect("listed");
    assert_eq!(there.items.len(), 0);
}
