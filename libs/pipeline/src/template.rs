//! Strings with references: `${{ params.rate }}` stands for a value that is known only when an attempt is made.
//!
//! There are no expressions, no filters and no defaults: a reference stands for exactly one value.

use std::{borrow::Cow, fmt};

use serde_json::Value as Json;

use crate::{name, quote::quote};

const OPEN: &str = "${{";
const CLOSE: &str = "}}";

/// A parsed string. It borrows the text it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template<'a> {
    parts: Vec<Part<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    Literal(&'a str),
    Reference(Reference<'a>),
}

/// What a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reference<'a> {
    /// `${{ params.NAME }}`: an argument of the run.
    Param(&'a str),
    /// `${{ steps.NAME.outputs.NAME }}`: what another step wrote.
    Output {
        /// The step.
        step: &'a str,
        /// The output.
        output: &'a str,
    },
    /// `${{ steps.NAME.state }}`: where another step is, in a word such as `succeeded`.
    State(&'a str),
    /// `${{ item }}`, `${{ item.FIELD }}`: the item of the innermost loop around, or of the enclosing loop of this name
    /// (`${{ loops.NAME.item }}`), or what lies in it.
    Item {
        /// The loop; none means the innermost one.
        of: Option<&'a str>,
        /// Names of fields, with a dot between them; empty means the whole item.
        path: &'a str,
    },
    /// `${{ index }}` and `${{ loops.NAME.index }}`: the item's place in the list, from 0.
    Index(Option<&'a str>),
    /// `${{ run.state }}`: how the run will end, for exit steps.
    RunState,
    /// `${{ run.id }}`: the run.
    RunId,
    /// `${{ step.name }}`: the step that the string is of.
    StepName,
    /// `${{ step.attempt }}`: the attempt's number, from 1.
    StepAttempt,
}

/// Where a rendering finds its values.
pub trait Values {
    /// The value that a reference stands for; none where there is none.
    fn value(&self, reference: Reference<'_>) -> Option<Cow<'_, Json>>;
}

/// A text that is no lawful template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A reference that does not end.
    #[error(
        "the `${{{{` at character {position} is not closed; end it with `}}}}`, or write `$${{{{` for a plain `${{{{`"
    )]
    Unclosed {
        /// Of the `${{`, counted in characters from 1.
        position: usize,
    },
    /// A reference that names nothing.
    #[error(
        "`${{{{ … }}}}` at character {position} holds {}, which is no reference; write `params.NAME`, \
         `steps.NAME.outputs.NAME`, `steps.NAME.state`, `item`, `index`, `run.id`, `step.name` or `step.attempt`, or `$${{{{` \
         for a plain `${{{{`",
        quote(.text)
    )]
    Unknown {
        /// Of the `${{`, counted in characters from 1.
        position: usize,
        /// What is between the braces.
        text: String,
    },
}

/// A reference for which there is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{reference}` has no value: what it names was not written; refer to steps that succeed and write it"
)]
pub struct MissingValue {
    /// The reference as it is written.
    pub reference: String,
}

impl<'a> Template<'a> {
    /// Parses a text.
    pub fn parse(text: &'a str) -> Result<Self, TemplateError> {
        parts(text).collect::<Result<_, _>>().map(|parts| Self { parts })
    }

    /// What the text refers to, in order; what is named twice comes twice.
    pub fn references(&self) -> impl Iterator<Item = Reference<'a>> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Reference(reference) => Some(*reference),
        })
    }

    /// The reference that the text is, where it is exactly one.
    pub fn as_reference(&self) -> Option<Reference<'a>> {
        match self.parts[..] {
            [Part::Reference(reference)] => Some(reference),
            _ => None,
        }
    }

    /// Puts values in: texts as they are, everything else as compact JSON.
    pub fn render(&self, values: &(impl Values + ?Sized)) -> Result<String, MissingValue> {
        let mut rendered = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => rendered.push_str(text),
                Part::Reference(reference) => {
                    let value = values
                        .value(*reference)
                        .ok_or_else(|| MissingValue { reference: reference.to_string() })?;
                    match value.as_ref() {
                        Json::String(text) => rendered.push_str(text),
                        other => rendered.push_str(&other.to_string()),
                    }
                }
            }
        }
        Ok(rendered)
    }
}

/// Writes a text such that a template of it renders to the text itself.
pub fn escape(text: &str) -> Cow<'_, str> {
    if text.contains(OPEN) { Cow::Owned(text.replace(OPEN, "$${{")) } else { Cow::Borrowed(text) }
}

/// The parts of a text, without keeping them. Ends after the first error.
pub(crate) fn parts(text: &str) -> Parts<'_> {
    Parts { text, at: 0 }
}

