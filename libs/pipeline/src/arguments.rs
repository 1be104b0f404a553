//! The values of a run's parameters.

mod unique;

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::Value;
use serde_json::Value as Json;
use windlass_proto::{
    json,
    v1::{self, ParameterType},
};

use crate::{
    check::{Report as _, ViolationReason, Violations},
    limits,
    quote::quote,
    suggest::did_you_mean,
    value,
};

/// The value of every parameter: what the run gives, else the default.
///
/// # Errors
///
/// Values that are missing, unknown, of the wrong type, or too large; fields read `arguments[NAME]`.
pub fn resolve(
    pipeline: &v1::Pipeline,
    given: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Json>, Violations> {
    let mut violations = Violations::default();
    check_known(pipeline, given, &mut violations);
    check_size(given, &mut violations);
    violations.into_result()?;

    let mut violations = Violations::default();
    let mut resolved = BTreeMap::new();
    for parameter in &pipeline.parameters {
        let name = &parameter.name;
        match given.get(name) {
            Some(given) => {
                check_value(parameter, given, &mut violations);
                resolved.insert(name.clone(), json::from_value(given));
            }
            None => match &parameter.default_value {
                Some(default) => {
                    resolved.insert(name.clone(), json::from_value(default));
                }
                None => violations.add(
                    ViolationReason::MissingArgument,
                    format_args!("arguments[{name}]"),
                    format_args!(
                        "parameter {} has no value and no default; give it one: {}",
                        quote(name),
                        value::describe(parameter.r#type())
                    ),
                ),
            },
        }
    }
    violations.into_result().map(|()| resolved)
}

fn check_known(
    pipeline: &v1::Pipeline,
    given: &BTreeMap<String, Value>,
    violations: &mut Violations,
) {
    for name in given.keys() {
        let names = pipeline.parameters.iter().map(|parameter| parameter.name.as_str());
        if !names.clone().any(|known| known == name) {
            violations.add(
                ViolationReason::UnknownArgument,
                format_args!(
                    "arguments[{}]",
                    name.chars().take(limits::NAME_CHARS).collect::<String>()
                ),
                format_args!(
                    "the pipeline has no parameter {}{}",
                    quote(name),
                    did_you_mean(name, names).or("; leave it out")
                ),
            );
        }
    }
}

fn check_size(given: &BTreeMap<String, Value>, violations: &mut Violations) {
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.encoded_len()).sum();
    if bytes > limits::ARGUMENTS_BYTES {
        violations.add(
            ViolationReason::TooLarge,
            format_args!("arguments"),
            format_args!(
                "the arguments have {bytes} bytes together, and {} are the most; pass large data by file",
                limits::ARGUMENTS_BYTES
            ),
        );
    }
}

fn check_value(parameter: &v1::Parameter, given: &Value, violations: &mut Violations) {
    let (name, kind) = (&parameter.name, parameter.r#type());
    if !value::is_of(given, kind) {
        violations.add(
            ViolationReason::TypeMismatch,
            format_args!("arguments[{name}]"),
            format_args!(
                "parameter {} must be {}, but it is {}; change it",
                quote(name),
                value::describe(kind),
                value::describe_value(given)
            ),
        );
    } else if !value::is_shallow(given) {
        violations.add(
            ViolationReason::TooLarge,
            format_args!("arguments[{name}]"),
            format_args!(
                "parameter {} is nested deeper than {} levels; flatten it",
                quote(name),
                limits::VALUE_DEPTH
            ),
        );
    }
}

/// A text that is no value of a parameter's type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// It is no JSON, or of another type.
    #[error("{} is not {expected}; write {example}", quote(.text))]
    NotOfType {
        /// The text.
        text: String,
        /// What it should be.
        expected: &'static str,
        /// What it could look like.
        example: &'static str,
    },
    /// An object in it has a name more than once, so that nobody knows which value is meant.
    #[error("{}: {twice}; leave one of them out", quote(.text))]
    Ambiguous {
        /// The text.
        text: String,
        /// The name, and where it comes again.
        twice: String,
    },
}

/// Reads a value as it is given on a command line: text as it is, everything else as JSON.
pub fn parse_argument(kind: ParameterType, text: &str) -> Result<Value, ArgumentError> {
    if kind == ParameterType::String {
        return Ok(json::to_value(&Json::String(text.to_owned())));
    }
    let refused = || ArgumentError::NotOfType {
        text: text.to_owned(),
        expected: value::describe(kind),
        example: match kind {
            ParameterType::Integer => "digits such as `42`",
            ParameterType::Number => "a number such as `0.1`",
            ParameterType::Boolean => "`true` or `false`",
            ParameterType::List => "a JSON array such as `[1, 2]`",
            ParameterType::Object => "a JSON object such as `{\"a\": 1}`",
            ParameterType::String | ParameterType::Unspecified => "a value of the parameter's type",
        },
    };
    let parsed = serde_json::from_str::<Json>(text).map_err(|_| refused())?;
    unique::check(text)
        .map_err(|twice| ArgumentError::Ambiguous { text: text.to_owned(), twice })?;
    Some(json::to_value(&parsed)).filter(|value| value::is_of(value, kind)).ok_or_else(refused)
}
