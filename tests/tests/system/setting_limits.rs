//! How named limits are set, and what cannot be set.

use std::{
    fs,
    process::{Command, Output},
};

use windlass_proto::v1;

use crate::support::{World, reason};

#[tokio::test]
async fn limits_that_would_hold_steps_for_ever_and_unlawful_names_are_refused_with_the_field() {
    let world = World::simulated().await;
    let request = |namespace: &str, name: &str, size| v1::SetLimitRequest {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        size,
        rate: None,
    };
    for (request, says) in [
        (request("", "gpu", Some(0)), "to hold runs back, pause them"),
        (request("", "gpu", None), "how many may start in a period"),
        (request("", "GPU", Some(1)), "is no lawful name of a limit"),
        (request("", "", Some(1)), "names no limit"),
        (request("Team", "gpu", Some(1)), "lower-case letters"),
    ] {
        let refused = world.runs().set_limit(request).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_REQUEST");
        assert!(refused.message().contains(says), "{}", refused.message());
    }
    let [namespace, name] = ["Team", "gpu"].map(str::to_owned);
    let unset = v1::UnsetLimitRequest { namespace: namespace.clone(), name: name.clone() };
    let get = v1::GetLimitRequest { namespace: namespace.clone(), name };
    let list = v1::ListLimitsRequest { namespace };
    let refused = [
        world.runs().unset_limit(unset).await.unwrap_err(),
        world.runs().get_limit(get).await.unwrap_err(),
        world.runs().list_limits(list).await.unwrap_err(),
    ];
    assert_eq!(refused.each_ref().map(reason), ["INVALID_REQUEST"; 3]);
}

#[tokio::test]
async fn the_command_sets_shows_lists_and_forgets_limits() {
    let world = World::simulated().await;
    let server = world.serve().await;
    let windlass = async |line: &str| -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"));
        command.args(line.split(' ')).env("WINDLASS_SERVER", &server).env("NO_COLOR", "1");
        let output: Output =
            tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (_, said) = windlass("limit list").await;
    assert_eq!(said, "no limit is set, and nobody holds one\n");
    let (_, said) = windlass("limit set gpu --size 4 --rate 10/1m --namespace team").await;
    assert_eq!(said, "gpu: 4 at once, 10 starts in 1 min; nobody holds it\n");
    let (_, said) = windlass("limit list --namespace team").await;
    assert_eq!(
        said,
        "LIMIT  AT ONCE  STARTS       HELD  WAITING\ngpu    4        10 in 1 min  0     0\n"
    );
    let (_, said) = windlass("limit show gpu --namespace team --output json").await;
    let shown: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(shown["limit"]["rate"]["period_seconds"], 60.0);
    assert_eq!(shown["holders"], serde_json::json!([]));
    let (_, said) = windlass("limit unset gpu --namespace team").await;
    assert_eq!(said, "gpu: 1 at once (not set); nobody holds it\n");
    let (_, said) = windlass("limit set api --rate 10/1m").await;
    assert_eq!(said, "api: any at once, 10 starts in 1 min; nobody holds it\n");
    for (line, says) in [
        ("limit set gpu --size 0", "must be at least 1"),
        ("limit set gpu --size=-3", "a whole number from 1 to 1000000"),
        ("limit set gpu --size -3", "a whole number from 1 to 1000000"),
        ("limit set gpu --rate 0/1m", "must be at least 1"),
        ("limit set gpu", "Usage: windlass limit set"),
    ] {
        let (code, said) = windlass(line).await;
        assert!(code == Some(2) && said.contains(says), "{said}");
    }
}

/// Two steps that only end together, both of which hold a limit.
const TOGETHER: &str = "
name: together
steps:
  a: {limits: pair, run: 'touch a; until [ -e b ]; do sleep 0.02; done'}
  b: {limits: pair, run: 'touch b; until [ -e a ]; do sleep 0.02; done'}
";

#[test]
fn a_run_without_a_server_is_given_sizes_on_its_command_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pipeline.yaml"), TOGETHER).unwrap();
    let run = |size: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"));
        command.args(["run", "pipeline.yaml", "--slots", "2", "--limit", size]);
        command.current_dir(dir.path()).output().unwrap()
    };
    let output = run("pair=2");
    assert!(output.status.success(), "{output:?}");
    let warned = |output: &Output| {
        let said = String::from_utf8_lossy(&output.stderr);
        said.contains("warning: --limit par: no step of the pipeline names this limit")
    };
    assert!(!warned(&output), "{output:?}");
    fs::write(
        dir.path().join("pipeline.yaml"),
        "name: one\nsteps:\n  a: {limits: pair, run: ':'}\n",
    )
    .unwrap();
    let output = run("par=2");
    assert!(output.status.success() && warned(&output), "{output:?}");
    let output = run("pair=0");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("nothing that names a limit of size 0 would ever start"), "{said}");
}
