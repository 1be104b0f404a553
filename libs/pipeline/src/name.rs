//! Which names are lawful.

use crate::{limits, quote::quote};

/// What the names of one kind of thing must look like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NameRule {
    /// The rule in words, to end `use …`.
    pub(crate) words: &'static str,
    first: fn(u8) -> bool,
    rest: fn(u8) -> bool,
    most: usize,
}

impl NameRule {
    /// Whether a name keeps to the rule.
    pub(crate) fn allows(&self, name: &str) -> bool {
        let [first, rest @ ..] = name.as_bytes() else {
            return false;
        };
        name.len() <= self.most
            && (self.first)(*first)
            && rest.iter().all(|byte| (self.rest)(*byte))
    }
}

/// Names of pipelines.
pub(crate) const PIPELINE: NameRule = NameRule {
    words: "lower-case letters, digits and `-`, a letter first, at most 63 characters",
    first: |byte| byte.is_ascii_lowercase(),
    rest: |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-',
    most: limits::NAME_CHARS,
};

/// Names of steps, of limits that runs share, and of clusters.
pub(crate) const STEP: NameRule = NameRule {
    words: "lower-case letters, digits, `-` and `_`, a letter first, at most 63 characters",
    first: |byte| byte.is_ascii_lowercase(),
    rest: |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_',
    most: limits::NAME_CHARS,
};

/// Names of parameters and of outputs.
pub(crate) const IDENTIFIER: NameRule = NameRule {
    words: "letters, digits and `_`, a letter first, at most 63 characters",
    first: |byte| byte.is_ascii_alphabetic(),
    rest: |byte| byte.is_ascii_alphanumeric() || byte == b'_',
    most: limits::NAME_CHARS,
};

/// Names of environment variables.
pub(crate) const ENV_VAR: NameRule = NameRule {
    words: "letters, digits and `_`, no digit first, at most 255 characters",
    first: |byte| byte.is_ascii_alphabetic() || byte == b'_',
    rest: |byte| byte.is_ascii_alphanumeric() || byte == b'_',
    most: limits::ENV_NAME_CHARS,
};

/// Keys of labels.
pub(crate) const LABEL: NameRule = NameRule {
    words: "letters, digits, `-`, `_`, `.` and `/`, at most 63 characters",
    first: is_label_byte,
    rest: is_label_byte,
    most: limits::NAME_CHARS,
};

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_./".contains(&byte)
}

/// What is wrong with the name of a cluster, and what to do; none where nothing is.
pub fn wrong_cluster_name(name: &str) -> Option<String> {
    (!STEP.allows(name))
        .then(|| format!("{} is no lawful name of a cluster; use {}", quote(name), STEP.words))
}

/// What is wrong with the name of a limit that runs share, and what to do; none where nothing is.
pub fn wrong_limit_name(name: &str) -> Option<String> {
    let words = STEP.words;
    match name {
        "" => Some(format!("names no limit; give it one of {words}")),
        _ if STEP.allows(name) => None,
        _ => Some(format!("{} is no lawful name of a limit; use {words}", quote(name))),
    }
}
