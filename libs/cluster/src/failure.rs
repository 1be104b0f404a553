//! What a client of Kubernetes has to say, in words for people.

use std::error::Error;

/// An error of a request: what the API server said where it answered, and otherwise all causes down to the first.
pub fn told(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return match status.message.as_str() {
            "" => format!("the API server answers with code {}", status.code),
            message => message.to_owned(),
        };
    }
    causes(error)
}

/// An error and its causes, without what a message repeats of the cause that follows it.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        next = cause.source();
        let message = cause.to_string();
        if !told.iter().any(|before| before.contains(&message)) {
            told.push(message);
        }
    }
    told.join(": ")
}

/// The code of the API server's answer; none where there was no answer.
pub(crate) fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}
