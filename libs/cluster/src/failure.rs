//! What a client of Kubernetes has to say, in words for people.

use std::error::Error;

use kube::client::AuthError;

use crate::plugin::last_words;

/// An error of a request: what the API server said where it answered, and otherwise all causes down to the first.
pub fn told(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return match status.message.as_str() {
            "" => format!("the API server answers with code {}", status.code),
            message => message.to_owned(),
        };
    }
    // The library's words for these have all that the program has printed.
    match chain(error).find_map(|cause| cause.downcast_ref()) {
        Some(AuthError::AuthExecRun { cmd, out }) => {
            let program = cmd.split_whitespace().next().unwrap_or_default();
            let said = last_words(&out.stderr).map(|it| format!(": {it}")).unwrap_or_default();
            format!("the program for credentials, `{program}`, has failed ({}){said}", out.status)
        }
        Some(AuthError::AuthExecParse(_) | AuthError::ParseTokenKey(_)) => {
            "the program for credentials has printed none that can be read".to_owned()
        }
        Some(_) | None => causes(error),
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// An error and its causes, without what a message repeats of the cause that follows it.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut told: Vec<String> = Vec::new();
    for cause in chain(error) {
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

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::ExitStatusExt as _,
        process::{ExitStatus, Output},
    };

    use super::*;

    #[test]
    fn what_a_program_has_printed_is_told_to_nobody() {
        let out = Output {
            status: ExitStatus::from_raw(0x100),
            stdout: b"secret".to_vec(),
            stderr: b"trying\nno session\n\n".to_vec(),
        };
        let failed = || AuthError::AuthExecRun {
            cmd: "/bin/login --token=secret".into(),
            out: out.clone().into(),
        };
        let expected =
            "the program for credentials, `/bin/login`, has failed (exit status: 1): no session";
        // As it is met when a client is made, and when a request is sent.
        assert_eq!(told(&kube::Error::Auth(failed())), expected);
        assert_eq!(told(&kube::Error::Service(failed().into())), expected);
    }
}
