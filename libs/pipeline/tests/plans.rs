//! What a run would do, before it starts.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde_json::{Value as Json, json};
use windlass_pipeline::{
    check::Violations,
    file::{self, FileOptions},
    limits,
    plan::{Plan, PlannedItems, PlannedRetry, PlannedStep, PlannedValue, PlannedWork},
};
use windlass_proto::{json, v1};

fn pipeline(text: &str) -> v1::Pipeline {
    file::parse(text.as_bytes(), &FileOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn plan_with(pipeline: &v1::Pipeline, arguments: &[(&str, Json)]) -> Result<Plan, Violations> {
    let given = arguments.iter().map(|(name, value)| ((*name).to_owned(), json::to_value(value)));
    Plan::of(pipeline, &given.collect())
}

fn plan(text: &str) -> Plan {
    plan_with(&pipeline(text), &[]).expect("its arguments are in order")
}

/// The steps in order, each with its level.
fn order(plan: &Plan) -> Vec<(u32, &str)> {
    plan.steps.iter().map(|step| (step.level, step.path.as_str())).collect()
}

fn step<'a>(plan: &'a Plan, path: &str) -> &'a PlannedStep {
    plan.steps.iter().find(|step| step.path == path).expect("it has such a step")
}

fn command(plan: &Plan, path: &str) -> String {
    let PlannedWork::Task(task) = &step(plan, path).work else { panic!("{path} is no task") };
    task.command.join(" ")
}

fn items(plan: &Plan, path: &str) -> PlannedItems {
    let PlannedWork::Loop { items, .. } = &step(plan, path).work else {
        panic!("{path} is no loop")
    };
    items.clone()
}

#[test]
fn steps_come_in_an_order_in_which_they_could_start() {
    let plan = plan(
        r"
name: order
steps:
  last: {depends_on: [g, b], command: [x]}
  b: {depends_on: a, command: [x]}
  g:
    depends_on: a
    steps:
      second: {depends_on: first, command: [x]}
      first: {command: [x]}
      l:
        for_each: 3
        depends_on: second
        command: [x]
  a: {command: [x]}
exit_steps:
  bye: {depends_on: hey, command: [x]}
  hey: {command: [x]}
",
    );
    assert_eq!(
        order(&plan),
        [
            (1, "a"),
            (2, "b"),
            (2, "g"),
            (2, "g.first"),
            (3, "g.second"),
            (4, "g.l"),
            (4, "g.l.*"),
            (5, "last"),
            (6, "hey"),
            (7, "bye"),
        ]
    );
    assert_eq!(step(&plan, "last").waits_for, ["b", "g"]);
    assert_eq!(step(&plan, "g.second").waits_for, ["g.first"]);
    assert!(step(&plan, "hey").is_exit && !step(&plan, "last").is_exit);
}

#[test]
fn a_loop_says_how_many_items_it_has_where_its_list_is_known() {
    let plan = plan(
        r#"
name: loops
parameters: {sizes: [1, 2, 3]}
steps:
  list: {command: [x], outputs: found}
  written: {for_each: [a, b], command: [x]}
  given:
    for_each: {items: "${{ params.sizes }}", max_parallelism: 2}
    steps:
      each: {for_each: 4, command: [x], outputs: no}
      found: {for_each: "${{ steps.each.outputs.no }}", command: [x]}
  found: {for_each: "${{ steps.list.outputs.found }}", command: [x]}
"#,
    );
    assert_eq!(items(&plan, "written"), PlannedItems::Known(2));
    assert_eq!(items(&plan, "given"), PlannedItems::Known(3));
    assert_eq!(items(&plan, "given.*.each"), PlannedItems::Known(4));
    let reference = PlannedItems::Reference("${{ steps.list.outputs.found }}".to_owned());
    assert_eq!(items(&plan, "found"), reference);
    let times = |path| (step(&plan, path).times, step(&plan, path).loops.join(" "));
    assert_eq!(times("written"), (Some(1), String::new()));
    assert_eq!(times("given.*.each.*"), (Some(12), "given given.*.each".to_owned()));
    assert_eq!(times("given.*.found.*"), (None, "given given.*.found".to_owned()));
    let PlannedWork::Loop { max_parallelism, .. } = step(&plan, "given").work else { panic!() };
    assert_eq!(max_parallelism, Some(2));
}

