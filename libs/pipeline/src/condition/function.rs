//! The functions and operators that a condition may use.

use cel::common::ast::operators;

use super::{ConditionError, cost::Operation};
use crate::suggest::did_you_mean;

/// Names that stand for types, as in `type(x) == string`.
pub(super) const TYPES: [&str; 10] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

/// How each function is written. Where the syntax tree has one of [`MACROS`], it was written otherwise.
const FUNCTIONS: [(&str, &str); 12] = [
    ("size", "size(VALUE)"),
    ("contains", "TEXT.contains(TEXT)"),
    ("startsWith", "TEXT.startsWith(TEXT)"),
    ("endsWith", "TEXT.endsWith(TEXT)"),
    ("bool", "bool(VALUE)"),
    ("bytes", "bytes(VALUE)"),
    ("double", "double(VALUE)"),
    ("dyn", "dyn(VALUE)"),
    ("int", "int(VALUE)"),
    ("string", "string(VALUE)"),
    ("type", "type(VALUE)"),
    ("uint", "uint(VALUE)"),
];

const MACROS: [(&str, &str); 7] = [
    ("has", "has(OBJECT.FIELD)"),
    ("all", "LIST.all(x, CONDITION)"),
    ("exists", "LIST.exists(x, CONDITION)"),
    ("exists_one", "LIST.exists_one(x, CONDITION)"),
    ("existsOne", "LIST.existsOne(x, CONDITION)"),
    ("filter", "LIST.filter(x, CONDITION)"),
    ("map", "LIST.map(x, VALUE)"),
];

/// What an operator does; none where there is no such operator.
pub(super) fn operator(name: &str) -> Option<Operation> {
    Some(match name {
        operators::LOGICAL_AND
        | operators::LOGICAL_OR
        | operators::LOGICAL_NOT
        | operators::NEGATE
        | operators::NOT_STRICTLY_FALSE => Operation::Constant,
        operators::CONDITIONAL => Operation::Choose,
        operators::EQUALS | operators::NOT_EQUALS => Operation::Equate,
        operators::ADD => Operation::Add,
        operators::SUBSTRACT
        | operators::MULTIPLY
        | operators::DIVIDE
        | operators::MODULO
        | operators::LESS
        | operators::LESS_EQUALS
        | operators::GREATER
        | operators::GREATER_EQUALS
        | operators::IN => Operation::Read,
        _ => return None,
    })
}

/// What a function does that is called with so many arguments, as `x.name(…)` or as `name(…)`.
pub(super) fn function(
    name: &str,
    is_method: bool,
    arguments: usize,
) -> Result<Operation, ConditionError> {
    match (name, is_method, arguments) {
        ("size" | "bool" | "double" | "int" | "uint", false, 1)
        | ("size", true, 0)
        | ("contains" | "startsWith" | "endsWith", true, 1) => Ok(Operation::ReadText),
        ("bytes" | "string", false, 1) => Ok(Operation::MakeText),
        ("dyn", false, 1) => Ok(Operation::Keep),
        ("type", false, 1) => Ok(Operation::Constant),
        _ => Err(unknown(name)),
    }
}

fn unknown(function: &str) -> ConditionError {
    let known = FUNCTIONS.iter().chain(&MACROS);
    let problem = match known.clone().find(|(name, _)| *name == function) {
        Some((_, usage)) => format!("is not called like this; write `{usage}`"),
        None if function == "matches" => {
            "is not there, as there are no regular expressions; write `contains`, `startsWith` or `endsWith`".to_owned()
        }
        None => {
            let advice = did_you_mean(function, known.map(|(name, _)| *name)).or(
                "; there are `size`, `contains`, `startsWith`, `endsWith`, `int`, `double`, `string`, `has`, `all`, `exists` and others",
            );
            format!("is no function of conditions{advice}")
        }
    };
    ConditionError::UnknownFunction { function: function.to_owned(), problem }
}
