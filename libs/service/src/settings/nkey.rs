//! What a program shows NATS of itself, as far as that can be looked at without NATS. No message holds any of it.

use nkeys::KeyPair;

/// Whether a text is the seed of an `NKey`.
pub(super) fn check_seed(text: &str) -> Result<(), String> {
    let Err(problem) = KeyPair::from_seed(text) else { return Ok(()) };
    Err(format!(
        "the file holds no seed of an NKey ({problem}); it is a text that begins with `SU`, and `nk -gen user` makes one"
    ))
}

/// Whether a text is a credentials file: a JWT and a seed, each between a line of dashes that begins it and one that ends it.
pub(super) fn check_credentials(text: &str) -> Result<(), String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if line.starts_with("---") && line.contains("BEGIN") {
            blocks.push(lines.find(|line| !line.is_empty()).unwrap_or_default());
        }
    }
    match blocks.as_slice() {
        [_jwt, seed, ..] => check_seed(seed),
        [_] | [] => Err(
            "the file holds no JWT and seed, each after a line such as `-----BEGIN NATS USER JWT-----`; give the file as \
             `nsc generate creds` writes it"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_credentials_file_are_told_from_other_texts() {
        let seed = KeyPair::new_user().seed().unwrap();
        let credentials = |seed: &str| {
            format!(
                "-----BEGIN NATS USER JWT-----\neyJ0.eyJq.c2ln\n------END NATS USER JWT------\n\nIMPORTANT\n\n\
                 -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
            )
        };
        assert_eq!(check_seed(&seed), Ok(()));
        assert_eq!(check_credentials(&credentials(&seed)), Ok(()));
        for (checked, secret) in [
            (check_seed("hunter2"), "hunter2"),
            (check_credentials(&credentials("hunter2")), "hunter2"),
            (check_credentials(&seed), seed.as_str()),
        ] {
            let problem = checked.unwrap_err();
            assert!(!problem.contains(secret), "{problem}");
        }
    }
}
