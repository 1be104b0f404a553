//! Why a value is not of its type, in words for people who write pipelines.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use super::problem::Path;
use crate::quote::quote;

/// Why a value is not of its type.
#[derive(Debug)]
pub(super) struct Failure {
    /// Where that is; none where nobody has said yet.
    pub(super) path: Option<String>,
    pub(super) message: String,
}

impl Failure {
    /// Says where it is, unless somebody has who was nearer.
    pub(super) fn at(self, path: Path<'_>) -> Self {
        Self { path: self.path.or_else(|| Some(path.to_string())), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: None, message: message.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Str(text) => format!("the text {}", quote(text)),
            Unexpected::Unit => "nothing".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "a map".to_owned(),
            other => other.to_string(),
        };
        let expected = match expected.to_string().as_str() {
            "i32" | "i64" => "a whole number".to_owned(),
            "f64" => "a number".to_owned(),
            "a string" => "a text".to_owned(),
            "a boolean" => "true or false".to_owned(),
            "a sequence" => "a list".to_owned(),
            "Quantity" | "IntOrString" => "a text or a number".to_owned(),
            // The types of Kubernetes are called by their names.
            other if other.starts_with(char::is_uppercase) => format!("a map, a `{other}`"),
            other => other.to_owned(),
        };
        Self::custom(format_args!("found {found}, but this must be {expected}"))
    }
}
