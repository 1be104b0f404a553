//! Conditions: expressions in CEL, the Common Expression Language, that are true or false.
//!
//! ```text
//!   text ──▶ syntax ──▶ plan ──▶ Condition     names and functions are known, nothing lies too deep
//!                                   │
//!   values ─────────────────────────┴──▶ cost ──▶ value ──▶ the interpreter ──▶ true, false, or in words why neither
//! ```
//!
//! A scheduler evaluates conditions between two of its events, and whoever submits a pipeline writes them. So that what
//! they cost is bounded before it is paid: how deep they lie when they are parsed, and how much there is to do when they
//! are evaluated, from the sizes of the values ([`cost`]). The interpreter itself knows no bounds.
//!
//! What differs from CEL elsewhere: there are no regular expressions (`matches`), no times and no durations. Of an
//! item as a whole only `item` is a reference; its fields are selected by the expression.

mod cost;
mod error;
mod function;
mod name;
mod plan;
mod syntax;
mod value;
mod words;

use std::fmt;

use cel::{Value, common::ast::IdedExpr};

pub use error::{ConditionError, EvaluationError, UsedValue};

use crate::template::{Reference, Values};
use name::Name;
use plan::Plan;

/// A parsed condition. It owns its text.
pub struct Condition {
    text: String,
    expression: IdedExpr,
    names: Vec<Name>,
    plan: Plan,
}

impl Condition {
    /// Parses a text.
    ///
    /// # Errors
    ///
    /// A text that is no expression, that names what no condition may name, or that nests too deep or would cost too much
    /// whatever the values are.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        let expression = syntax::parse(text)?;
        let (plan, names) = plan::plan(&expression)?;
        if !cost::is_affordable(&plan, &vec![None; names.len()]) {
            return Err(ConditionError::TooCostly);
        }
        Ok(Self { text: text.to_owned(), expression, names, plan })
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the condition names; each once, in order of first use. An item always as a whole: [`Reference::Item`] without
    /// a path.
    pub fn references(&self) -> impl Iterator<Item = Reference<'_>> {
        self.names.iter().map(Name::reference)
    }

    /// Whether the condition is true.
    ///
    /// Takes at most some tenths of a second and some 100 MB, whatever the condition and the values are.
    ///
    /// # Errors
    ///
    /// There is no value: something is absent, of the wrong type, or otherwise without meaning; the result is neither true nor
    /// false; or the values are too large.
    pub fn evaluate(&self, values: &(impl Values + ?Sized)) -> Result<bool, EvaluationError> {
        let values: Vec<_> = self.references().map(|name| values.value(name)).collect();
        let failed = |problem| EvaluationError::new(self, problem, &values);
        let known: Vec<_> = values.iter().map(Option::as_deref).collect();
        if !cost::is_affordable(&self.plan, &known) {
            return Err(failed(words::TOO_COSTLY.to_owned()));
        }
        let context = value::context(self.names.iter().zip(known));
        match Value::resolve(&self.expression, &context) {
            Ok(Value::Bool(result)) => Ok(result),
            Ok(other) => Err(failed(words::not_boolean(&other))),
            Err(error) => Err(failed(words::describe(&error))),
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text).finish()
    }
}
