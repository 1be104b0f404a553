//! What is wrong with a configuration.

use std::{fmt, path::PathBuf};

/// The configuration cannot be used. The message lists all that is wrong, one thing per line.
#[derive(Debug, thiserror::Error)]
pub struct SettingsError {
    /// All that is wrong; at least one thing.
    pub violations: Vec<Violation>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        self.violations.iter().try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

/// Something that is wrong. No message holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The file cannot be read or is no TOML.
    #[error("the file {}: {problem}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Nothing of this name can be configured.
    #[error("`{key}`, from {origin}: there is no such key; {}", meant(nearest.as_deref()))]
    UnknownKey {
        /// As it was written.
        key: String,
        /// Where.
        origin: String,
        /// What was probably meant, written in the same way.
        nearest: Option<String>,
    },
    /// A section has keys, not a value.
    #[error(
        "`{key}`, from {origin}: is a section and has no value; set its keys, such as `{example}`"
    )]
    Section {
        /// The section.
        key: String,
        /// Where a value was given.
        origin: String,
        /// One of its keys, written in the same way.
        example: String,
    },
    /// A `--set` that is none.
    #[error(
        "`--set` takes KEY=VALUE, such as `--set log.level=debug`; there is no `=` in what was given"
    )]
    NoAssignment,
    /// A secret where anyone can read it.
    #[error(
        "`{key}`, from {origin}: is a secret, and others can read it there; put it into the variable {variable}, or into a \
         file and name that with `{key}_file`"
    )]
    ExposedSecret {
        /// The key.
        key: String,
        /// Where it was given.
        origin: String,
        /// Where it may be.
        variable: String,
    },
    /// The value is of the wrong type, or out of range.
    #[error("`{key}`, from {origin}: {problem}; give {expected}")]
    Value {
        /// The key.
        key: String,
        /// Where its value comes from.
        origin: String,
        /// What is wrong.
        problem: String,
        /// What a person should write.
        expected: String,
    },
    /// The value does not go with the others, or with what it names.
    #[error("`{key}`, from {origin}: {problem}")]
    Rule {
        /// The key.
        key: String,
        /// Where its value comes from.
        origin: String,
        /// What is wrong, and what to do.
        problem: String,
    },
}

fn meant(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "docs/configuration.md lists all keys".to_owned(),
    }
}
