//! What is taken, and what is refused.

use proptest::prelude::*;
use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Value as Json, json};
use windlass_proto::{json, v1};

use super::{
    DEPTH, ENTRIES, Rule, check,
    samples::{fields, list, map, whole},
    wrong_image, wrong_secret,
};

/// Of each problem its rule, its place and what is said.
fn told(pod: &v1::Pod) -> Vec<(Rule, String, String)> {
    let problems = check(pod).err().unwrap_or_default();
    let told = problems.iter();
    told.map(|it| (it.rule, it.path.clone(), it.message.clone())).collect()
}

#[track_caller]
fn refused(change: impl FnOnce(&mut v1::Pod), rule: Rule, path: &str) -> String {
    let mut pod = whole();
    change(&mut pod);
    let told = told(&pod);
    let [(told_rule, told_path, message)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((*told_rule, told_path.as_str()), (rule, path), "{message}");
    message.clone()
}

#[test]
fn all_that_kubernetes_knows_is_taken() {
    assert_eq!(told(&whole()), []);
    assert_eq!(told(&v1::Pod::default()), []);
}

#[test]
fn what_kubernetes_does_not_know_is_named_with_its_place_and_what_was_meant() {
    use Rule::UnknownField;
    let volume = json!([{"name": "data", "hostPth": {"path": "/"}}]);
    let message = refused(|pod| pod.volumes = list(&volume), UnknownField, "volumes[0].hostPth");
    assert_eq!(message, "Kubernetes knows no field `hostPth` here; did you mean `hostPath`?");
    let deep =
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"terms": []}}});
    let mut pod = whole();
    pod.affinity = fields(&deep);
    let told = told(&pod);
    let place = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";
    assert_eq!(
        told,
        [
            (
                UnknownField,
                format!("{place}.terms"),
                "Kubernetes knows no field `terms` here; known are `nodeSelectorTerms`".to_owned()
            ),
            (
                Rule::MissingField,
                place.to_owned(),
                "the field `nodeSelectorTerms` is missing; add it".to_owned()
            ),
        ]
    );
    let snake = json!({"dns_policy": "None", "whatever": 1});
    let mut pod = whole();
    pod.patch = fields(&snake);
    let messages: Vec<_> = check(&pod).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "pod.patch.dns_policy: Kubernetes knows no field `dns_policy` here; did you mean `dnsPolicy`?",
            "pod.patch.whatever: Kubernetes knows no field `whatever` here; see the reference of its API",
        ]
    );
}

#[test]
fn a_value_of_the_wrong_type_is_refused_and_null_is_none() {
    use Rule::WrongType;
    let context = |value: Json| {
        move |pod: &mut v1::Pod| pod.security_context = fields(&json!({"runAsUser": value}))
    };
    let place = "security_context.runAsUser";
    let message = refused(context(json!("ada")), WrongType, place);
    assert_eq!(message, "found the text `ada`, but this must be a whole number");
    refused(context(json!(1.5)), WrongType, place);
    refused(context(json!([1])), WrongType, place);
    refused(context(json!("${{ params.uid }}")), WrongType, place);
    let mut pod = whole();
    context(Json::Null)(&mut pod);
    assert_eq!(told(&pod), []);
    let entry = json!(["gpu"]);
    let message = refused(|pod| pod.tolerations = list(&entry), WrongType, "tolerations[0]");
    assert_eq!(message, "found the text `gpu`, but this must be a map, a `Toleration`");
}

#[test]
fn what_must_be_there_is_asked_for() {
    let mount = json!([{"name": "data"}]);
    refused(|pod| pod.volume_mounts = list(&mount), Rule::MissingField, "volume_mounts[0]");
    let container = json!([{"name": "a"}]);
    let message = refused(|pod| pod.sidecars = list(&container), Rule::MissingField, "sidecars[0]");
    assert!(message.contains("`{{ image }}`"), "{message}");
}

