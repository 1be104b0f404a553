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
    let file = clusters.get("default").unwrap().file.clone();
    assert!(file.is_some());
    let default = ClusterConfig { file: file.clone(), ..ClusterConfig::default() };
    assert_eq!(clusters.get("default").unwrap(), &default);
    let expected = ClusterConfig {
        name: "gpu-eu".to_owned(),
        kubeconfig: Some("/etc/windlass/gpu.kubeconfig".into()),
        file,
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
        context = 3
        kubeconfig = true
        other_namespaces = "jobs"
        launching = "no"
        creates_per_second = 5000000000
        keep_failed_count = -1
        start_gap = 5

        [clusters]
        small = 1
        "#,
    );
    let ClustersError::Invalid { problems, .. } = wrong.unwrap_err() else { panic!("it was read") };
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"));

    let of = |text| read(text).unwrap_err().to_string();
    let first = |error: String| error.split_once("\n  ").map(|(_, told)| told.to_owned()).unwrap();
    insta::assert_snapshot!(first(of("\n[clusters.default\n")), @"line 2, column 18: unclosed table, expected `]`; correct it there");
    insta::assert_snapshot!(first(of("[[clusters]]\nname = \"default\"\n")), @"`clusters`: is no list and has no value; write a section for each cluster, such as `[clusters.default]`, and its keys below");
    insta::assert_snapshot!(first(of("[[clusters.default]]\n")), @"`clusters.default`: is a section and has no value; write `[clusters.default]`, and its keys below");
    assert!(of("").ends_with(
        "it names no cluster; write a section `[clusters.default]`, which may be empty"
    ));
    let missing = Clusters::read(Some(Path::new("/nowhere/clusters.toml"))).unwrap_err();
    assert!(missing.to_string().ends_with("see that it is there and may be read by this program"));
}

#[test]
fn what_is_told_stays_short_however_long_the_file_is() {
    let long = "x".repeat(40_000);
    for text in [
        format!("[clusters.default]\ncontext = \"{long}"),
        format!("[clusters.default]\n{long} = 1\n{long} = 2\n"),
        format!("[clusters.default]\n{long} = 1\n"),
        format!("[clusters.default]\nlive_pods = \"{long}\"\n"),
        format!("[clusters.default]\nnamespace = \"{long}\"\n"),
        format!("{long} = 1\n"),
        format!("[clusters.{long}]\n"),
    ] {
        let told = read(&text).unwrap_err().to_string();
        assert!(told.len() < 600, "{told}");
    }
    let section = |it| format!("[clusters.c{it}]\nnamespace = \"n{it}\"\n");
    let many = (0..20_000).map(section).collect::<Vec<_>>().concat();
    let unknown = Clusters::parse(Path::new("clusters.toml"), &many).unwrap();
    let unknown = unknown.get("cluster-19999").unwrap_err();
    assert_eq!(unknown.known.len(), 20_000);
    insta::assert_snapshot!(unknown, @"no cluster `cluster-19999` is configured; in clusters.toml there are `c0`, `c1`, `c10`, `c100`, `c1000`, `c10000`, `c10001`, `c10002`, `c10003`, `c10004` and 19990 more; take one of these, or add it there");
}

#[test]
fn sections_of_the_same_cluster_have_no_namespace_in_common() {
    let told = |text: &str| match read(text) {
        Ok(_) => String::new(),
        Err(ClustersError::Invalid { problems, .. }) => {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        }
        Err(error) => panic!("{error}"),
    };
    let sections = |one: &str, other: &str| format!("[clusters.a]\n{one}\n[clusters.b]\n{other}\n");
    insta::assert_snapshot!(told(&sections("namespace = \"x\"", "other_namespaces = [\"x\", \"y\"]")), @"`clusters.b`: reaches the same cluster as `clusters.a`, with the same `kubeconfig` and `context`, and both have pods in the namespace `x`, where nothing tells whose they are; give each `namespace` and `other_namespaces` of its own, or make one section of both");
    insta::assert_snapshot!(told(&sections("live_pods = 3", "")), @"`clusters.b`: reaches the same cluster as `clusters.a`, with the same `kubeconfig` and `context`, and both have pods in the namespace of that context, where nothing tells whose they are; give each `namespace` and `other_namespaces` of its own, or make one section of both");
    let eu = "kubeconfig = \"/k\"\ncontext = \"eu\"\nnamespace = \"x\"";
    assert!(told(&sections(eu, eu)).contains("the namespace `x`"));
    for apart in [
        sections("namespace = \"x\"\nother_namespaces = [\"x\"]", "namespace = \"y\""),
        sections(eu, "kubeconfig = \"/k\"\ncontext = \"us\"\nnamespace = \"x\""),
        sections(eu, "kubeconfig = \"/l\"\ncontext = \"eu\"\nnamespace = \"x\""),
    ] {
        assert_eq!(told(&apart), "");
    }
}

#[test]
fn a_command_that_is_told_can_be_copied() {
    assert_eq!(ClusterConfig::default().command("check"), "windlass cluster check default");
    for (file, told) in [("etc/c.toml", "etc/c.toml"), ("it's mine.toml", r"'it'\''s mine.toml'")] {
        let clusters = Clusters::parse(Path::new(file), "[clusters.gpu]\n").unwrap();
        let command = clusters.get("gpu").unwrap().command("prepare");
        assert_eq!(command, format!("windlass cluster prepare gpu --clusters-file {told}"));
    }
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
