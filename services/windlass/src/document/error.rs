//! `{"error": {"code", "reason", "message", "violations": [{"field", "message"}]}}`

use serde::Serialize;

use crate::failure::Failure;

#[derive(Debug, Serialize)]
pub(crate) struct ErrorDocument {
    error: Body,
}

#[derive(Debug, Serialize)]
struct Body {
    /// The gRPC code in lower case: `invalid_argument`, `unavailable`, …
    code: String,
    /// As in docs/errors.md; null for what is of this process alone.
    reason: Option<String>,
    message: String,
    violations: Vec<Violation>,
}

#[derive(Debug, Serialize)]
struct Violation {
    /// A field of the request, or a place in a file: `FILE:LINE:COLUMN`.
    field: String,
    message: String,
}

impl ErrorDocument {
    pub(crate) fn of(failure: &Failure) -> Self {
        let violations = failure.violations().iter().map(|violation| Violation {
            field: violation.field.clone(),
            message: violation.description.clone(),
        });
        Self {
            error: Body {
                code: snake_case(&format!("{:?}", failure.code())),
                reason: failure.reason().map(str::to_owned),
                message: failure.message(),
                violations: violations.collect(),
            },
        }
    }
}

/// The codes' names are written in camel case where they are defined.
fn snake_case(camel_case: &str) -> String {
    let mut word = String::with_capacity(camel_case.len() + 4);
    for (at, letter) in camel_case.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::InputError;
    use windlass_client::FieldViolation;
    use windlass_service::error::ErrorReason;

    #[test]
    fn an_error_is_told_with_code_and_places() {
        let violation = FieldViolation {
            field: "p.yaml:3:5".to_owned(),
            description: "no step `x`".to_owned(),
        };
        let failure = Failure::from(InputError {
            reason: ErrorReason::InvalidPipeline,
            message: "p.yaml is not a pipeline that can run".to_owned(),
            violations: vec![violation],
        });
        insta::assert_snapshot!(
            serde_json::to_string(&ErrorDocument::of(&failure)).unwrap(),
            @r#"{"error":{"code":"invalid_argument","reason":"INVALID_PIPELINE","message":"p.yaml is not a pipeline that can run","violations":[{"field":"p.yaml:3:5","message":"no step `x`"}]}}"#
        );
    }
}