#[test]
fn names_labels_and_amounts_are_spelled_as_kubernetes_does() {
    use Rule::InvalidValue;
    type Change = fn(&mut v1::Pod);
    let cases: [(&str, Change); 15] = [
        ("name_prefix", |pod| pod.name_prefix = "Nightly".into()),
        ("namespace", |pod| pod.namespace = "a.b".into()),
        ("image_pull_policy", |pod| pod.image_pull_policy = "always".into()),
        ("service_account", |pod| pod.service_account = "A".into()),
        ("scheduler_name", |pod| pod.scheduler_name = "-".into()),
        ("priority_class", |pod| pod.priority_class = "a b".into()),
        ("runtime_class", |pod| pod.runtime_class = "a_b".into()),
        ("queue", |pod| pod.queue = "a/b".into()),
        ("image_pull_secrets[0]", |pod| pod.image_pull_secrets = vec![String::new()]),
        ("labels[team]", |pod| pod.labels = map([("team", "a b")])),
        ("labels[a b]", |pod| pod.labels = map([("a b", "c")])),
        ("annotations[]", |pod| pod.annotations = map([("", "c")])),
        ("node_selector[disk]", |pod| pod.node_selector = map([("disk", "ssd!")])),
        ("resources.limits[cpu]", |pod| {
            pod.resources.as_mut().unwrap().limits = map([("cpu", "two")]);
        }),
        ("fatal_waiting_reasons[0]", |pod| {
            let reasons = vec!["a,b".into()];
            pod.fatal_waiting_reasons = Some(v1::WaitingReasons { reasons });
        }),
    ];
    for (path, change) in cases {
        refused(change, InvalidValue, path);
    }
    let volumes = json!([{"name": "data", "emptyDir": {"sizeLimit": "1 GB"}}]);
    refused(
        |pod| (pod.volumes, pod.init_containers) = (list(&volumes), None),
        InvalidValue,
        "volumes[0].emptyDir.sizeLimit",
    );
    assert_eq!(wrong_image("a:1"), None);
    assert_eq!(wrong_image("${{ params.image }}:v 1"), None);
    assert!(wrong_image("a b").is_some() && wrong_image("").is_some());
    let secret = |name: &str, key: &str| v1::SecretKey {
        name: name.into(),
        key: key.into(),
        optional: false,
    };
    assert_eq!(wrong_secret(&secret("db.example", "tls.crt")), None);
    assert!(wrong_secret(&secret("DB", "a")).unwrap().contains("for the secret"));
    assert!(wrong_secret(&secret("db", "a/b")).unwrap().contains("for the entry"));
}

#[test]
fn what_windlass_sets_is_refused_with_the_key_to_use() {
    use Rule::Reserved;
    for key in ["windlass.dev/run", "windlass.dev/mine", "app.kubernetes.io/name"] {
        let path = format!("labels[{key}]");
        refused(|pod| pod.labels = map([(key, "a")]), Reserved, &path);
    }
    let key = "kueue.x-k8s.io/queue-name";
    let message =
        refused(|pod| pod.labels = map([(key, "a")]), Reserved, &format!("labels[{key}]"));
    assert!(message.contains("`queue`"), "{message}");
    let key = "windlass.dev/outputs";
    refused(|pod| pod.annotations = map([(key, "a")]), Reserved, &format!("annotations[{key}]"));
    let patch = |patch: Json| move |pod: &mut v1::Pod| pod.patch = fields(&patch);
    let message = refused(patch(json!({"containers": []})), Reserved, "patch.containers");
    assert!(message.contains("`sidecars`"), "{message}");
    refused(patch(json!({"initContainers": []})), Reserved, "patch.initContainers");
    let message =
        refused(patch(json!({"restartPolicy": "Always"})), Reserved, "patch.restartPolicy");
    assert!(message.contains("`retry`"), "{message}");
    let sidecar = json!([{"name": "a", "image": "b", "restartPolicy": "Never"}]);
    refused(|pod| pod.sidecars = list(&sidecar), Reserved, "sidecars[0].restartPolicy");
}

#[test]
fn containers_and_volumes_have_names_of_their_own_and_mounts_name_volumes() {
    use Rule::WrongName;
    let sidecar = |name: &str| json!([{"name": name, "image": "b"}]);
    for name in ["main", "fetch"] {
        refused(|pod| pod.sidecars = list(&sidecar(name)), WrongName, "sidecars[0].name");
    }
    let mount = json!([{"name": "daat", "mountPath": "/d"}]);
    let message =
        refused(|pod| pod.volume_mounts = list(&mount), WrongName, "volume_mounts[0].name");
    assert_eq!(message, "there is no volume `daat`; did you mean `data`?");
    let open = json!([{"name": "${{ params.volume }}", "emptyDir": {}}]);
    let mut pod = whole();
    pod.volumes = list(&open);
    assert_eq!(told(&pod), []);
}

