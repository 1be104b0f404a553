//! What is told of texts that are no conditions, and of conditions without a value.

use serde_json::{Value as Json, json};
use windlass_pipeline::condition::Condition;

use crate::known::{Known, evaluate, known};

/// A line for each text, with what is wrong with it.
fn problems(texts: &[&str]) -> String {
    let problem = |text: &&str| match Condition::parse(text) {
        Err(error) => error.to_string(),
        Ok(condition) => condition.evaluate(&known()).expect_err(text).problem,
    };
    let lines: Vec<_> =
        texts.iter().map(|text| format!("{text}\n    {}\n", problem(text))).collect();
    lines.concat()
}

#[test]
fn what_is_no_condition_is_refused_with_advice() {
    let shown = problems(&[
        // Syntax.
        "",
        "   ",
        "params.a ==",
        "params.a = 1",
        "params.a == 1)",
        "(params.a == 1",
        "params.a == 'x",
        "'\\q' == ''",
        "é == 1",
        "\n\n  params.a == == 1",
        "'é' == == 1",
        "params.a & params.b",
        "params.in == 1",
        "params.if == while",
        "params.a.?b == 1",
        "99999999999999999999 == 1",
        "1e999 == 1.0",
        "0x == 1",
        "${{ params.a }} == 1",
        "a.b{c: 1} == 1",
        "has(params)",
        "has(params['a'])",
        "params.a.exists(1, true)",
        // Names.
        "param.a == 1",
        "full == params.mode",
        ".params.a == 1",
        "params == 1",
        "params[index] == 1",
        "params['a b'] == 1",
        "params._a == 1",
        "steps == 1",
        "steps.a == 1",
        "steps.a.outputs == 1",
        "has(steps.a.outputs)",
        "steps.a.output.x == 1",
        "steps.a.x == 1",
        "steps.A.state == 'failed'",
        "steps.clean-up.outputs.x == 1",
        "steps[params.a].outputs.x == 1",
        "steps.a.outputs[params.a] == 1",
        "steps.a['outputs'].x == 1 && steps.a['out'].x == 1",
        "loops.a == 1",
        "loops.a.items == 1",
        "run == 1",
        "run.name == 'a'",
        "step.name == 'a'",
        "int.x == 1",
        // Functions.
        "matches(params.a, 'a+')",
        "params.a.matches('a+')",
        "timestamp(params.a) > timestamp('2026-01-01T00:00:00Z')",
        "params.a.startswith('a')",
        "startsWith(params.a, 'a')",
        "params.a.size(1) == 1",
        "len(params.a) == 1",
        "params.list.exists(x > 1)",
        "params.list.exist(x, x > 1)",
        "exists(params.list, x, x > 1)",
        "has(params.a, params.b)",
        "optional.of(1).hasValue()",
        "params.a.map(x, true, x, 1)",
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn what_has_no_value_says_why() {
    let shown = problems(&[
        "params.count",
        "params.rate",
        "params.mode",
        "params.list",
        "params.conf",
        "params.nothing",
        "params.other > 3",
        "steps.other.outputs.x == 1",
        "steps.load.outputs.other == 1",
        "steps.other.state == 'failed'",
        "loops.other.index == 1",
        "params.conf.other == 1",
        "item.other.x == 1",
        "params.mode.x == 1",
        "params.nothing.x == 1",
        "params.list.x == 1",
        "params.mode[0] == 'f'",
        "params.list[3] == 1",
        "params.list[-1] == 1",
        "params.list[0.5] == 1",
        "params.list['a'] == 1",
        "params.conf[1.5] == 1",
        "params.count > 'a'",
        "params.count + params.rate > 1.0",
        "params.mode + 1 == 'full1'",
        "params.list * 2 == []",
        "-params.mode == ''",
        "!params.count",
        "params.count && true",
        "params.count ? true : false",
        "params.mode in 'full'",
        "params.count in 3",
        "size(params.count) == 1",
        "params.count.contains('a')",
        "int(params.mode) == 1",
        "params.count / 0 == 1",
        "params.count % 0 == 1",
        "params.large * params.large > 0",
        "{params.list: 1} == {}",
        "{'a': 1, 'a': 2} == {}",
        "params.count.all(x, true)",
        "params.list.all(x, x)",
        "params.list.map(x, x + 1) == []",
        "[1, 'a'].exists(x, x > 3)",
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn names_without_a_value_say_so() {
    let problem = |text: &str| {
        let condition = Condition::parse(text).unwrap();
        condition.evaluate(&Known(json!({}))).expect_err(text).to_string()
    };
    insta::assert_snapshot!(problem("item == 1"), @"the condition `item == 1` has no value: `item` has no value; with item absent; write `has(…)` where a value may be absent");
    insta::assert_snapshot!(problem("has(item.x) || index > 1"), @"the condition `has(item.x) || index > 1` has no value: `index` has no value; with item absent, index absent; write `has(…)` where a value may be absent");
    insta::assert_snapshot!(problem("params['in'] == 1"), @r#"the condition `params['in'] == 1` has no value: there is no `in`; with params["in"] absent; write `has(…)` where a value may be absent"#);
}

#[test]
fn an_evaluation_error_shows_what_the_condition_had() {
    let error = evaluate("steps.load.outputs.rows > 1 && steps['clean-up'].outputs.x > index");
    insta::assert_snapshot!(error.unwrap_err(), @r#"the condition `steps.load.outputs.rows > 1 && steps['clean-up'].outputs.x > index` has no value: there is no `x`; with steps.load.outputs.rows = 100, steps["clean-up"].outputs.x absent, index = 4; write `has(…)` where a value may be absent"#);

    let names: Vec<_> = (0..40).map(|n| format!("params.p{n}")).collect();
    let values = names.iter().map(|name| (name.clone(), json!(["é".repeat(1_000_000)])));
    let values = Known(Json::Object(values.take(2).collect()));
    let condition = Condition::parse(&format!("\n[{}] == []", names.join(","))).unwrap();
    let error = condition.evaluate(&values).unwrap_err();
    let lengths: Vec<_> = error
        .values
        .iter()
        .map(|used| used.value.as_ref().map(|value| value.chars().count()))
        .collect();
    assert_eq!(
        &lengths[..3],
        [Some(102), Some(102), None],
        "two, a quote, a bracket and an ellipsis"
    );
    assert_eq!(error.values.len() + error.more, 40);
    assert_eq!(error.condition, condition.text());
    assert!(error.to_string().len() < 3_000);
    assert!(!error.to_string().contains('\n'));
}
