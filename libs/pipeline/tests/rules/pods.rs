//! Rules of images, secrets and pods.

use prost_types::{ListValue, Struct, Value, value::Kind};
use windlass_engine::graph::NodeIndex;
use windlass_pipeline::{check::check, compile, limits};
use windlass_proto::v1::{self, step::Work};

use super::{pipeline, refused_task, step};

fn text(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}

fn object(name: &str, value: Value) -> Value {
    let fields = Struct { fields: [(name.to_owned(), value)].into() };
    Value { kind: Some(Kind::StructValue(fields)) }
}

fn pod(pod: v1::Pod) -> impl FnOnce(&mut v1::Task) {
    |task| task.pod = Some(Box::new(pod))
}

#[test]
fn what_is_wrong_with_a_pod_is_told_with_its_rule_and_its_place() {
    let tolerations = Some(ListValue { values: vec![object("keys", text("a"))] });
    let context = object("runAsUser", text("ada"));
    let Some(Kind::StructValue(context)) = context.kind else { unreachable!() };
    refused_task(
        pod(v1::Pod {
            namespace: "A".into(),
            labels: [("windlass.dev/run".into(), "x".into())].into(),
            tolerations,
            security_context: Some(context),
            volume_mounts: Some(ListValue { values: vec![object("name", text("a"))] }),
            active_deadline: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
            ..v1::Pod::default()
        }),
        &[
            ("INVALID_TEXT", "steps[1].task.pod.namespace"),
            ("MISPLACED", "steps[1].task.pod.labels[windlass.dev/run]"),
            ("UNKNOWN_FIELD", "steps[1].task.pod.tolerations[0].keys"),
            ("MISSING_FIELD", "steps[1].task.pod.volume_mounts[0]"),
            ("TYPE_MISMATCH", "steps[1].task.pod.security_context.runAsUser"),
            ("INVALID_DURATION", "steps[1].task.pod.active_deadline"),
        ],
    );
    let annotations = [("a".to_owned(), "x".repeat(70_000))].into();
    let large = v1::Pod { annotations, ..v1::Pod::default() };
    refused_task(pod(large), &[("TOO_LARGE", "steps[1].task.pod")]);
}

#[test]
fn an_image_runs_its_own_program_and_nothing_else_does_without_a_command() {
    let image = "x".repeat(limits::IMAGE_BYTES + 1);
    refused_task(|task| task.image = image, &[("TOO_LARGE", "steps[1].task.image")]);
    refused_task(|task| task.command.clear(), &[("EMPTY_COMMAND", "steps[1].task.command")]);
    let mut own = step("a");
    let Some(Work::Task(task)) = &mut own.work else { unreachable!() };
    task.command.clear();
    task.args = vec!["--quick".into()];
    task.image = "x".into();
    assert_eq!(check(&pipeline(vec![own])), Ok(()));
}

#[test]
fn a_container_starts_in_a_directory_that_is_relative_to_nothing() {
    let starts_in = |dir: &str, image: &str| {
        let mut step = step("a");
        let Some(Work::Task(task)) = &mut step.work else { unreachable!() };
        (task.working_dir, task.image) = (dir.to_owned(), image.to_owned());
        check(&pipeline(vec![step]))
    };
    for (dir, image) in [("src", ""), ("/src", "x"), ("", "x"), ("${{ run.id }}", "x")] {
        assert_eq!(starts_in(dir, image), Ok(()), "{dir} {image}");
    }
    refused_task(
        |task| (task.working_dir, task.image) = ("src".to_owned(), "x".to_owned()),
        &[("INVALID_TEXT", "steps[1].task.working_dir")],
    );
}

#[test]
fn a_variable_has_a_value_or_a_secret() {
    let variable = |value: &str, name: &str| v1::EnvVar {
        name: "A".into(),
        value: value.into(),
        secret: Some(Box::new(v1::SecretKey {
            name: name.into(),
            key: "b".into(),
            optional: false,
        })),
    };
    let [both, none] = [variable("x", "s"), variable("", "")];
    refused_task(|task| task.env = vec![both], &[("CONTRADICTION", "steps[1].task.env[0].secret")]);
    refused_task(|task| task.env = vec![none], &[("INVALID_NAME", "steps[1].task.env[0].secret")]);
}

#[test]
fn a_step_waits_for_what_its_image_and_its_pod_refer_to() {
    for reference in ["image", "pod"] {
        let mut steps = vec![step("a"), step("b")];
        steps[0].outputs = vec!["tag".into()];
        let Some(Work::Task(task)) = &mut steps[1].work else { unreachable!() };
        let tag = "${{ steps.a.outputs.tag }}";
        if reference == "image" {
            task.image = format!("x:{tag}");
        } else {
            let annotations = [("tag".to_owned(), tag.to_owned())].into();
            task.pod = Some(Box::new(v1::Pod { annotations, ..v1::Pod::default() }));
        }
        let pipeline = pipeline(steps);
        assert_eq!(check(&pipeline), Ok(()));
        let graph = compile::graph(&pipeline, 0).unwrap();
        assert_eq!(graph.dependencies(NodeIndex(1)), [NodeIndex(0)], "{reference}");
    }
}