#[test]
fn a_loop_over_a_list_file_has_as_many_items_as_its_argument_says() {
    let pipeline = pipeline(
        r#"
name: listed
parameters: {list: {type: object}}
steps:
  each: {for_each: "${{ params.list }}", command: [x]}
"#,
    );
    let with = |list| plan_with(&pipeline, &[("list", list)]).expect("it is an object");
    let list = json!({"list_file": "/data/list", "items": 20_000, "sha256": "a".repeat(64)});
    let plan = with(list);
    assert_eq!(items(&plan, "each"), PlannedItems::Known(20_000));
    assert_eq!(step(&plan, "each.*").times, Some(20_000));
    let plan = with(json!({"list_file": "/data/list", "items": 20_000}));
    let reference = PlannedItems::Reference("${{ params.list }}".to_owned());
    assert_eq!(items(&plan, "each"), reference);
}

#[test]
fn what_is_known_stands_in_place_of_references_wherever_groups_pass_it_on() {
    let pipeline = pipeline(
        r#"
name: known
parameters: {day: {type: string}, n: 2, list: [1]}
steps:
  a:
    env: {DAY: "${{ params.day }}"}
    command: [go, "${{params.day}}/${{ params.n }}", "${{ params.list }}", "${{ run.id }}", "${{ step.name }}", "$${{ x }}"]
    outputs: o
  closed:
    parameters: {day: {type: string}, n: 7, o: {type: string}, each: {type: list}}
    arguments: {day: "${{ params.day }}", o: "${{ steps.a.outputs.o }}", each: "${{ params.list }}"}
    steps:
      b: {command: ["${{ params.day }}", "${{ params.n }}", "${{ params.o }}", "${{ step.name }}"]}
      c: {for_each: "${{ params.each }}", command: ["${{ item }}", "${{ step.name }}", "${{ params.n }}"]}
"#,
    );
    let plan = plan_with(&pipeline, &[("day", json!("monday"))]).unwrap();
    let arguments = BTreeMap::from([
        ("day".to_owned(), json!("monday")),
        ("list".to_owned(), json!([1])),
        ("n".to_owned(), json!(2)),
    ]);
    assert_eq!(plan.arguments, arguments);
    assert_eq!(command(&plan, "a"), "go monday/2 [1] ${{ run.id }} a ${{ x }}");
    let PlannedWork::Task(task) = &step(&plan, "a").work else { panic!() };
    assert_eq!(task.env, [("DAY".to_owned(), PlannedValue::Text("monday".to_owned()))]);
    assert_eq!(command(&plan, "closed.b"), "monday 7 ${{ params.o }} closed.b");
    assert_eq!(command(&plan, "closed.c.*"), "${{ item }} ${{ step.name }} 7");
    assert_eq!(items(&plan, "closed.c"), PlannedItems::Known(1));
}

#[test]
fn where_a_step_goes_and_what_it_asks_of_its_pod_are_told_and_a_secret_is_no_text() {
    let text = r#"
name: pods
parameters: {day: monday}
defaults: {cluster: gpu, pod: {namespace: ml}}
steps:
  a:
    image: i
    env:
      REFERENCE: "{{ db.password }}"
      TEXT: {value: "{{ db.password }}"}
      OPTIONAL: {secret: db, key: user, optional: true}
    pod: {labels: {day: "${{ params.day }}", run: "${{ run.id }}"}}
    run: "true"
  b: {image: i, cluster: cpu, run: "true"}
"#;
    let plan = plan(text);
    let task = |name: &str| match &step(&plan, name).work {
        PlannedWork::Task(task) => task.clone(),
        other => panic!("{other:?}"),
    };
    let (a, b) = (task("a"), task("b"));
    assert_eq!([a.cluster.as_deref(), b.cluster.as_deref()], [Some("gpu"), Some("cpu")]);
    let labels = json!({"day": "monday", "run": "${{ run.id }}"});
    assert_eq!(Json::Object(a.pod), json!({"namespace": "ml", "labels": labels}));
    assert_eq!(Json::Object(b.pod), json!({"namespace": "ml"}));
    let secret = |key: &str, is_optional| {
        let (name, key) = ("db".to_owned(), key.to_owned());
        PlannedValue::Secret { name, key, is_optional }
    };
    let env: BTreeMap<_, _> = a.env.into_iter().collect();
    assert_eq!(env["REFERENCE"], secret("password", false));
    assert_eq!(env["OPTIONAL"], secret("user", true));
    assert_eq!(env["TEXT"], PlannedValue::Text("{{ db.password }}".to_owned()));
}

