//! What a step may ask of its pod: rules, and what is made of it.
//!
//! ```text
//!   v1::Pod ──▶ size ──▶ texts: names, labels, amounts ──┬──▶ problems, each with its place
//!                  └───▶ strict: Kubernetes' own types ──┘
//!                                    └──▶ parts ──▶ containers, patch
//! ```
//!
//! Linear in the size of the settings, which is bounded. What holds references is looked at once more when these have values:
//! only then can be told whether a text is an amount, say.

mod containers;
mod failure;
mod parts;
mod patch;
mod problem;
mod size;
mod strict;
mod texts;
mod words;
mod written;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

use prost_types::Struct;
use serde_json::Value as Json;
use windlass_proto::{json, v1};

pub use problem::{Path, Problem, Problems, Rule};
pub use texts::{each_text, rendered};
pub use written::written;

pub(crate) use containers::{ALWAYS, STEP_IMAGE};
pub(crate) use parts::Parts;
use problem::Report;

use crate::{
    quote::quote,
    syntax::{self, Syntax},
};

/// Bytes of the settings of one step's pod, encoded: 64 KiB.
pub const POD_BYTES: usize = 64 << 10;

/// Entries of a list or a map in settings.
pub const ENTRIES: usize = 1_000;

/// How deep lists and maps in settings may lie in each other.
pub const DEPTH: usize = 16;

/// Waiting reasons of a step.
pub const WAITING_REASONS: usize = 64;

/// What marks a text that may hold references.
const REFERENCE: &str = "${{";

/// Checks settings as they are submitted. Texts with references are checked as far as these do not matter; whether references
/// are lawful is not known here. That the deadline is a lawful duration is the pipeline's rule, too.
///
/// # Errors
///
/// All that was found to be wrong.
pub fn check(pod: &v1::Pod) -> Result<(), Problems> {
    read(pod, Reading { report: Report::default(), has_references: true }).map(drop)
}

/// Reads settings whose references have become values.
///
/// # Errors
///
/// All that was found to be wrong.
pub(crate) fn parts(pod: &v1::Pod) -> Result<Parts, Problems> {
    read(pod, Reading { report: Report::default(), has_references: false })
}

/// Checks which secret a variable comes from; what is wrong, and what to do, where something is.
pub fn wrong_secret(secret: &v1::SecretKey) -> Option<String> {
    let v1::SecretKey { name, key, .. } = secret;
    let rules =
        [(name, "the secret", &syntax::DNS_SUBDOMAIN), (key, "the entry", &syntax::SECRET_KEY)];
    rules.into_iter().find(|(text, _, syntax)| !syntax.allows(text)).map(|(text, of, syntax)| {
        format!("{} is no {} for {of}; use {}", quote(text), syntax.what, syntax.words)
    })
}

/// Checks what an image is called; what is wrong, and what to do, where something is. References are for the caller.
pub fn wrong_image(image: &str) -> Option<String> {
    let syntax = &syntax::IMAGE;
    let is_lawful = image.contains(REFERENCE) || syntax.allows(image);
    (!is_lawful).then(|| format!("{} is no {}; use {}", quote(image), syntax.what, syntax.words))
}

fn read(pod: &v1::Pod, reading: Reading) -> Result<Parts, Problems> {
    if !size::is_bounded(pod, &reading.report) {
        return reading.report.into_result(Parts::default());
    }
    words::check(pod, &reading);
    let parts = Parts::read(pod, &reading);
    // What could not be read is not there to be named.
    if reading.report.is_empty() {
        containers::check(&parts, &reading);
    }
    reading.report.into_result(parts)
}

/// How settings are read, and what was found.
#[derive(Debug)]
struct Reading {
    report: Report,
    /// Whether texts may hold references, so that what they say is not known yet.
    has_references: bool,
}

impl Reading {
    /// Whether it is not known yet what a text says.
    fn is_open(&self, text: &str) -> bool {
        self.has_references && text.contains(REFERENCE)
    }

    /// Checks how a text is spelled.
    fn check(&self, path: Path<'_>, syntax: &Syntax, text: &str) {
        if !self.is_open(text) && !syntax.allows(text) {
            let Syntax { what, words, .. } = syntax;
            let message = format_args!("{} is no {what}; use {words}", quote(text));
            self.report.add(path, Rule::InvalidValue, message);
        }
    }
}

fn json_of(fields: &Struct) -> Json {
    let entries = fields.fields.iter();
    Json::Object(entries.map(|(name, value)| (name.clone(), json::from_value(value))).collect())
}
