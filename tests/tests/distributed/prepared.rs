//! `windlass cluster check` and `prepare` against a real API server, and launchers that have the prepared rights and no others.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Pod, ResourceQuota, ServiceAccount},
    rbac::v1::Role,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, process::Command};
use windlass_proto::v1::{self, RunState};
use windlass_servers::{Call, Fault, Kubernetes, KubernetesGate, Rule};

use crate::{
    deployment::{eventually, submit, until_ended},
    pods::{Stand, clusters, step_that},
};

/// The service account that is prepared unless another one is named, and the Role's name.
const WINDLASS: &str = "windlass";

/// How many rights there are.
const RIGHTS: usize = 7;

/// How many things a check looks at: the version, the namespace, the rights, and the admission of a pod.
const ITEMS: usize = RIGHTS + 3;

/// Runs the command, and returns its exit code, what it printed, and its error; both are JSON.
async fn windlass(arguments: &[&str], clusters_file: &Path) -> (i32, Value, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
        .args(["--output", "json", "cluster"])
        .args(arguments)
        .arg("--clusters-file")
        .arg(clusters_file)
        .output();
    let Output { status, stdout, stderr } = output.await.expect("it runs");
    let read = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
    (status.code().expect("it ends by itself"), read(&stdout), read(&stderr))
}

/// A namespace, and files to come to it with.
struct Visitor {
    kubernetes: &'static Kubernetes,
    namespace: String,
    directory: TempDir,
}

impl Visitor {
    fn new(kubernetes: &'static Kubernetes, namespace: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self { kubernetes, namespace: namespace.to_owned(), directory }
    }

    /// A clusters file whose cluster is reached with a kubeconfig.
    fn with(&self, name: &str, kubeconfig: &Path) -> PathBuf {
        self.write(&format!("{name}.toml"), &clusters(kubeconfig, &self.namespace))
    }

    fn administrator(&self) -> PathBuf {
        self.with("administrator", &self.kubernetes.kubeconfig())
    }

    /// The administrator's kubeconfig with something changed.
    fn kubeconfig(&self, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let text = fs::read_to_string(self.kubernetes.kubeconfig()).expect("it is read");
        let mut kubeconfig = serde_json::from_str(&text).expect("it is JSON");
        change(&mut kubeconfig);
        self.write(name, &kubeconfig.to_string())
    }

    /// The kubeconfig of the prepared service account.
    async fn service_account(&self) -> PathBuf {
        let accounts: Api<ServiceAccount> =
            Api::namespaced(self.kubernetes.client(), &self.namespace);
        let request =
            TokenRequest { spec: Some(TokenRequestSpec::default()), ..Default::default() };
        let params = PostParams::default();
        let made = accounts.create_token_request(WINDLASS, &params, &request).await;
        let token = made.expect("made").status.expect("it has a token").token;
        self.kubeconfig("account", |it| it["users"][0]["user"] = json!({ "token": token }))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).expect("the file is written");
        path
    }
}

/// The findings of a check in this state, by kind and name, with what is said of them.
fn findings(report: &Value, state: &str) -> BTreeMap<String, String> {
    let findings = report["findings"].as_array().expect("it has findings").iter();
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    findings
        .filter(|it| it["state"] == state)
        .map(|it| (format!("{} {}", word(it, "kind"), word(it, "name")), word(it, "message")))
        .collect()
}

/// The findings in this state, without what is said of them.
fn items(report: &Value, state: &str) -> Vec<String> {
    findings(report, state).into_keys().collect()
}

