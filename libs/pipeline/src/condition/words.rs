//! What the interpreter says, in words for people who do not know the interpreter.

use std::fmt::{self, Write as _};

use cel::{ExecutionError, OverloadError, Value};

/// Characters that are shown of a message of the interpreter, and of a condition.
const MESSAGE_CHARS: usize = 200;

/// The evaluation is not begun.
pub(super) const TOO_COSTLY: &str = "its values are too large, or lie too deep in each other, to be looked at here; let a step compute what is needed of them";

/// The result is neither true nor false.
pub(super) fn not_boolean(result: &Value) -> String {
    let kind = type_of(result);
    format!("it is of type {kind} and not true or false; compare it with something")
}

/// There is no result.
pub(super) fn describe(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no `{}`", shorten(key)),
        ExecutionError::UndeclaredReference(name) => format!("`{}` has no value", shorten(name)),
        ExecutionError::NoSuchOverload(error) => overload(error),
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
            operands(operator, left, right)
        }
        ExecutionError::UnexpectedType { got, want } => {
            let want = match want.as_str() {
                "bool" => "true or false",
                "iterable" => "a list or an object",
                other => other,
            };
            format!("there is a value of type {} where {want} is needed", type_name(got))
        }
        ExecutionError::FunctionError { function, message } => {
            format!("`{function}` fails: {}", shorten(message))
        }
        ExecutionError::DivisionByZero(_) => "it divides by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => {
            "it takes a remainder of a division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => {
            "a whole number is of more than 64 bits; write `double(…)` around the operands"
                .to_owned()
        }
        ExecutionError::IndexOutOfBounds(Value::Int(index)) => {
            format!("the list has no entry {index}")
        }
        ExecutionError::IndexOutOfBounds(_) => "the list has no such entry".to_owned(),
        ExecutionError::UnsupportedIndex(index, _) => {
            format!(
                "a list has no entry at a place of type {}; write a whole number",
                type_of(index)
            )
        }
        ExecutionError::UnsupportedKeyType(key) => {
            format!("a value of type {} is no key of an object", type_of(key))
        }
        ExecutionError::DuplicateKey(_) => "an object that it makes has a key twice".to_owned(),
        other => shorten(other),
    }
}

/// An operator or function does not exist for these types.
fn overload(error: &OverloadError) -> String {
    let types: Vec<_> = error.argument_types().iter().map(|kind| type_name(kind)).collect();
    match (error.function(), &types[..]) {
        ("_._", [of, _]) => format!("a value of type {of} has no fields"),
        ("_[_]", [of, at]) => format!("a value of type {of} has no entry at a place of type {at}"),
        (function, types) => {
            let symbol = function.trim_start_matches('@').trim_matches('_');
            format!("`{symbol}` does not take {}{}", types.join(" and "), conversion(types))
        }
    }
}

fn operands(operator: &str, left: &Value, right: &Value) -> String {
    let symbol = match operator {
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        other => other,
    };
    let types = [type_of(left), type_of(right)];
    let types = types.each_ref().map(String::as_str);
    format!("`{symbol}` does not take {}{}", types.join(" and "), conversion(&types))
}

/// Only comparisons take numbers of two types.
fn conversion(types: &[&str]) -> &'static str {
    let has = |kind| types.contains(&kind);
    if has("double") && (has("int") || has("uint")) {
        "; write `double(…)` around both"
    } else {
        ""
    }
}

fn type_of(value: &Value) -> String {
    type_name(&value.type_of().to_string()).to_owned()
}

/// The interpreter has two names for some types.
fn type_name(kind: &str) -> &str {
    match kind {
        "float" => "double",
        "null_type" => "null",
        other => other,
    }
}

/// The beginning of what is shown, on one line. No more is made.
pub(super) fn shorten(shown: impl fmt::Display) -> String {
    struct Line {
        text: String,
        left: usize,
    }

    impl fmt::Write for Line {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            for character in part.chars() {
                self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
                match character {
                    '\n' | '\t' => self.text.push(' '),
                    control if control.is_control() => self.text.extend(control.escape_default()),
                    other => self.text.push(other),
                }
            }
            Ok(())
        }
    }

    let mut line = Line { text: String::new(), left: MESSAGE_CHARS };
    if write!(line, "{shown}").is_err() {
        line.text.push('…');
    }
    line.text
}
