//! The rules of loops, groups, branches and exit steps.

use prost::Message as _;
use prost_types::{Duration, ListValue, Value, value::Kind};
use serde_json::json;
use windlass_pipeline::{check::check, limits};
use windlass_proto::{
    json::to_value,
    v1::{self, ParameterType, for_each::Items, step::Work},
};

use crate::{arguments::parameters, pipeline, step, told};

fn with_work(name: &str, work: Work) -> v1::Step {
    v1::Step { name: name.into(), work: Some(work), ..v1::Step::default() }
}

fn group(name: &str, steps: Vec<v1::Step>) -> v1::Step {
    with_work(name, Work::Group(Box::new(v1::Group { steps, ..v1::Group::default() })))
}

fn branches(name: &str, branches: Vec<v1::Step>) -> v1::Step {
    with_work(name, Work::Branches(Box::new(v1::Branches { branches })))
}

fn for_each(items: Option<Items>, step: v1::Step) -> v1::Step {
    let for_each = v1::ForEach { items, ..v1::ForEach::default() };
    v1::Step { for_each: Some(Box::new(for_each)), ..step }
}

/// Checks pipelines of one step.
#[track_caller]
fn refused_step(step: v1::Step, expected: &[(&str, &str)]) {
    assert_eq!(told(&check(&pipeline(vec![step])).expect_err("a rule is broken")), expected);
}

#[test]
fn an_approval_has_a_time_out_and_nothing_else_of_what_programs_have() {
    let approval = with_work("a", Work::Approval(v1::Approval {}));
    let hour = Some(Duration { seconds: 3600, nanos: 0 });
    let fine = v1::Step { timeout: hour, ..approval.clone() };
    let each = for_each(Some(Items::Count(2)), v1::Step { name: "b".into(), ..fine.clone() });
    assert_eq!(check(&pipeline(vec![fine, each])), Ok(()));
    let wrong = v1::Step {
        retry: Some(Box::default()),
        timeout: Some(Duration::default()),
        startup_timeout: hour,
        outputs: vec!["approved_by".into()],
        ..approval
    };
    let expected = [
        ("INVALID_DURATION", "steps[0].timeout"),
        ("MISPLACED", "steps[0].retry"),
        ("MISPLACED", "steps[0].startup_timeout"),
        ("MISPLACED", "steps[0].outputs"),
    ];
    refused_step(wrong, &expected);
}

#[test]
fn places_are_told_at_every_depth() {
    let wrong = || v1::Step { trigger_rule: 9, ..step("a") };
    let steps = vec![wrong(), branches("b", vec![wrong(), group("c", vec![wrong(), wrong()])])];
    let mut pipeline = pipeline(vec![step("x"), group("d", steps)]);
    pipeline.exit_steps = vec![step("e"), wrong(), for_each(Some(Items::Count(2)), wrong())];
    let violations = check(&pipeline).unwrap_err();
    assert_eq!(
        told(&violations),
        [
            ("DUPLICATE_NAME", "exit_steps[2].name"),
            ("UNKNOWN_VALUE", "steps[1].group.steps[0].trigger_rule"),
            ("MISPLACED", "steps[1].group.steps[1].branches.branches[0].trigger_rule"),
            ("UNREACHABLE", "steps[1].group.steps[1].branches.branches[0].when"),
            ("UNKNOWN_VALUE", "steps[1].group.steps[1].branches.branches[0].trigger_rule"),
            ("DUPLICATE_NAME", "steps[1].group.steps[1].branches.branches[1].group.steps[1].name"),
            (
                "UNKNOWN_VALUE",
                "steps[1].group.steps[1].branches.branches[1].group.steps[0].trigger_rule"
            ),
            (
                "UNKNOWN_VALUE",
                "steps[1].group.steps[1].branches.branches[1].group.steps[1].trigger_rule"
            ),
            ("UNKNOWN_VALUE", "exit_steps[1].trigger_rule"),
            ("UNKNOWN_VALUE", "exit_steps[2].trigger_rule"),
        ]
    );
    let last = violations.iter().nth(6).map(|violation| violation.message.clone());
    assert!(last.unwrap_or_default().starts_with("step `d.b.c.a`: "));
}

#[test]
fn loops_without_a_list_are_refused() {
    refused_step(for_each(None, step("a")), &[("INVALID_ITEMS", "steps[0].for_each.items")]);
    let infinite = Value { kind: Some(Kind::NumberValue(f64::INFINITY)) };
    let mut deep = Value::default();
    for _ in 0..=limits::VALUE_DEPTH {
        deep = Value { kind: Some(Kind::ListValue(ListValue { values: vec![deep] })) };
    }
    let list = Items::List(ListValue { values: vec![infinite, deep] });
    refused_step(
        for_each(Some(list), step("a")),
        &[("INVALID_ITEMS", "steps[0].for_each.items"), ("TOO_LARGE", "steps[0].for_each.items")],
    );
    for reference in
        ["", "a", " ${{ params.l }}", "${{ params.l }}${{ params.l }}", "${{ params.n }}"]
    {
        let mut pipeline = parameters();
        pipeline.parameters.push(v1::Parameter {
            name: "n".into(),
            r#type: ParameterType::String.into(),
            default_value: Some(to_value(&json!("1,2,3"))),
            ..v1::Parameter::default()
        });
        pipeline.steps = vec![for_each(Some(Items::Reference(reference.into())), step("a"))];
        let violations = check(&pipeline).expect_err(reference);
        assert_eq!(
            told(&violations),
            [("INVALID_ITEMS", "steps[0].for_each.items")],
            "{reference}"
        );
    }
}

