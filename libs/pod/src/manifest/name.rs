//! What pods are called.

use data_encoding::BASE32_DNSSEC;
use sha2::{Digest as _, Sha256};

use crate::syntax::{LABEL_CHARS, PREFIX_CHARS};

/// Bytes of a digest in a name: 120 bits, so that two of a million million names are the same with a probability of 10^-12.
const DIGEST_BYTES: usize = 15;

/// Characters of such a digest.
const DIGEST_CHARS: usize = DIGEST_BYTES * 8 / 5;

const _: () = assert!(PREFIX_CHARS + 1 + DIGEST_CHARS == LABEL_CHARS, "a name is a DNS label");

/// What a name begins with where nothing of what was meant can stand there.
const NAMELESS: &str = "step";

/// The name of an attempt's pod: a lawful one, at most 63 characters, and always the same for the same attempt of an installation,
/// whose pods have no other. `readable` is for people: what can stand in a name begins it.
pub fn name(
    installation: &str,
    run: &str,
    step_index: u32,
    attempt: u32,
    readable: &str,
) -> String {
    let digest = digest(installation, run, step_index, attempt);
    let start: String = readable.chars().take(PREFIX_CHARS).map(lawful).collect();
    let start = match start.trim_matches('-') {
        "" => NAMELESS,
        start => start,
    };
    format!("{start}-{digest}")
}

/// Whether a name is that of an attempt's pod, whatever is readable of it.
pub fn is_name_of(
    name: &str,
    installation: &str,
    run: &str,
    step_index: u32,
    attempt: u32,
) -> bool {
    // There is no `-` in a digest.
    let end = name.rsplit_once('-').map(|(_, end)| end);
    end.is_some_and(|end| end == digest(installation, run, step_index, attempt))
}

/// By which an attempt's pod is told from all others. Lower-case letters and digits.
fn digest(installation: &str, run: &str, step_index: u32, attempt: u32) -> String {
    let mut hash = Sha256::new();
    for text in [installation, run] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.update(step_index.to_be_bytes());
    hash.update(attempt.to_be_bytes());
    BASE32_DNSSEC.encode(&hash.finalize()[..DIGEST_BYTES])
}

fn lawful(character: char) -> char {
    match character.to_ascii_lowercase() {
        lower if lower.is_ascii_lowercase() || lower.is_ascii_digit() => lower,
        _ => '-',
    }
}
