//! What is wrong with a condition, when it is written and when it is evaluated.

use std::{borrow::Cow, fmt, io};

use serde_json::Value as Json;

use super::{Condition, words::shorten};
use crate::{limits, quote::quote};

/// Bytes of a value that are shown.
const VALUE_BYTES: usize = 200;

/// Bytes of all values that are shown.
const VALUES_BYTES: usize = 2_000;

/// A text that is no lawful condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// It is no expression in CEL.
    #[error("the condition is no expression: {}{message}", At(*position))]
    Syntax {
        /// Where, in characters from 1, as far as that is known.
        position: Option<usize>,
        /// What is wrong there.
        message: String,
    },
    /// It is longer than [`limits::CONDITION_BYTES`].
    #[error(
        "the condition has {bytes} bytes, and {} are the most; let a step compute a part of it",
        limits::CONDITION_BYTES
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Brackets and operators nest too deep.
    #[error(
        "brackets and operators of the condition lie more than {most} deep in each other; put brackets around halves of a long \
         sum, or let a step compute a part of it"
    )]
    TooDeep {
        /// How deep they may.
        most: usize,
    },
    /// Its macros do too much, whatever the values are.
    #[error(
        "the condition would take too long, with `all`, `exists`, `map` or `filter` in each other; let a step compute a part of it"
    )]
    TooCostly,
    /// It names what does not exist in conditions.
    #[error("{} {problem}", quote(name))]
    UnknownName {
        /// The name as it may be written.
        name: String,
        /// What is wrong, and what to do; follows the name.
        problem: String,
    },
    /// It calls what does not exist in conditions, or in another way.
    #[error("{} {problem}", quote(function))]
    UnknownFunction {
        /// The function or macro.
        function: String,
        /// What is wrong, and what to do; follows the function.
        problem: String,
    },
}

/// A condition that is neither true nor false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationError {
    /// The condition's text.
    pub condition: String,
    /// What is wrong, in words.
    pub problem: String,
    /// What the condition names with the values that it had, in order of first use: the first ones.
    pub values: Vec<UsedValue>,
    /// How many there are beyond those.
    pub more: usize,
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedValue {
    /// As it may be written in a condition.
    pub name: String,
    /// Compact JSON, shortened to some 200 characters; none where the name had no value.
    pub value: Option<String>,
}

impl EvaluationError {
    pub(super) fn new(
        condition: &Condition,
        problem: String,
        values: &[Option<Cow<'_, Json>>],
    ) -> Self {
        let mut used = Vec::new();
        let mut left = VALUES_BYTES;
        for (name, value) in condition.names.iter().zip(values) {
            let shown = UsedValue { name: name.to_string(), value: value.as_deref().map(compact) };
            let bytes = shown.name.len() + shown.value.as_ref().map_or(0, String::len);
            let Some(rest) = left.checked_sub(bytes) else { break };
            left = rest;
            used.push(shown);
        }
        let more = condition.names.len() - used.len();
        Self { condition: condition.text.clone(), problem, values: used, more }
    }
}

impl std::error::Error for EvaluationError {}

impl fmt::Display for EvaluationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the condition `{}` has no value: {}", shorten(&self.condition), self.problem)?;
        for (place, UsedValue { name, value }) in self.values.iter().enumerate() {
            f.write_str(if place == 0 { "; with " } else { ", " })?;
            match value {
                Some(value) => write!(f, "{name} = {value}")?,
                None => write!(f, "{name} absent")?,
            }
        }
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        if self.values.iter().any(|used| used.value.is_none()) {
            f.write_str("; write `has(…)` where a value may be absent")?;
        }
        Ok(())
    }
}

/// `at character 3: `, or nothing.
struct At(Option<usize>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |position| write!(f, "at character {position}, "))
    }
}

/// JSON of which no more is made than is shown.
fn compact(value: &Json) -> String {
    struct Cut(Vec<u8>);

    impl io::Write for Cut {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = VALUE_BYTES - self.0.len();
            self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if bytes.len() <= room { Ok(bytes.len()) } else { Err(io::ErrorKind::WriteZero.into()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut cut = Cut(Vec::new());
    let is_whole = serde_json::to_writer(&mut cut, value).is_ok();
    // A character that was cut in two is left out.
    let text = cut.0.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    if is_whole { text.to_owned() } else { format!("{text}…") }
}
