//! What a file means.

use std::path::PathBuf;

use windlass_engine::graph::NodeIndex;
use windlass_pipeline::{
    compile,
    file::{self, FileOptions},
};
use windlass_pod::settings;
use windlass_proto::v1::{self, step::Work};

const WHOLE: &str = include_str!("files/whole.yaml");
const PODS: &str = include_str!("files/pods.yaml");
const GRAPH: &str = include_str!("files/graph.yaml");

fn parse(text: &str, base_dir: Option<&str>) -> v1::Pipeline {
    let options = FileOptions { base_dir: base_dir.map(PathBuf::from), ..FileOptions::default() };
    file::parse(text.as_bytes(), &options).unwrap_or_else(|error| panic!("{error}"))
}

fn task<'a>(pipeline: &'a v1::Pipeline, name: &str) -> &'a v1::Task {
    let step = pipeline.steps.iter().find(|step| step.name == name).expect("a step");
    let Some(Work::Task(task)) = &step.work else { panic!("{step:?}") };
    task
}

#[test]
fn every_key_comes_to_its_place() {
    insta::assert_debug_snapshot!(parse(WHOLE, Some("/home/ada")));
}

#[test]
fn so_do_those_of_loops_groups_branches_conditions_and_exit_steps() {
    insta::assert_debug_snapshot!(parse(GRAPH, None));
}

#[test]
fn a_pod_is_what_a_step_asks_over_what_the_defaults_ask() {
    insta::assert_debug_snapshot!(parse(PODS, None).steps);
}

#[test]
fn numbers_in_variables_stay_as_they_are_written_wherever_the_file_begins() {
    for start in ["", "\u{feff}", "# Käse\r\n"] {
        let text =
            format!("{start}name: p\nsteps:\n  a: {{run: x, env: {{A: 1.10, B: 007, C: True}}}}\n");
        let pipeline = parse(&text, None);
        let values = task(&pipeline, "a").env.iter().map(|variable| variable.value.as_str());
        assert_eq!(values.collect::<Vec<_>>(), ["1.10", "007", "True"], "{start:?}");
    }
}

#[test]
fn a_loop_may_be_written_in_several_ways() {
    let loops = |for_each: &str| {
        let text = format!(
            "name: p\nparameters: {{l: []}}\nsteps:\n  a: {{run: x, for_each: {for_each}}}\n"
        );
        parse(&text, None).steps[0].for_each.clone()
    };
    assert_eq!(loops("[]"), loops("{items: []}"));
    assert_eq!(loops("[a, 1, [b]]"), loops("{items: [a, 1, [b]], max_parallelism: 0}"));
    assert_eq!(loops("3"), loops("{count: 3}"));
    assert_eq!(loops("0"), loops("{count: 0}"));
    assert_eq!(loops("\"${{ params.l }}\""), loops("{items: \"${{ params.l }}\"}"));
}

#[test]
fn defaults_are_for_programs_at_every_depth_and_for_nothing_else() {
    let pipeline = parse(GRAPH, None);
    let mut lists = vec![&pipeline.steps, &pipeline.exit_steps];
    let mut programs = 0;
    while let Some(list) = lists.pop() {
        for step in list {
            let has_retry = step.retry.is_some();
            match step.work.as_ref().expect("work") {
                Work::Task(_) => programs += 1,
                Work::Group(group) => lists.push(&group.steps),
                Work::Branches(branches) => lists.push(&branches.branches),
                Work::Approval(_) => {}
            }
            let is_program = matches!(step.work, Some(Work::Task(_)));
            assert_eq!(has_retry, is_program, "{}", step.name);
        }
    }
    assert_eq!(programs, 11);
}

#[test]
fn json_is_read_as_well() {
    let json = r#"{"name": "p", "parameters": {"n": 3}, "steps": {"a": {"command": ["x"], "timeout": "5s"}}}"#;
    let yaml = "name: p\nparameters: {n: 3}\nsteps:\n  a: {command: [x], timeout: 5s}\n";
    assert_eq!(parse(json, None), parse(yaml, None));
}

#[test]
fn aliases_and_merge_keys_stand_for_what_they_name() {
    let aliased =
        "name: p\nsteps:\n  a: &base {command: [x], retry: 3}\n  b: {<<: *base, depends_on: a}\n";
    let written = "name: p\nsteps:\n  a: {command: [x], retry: 3}\n  b: {command: [x], retry: 3, depends_on: [a]}\n";
    assert_eq!(parse(aliased, None), parse(written, None));
}

#[test]
fn working_directories_are_below_the_files_unless_they_say_otherwise() {
    let dirs = |base_dir| {
        let pipeline = parse(WHOLE, base_dir);
        ["load", "clean-up", "report"].map(|name| task(&pipeline, name).working_dir.clone())
    };
    let report = "${{ params.data }}/reports";
    assert_eq!(dirs(Some("/home/ada/.")), ["/home/ada/src", "/", report]);
    assert_eq!(dirs(Some("/home/${{ada")), ["/home/$${{ada/src", "/", report]);
    assert_eq!(dirs(None), ["src", "/", report]);
    let bare = parse("name: p\nsteps:\n  a: {run: x}\n", Some("/home/ada"));
    assert_eq!(task(&bare, "a").working_dir, "/home/ada");
}

#[test]
fn texts_are_taken_as_they_are_written() {
    let pipeline = parse(
        "name: p\nsteps:\n  a: {command: [x, 1.10, yes], env: {V: 1.10, B: true, O: 0o17}}\n",
        None,
    );
    let task = task(&pipeline, "a");
    assert_eq!(task.command, ["x", "1.10", "yes"]);
    let values: Vec<_> = task.env.iter().map(|var| var.value.as_str()).collect();
    assert_eq!(values, ["1.10", "true", "0o17"]);
}

#[test]
fn references_to_outputs_imply_dependencies() {
    let pipeline = parse(WHOLE, None);
    let graph = compile::graph(&pipeline, 7).unwrap();
    let name = |node: NodeIndex| pipeline.steps[node.0 as usize].name.as_str();
    let edges: Vec<_> = graph
        .nodes()
        .flat_map(|node| graph.dependencies(node).iter().map(move |on| (node, *on)))
        .map(|(node, on)| (name(node), name(on)))
        .collect();
    assert_eq!(
        edges,
        [("train", "load"), ("clean-up", "load"), ("clean-up", "train"), ("report", "clean-up")]
    );
    insta::assert_debug_snapshot!((graph.policy(), graph.step_policy(NodeIndex(0))));
}

#[test]
fn what_is_asked_of_a_pod_is_written_as_a_file_has_it() {
    let pipeline = parse(PODS, None);
    for name in ["plain", "merged"] {
        let pod = task(&pipeline, name).pod.as_ref().expect("it asks something");
        let step = serde_json::json!({"run": "true", "image": "i", "pod": settings::written(pod)});
        let parameters = "parameters: {tag: v1, team: vision, cores: 2}";
        let again = parse(&format!("name: again\n{parameters}\nsteps: {{{name}: {step}}}\n"), None);
        assert_eq!(task(&again, name).pod.as_ref(), Some(pod));
    }
}
