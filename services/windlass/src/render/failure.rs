//! Why a command failed.

use std::fmt::Write as _;

use super::{Theme, words};
use crate::failure::Failure;

/// The message, then one line per place that is wrong.
pub(crate) fn failure(failure: &Failure, theme: &Theme) -> String {
    let message: Vec<_> = failure.message().lines().map(words::harmless).collect();
    let mut text = format!("{} {}\n", theme.bad("error:"), message.join("\n"));
    for violation in failure.violations() {
        let field = words::harmless(&violation.field);
        let description = words::harmless(&violation.description);
        // A single violation is often the message itself.
        if !text.contains(&description) {
            let _ = writeln!(text, "  {}: {description}", theme.bold(&field));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{failure::InputError, render::samples};
    use windlass_client::{ClientError, FieldViolation};
    use windlass_service::error::ErrorReason;

    #[test]
    fn errors_say_what_is_wrong_and_what_to_do() {
        let violation = |field: &str, description: &str| FieldViolation {
            field: field.to_owned(),
            description: description.to_owned(),
        };
        let file = Failure::from(InputError {
            reason: ErrorReason::InvalidPipeline,
            message: "p.yaml is not a pipeline that can run".to_owned(),
            violations: vec![
                violation("p.yaml:7:18", "there is no step `laod`; did you mean `load`?"),
                violation("p.yaml:9:5", "does nothing; give it `run` or `command`"),
            ],
        });
        let unreachable = |host: &str| ClientError::Unreachable {
            endpoint: format!("http://{host}:7878"),
            problem: "Connection refused (os error 111)".to_owned(),
        };
        let (unnamed, named) =
            (Failure::NoServer(unreachable("127.0.0.1")), Failure::from(unreachable("windlass")));
        let scheme = Failure::from(ClientError::OtherScheme {
            endpoint: "http://windlass:7878".to_owned(),
            corrected: "https://windlass:7878".to_owned(),
        });
        let address = Failure::from(ClientError::InvalidEndpoint {
            endpoint: "127.0.0.1:7878".to_owned(),
            problem: "it begins with neither http:// nor https://".to_owned(),
        });
        let untrusted = Failure::from(ClientError::Untrusted {
            endpoint: "https://windlass:7878".to_owned(),
            problem: "invalid peer certificate: UnknownIssuer".to_owned(),
        });
        let [unidentified, identified] = [false, true].map(|identified| {
            Failure::from(ClientError::NotLetIn {
                endpoint: "https://windlass:7878".to_owned(),
                identified,
                problem: "received fatal alert: CertificateRequired".to_owned(),
            })
        });
        let texts = [file, unnamed, named, address, scheme, untrusted, unidentified, identified]
            .map(|error| failure(&error, &samples::theme()));
        insta::assert_snapshot!(texts.join("\n"));
    }
}
