//! What is wrong with the settings of a pod, and where.

use std::{cell::RefCell, fmt};

use crate::quote::shown;

/// How many problems are told in full.
const TOLD: usize = 20;

/// How many problems are lines of a message.
const LINES: usize = 3;

/// The rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A field that Kubernetes does not know.
    UnknownField,
    /// A value of the wrong type.
    WrongType,
    /// A field that must be there.
    MissingField,
    /// A value that is not spelled as it must be.
    InvalidValue,
    /// What is set elsewhere, or by Windlass.
    Reserved,
    /// The name of something that is not there, or is there already.
    WrongName,
    /// More, longer or deeper than allowed.
    TooLarge,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The place within the settings: `volumes[0].hostPath.path`, `labels[team]`; empty for the settings as a whole.
    pub path: String,
    /// The rule.
    pub rule: Rule,
    /// For people: what is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.path.is_empty() { "" } else { "." };
        write!(f, "pod{separator}{}: {}", self.path, self.message)
    }
}

/// All that is wrong with settings, at least one thing; the first twenty in full.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems {
    told: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// Those told in full, in the order they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.told.iter()
    }

    /// How many there are beyond those.
    pub fn more(&self) -> usize {
        self.more
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.told.iter().take(LINES).enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        match self.told.len().saturating_sub(LINES) + self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Problems {}

/// Takes what is found. Shared by all that look at the same settings.
#[derive(Debug, Default)]
pub(super) struct Report(RefCell<Problems>);

impl Report {
    /// Texts are made only where they are kept.
    pub(super) fn add(&self, path: Path<'_>, rule: Rule, message: fmt::Arguments<'_>) {
        let mut problems = self.0.borrow_mut();
        if problems.told.len() < TOLD {
            let (path, message) = (path.to_string(), message.to_string());
            problems.told.push(Problem { path, rule, message });
        } else {
            problems.more += 1;
        }
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().told.is_empty()
    }

    /// Whether what else is found is only counted, so that advice need not be looked for.
    pub(super) fn is_full(&self) -> bool {
        self.0.borrow().told.len() == TOLD
    }

    /// The value, where nothing is wrong.
    pub(super) fn into_result<T>(self, value: T) -> Result<T, Problems> {
        let problems = self.0.into_inner();
        if problems.told.is_empty() { Ok(value) } else { Err(problems) }
    }
}

/// A place within settings: a chain from the place to the settings. Displays `volumes[0].name`.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    up: Option<&'a Path<'a>>,
    part: Part<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    Settings,
    Field(&'a str),
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The settings as a whole.
    pub(super) const SETTINGS: Self = Self { up: None, part: Part::Settings };

    /// A field of the settings.
    pub(super) fn of(field: &'a str) -> Self {
        Self { up: None, part: Part::Field(field) }
    }

    /// A field of what is here.
    pub(super) fn field(&'a self, field: &'a str) -> Self {
        Self { up: Some(self), part: Part::Field(field) }
    }

    /// An entry of the map that is here.
    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self { up: Some(self), part: Part::Key(key) }
    }

    /// An entry of the list that is here.
    pub(super) fn index(&'a self, index: usize) -> Self {
        Self { up: Some(self), part: Part::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(up) = self.up {
            up.fmt(f)?;
        }
        match self.part {
            Part::Settings => Ok(()),
            Part::Field(field) => {
                write!(f, "{}{}", if self.up.is_some() { "." } else { "" }, shown(field))
            }
            Part::Key(key) => write!(f, "[{}]", shown(key)),
            Part::Index(index) => write!(f, "[{index}]"),
        }
    }
}
