//! Ids: checked on construction, and shown as they are parsed.

use std::{fmt, str::FromStr};

/// The id of a run: `run_` and 26 lower-case letters and digits.
///
/// Ordered and compared as text. The text is short enough to be kept inline wherever a run is named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId([u8; RunId::LEN]);

/// The text is no run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a run id: one has the form run_ and 26 letters or digits, as `windlass list` shows them"
)]
pub struct InvalidRunId(pub String);

impl RunId {
    const LEN: usize = 30;
    const PREFIX: &'static str = "run_";

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("checked to be ASCII when it was made")
    }

    /// The partition of `count` that the run belongs to; the same for ever, since stored state rests on it.
    pub fn partition(&self, count: u32) -> u32 {
        u32::try_from(self.stable_hash() % u64::from(count.max(1))).expect("less than a u32")
    }

    /// A hash of the id that is the same in every program and for ever.
    pub fn stable_hash(&self) -> u64 {
        stable_hash(&self.0)
    }
}

/// A hash that is the same in every program and for ever: FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>).
pub const fn stable_hash(bytes: &[u8]) -> u64 {
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

impl FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lawful = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        text.strip_prefix(Self::PREFIX)
            .filter(|rest| rest.as_bytes().iter().all(lawful))
            .and_then(|_| text.as_bytes().try_into().ok())
            .map(Self)
            .ok_or_else(|| InvalidRunId(text.chars().take(64).collect()))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_shown_as_it_is_parsed_and_anything_else_is_refused() {
        let text = "run_0123456789abcdefghijklmnop";
        assert_eq!(text.parse::<RunId>().unwrap().to_string(), text);
        for bad in [
            "",
            "run_",
            "run_0123456789ABCDEFGHIJKLMNOP",
            "run_0123",
            "rün_0123456789abcdefghijklmno",
        ] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_run_keeps_its_partition() {
        let id: RunId = "run_0123456789abcdefghijklmnop".parse().unwrap();
        assert_eq!([1, 4, 64].map(|count| id.partition(count)), [0, 0, 36]);
    }
}
