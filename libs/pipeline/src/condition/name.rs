//! The names that a condition may use.

use std::fmt;

use super::ConditionError;
use crate::{
    name::{IDENTIFIER, NameRule, STEP},
    suggest::did_you_mean,
    template::Reference,
};

/// The most that a name has after its root.
const SEGMENTS: usize = 3;

/// Where names begin.
const ROOTS: [&str; 6] = ["params", "steps", "item", "index", "loops", "run"];

/// Lawful names that CEL takes for something else, even after a dot.
const KEYWORDS: [&str; 4] = ["in", "true", "false", "null"];

const STEPS_ADVICE: &str = "write `steps.NAME.outputs.NAME` or `steps.NAME.state`, with `steps[\"NAME\"]` where the name has a `-`";
const LOOPS_ADVICE: &str = "write `loops.NAME.item` or `loops.NAME.index`, with `loops[\"NAME\"]` where the name has a `-`";

/// A [`Reference`] that owns its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Param(String),
    Output { step: String, output: String },
    State(String),
    Item(Option<String>),
    Index(Option<String>),
    RunState,
    RunId,
}

impl Name {
    /// The name that begins with `root` and goes on with `segments`, and how many of those belong to it. A segment is none
    /// where it is computed.
    pub(super) fn parse(
        root: &str,
        segments: &[Option<&str>],
    ) -> Result<(Self, usize), ConditionError> {
        let lawful = |rule: NameRule, name: &str| {
            let unknown = || {
                refuse(root, segments, &format!("has a name that cannot be; use {}", rule.words))
            };
            if rule.allows(name) { Ok(name.to_owned()) } else { Err(unknown()) }
        };
        Ok(match (root, segments) {
            ("params", [Some(name), ..]) => (Self::Param(lawful(IDENTIFIER, name)?), 1),
            ("steps", [Some(step), Some("state"), ..]) => (Self::State(lawful(STEP, step)?), 2),
            ("steps", [Some(step), Some("outputs"), Some(output), ..]) => {
                let (step, output) = (lawful(STEP, step)?, lawful(IDENTIFIER, output)?);
                (Self::Output { step, output }, 3)
            }
            ("item", _) => (Self::Item(None), 0),
            ("index", _) => (Self::Index(None), 0),
            ("loops", [Some(of), Some("item"), ..]) => (Self::Item(Some(lawful(STEP, of)?)), 2),
            ("loops", [Some(of), Some("index"), ..]) => (Self::Index(Some(lawful(STEP, of)?)), 2),
            ("run", [Some("id"), ..]) => (Self::RunId, 1),
            ("run", [Some("state"), ..]) => (Self::RunState, 1),
            _ => return Err(Self::unknown(root, segments)),
        })
    }

    fn unknown(root: &str, segments: &[Option<&str>]) -> ConditionError {
        let advice = match root {
            "params" => "write `params.NAME`",
            "steps" => STEPS_ADVICE,
            "loops" => LOOPS_ADVICE,
            "run" => "write `run.id` or `run.state`",
            _ => {
                let advice = did_you_mean(root, ROOTS).or(
                    "; write `params.NAME`, `steps.NAME.outputs.NAME`, `steps.NAME.state`, `item`, `index`, `run.id`, or a text in quotes",
                );
                return refuse(root, &[], &format!("is not known{advice}"));
            }
        };
        let is_computed = segments.iter().take(SEGMENTS).any(Option::is_none);
        let problem = if is_computed { "is computed, and names cannot be" } else { "is no value" };
        refuse(root, segments, &format!("{problem}; {advice}"))
    }

    /// For those who have the values.
    pub(super) fn reference(&self) -> Reference<'_> {
        match self {
            Self::Param(name) => Reference::Param(name),
            Self::Output { step, output } => Reference::Output { step, output },
            Self::State(step) => Reference::State(step),
            Self::Item(of) => Reference::Item { of: of.as_deref(), path: "" },
            Self::Index(of) => Reference::Index(of.as_deref()),
            Self::RunState => Reference::RunState,
            Self::RunId => Reference::RunId,
        }
    }

    /// The variable, and the fields on the way to the value.
    pub(super) fn path(&self) -> Vec<&str> {
        match self {
            Self::Param(name) => vec!["params", name],
            Self::Output { step, output } => vec!["steps", step, "outputs", output],
            Self::State(step) => vec!["steps", step, "state"],
            Self::Item(None) => vec!["item"],
            Self::Item(Some(of)) => vec!["loops", of, "item"],
            Self::Index(None) => vec!["index"],
            Self::Index(Some(of)) => vec!["loops", of, "index"],
            Self::RunState => vec!["run", "state"],
            Self::RunId => vec!["run", "id"],
        }
    }
}

/// As it may be written in a condition.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        let (root, segments) = path.split_first().ok_or(fmt::Error)?;
        f.write_str(root)?;
        segments.iter().try_for_each(|segment| write_segment(f, Some(segment)))
    }
}

fn write_segment(f: &mut impl fmt::Write, segment: Option<&str>) -> fmt::Result {
    let is_plain = |name| IDENTIFIER.allows(name) && !KEYWORDS.contains(&name);
    match segment {
        Some(segment) if is_plain(segment) => write!(f, ".{segment}"),
        Some(segment) => write!(f, "[{segment:?}]"),
        None => f.write_str("[…]"),
    }
}

/// `problem` follows the name.
fn refuse(root: &str, segments: &[Option<&str>], problem: &str) -> ConditionError {
    let mut name = root.to_owned();
    for segment in segments.iter().take(SEGMENTS) {
        // Writing into a text does not fail.
        let _ = write_segment(&mut name, *segment);
    }
    ConditionError::UnknownName { name, problem: problem.to_owned() }
}
