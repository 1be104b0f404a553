//! What references stand for.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Value as Json, json};
use windlass_pipeline::template::{MissingValue, Reference, Template, Values};

struct Known(BTreeMap<String, Json>);

impl Values for Known {
    fn value(&self, reference: Reference<'_>) -> Option<Cow<'_, Json>> {
        self.0.get(&reference.to_string()).map(Cow::Borrowed)
    }
}

fn render(text: &str) -> Result<String, MissingValue> {
    let values = json!({
        "${{ params.text }}": "a b",
        "${{ params.list }}": [1, {"a": null}],
        "${{ steps.a-1.outputs.rows }}": 3,
        "${{ run.id }}": "run_1",
        "${{ step.name }}": "b",
        "${{ step.attempt }}": 2,
        "${{ steps.a-1.state }}": "failed",
        "${{ item }}": {"path": {"dir": "d"}},
        "${{ item.path.dir }}": "d",
        "${{ index }}": 0,
        "${{ loops.a-1.item.path }}": ["p"],
        "${{ loops.a-1.index }}": 7,
        "${{ run.state }}": "succeeded",
    });
    let values = Known(serde_json::from_value(values).expect("an object"));
    Template::parse(text).expect("a template").render(&values)
}

#[test]
fn texts_are_put_in_as_they_are_and_the_rest_as_compact_json() {
    assert_eq!(render("${{params.text}}|${{  params.list  }}").unwrap(), "a b|[1,{\"a\":null}]");
    assert_eq!(render("<${{ steps.a-1.outputs.rows }}>").unwrap(), "<3>");
    assert_eq!(render("${{ run.id }}/${{ step.name }}/${{ step.attempt }}").unwrap(), "run_1/b/2");
    let of_loops = "${{ item }} ${{item.path.dir}} ${{ index }} ${{ loops.a-1.item.path }} ${{ loops.a-1.index }}";
    assert_eq!(render(of_loops).unwrap(), r#"{"path":{"dir":"d"}} d 0 ["p"] 7"#);
    assert_eq!(render("${{ steps.a-1.state }}, ${{ run.state }}").unwrap(), "failed, succeeded");
    assert_eq!(render("").unwrap(), "");
    assert_eq!(render("$ ${ ${x} }} $$").unwrap(), "$ ${ ${x} }} $$");
    assert_eq!(render("a $${{ run.id }} $$${{").unwrap(), "a ${{ run.id }} $${{");
}

#[test]
fn a_value_put_in_is_not_looked_at_again() {
    struct Nested;
    impl Values for Nested {
        fn value(&self, _: Reference<'_>) -> Option<Cow<'_, Json>> {
            Some(Cow::Owned(json!("${{ run.id }}")))
        }
    }
    let template = Template::parse("${{ params.a }}").unwrap();
    assert_eq!(template.render(&Nested).unwrap(), "${{ run.id }}");
}

#[test]
fn what_has_no_value_is_an_error() {
    let error = render("${{ steps.a.outputs.rows }}").unwrap_err();
    assert_eq!(error.reference, "${{ steps.a.outputs.rows }}");
    insta::assert_snapshot!(error, @"`${{ steps.a.outputs.rows }}` has no value: what it names was not written; refer to steps that succeed and write it");
}

#[test]
fn what_is_no_reference_is_refused_with_its_place() {
    for text in [
        "${{ }}",
        "${{ params }}",
        "${{ params. }}",
        "${{ params.a.b }}",
        "${{ params.1 }}",
        "${{ steps.a.rows }}",
        "${{ steps.A.outputs.rows }}",
        "${{ steps.a }}",
        "${{ steps.a.state.b }}",
        "${{ steps.A.state }}",
        "${{ items }}",
        "${{ item. }}",
        "${{ item.a..b }}",
        "${{ item[0] }}",
        "${{ index.a }}",
        "${{ loops.a }}",
        "${{ loops.A.item }}",
        "${{ loops.a.index.b }}",
        "${{ run.name }}",
        "${{ run.state.a }}",
        "${{ step.name | upper }}",
        "${{ params.a",
        "${{ params.a }",
    ] {
        assert!(Template::parse(text).is_err(), "{text}");
    }
    insta::assert_snapshot!(Template::parse("é ${{ x }}").unwrap_err(), @"`${{ … }}` at character 3 holds `x`, which is no reference; write `params.NAME`, `steps.NAME.outputs.NAME`, `steps.NAME.state`, `item`, `index`, `run.id`, `step.name` or `step.attempt`, or `$${{` for a plain `${{`");
}
