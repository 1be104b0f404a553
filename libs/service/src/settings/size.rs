//! Numbers of bytes as people write them: `512Mi`, `2G`. The suffixes are those of the pipeline file.

use std::fmt;

use serde::{
    Deserializer, Serializer,
    de::{Error, Visitor},
};

/// Suffixes and what they multiply by.
const UNITS: [(&str, u64); 6] = [
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("K", 1_000),
];

fn parse(text: &str) -> Option<u64> {
    let with_unit = UNITS.iter().find_map(|(unit, factor)| {
        text.strip_suffix(unit)?.trim_end().parse::<u64>().ok()?.checked_mul(*factor)
    });
    with_unit.or_else(|| text.parse().ok())
}

/// With the unit that makes the smallest number of all of it.
fn show(bytes: u64) -> String {
    let fitting = UNITS.iter().filter(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    match fitting.max_by_key(|(_, factor)| factor) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(super) fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*bytes))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a size")
        }

        fn visit_u64<E: Error>(self, bytes: u64) -> Result<u64, E> {
            Ok(bytes)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            parse(text).ok_or_else(|| E::custom(format_args!("`{text}` is no size")))
        }
    }

    deserializer.deserialize_any(Bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_was_meant() {
        for (text, shown) in [
            ("1Gi", "1Gi"),
            ("1536Mi", "1536Mi"),
            ("1024Ki", "1Mi"),
            ("2 G", "2G"),
            ("0", "0"),
            ("7", "7"),
        ] {
            assert_eq!(parse(text).map(show).as_deref(), Some(shown), "{text}");
            assert_eq!(parse(shown), parse(text));
        }
        for bad in ["", "Gi", "-1", "1.5Gi", "1GiB", "99999999999Gi"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