#[test]
fn conditions_limits_and_retries_are_told() {
    let plan = plan(
        r#"
name: limits
failure_mode: fail_fast
max_parallelism: 3
start_gap: 250ms
timeout: 2h
steps:
  a:
    command: [x]
    timeout: 10m
    startup_timeout: 1m
    resources: {memory: 1Mi}
    retry: {limit: 2, delay: 5s, factor: 2, max_delay: 1m, jitter: 0.25, system_limit: 0, rules: [{exit_codes: [75], action: fail}]}
  b: {when: "steps.a.state == 'failed'", trigger_rule: all_done, command: [x]}
  c:
    branches:
      d: {when: "true", command: [x]}
      e: {command: [x]}
  f: {approval: {}, timeout: 24h}
"#,
    );
    assert_eq!(plan.failure_mode, v1::FailureMode::FailFast);
    let (gap, timeout) = (Duration::from_millis(250), Duration::from_hours(2));
    assert_eq!(
        (plan.max_parallelism, plan.start_gap, plan.timeout),
        (Some(3), Some(gap), Some(timeout))
    );
    let PlannedWork::Task(a) = &step(&plan, "a").work else { panic!() };
    assert_eq!(a.memory_bytes, Some(1 << 20));
    let limits = (a.timeout, a.startup_timeout);
    assert_eq!(limits, (Some(Duration::from_mins(10)), Some(Duration::from_mins(1))));
    let retry = PlannedRetry {
        limit: 2,
        system_limit: 0,
        delay: Duration::from_secs(5),
        factor: 2.0,
        max_delay: Duration::from_mins(1),
        jitter: 0.25,
        rules: 1,
    };
    assert_eq!(a.retry, retry);
    let b = step(&plan, "b");
    assert_eq!(b.condition.as_deref(), Some("steps.a.state == 'failed'"));
    assert_eq!(
        (b.trigger_rule, b.waits_for.as_slice()),
        (v1::TriggerRule::AllDone, &["a".to_owned()][..])
    );
    let timeout = Some(Duration::from_hours(24));
    assert_eq!(step(&plan, "f").work, PlannedWork::Approval { timeout });
    assert_eq!(step(&plan, "c").work, PlannedWork::Branches);
    assert_eq!(step(&plan, "c.d").condition.as_deref(), Some("true"));
    let PlannedWork::Task(e) = &step(&plan, "c.e").work else { panic!() };
    assert_eq!(e.retry, PlannedRetry::default());
}

#[test]
fn arguments_that_a_submission_would_not_take_are_refused_in_the_same_words() {
    let pipeline =
        pipeline("name: p\nparameters: {n: 1, day: {type: string}}\nsteps: {a: {command: [x]}}\n");
    let given = [("n", json!("two")), ("day", json!("monday")), ("m", json!(1))];
    for given in [&given[..1], &given[..2], &given] {
        let arguments =
            given.iter().map(|(name, value)| ((*name).to_owned(), json::to_value(value))).collect();
        let refused = plan_with(&pipeline, given).unwrap_err();
        let submitted = windlass_pipeline::arguments::resolve(&pipeline, &arguments).unwrap_err();
        assert_eq!(refused, submitted);
    }
}

#[test]
fn values_take_the_place_of_references_until_there_are_too_many() {
    let long = "x".repeat(1 << 20);
    let mut text = "name: p\nparameters: {long: {type: string}}\nsteps:\n".to_owned();
    let steps = (limits::PLAN_VALUES_BYTES >> 20) + 1;
    for number in 0..steps {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  s{number}: {{command: [\"${{{{ params.long }}}}\"]}}");
    }
    let given = [("long", Json::String(long.clone()[..(1 << 20) - 64].to_owned()))];
    let plan = plan_with(&pipeline(&text), &given).unwrap();
    let lengths: Vec<_> = (0..steps).map(|it| command(&plan, &format!("s{it}")).len()).collect();
    assert_eq!((lengths[0], lengths[steps - 1]), ((1 << 20) - 64, "${{ params.long }}".len()));
}
