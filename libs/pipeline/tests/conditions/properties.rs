//! What holds for every text.

use proptest::prelude::*;
use windlass_pipeline::condition::{Condition, ConditionError};

use crate::known::known;

/// Texts in which what matters to CEL is frequent.
fn celish() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        1 => "[ -~]{0,4}",
        8 => prop::sample::select(vec![
            "params", ".count", ".list", ".conf", "item", "index", "steps", ".a", "['a-b']",
            ".outputs", ".x", ".state", "run.id", "(", ")", "[", "]", "{", "}", ",", ":", "?", " && ",
            " || ", "!", "-", "+", "*", "/", "%", " == ", " < ", " in ", ".", "1", "0", "2.5", "1e300",
            "3u", "'a'", "\"b\"", "['in']", "b'c'", "r'\\'", "'''", "'", "\"", "\\", "true", "null", "has(", "size(",
            ".size()", ".exists(x, ", ".map(x, ", ".filter(x, ", ".all(x, ", "x", "x > 1)", "int(", "string(",
            "type(", "matches(", "//", "\n", "é", "\u{0}", "`", "@result", "_", "$",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(token, 0..30).prop_map(|tokens| tokens.concat())
}

/// Lawful expressions, most of them of types that do not fit.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "params.count",
        "params.rate",
        "params.mode",
        "params.list",
        "params.conf",
        "params.nothing",
        "params.other",
        "steps['clean-up'].outputs.size",
        "steps.load.state",
        "item",
        "item.tags",
        "index",
        "true",
        "false",
        "null",
        "0",
        "-1",
        "9223372036854775807",
        "0.5",
        "-0.0",
        "1u",
        "'a'",
        "b'\\xff'",
        "[]",
        "{}",
        "int",
        "x",
    ])
    .prop_map(str::to_owned);
    let nested = leaf.prop_recursive(5, 40, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||",
        ]);
        let function = prop::sample::select(vec![
            "size", "int", "uint", "double", "string", "bytes", "bool", "type", "dyn", "!", "-",
        ]);
        let method = prop::sample::select(vec!["contains", "startsWith", "endsWith"]);
        let macro_ = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (function, inner.clone()).prop_map(|(function, a)| format!("{function}({a})")),
            (inner.clone(), method, inner.clone())
                .prop_map(|(a, method, b)| format!("{a}.{method}({b})")),
            (inner.clone(), macro_, inner.clone())
                .prop_map(|(a, macro_, b)| format!("{a}.{macro_}(x, {b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
            inner.clone().prop_map(|a| format!("{a}.size()")),
            inner.clone().prop_map(|a| format!("{a}.name")),
            inner.prop_map(|a| format!("has({a}.name)")),
        ]
    });
    nested.prop_map(|body| format!("[1, 'a', {{'name': 2}}].exists(x, {body})"))
}

/// Nothing panics, messages are short, places are in the text, and names in messages are such as may be written.
fn attempt(text: &str) {
    match Condition::parse(text) {
        Ok(condition) => {
            assert_eq!(condition.text(), text);
            if let Err(error) = condition.evaluate(&known()) {
                assert!(error.to_string().len() < 5_000);
                for used in &error.values {
                    let name = Condition::parse(&used.name).expect("a condition");
                    assert_eq!(name.references().count(), 1, "{}", used.name);
                }
            }
        }
        Err(error) => {
            assert!(error.to_string().len() < 2_000);
            if let ConditionError::Syntax { position: Some(position), .. } = error {
                assert!((1..=text.chars().count() + 1).contains(&position), "{position}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in any::<String>()) {
        attempt(&text);
    }

    #[test]
    fn any_text_with_words_of_cel_is_parsed_or_refused(text in celish()) {
        attempt(&text);
    }

    #[test]
    fn any_expression_is_true_or_false_or_says_why_not(text in expression()) {
        attempt(&text);
    }

    #[test]
    fn a_change_of_an_expression_is_parsed_or_refused(
        text in expression(),
        at in any::<prop::sample::Index>(),
        put in celish(),
    ) {
        let mut text = text;
        text.insert_str(at.index(text.len()), &put);
        attempt(&text);
    }
}