#[test]
fn texts_with_references_are_checked_when_they_have_values() {
    let mut pod = whole();
    pod.labels = map([("team", "${{ params.team }} x")]);
    pod.resources.as_mut().unwrap().limits = map([("cpu", "${{ params.cpu }}")]);
    pod.volumes = list(&json!([
        {"name": "data", "emptyDir": {"sizeLimit": "${{ params.size }}"}},
        {"name": "scratch", "emptyDir": {}},
    ]));
    assert_eq!(told(&pod), []);
    let rendered = super::rendered::<()>(&pod, &mut |text| {
        Ok(if text.contains("${{") { "much too much".into() } else { text.into() })
    });
    let problems = super::parts(&rendered.unwrap()).unwrap_err();
    let paths: Vec<_> = problems.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["labels[team]", "resources.limits[cpu]", "volumes[0].emptyDir.sizeLimit"]);
    // References stand for values, never for keys.
    refused(|pod| pod.labels = map([("${{ a }}", "b")]), Rule::InvalidValue, "labels[${{ a }}]");
}

#[test]
fn what_is_too_much_is_refused() {
    use Rule::TooLarge;
    refused(|pod| pod.annotations = map([("a", &"x".repeat(70_000))]), TooLarge, "");
    let many = ListValue { values: vec![Value::default(); ENTRIES + 1] };
    refused(|pod| pod.volumes = Some(many), TooLarge, "volumes");
    let nested = (0..DEPTH).fold(json!(1), |inner, _| json!({ "a": inner }));
    refused(|pod| pod.patch = fields(&json!({"a": nested})), TooLarge, "patch");
    let infinite = Value { kind: Some(Kind::NumberValue(f64::INFINITY)) };
    let patch = Struct { fields: [("priority".to_owned(), infinite)].into() };
    refused(|pod| pod.patch = Some(patch), Rule::InvalidValue, "patch");
    let reasons = vec!["A".to_owned(); 65];
    let reasons = Some(v1::WaitingReasons { reasons });
    refused(|pod| pod.fatal_waiting_reasons = reasons, TooLarge, "fatal_waiting_reasons");
}

#[test]
fn of_many_problems_some_are_told_and_the_others_counted() {
    let labels = (0..50).map(|at| (format!("a {at}"), String::new())).collect();
    let problems = check(&v1::Pod { labels, ..v1::Pod::default() }).unwrap_err();
    assert_eq!((problems.iter().len(), problems.more()), (20, 30));
    let message = problems.to_string();
    assert!(message.ends_with("\nand 47 more") && message.lines().count() == 4, "{message}");
}

/// Anything, with names that Kubernetes knows here and there.
fn anything() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[a-z${} .]{0,12}".prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "name",
            "image",
            "env",
            "hostPath",
            "emptyDir",
            "resources",
            "limits",
            "ports"
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z]{0,6}",
        any::<String>(),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let entries = prop::collection::vec((name.clone(), inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Json::from),
            entries.prop_map(|entries| Json::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(value in anything(), text: String, seconds: i64) {
        let list = Some(ListValue { values: vec![json::to_value(&value)] });
        let fields = Some(Struct { fields: [(text.clone(), json::to_value(&value))].into() });
        let pod = v1::Pod {
            name_prefix: text.clone(),
            labels: [(text.clone(), text.clone())].into(),
            active_deadline: Some(prost_types::Duration { seconds, nanos: 0 }),
            env_from: list.clone(),
            tolerations: list.clone(),
            volumes: list.clone(),
            volume_mounts: list.clone(),
            init_containers: list.clone(),
            sidecars: list,
            affinity: fields.clone(),
            security_context: fields.clone(),
            container_security_context: fields.clone(),
            patch: fields,
            ..v1::Pod::default()
        };
        let _ = check(&pod).map_err(|problems| problems.to_string());
        let _ = super::parts(&pod);
    }
}
