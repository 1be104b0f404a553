//! What is wrong with a file, and where.

use std::{fmt, path::PathBuf};

use serde_saphyr::{
    Error as YamlError, ExternalMessageSource, MessageFormatter as _, UserMessageFormatter,
    budget::BudgetBreach, granit_parser::ErrorKind,
};

use crate::{limits, quote::quote, suggest::did_you_mean};

/// A place in a file, both numbers from 1; columns are counted in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

impl Position {
    pub(super) fn new(location: serde_saphyr::Location) -> Option<Self> {
        (location.line() > 0).then(|| Self { line: location.line(), column: location.column() })
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, where it is one that is used by the one that was read.
    pub file: Option<PathBuf>,
    /// Where, as far as that is known.
    pub position: Option<Position>,
    /// For people: what is wrong, and what to do.
    pub message: String,
}

/// `12:5: message`, so that a file's name and a colon may be put in front; `other.yaml:12:5: message` of a file that is used.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
        }
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Why a file is no pipeline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The file is larger than [`limits::FILE_BYTES`].
    #[error("{0}")]
    TooLarge(Problem),
    /// The file is not UTF-8.
    #[error("{0}")]
    NotUtf8(Problem),
    /// The file is not YAML, or not of the format.
    #[error("{0}")]
    Syntax(Problem),
    /// The pipeline breaks rules.
    #[error("{}", Lines { problems, more: *more })]
    Rules {
        /// At least one.
        problems: Vec<Problem>,
        /// How many there are beyond those.
        more: usize,
    },
}

impl FileError {
    /// All that is wrong, as far as it was looked at.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::TooLarge(problem) | Self::NotUtf8(problem) | Self::Syntax(problem) => {
                std::slice::from_ref(problem)
            }
            Self::Rules { problems, .. } => problems,
        }
    }

    /// How many problems there are beyond [`Self::problems`].
    pub fn more(&self) -> usize {
        match self {
            Self::Rules { more, .. } => *more,
            Self::TooLarge(_) | Self::NotUtf8(_) | Self::Syntax(_) => 0,
        }
    }

    pub(super) fn too_large(bytes: usize) -> Self {
        Self::TooLarge(Problem {
            file: None,
            position: None,
            message: format!(
                "the file has {bytes} bytes, and {} MiB are the most; submit a pipeline of this size through the API",
                limits::FILE_BYTES >> 20
            ),
        })
    }

    /// `valid` is what comes before the first byte that is wrong.
    pub(super) fn not_utf8(valid: &[u8]) -> Self {
        let line = valid.split(|byte| *byte == b'\n').count();
        let message = format!(
            "the byte at offset {} (line {line}) is not UTF-8; save the file as UTF-8",
            valid.len()
        );
        Self::NotUtf8(Problem { file: None, position: None, message })
    }

    /// `file` is none for the file that was given to be read.
    pub(super) fn yaml(file: Option<PathBuf>, error: &YamlError) -> Self {
        let position = error.location().and_then(Position::new);
        Self::Syntax(Problem { file, position, message: describe(error) })
    }
}

/// One problem per line.
struct Lines<'a> {
    problems: &'a [Problem],
    more: usize,
}

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

/// An error of the YAML reader in words for people who write pipelines.
fn describe(error: &YamlError) -> String {
    match error {
        YamlError::AliasError { error, .. } | YamlError::WithSnippet { error, .. } => {
            describe(error)
        }
        YamlError::SerdeUnknownField { field, expected, .. } => {
            let suggestion = did_you_mean(field, expected.iter().copied()).to_string();
            if suggestion.is_empty() {
                format!("unknown key {}; known here are {}", quote(field), listed(expected))
            } else {
                format!("unknown key {}{suggestion}", quote(field))
            }
        }
        YamlError::SerdeUnknownVariant { variant, expected, .. } => {
            let suggestion = did_you_mean(variant, expected.iter().copied());
            format!(
                "{} is not possible here, only {}{suggestion}",
                quote(variant),
                listed(expected)
            )
        }
        YamlError::SerdeMissingField { field, .. } => {
            format!("the key `{field}` is missing; add it")
        }
        YamlError::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key {} is here twice; remove or rename one", quote(key))
        }
        YamlError::DuplicateMappingKey { key: None, .. } => {
            "a key is here twice; remove or rename one".to_owned()
        }
        YamlError::SerdeInvalidType { unexpected, expected, .. }
        | YamlError::SerdeInvalidValue { unexpected, expected, .. } => {
            let found = if unexpected == "unit value" { "nothing" } else { unexpected };
            format!("found {found}, but this must be {expected}")
        }
        YamlError::NullIntoString { .. } => {
            "a text is missing here; write \"\" for an empty one".to_owned()
        }
        YamlError::Unexpected { expected: "mapping start", .. } => {
            "this must be a map of keys to values".to_owned()
        }
        YamlError::Unexpected { expected: "sequence start", .. } => {
            "this must be a list, such as [a, b]".to_owned()
        }
        YamlError::Unexpected { expected: "string scalar", .. } => "this must be a text".to_owned(),
        YamlError::Eof { .. } => "the file ends too early, or is empty".to_owned(),
        YamlError::MultipleDocuments { .. } => {
            "the file holds a second YAML document; keep one pipeline per file".to_owned()
        }
        YamlError::ExternalMessage { source, .. } if is_too_deep(source) => too_deep(),
        YamlError::Budget { breach, .. } => describe_breach(breach),
        YamlError::AliasReplayLimitExceeded { .. }
        | YamlError::AliasExpansionLimitExceeded { .. }
        | YamlError::AliasReplayStackDepthExceeded { .. } => too_many_aliases(),
        other => UserMessageFormatter.format_message(other).into_owned(),
    }
}

fn describe_breach(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Depth { .. } => too_deep(),
        BudgetBreach::Aliases { .. }
        | BudgetBreach::Anchors { .. }
        | BudgetBreach::MergeKeys { .. }
        | BudgetBreach::AliasAnchorRatio { .. }
        | BudgetBreach::RecordedAnchorEvents { .. }
        | BudgetBreach::RecordedAnchorBytes { .. } => too_many_aliases(),
        _ => "the file is too large for a pipeline; split it".to_owned(),
    }
}

/// Whether the scanner, which looks ahead of the limit of [`limits::FILE_DEPTH`], hit its own one.
fn is_too_deep(source: &ExternalMessageSource) -> bool {
    matches!(source, ExternalMessageSource::Parser(error) if matches!(error.kind(), ErrorKind::RecursionLimitExceeded))
}

fn too_deep() -> String {
    format!("lists and maps are nested deeper than {} levels; flatten them", limits::FILE_DEPTH)
}

fn too_many_aliases() -> String {
    format!(
        "the aliases (`*name`) stand for more than {} values; write them out, or use fewer",
        limits::FILE_ALIASED_NODES
    )
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
