//! Texts and values that are made to harm.

use std::thread;

use serde_json::{Value as Json, json};
use windlass_pipeline::{
    condition::{Condition, ConditionError},
    limits,
};

use crate::known::{Known, known};

/// Parses, and where that works evaluates, in a thread whose stack is small.
fn try_out(text: String) -> Result<(), ConditionError> {
    let run = move || {
        let condition = Condition::parse(&text)?;
        let _ = condition.evaluate(&known());
        Ok(())
    };
    let thread = thread::Builder::new().stack_size(3 << 19).spawn(run).expect("a thread");
    thread.join().expect("no panic")
}

/// A text of as many bytes as a condition may have, but for some.
fn repeated(begin: &str, unit: &str, middle: &str, end: &str) -> String {
    let times = (limits::CONDITION_BYTES - begin.len() - middle.len()) / (unit.len() + end.len());
    format!("{begin}{}{middle}{}", unit.repeat(times), end.repeat(times))
}

#[test]
fn texts_that_harm_parsers_are_refused() {
    let deep = [
        repeated("", "(", "1", ")"),
        repeated("", "(", "", ""),
        repeated("", "[", "1", "]"),
        repeated("", "[", "", ""),
        repeated("", "{1:", "1", "}"),
        repeated("", "{", "", ""),
        repeated("", "[{(", "", ""),
        repeated("", "-", "1", ""),
        repeated("", "!", "true", ""),
        repeated("", "!-", "true", ""),
        repeated("", "true?1:", "1", ""),
        repeated("", "1?", "1", ":1"),
        repeated("item", ".a", "", ""),
        repeated("item", "[0]", "", ""),
        repeated("item", "[item", "", "]"),
        repeated("item", ".a()", "", ""),
        repeated("item", ".map(x,x)", "", ""),
        repeated("", "item.map(x,", "x", ")"),
        repeated("", "size(", "1", ")"),
        repeated("", "size(size(", "", ""),
        repeated("1", "+1", "", ""),
        repeated("1", "*1", "", ""),
        repeated("1", "<1", "", ""),
        repeated("1", " in 1", "", ""),
        repeated("", "(1+", "1", ")"),
        repeated("", "(", "1", "+1+1+1)"),
        repeated("", "a{b:", "1", "}"),
        repeated("", ".", "", ""),
        repeated("", "? :", "", ""),
        repeated("", "@#$%^", "", ""),
    ];
    for text in deep {
        let refused = try_out(text.clone());
        assert!(
            matches!(refused, Err(ConditionError::TooDeep { .. })),
            "{}: {refused:?}",
            &text[..20]
        );
    }
    let wrong = [
        repeated("", ")", "", ""),
        repeated("", "\"", "", ""),
        repeated("", "'''", "", ""),
        repeated("", "`", "", ""),
        repeated("", "\\", "", ""),
        repeated("", "é", "", ""),
        repeated("", "\u{0}", "", ""),
        repeated("", "\u{202e}", "", ""),
        repeated("", "@#$^", "", ""),
        repeated("", "&", "", ""),
        repeated("", "&&", "", ""),
        repeated("[", ",", "", ""),
        repeated("", "//", "", ""),
        repeated("", " ", "", ""),
        repeated("", "9", "", ""),
        repeated("0x", "f", "", ""),
        repeated("1", "e9", "", ""),
        repeated("'\\", "x", "'", ""),
    ];
    for text in wrong {
        let refused = try_out(text.clone());
        assert!(
            matches!(refused, Err(ConditionError::Syntax { .. })),
            "{}: {refused:?}",
            &text[..20]
        );
        assert!(refused.unwrap_err().to_string().len() < 1_000);
    }
    let bytes = limits::CONDITION_BYTES + 1;
    assert_eq!(try_out(" ".repeat(bytes)), Err(ConditionError::TooLong { bytes }));
    assert_eq!(try_out("9.".to_owned() + &"9".repeat(4_000) + "> 1"), Ok(()));
    assert_eq!(try_out(repeated("true", "&&true", "", "")), Ok(()));
    assert_eq!(try_out(repeated("[1", ",1", "] == []", "")), Ok(()));
}

