//! Keys of which nobody knows what they are meant to be, since something is wrong with what was written.

use super::{key::PREFIX, violation::Violation};

/// Keys and sections whose values are not those that were meant.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    /// By name.
    names: Vec<String>,
    /// All of them: the file could not be read.
    all: bool,
}

impl Unknown {
    /// What is not known because of these.
    pub(super) fn of(violations: &[Violation]) -> Self {
        let mut unknown = Self::default();
        for violation in violations {
            match violation {
                Violation::File { .. } => unknown.all = true,
                Violation::UnknownKey { nearest: Some(key), .. }
                | Violation::Section { key, .. }
                | Violation::ExposedSecret { key, .. }
                | Violation::Value { key, .. } => unknown.names.push(dotted(key)),
                Violation::UnknownKey { nearest: None, .. }
                | Violation::NoAssignment
                | Violation::Rule { .. } => {}
            }
        }
        unknown
    }

    /// Whether the value of a key is not known.
    pub(super) fn holds(&self, key: &str) -> bool {
        self.all || self.names.iter().any(|name| name == key || is_in(key, name))
    }

    /// Whether that of any key of a section is not.
    pub(super) fn holds_any_of(&self, section: &str) -> bool {
        self.holds(section) || self.names.iter().any(|name| is_in(name, section))
    }
}

/// Whether a key, or a section, lies in a section.
pub(super) fn is_in(key: &str, section: &str) -> bool {
    key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

/// The name of a key that may be written as a variable.
fn dotted(written: &str) -> String {
    let Some(rest) = written.strip_prefix(PREFIX) else { return written.to_owned() };
    rest.to_lowercase().replace("__", ".")
}
