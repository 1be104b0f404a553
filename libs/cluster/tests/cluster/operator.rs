//! What operators apply.

use serde_json::Value;
use windlass_cluster::{ClusterConfig, RIGHTS, ServiceAccountRef, manifests};

const FILE: &str = include_str!("../../../../k8s/rbac.yaml");
const DOCS: &str = include_str!("../../../../docs/kubernetes.md");

fn documents(yaml: &str) -> Vec<Value> {
    yaml.split("\n---\n").map(|it| serde_saphyr::from_str(it).unwrap()).collect()
}

fn in_namespace(namespace: &str) -> ClusterConfig {
    ClusterConfig { namespace: Some(namespace.to_owned()), ..ClusterConfig::default() }
}

#[tokio::test]
async fn the_file_for_operators_is_what_prepare_makes_in_the_namespace_windlass() {
    let yaml = manifests(&in_namespace("windlass"), &ServiceAccountRef::default()).await.unwrap();
    assert_eq!(documents(FILE), documents(&yaml));
}

#[tokio::test]
async fn a_service_account_of_another_namespace_is_bound_to_the_role_beside_the_pods() {
    let account: ServiceAccountRef = "control/launcher".parse().unwrap();
    let yaml = manifests(&in_namespace("jobs"), &account).await.unwrap();
    insta::assert_snapshot!(yaml);
}

#[tokio::test]
async fn other_namespaces_let_the_one_service_account_in() {
    let others = ["jobs", "training"].map(str::to_owned);
    let config = ClusterConfig { other_namespaces: others.into(), ..in_namespace("jobs") };
    let yaml = manifests(&config, &ServiceAccountRef::default()).await.unwrap();
    let of = |kind: &str| -> Vec<Value> {
        documents(&yaml).into_iter().filter(|it| it["kind"] == kind).collect()
    };
    let names = |kind: &str| -> Vec<String> {
        let metadata = of(kind).into_iter().map(|it| it["metadata"].clone());
        metadata.map(|it| format!("{}/{}", it["namespace"], it["name"]).replace('"', "")).collect()
    };
    assert_eq!(names("Namespace"), ["null/jobs", "null/training"]);
    assert_eq!(names("ServiceAccount"), ["jobs/windlass"]);
    for kind in ["Role", "RoleBinding"] {
        assert_eq!(names(kind), ["jobs/windlass", "training/windlass"]);
    }
    for binding in of("RoleBinding") {
        let subject = serde_json::json!([{"kind": "ServiceAccount", "name": "windlass", "namespace": "jobs"}]);
        assert_eq!(binding["subjects"], subject);
    }
}

#[test]
fn every_right_is_documented() {
    for right in RIGHTS {
        assert!(DOCS.contains(&format!("`{}`", right.resource)), "{right}");
        assert!(DOCS.contains(right.verb), "{right}");
    }
}
