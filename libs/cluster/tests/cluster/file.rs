//! The file of clusters.

use std::{path::Path, time::Duration};

use windlass_cluster::{ClusterConfig, Clusters, ClustersError, DEFAULT_CLUSTER};

const DOCS: &str = include_str!("../../../../docs/kubernetes.md");

fn read(text: &str) -> Result<Clusters, ClustersError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clusters.toml");
    std::fs::write(&path, text).unwrap();
    Clusters::read(Some(&path))
}

#[test]
fn without_a_file_there_is_the_default_cluster() {
    let clusters = Clusters::read(None).unwrap();
    assert_eq!(clusters.get(DEFAULT_CLUSTER).unwrap(), &ClusterConfig::default());
    assert_eq!(clusters.iter().count(), 1);
    insta::assert_snapshot!(clusters.get("gpu").unwrap_err(), @"no cluster `gpu` is configured; without a clusters file there is only `default`; take that one, or give a file that has the other");
}

#[test]
fn what_is_not_said_of_a_cluster_has_its_default() {
    let clusters = read(
        r#"
        [clusters.default]

        [clusters.gpu-eu]
        kubeconfig = "/etc/windlass/gpu.kubeconfig"
        context = "gpu"
        namespace = "training"
        live_pods = 200
        creates_per_second = 10
        start_gap = "250ms"
        keep_failed = "2h"
        keep_failed_count = 0
        "#,
    )
    .unwrap();
    assert_eq!(clusters.get("default").unwrap(), &ClusterConfig::default());
    let expected = ClusterConfig {
        name: "gpu-eu".to_owned(),
        kubeconfig: Some("/etc/windlass/gpu.kubeconfig".into()),
        context: Some("gpu".to_owned()),
        namespace: Some("training".to_owned()),
        live_pods: 200.try_into().unwrap(),
        creates_per_second: Some(10.try_into().unwrap()),
        start_gap: Some(Duration::from_millis(250)),
        keep_failed: Duration::from_hours(2),
        keep_failed_count: Some(0),
        ..ClusterConfig::default()
    };
    assert_eq!(clusters.get("gpu-eu").unwrap(), &expected);
    let unknown = clusters.get("gpu").unwrap_err();
    assert_eq!(unknown.known, ["default", "gpu-eu"]);
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_what_to_do() {
    let wrong = read(
        r#"
        cluster = 3

        [clusters.default]
        live_pod = 5
        namespaces = "x"
        unheard_of = true

        [clusters.Big_One]
        live_pods = 0
        keep_failed = "soon"
        namespace = "Not A Name"

        [clusters]
        small = 1
        "#,
    );
    let ClustersError::Invalid { problems, .. } = wrong.unwrap_err() else { panic!("it was read") };
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"));

    let of = |text| read(text).unwrap_err().to_string();
    let syntax = of("[clusters.default\n");
    assert!(syntax.contains("line 1") && syntax.ends_with("; correct it there"), "{syntax}");
    assert!(of("").ends_with(
        "it names no cluster; write a section `[clusters.default]`, which may be empty"
    ));
    let missing = Clusters::read(Some(Path::new("/nowhere/clusters.toml"))).unwrap_err();
    assert!(missing.to_string().ends_with("see that it is there and may be read by this program"));
}

#[test]
fn what_changes_is_told_by_key_and_only_how_a_cluster_is_reached_takes_a_restart() {
    let before = ClusterConfig::default();
    assert_eq!(before.changes(&before), []);
    let now = read(
        r#"
        [clusters.default]
        kubeconfig = "/a"
        context = "b"
        namespace = "c"
        other_namespaces = ["d"]
        launching = false
        live_pods = 1
        live_pods_per_namespace = 2
        creates_per_second = 3
        in_flight_requests = 4
        start_gap = "5s"
        keep_succeeded = "6s"
        keep_failed = "7s"
        keep_succeeded_count = 8
        keep_failed_count = 9
        "#,
    )
    .unwrap();
    let changes = before.changes(now.get(DEFAULT_CLUSTER).unwrap());
    let keys = serde_json::to_value(&before).unwrap().as_object().unwrap().len();
    assert_eq!(changes.len(), keys, "each key has another value");
    let told: Vec<_> = changes
        .iter()
        .map(|it| format!("{}{it}", if it.takes_restart() { "restart: " } else { "" }))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    restart: context from none to "b"
    creates_per_second from none to 3
    in_flight_requests from 64 to 4
    keep_failed from "1m" to "7s"
    keep_failed_count from none to 9
    keep_succeeded from "1m" to "6s"
    keep_succeeded_count from none to 8
    restart: kubeconfig from none to "/a"
    launching from true to false
    live_pods from 5000 to 1
    live_pods_per_namespace from none to 2
    restart: namespace from none to "c"
    restart: other_namespaces from [] to ["d"]
    start_gap from none to "5s"
    "#);
}

#[test]
fn every_key_is_documented_with_its_default() {
    let default = serde_json::to_value(ClusterConfig::default()).unwrap();
    let rows: Vec<(String, String)> = default
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| match value {
            serde_json::Value::Null => (key.clone(), "none".to_owned()),
            serde_json::Value::String(text) => (key.clone(), format!("`\"{text}\"`")),
            other => (key.clone(), format!("`{other}`")),
        })
        .collect();
    for (key, default) in &rows {
        let row = DOCS.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/kubernetes.md has no row for `{key}`"));
        assert!(row.split(" | ").any(|cell| cell == default), "`{key}` is {default}: {row}");
    }
    let section = DOCS.split("\n## ").find(|it| it.starts_with("The clusters file\n")).unwrap();
    assert_eq!(section.lines().filter(|line| line.starts_with("| `")).count(), rows.len());
}