/// What was made, and what became of it.
fn outcomes(prepared: &Value) -> Vec<String> {
    let objects = prepared["objects"].as_array().expect("it has objects").iter();
    let word = |object: &Value, key: &str| object[key].as_str().unwrap_or_default().to_owned();
    objects.map(|it| ["kind", "name", "outcome"].map(|key| word(it, key)).join(" ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_check_misses_is_what_prepare_makes_and_the_service_account_has() {
    if Kubernetes::is_missing() {
        return;
    }
    let visitor = Visitor::new(Kubernetes::shared().await, "prepared");
    let administrator = visitor.administrator();
    let look = ["check", "default", "--service-account", WINDLASS];
    let (code, report, _) = windlass(&look, &administrator).await;
    assert_eq!(code, 1, "{report}");
    assert_eq!(items(&report, "missing"), ["namespace prepared", "service_account windlass"]);
    assert_eq!(items(&report, "unknown"), ["admission "], "there is nowhere to try it");

    for outcome in ["created", "unchanged"] {
        let (code, prepared, _) = windlass(&["prepare", "default"], &administrator).await;
        let made = [
            "Namespace prepared",
            "ServiceAccount prepared/windlass",
            "Role prepared/windlass",
            "RoleBinding prepared/windlass",
        ];
        let made = made.map(|it| format!("{it} {outcome}")).to_vec();
        assert_eq!((code, outcomes(&prepared)), (0, made));
    }
    // Kubernetes gives a new namespace what pods need a moment later.
    let report = eventually("all is there", async || {
        let (code, report, _) = windlass(&look, &administrator).await;
        (code == 0).then_some(report)
    })
    .await;
    assert_eq!(report["complete"], true);
    assert_eq!(items(&report, "present").len(), ITEMS + 1, "the service account is one, too");

    let account = visitor.with("account", &visitor.service_account().await);
    let (code, report, _) = windlass(&["check", "default"], &account).await;
    assert_eq!((code, items(&report, "missing").len()), (0, 0), "{report}");
    assert_eq!(items(&report, "present").len(), ITEMS - 1);
    assert_eq!(items(&report, "unknown"), ["namespace prepared"], "it may not look at namespaces");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_namespaces_are_looked_at_and_prepared_for_the_same_service_account() {
    if Kubernetes::is_missing() {
        return;
    }
    let visitor = Visitor::new(Kubernetes::shared().await, "prepared-one");
    let file = |name: &str, kubeconfig: &Path| {
        let text = clusters(kubeconfig, &visitor.namespace);
        visitor.write(name, &format!("{text}other_namespaces = [\"prepared-two\"]\n"))
    };
    let administrator = file("administrator.toml", &visitor.kubernetes.kubeconfig());
    let (code, report, _) = windlass(&["check", "default"], &administrator).await;
    assert_eq!(code, 1, "{report}");
    let missing = findings(&report, "missing");
    assert_eq!(
        missing.keys().collect::<Vec<_>>(),
        ["namespace prepared-one", "namespace prepared-two"]
    );
    let again =
        format!("windlass cluster prepare default --clusters-file {}", administrator.display());
    assert!(missing["namespace prepared-two"].contains(&again), "{missing:?}");

    let (code, prepared, _) = windlass(&["prepare", "default"], &administrator).await;
    let made = [
        "Namespace prepared-one",
        "ServiceAccount prepared-one/windlass",
        "Role prepared-one/windlass",
        "RoleBinding prepared-one/windlass",
        "Namespace prepared-two",
        "Role prepared-two/windlass",
        "RoleBinding prepared-two/windlass",
    ];
    let made = made.map(|it| format!("{it} created")).to_vec();
    assert_eq!((code, outcomes(&prepared)), (0, made));

    let account = file("account.toml", &visitor.service_account().await);
    let report = eventually("the account has its rights in both", async || {
        let (code, report, _) = windlass(&["check", "default"], &account).await;
        (code == 0 && items(&report, "unknown").len() == 2).then_some(report)
    })
    .await;
    let all = report["findings"].as_array().expect("it has findings").iter();
    let there = all.filter(|it| it["state"] == "present" && it["namespace"] == "prepared-two");
    assert_eq!(there.count(), RIGHTS + 1, "the admission of a pod, too: {report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_is_not_missing_and_one_that_has_no_room_is() {
    if Kubernetes::is_missing() {
        return;
    }
    let kubernetes = Kubernetes::shared().await;
    let namespace = kubernetes.namespace().await;
    let visitor = Visitor::new(kubernetes, &namespace);
    let administrator = visitor.administrator();
    let quotas: Api<ResourceQuota> = Api::namespaced(kubernetes.client(), &namespace);
    let pods: Api<Pod> = Api::namespaced(kubernetes.client(), &namespace);
    let read = |value: Value| serde_json::from_value::<ResourceQuota>(value).expect("a quota");
    let quota =
        |most: &str| json!({"metadata": {"name": "pods"}, "spec": {"hard": {"pods": most}}});
    let admission = async |state: &'static str| {
        eventually("the quota counts", async || {
            let (code, report, _) = windlass(&["check", "default"], &administrator).await;
            findings(&report, state).remove("admission ").map(|message| (code, message))
        })
        .await
    };
    quotas.create(&PostParams::default(), &read(quota("0"))).await.expect("created");
    let (code, message) = admission("missing").await;
    assert!(code == 1 && message.contains("exceeded quota"), "{message}");

    let more = Patch::Merge(quota("1"));
    quotas.patch("pods", &PatchParams::default(), &more).await.expect("changed");
    let idle = json!({
        "metadata": {"name": "idle"},
        "spec": {"containers": [{"name": "main", "image": "example.com/idle:1"}], "schedulingGates": [{"name": "example.com/never"}]},
    });
    let idle: Pod = serde_json::from_value(idle).expect("a pod");
    eventually("there is room for one", async || {
        pods.create(&PostParams::default(), &idle).await.ok()
    })
    .await;
    let (code, message) = admission("unknown").await;
    assert!(code == 0 && message.contains("exceeded quota"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_was_taken_away_is_named_with_the_rule_that_gives_it_back() {
    if Kubernetes::is_missing() {
        return;
    }
    let kubernetes = Kubernetes::shared().await;
    let namespace = kubernetes.namespace().await;
    let visitor = Visitor::new(kubernetes, &namespace);
    let administrator = visitor.administrator();
    let (code, ..) = windlass(&["prepare", "default"], &administrator).await;
    assert_eq!(code, 0);
    let account = visitor.with("account", &visitor.service_account().await);
    let roles: Api<Role> = Api::namespaced(kubernetes.client(), &namespace);
    let without_watch = json!({"rules": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "delete", "deletecollection"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]});
    let taken = roles.patch(WINDLASS, &PatchParams::default(), &Patch::Merge(without_watch)).await;
    taken.expect("changed");
    // Who may do what is known to the API server a moment later.
    let report = eventually("a right is missing", async || {
        let (code, report, _) = windlass(&["check", "default"], &account).await;
        (code == 1).then_some(report)
    })
    .await;
    let missing = findings(&report, "missing");
    assert_eq!(missing.keys().collect::<Vec<_>>(), ["right watch pods"]);
    let rule = r#"add the rule {apiGroups: [""], resources: [pods], verbs: [watch]} to a Role"#;
    assert!(missing["right watch pods"].contains(rule), "{missing:?}");

    // What somebody has changed stays so, until somebody removes it.
    let (code, _, error) = windlass(&["prepare", "default"], &administrator).await;
    let message = error["error"]["message"].as_str().unwrap_or_default();
    assert!(code == 2 && message.contains(".rules"), "{error}");
    roles.delete(WINDLASS, &DeleteParams::default()).await.expect("deleted");
    let (code, prepared, _) = windlass(&["prepare", "default"], &administrator).await;
    let created = format!("Role {namespace}/windlass created");
    assert_eq!((code, &outcomes(&prepared)[2]), (0, &created));
    eventually("it is given back", async || {
        let (code, ..) = windlass(&["check", "default"], &account).await;
        (code == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_rights_is_refused_and_a_server_that_is_away_is_told_from_that() {
    if Kubernetes::is_missing() {
        return;
    }
    let kubernetes = Kubernetes::shared().await;
    let visitor = Visitor::new(kubernetes, &kubernetes.namespace().await);
    let nobody = visitor.with("nobody", &kubernetes.kubeconfig_for("nobody"));
    let (code, report, _) = windlass(&["check", "default"], &nobody).await;
    assert_eq!((code, items(&report, "missing").len()), (1, RIGHTS), "{report}");
    let (code, _, error) = windlass(&["prepare", "default"], &nobody).await;
    assert_eq!((code, &error["error"]["code"]), (2, &json!("permission_denied")), "{error}");

    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = free.local_addr().expect("it is bound");
    drop(free);
    let away = visitor.kubeconfig("away", |it| {
        it["clusters"][0]["cluster"]["server"] = json!(format!("https://{address}"));
    });
    let strange = visitor.kubeconfig("strange", |it| {
        it["users"][0]["user"] = json!({"token": "nobody's"});
    });
    let silent = KubernetesGate::to(&kubernetes.kubeconfig()).await;
    silent.add(Rule::new(Fault::Silence));
    for (name, kubeconfig, problem) in [
        ("away", away, "cannot be reached"),
        ("strange", strange, "does not know who asks"),
        ("silent", silent.kubeconfig(), "has not answered"),
    ] {
        let clusters = visitor.with(name, &kubeconfig);
        let (code, _, error) = windlass(&["check", "default"], &clusters).await;
        assert_eq!((code, &error["error"]["code"]), (4, &json!("unavailable")), "{error}");
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(problem), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_needs_no_other_rights_than_those_that_are_prepared() {
    let Some(stand) = Stand::start().await else { return };
    let kubernetes = Kubernetes::shared().await;
    let visitor = Visitor::new(kubernetes, &stand.namespace);
    let (code, ..) = windlass(&["prepare", "default"], &visitor.administrator()).await;
    assert_eq!(code, 0);
    let gate = KubernetesGate::to(&visitor.service_account().await).await;
    stand.come_with(&gate.kubeconfig());
    let launchers = stand.launchers(2).await;
    let runs = stand.submit().await;
    stand.are_undisturbed(&runs).await;

    let steps = (0..4).map(|it| step_that(("fake/run", "forever"), &format!("s{it}"), Vec::new()));
    let endless = v1::Pipeline { name: "p".into(), steps: steps.collect(), ..Default::default() };
    let run_id = submit(&stand.submitter, &endless).await;
    let pods: Api<Pod> = Api::namespaced(kubernetes.client(), &stand.namespace);
    let ours = ListParams::default().labels(&format!("windlass.dev/run={run_id}"));
    let ours = async |phase: &str| {
        let pods = pods.list(&ours).await.expect("listed").items.into_iter();
        pods.filter(|pod| pod.status.as_ref().is_some_and(|it| it.phase.as_deref() == Some(phase)))
            .count()
    };
    eventually("all run", async || (ours("Running").await == 4).then_some(())).await;
    let request = v1::CancelRunRequest { run_id: run_id.clone() };
    stand.submitter.runs().cancel_run(request).await.expect("taken");
    let run = until_ended(&stand.submitter, &run_id).await;
    assert_eq!(run.state(), RunState::Cancelled, "{run:?}");
    assert_eq!(ours("Running").await, 0, "a run ends after its pods");

    let calls = gate.calls().0;
    let others: Vec<_> = calls.keys().filter(|call| call.resource != "pods").collect();
    assert_eq!(others, <[&Call; 0]>::default());
    for launcher in &launchers {
        assert!(!launcher.log().contains("forbidden"), "{}", launcher.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_for_credentials_prints_is_shown_to_nobody_and_one_that_goes_on_is_ended() {
    if Kubernetes::is_missing() {
        return;
    }
    let kubernetes = Kubernetes::shared().await;
    let visitor = Visitor::new(kubernetes, "default");
    for (name, script, words) in [
        ("fails", "echo s3cret; echo 'no session' >&2; exit 1", "no session"),
        ("unreadable", "echo 's3cret: {'", "has not printed"),
        ("endless", "exec yes s3cret", "has not printed"),
    ] {
        let exec = json!({
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "sh", "args": ["-c", script], "interactiveMode": "Never",
        });
        let kubeconfig =
            visitor.kubeconfig(name, |it| it["users"][0]["user"] = json!({ "exec": exec }));
        let file = visitor.with(name, &kubeconfig);
        let (code, report, error) = windlass(&["check", "default"], &file).await;
        let told = format!("{report} {error}");
        assert!(code != 0 && told.contains(words) && !told.contains("s3cret"), "{name}: {told}");
    }
}