/// What a text refers to, up to its first error.
pub(crate) fn references(text: &str) -> impl Iterator<Item = Reference<'_>> {
    parts(text).filter_map(|part| match part {
        Ok(Part::Reference(reference)) => Some(reference),
        Ok(Part::Literal(_)) | Err(_) => None,
    })
}

#[derive(Debug)]
pub(crate) struct Parts<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, TemplateError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let (part, length) = match rest.find(OPEN) {
            None => (Ok(Part::Literal(rest)), rest.len()),
            Some(0) => self.reference(rest),
            // What is before the `$` of an escape comes by itself, then the escape.
            Some(1) if rest.starts_with('$') => {
                (Ok(Part::Literal(&rest[1..=OPEN.len()])), 1 + OPEN.len())
            }
            Some(open) if rest[..open].ends_with('$') => {
                (Ok(Part::Literal(&rest[..open - 1])), open - 1)
            }
            Some(open) => (Ok(Part::Literal(&rest[..open])), open),
        };
        self.at += length;
        Some(part)
    }
}

impl<'a> Parts<'a> {
    /// The reference that `rest` begins with, and its length.
    fn reference(&self, rest: &'a str) -> (Result<Part<'a>, TemplateError>, usize) {
        let position = || self.text[..self.at].chars().count() + 1;
        let Some(length) = rest[OPEN.len()..].find(CLOSE) else {
            return (Err(TemplateError::Unclosed { position: position() }), rest.len());
        };
        let text = rest[OPEN.len()..OPEN.len() + length].trim();
        let Some(reference) = Reference::parse(text) else {
            let text = text.to_owned();
            return (Err(TemplateError::Unknown { position: position(), text }), rest.len());
        };
        (Ok(Part::Reference(reference)), OPEN.len() + length + CLOSE.len())
    }
}

impl<'a> Reference<'a> {
    /// Parses what is between the braces.
    fn parse(text: &'a str) -> Option<Self> {
        let identifier = |text| name::IDENTIFIER.allows(text).then_some(text);
        let step_name = |text| name::STEP.allows(text).then_some(text);
        match text.split_once('.').unwrap_or((text, "")) {
            ("params", parameter) => Some(Self::Param(identifier(parameter)?)),
            ("steps", rest) => {
                if let Some(step) = rest.strip_suffix(".state") {
                    return step_name(step).map(Self::State);
                }
                let (step, output) = rest.split_once(".outputs.")?;
                Some(Self::Output { step: step_name(step)?, output: identifier(output)? })
            }
            ("item", path) => Self::item(None, text, path),
            ("index", "") => (text == "index").then_some(Self::Index(None)),
            ("loops", rest) => {
                let (of, what) = rest.split_once('.')?;
                let of = Some(step_name(of)?);
                match what.split_once('.').unwrap_or((what, "")) {
                    ("item", path) => Self::item(of, what, path),
                    ("index", "") => (what == "index").then_some(Self::Index(of)),
                    _ => None,
                }
            }
            ("run", "state") => Some(Self::RunState),
            ("run", "id") => Some(Self::RunId),
            ("step", "name") => Some(Self::StepName),
            ("step", "attempt") => Some(Self::StepAttempt),
            _ => None,
        }
    }

    /// `text` is `item`, or that with a dot and `path` behind it.
    fn item(of: Option<&'a str>, text: &str, path: &'a str) -> Option<Self> {
        let is_lawful = path.split('.').all(|field| name::IDENTIFIER.allows(field));
        (text == "item" || is_lawful).then_some(Self::Item { of, path })
    }
}

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Param(parameter) => write!(f, "${{{{ params.{parameter} }}}}"),
            Self::Output { step, output } => write!(f, "${{{{ steps.{step}.outputs.{output} }}}}"),
            Self::State(step) => write!(f, "${{{{ steps.{step}.state }}}}"),
            Self::Item { of, path } => {
                f.write_str("${{ ")?;
                of.map_or(Ok(()), |of| write!(f, "loops.{of}."))?;
                f.write_str("item")?;
                if !path.is_empty() {
                    write!(f, ".{path}")?;
                }
                f.write_str(" }}")
            }
            Self::Index(None) => f.write_str("${{ index }}"),
            Self::Index(Some(of)) => write!(f, "${{{{ loops.{of}.index }}}}"),
            Self::RunState => f.write_str("${{ run.state }}"),
            Self::RunId => f.write_str("${{ run.id }}"),
            Self::StepName => f.write_str("${{ step.name }}"),
            Self::StepAttempt => f.write_str("${{ step.attempt }}"),
        }
    }
}

/// The text again, with every reference spelled in the usual way.
impl fmt::Display for Template<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(text) => f.write_str(&escape(text)),
            Part::Reference(reference) => reference.fmt(f),
        })
    }
}