#[test]
fn what_nests_as_deep_as_it_may_needs_little_of_the_stack() {
    // Without optimization, the interpreter takes 40 KB for a level.
    for (begin, unit, middle, end) in [
        ("", "[", "1", "]"),
        ("", "{1:", "1", "}"),
        ("", "!", "true", ""),
        ("", "!-", "1", ""),
        ("", "false?1:", "true", ""),
        ("", "(1+", "1", ")"),
        ("", "(", "1", "+1)"),
        ("1", "+1", "", ""),
        ("", "dyn(", "1", ")"),
        ("", "'a'.contains(", "1", ")"),
        ("", "[1].all(x,", "true", ")"),
        ("", "[1].map(x,true,", "true", ")"),
        ("", "[0][", "0", "]"),
        ("item[0]", ".a", "", ""),
        ("item", "[0]", "", ""),
        ("", "1 in [", "1", "]"),
    ] {
        let nested =
            |levels| format!("{begin}{}{middle}{}", unit.repeat(levels), end.repeat(levels));
        let deepest = (1..30).rev().find(|levels| try_out(nested(*levels)).is_ok());
        assert!(deepest >= Some(7), "{unit}");
    }
}

#[test]
fn macros_in_each_other_are_bounded_by_what_they_go_over() {
    let numbers = |count: usize| Json::Array((0..count).map(Json::from).collect());
    let with = |text: &str, value: Json| {
        Condition::parse(text).unwrap().evaluate(&Known(json!({"params.x": value})))
    };
    let too_costly = |text: &str, value: Json| {
        let error = with(text, value).expect_err(text);
        assert!(error.problem.starts_with("its values are too large"), "{text}: {}", error.problem);
    };
    assert_eq!(with("params.x.exists(x, x == -1)", numbers(100_000)), Ok(false));
    assert_eq!(with("size(params.x) == 1000000", numbers(1_000_000)), Ok(true));
    assert_eq!(with("params.x.all(x, x in params.x)", numbers(1_000)), Ok(true));
    too_costly("size(params.x) > 1", numbers(10_000_000));
    too_costly("params.x.all(x, params.x.all(y, x == y))", numbers(1_000));
    too_costly("params.x.all(x, x in params.x)", numbers(10_000));
    too_costly("params.x.map(x, params.x) == []", numbers(10_000));
    too_costly("params.x.map(x, params.x.map(y, [x, y])) == []", numbers(1_000));
    too_costly("params.x.exists(x, params.x + x == 1)", numbers(10_000));
    too_costly("params.x.exists(x, params.x[0.5] == x)", numbers(10_000));

    let ones = vec!["1"; 1_000].join(",");
    let text = Json::from("a".repeat(1_000_000));
    too_costly(&format!("[{ones}].map(x, params.x + 'b') == []"), text.clone());
    too_costly(&format!("[{ones}].all(x, size(params.x) > 0)"), text.clone());
    too_costly(&format!("[{ones}].all(x, params.x.contains('b'))"), text.clone());
    assert_eq!(with("(params.x + params.x).size() == 2000000", text), Ok(true));

    // Whatever the values are.
    let nine = "[1,2,3,4,5,6,7,8,9].map(x, ";
    let nested = format!("{}[x,x,x]{} == []", nine.repeat(7), ")".repeat(7));
    for text in [format!("[{ones}].all(x, [{ones}].all(y, x == y))"), nested] {
        assert_eq!(Condition::parse(&text).map(drop), Err(ConditionError::TooCostly), "{text}");
    }
}

#[test]
fn values_that_lie_too_deep_are_refused() {
    let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let with = |levels| {
        Condition::parse("params.x == params.x")
            .unwrap()
            .evaluate(&Known(json!({"params.x": nested(levels)})))
    };
    assert_eq!(with(128), Ok(true));
    assert!(with(129).is_err());
}
