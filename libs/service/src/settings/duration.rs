//! Durations as people write them: `500ms`, `30s`, `2min`, `30d`.

use std::time::Duration;

use jiff::{SpanRelativeTo, fmt::friendly::SpanParser};
use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

/// The units in which durations are shown, the largest first, in nanoseconds.
const UNITS: [(&str, u128); 6] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("ns", 1),
];

pub(super) fn parse(text: &str) -> Result<Duration, String> {
    static PARSER: SpanParser = SpanParser::new();
    let refused = || format!("`{text}` is no duration");
    // A day has 24 hours here; what has no fixed length, such as a month, is refused.
    let span = PARSER.parse_span(text).map_err(|_| refused())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| refused())?;
    Duration::try_from(duration).map_err(|_| format!("`{text}` is negative"))
}

/// In the largest unit that shows all of it.
pub(super) fn show(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let fitting = UNITS.iter().find(|(_, unit)| nanos.is_multiple_of(*unit));
    let (name, unit) = fitting.unwrap_or(&("ns", 1));
    format!("{}{name}", nanos / unit)
}

pub(super) fn serialize<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*duration))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Durations that may be missing.
pub(super) mod optional {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| super::parse(&text).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_was_meant() {
        for (text, shown) in [
            ("30d", "30d"),
            ("2min", "2min"),
            ("2 minutes", "2min"),
            ("1h30m", "90min"),
            ("1500ms", "1500ms"),
            ("0s", "0s"),
            ("1us", "1000ns"),
        ] {
            assert_eq!(parse(text).map(show), Ok(shown.to_owned()), "{text}");
            assert_eq!(parse(shown), parse(text));
        }
        for bad in ["", "30", "soon", "-5s", "1 month", "999999999999999999d"] {
            parse(bad).unwrap_err();
        }
    }
}