#[test]
fn conditions_are_bounded_together_wherever_they_lie() {
    let when = format!("'{}' == ''", "x".repeat(limits::CONDITION_BYTES - 8));
    let steps = limits::CONDITIONS_BYTES / limits::CONDITION_BYTES + 1;
    let conditional =
        (0..steps).map(|at| v1::Step { when: when.clone(), ..step(&format!("s{at}")) });
    let pipeline = pipeline(vec![group("g", conditional.collect())]);
    let violations = check(&pipeline).expect_err("they are too large");
    assert_eq!(told(&violations), [("TOO_LARGE", "steps")]);
}

#[test]
fn ten_million_items_are_the_most() {
    let most = limits::ITEMS;
    let of = |items| check(&pipeline(vec![for_each(Some(items), step("a"))]));
    let list = |length| Items::List(ListValue { values: vec![Value::default(); length] });
    assert_eq!(of(list(most)), Ok(()));
    assert_eq!(of(Items::Count(most as u32)), Ok(()));
    for items in [list(most + 1), Items::Count(most as u32 + 1)] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(of(items).unwrap_err(), @"steps[0].for_each.items: step `a`: the loop has 10000001 items, and 10000000 are the most; let each item stand for several");
        }
    }
}

#[test]
fn what_only_programs_have_is_refused_elsewhere() {
    for with_others in [group("a", vec![step("b")]), branches("a", vec![step("b")])] {
        let retry = Some(Box::default());
        let timeout = Some(Duration { seconds: 1, nanos: 0 });
        let outputs = vec!["o".into()];
        let wrong = v1::Step { retry, timeout, startup_timeout: timeout, outputs, ..with_others };
        refused_step(
            wrong,
            &[
                ("MISPLACED", "steps[0].retry"),
                ("MISPLACED", "steps[0].startup_timeout"),
                ("MISPLACED", "steps[0].timeout"),
                ("MISPLACED", "steps[0].outputs"),
            ],
        );
    }
}

#[test]
fn too_many_of_anything_are_refused_at_every_depth() {
    let many = |count: usize| (0..count).map(|at| step(&format!("s{at}"))).collect::<Vec<_>>();
    let groups = (0..1_000).map(|at| group(&format!("g{at}"), many(1_000)));
    assert_eq!(
        told(&check(&pipeline(groups.collect())).unwrap_err()),
        [("TOO_LARGE", "steps")],
        "1,001,000 steps"
    );
    let alternatives =
        many(limits::BRANCHES + 1).into_iter().map(|step| v1::Step { when: "true".into(), ..step });
    refused_step(
        branches("a", alternatives.collect()),
        &[("TOO_LARGE", "steps[0].branches.branches")],
    );
    let mut wide = v1::Group { steps: many(1), ..v1::Group::default() };
    wide.steps[0].outputs = vec!["o".into()];
    wide.outputs = (0..=limits::OUTPUTS)
        .map(|at| (format!("o{at}"), "${{ steps.s0.outputs.o }}".into()))
        .collect();
    refused_step(
        with_work("a", Work::Group(Box::new(wide))),
        &[("TOO_LARGE", "steps[0].group.outputs")],
    );
    let when = "a".repeat(limits::CONDITION_BYTES + 1);
    refused_step(v1::Step { when, ..step("a") }, &[("TOO_LARGE", "steps[0].when")]);
}

/// A step within so many groups.
fn nested(levels: usize, innermost: v1::Step) -> v1::Step {
    (0..levels).fold(innermost, |step, level| group(&format!("g{level}"), vec![step]))
}

#[test]
fn groups_loops_and_branches_lie_so_deep_in_each_other_and_not_deeper() {
    let most = limits::NESTING;
    let innermost = || {
        [
            group("a", vec![step("b")]),
            branches("a", vec![step("b")]),
            for_each(Some(Items::Count(3)), step("a")),
        ]
    };
    for step in innermost() {
        assert_eq!(check(&pipeline(vec![nested(most - 1, step)])), Ok(()));
    }
    for step in innermost() {
        let violations = check(&pipeline(vec![nested(most, step)])).unwrap_err();
        assert_eq!(told(&violations).len(), 1, "{violations}");
        assert_eq!(violations.iter().next().map(|it| it.reason.as_str()), Some("TOO_LARGE"));
    }
    // As deep as nobody could send it.
    assert_eq!(check(&pipeline(vec![nested(500, step("a"))])).unwrap_err().iter().count(), 1);
}

#[test]
fn the_deepest_lawful_pipeline_survives_being_sent() {
    let mut deep = json!("x");
    for _ in 0..limits::VALUE_DEPTH {
        deep = json!({ "a": deep });
    }
    let list = Items::List(ListValue { values: vec![to_value(&deep)] });
    let mut inner =
        v1::Group { steps: vec![for_each(Some(list), step("b"))], ..v1::Group::default() };
    inner.inputs = Some(v1::Inputs {
        parameters: vec![v1::Parameter {
            name: "p".into(),
            r#type: ParameterType::Object.into(),
            default_value: Some(to_value(&deep)),
            ..v1::Parameter::default()
        }],
        arguments: [("p".to_owned(), to_value(&deep))].into(),
    });
    let innermost = with_work("a", Work::Group(Box::new(inner)));
    let pipeline = pipeline(vec![nested(limits::NESTING - 2, innermost)]);
    assert_eq!(check(&pipeline), Ok(()));
    let submission =
        v1::SubmitRunRequest { pipeline: Some(pipeline), ..v1::SubmitRunRequest::default() };
    let part = Some(v1::submit_large_run_request::Part::Request(submission));
    let request = v1::SubmitLargeRunRequest { part };
    let sent = request.encode_to_vec();
    assert_eq!(v1::SubmitLargeRunRequest::decode(sent.as_slice()), Ok(request));
}
