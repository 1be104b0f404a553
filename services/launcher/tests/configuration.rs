//! The program's configuration, as it is checked before anything starts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;

/// Ends the program with what it is given, and gives its exit code and what it says.
fn launcher(file: &str, cluster: &str, flags: &[&str]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clusters.toml");
    std::fs::write(&path, file).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_windlass-launcher"))
        .env_clear()
        .current_dir(dir.path())
        // Nobody answers there: a program that connects first waits for ever, and is never told what is wrong.
        .args(["--set", "bus.url=nats://127.0.0.1:1", "--set", "store.url=redis://127.0.0.1:1"])
        .args(["--set", "launcher.clusters_file=clusters.toml"])
        .arg("--set")
        .arg(format!("launcher.cluster={cluster}"))
        .args(flags)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

const ON_KUBERNETES: [&str; 2] = ["--set", "launcher.runtime=kubernetes"];
const CHECK: &str = "--check-config";

#[test]
fn a_clusters_file_that_will_not_do_ends_with_code_2_before_anything_starts() {
    let broken = "[clusters.gpu]\nlive_pod = 3\n";
    let [set, runtime] = ON_KUBERNETES;
    for flags in [&[set, runtime, CHECK][..], &[set, runtime], &[CHECK], &[]] {
        let (code, said) = launcher(broken, "gpu", flags);
        assert_eq!(code, Some(2), "{flags:?}: {said}");
        assert!(said.starts_with("error: `launcher.clusters_file`: "), "{said}");
        assert!(said.contains("did you mean `clusters.gpu.live_pods`?"), "{said}");
    }
}

#[test]
fn a_cluster_that_the_file_does_not_have_ends_with_code_2_where_attempts_are_pods() {
    let file = "[clusters.gpu]\n";
    let [set, runtime] = ON_KUBERNETES;
    for flags in [&[set, runtime, CHECK][..], &[set, runtime]] {
        let (code, said) = launcher(file, "cpu", flags);
        assert_eq!(code, Some(2), "{flags:?}: {said}");
        assert!(said.starts_with("error: `launcher.cluster`: no cluster `cpu`"), "{said}");
        assert!(said.contains("in clusters.toml there are `gpu`"), "{said}");
    }
    // Processes have clusters, too, of which no file knows.
    assert_eq!(launcher(file, "cpu", &[CHECK]), (Some(0), String::new()));
    assert_eq!(launcher(file, "gpu", &[set, runtime, CHECK]), (Some(0), String::new()));
}
