//! Durations, amounts of memory and whole numbers, as people write them.

use std::{borrow::Cow, fmt};

use jiff::fmt::friendly::SpanParser;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

use crate::limits;

/// A duration from 0 to 30 days.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Duration(pub(crate) prost_types::Duration);

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HumanDuration;

        impl Visitor<'_> for HumanDuration {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 250ms, 5s, 1m30s or 2h, or whole seconds")
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Duration, E> {
                in_range(i64::try_from(seconds).unwrap_or(i64::MAX), 0)
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Duration, E> {
                in_range(seconds, 0)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
                static PARSER: SpanParser = SpanParser::new();
                let duration = PARSER
                    .parse_duration(text)
                    .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?;
                in_range(duration.as_secs(), duration.subsec_nanos())
            }
        }

        deserializer.deserialize_any(HumanDuration)
    }
}

fn in_range<E: Error>(seconds: i64, nanos: i32) -> Result<Duration, E> {
    if seconds < 0 || nanos < 0 {
        return Err(E::custom("a duration cannot be negative; give one of at least 0s"));
    }
    if seconds > limits::DURATION_SECONDS || (seconds == limits::DURATION_SECONDS && nanos > 0) {
        return Err(E::custom(
            "a duration of more than 30 days (720h) is not possible; shorten it",
        ));
    }
    Ok(Duration(prost_types::Duration { seconds, nanos }))
}

/// Reads a whole number of 0 or more; nothing is none.
pub(crate) fn whole_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    let range = WholeNumber { least: 0, most: u32::MAX.into() };
    let number = deserializer.deserialize_any(range)?;
    Ok(number.map(|number| u32::try_from(number).expect("it is in the range")))
}

/// Reads a priority; nothing is none.
pub(crate) fn priority<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i32>, D::Error> {
    let range = WholeNumber { least: (-limits::PRIORITY).into(), most: limits::PRIORITY.into() };
    let number = deserializer.deserialize_any(range)?;
    Ok(number.map(|number| i32::try_from(number).expect("it is in the range")))
}

/// A whole number of a range.
struct WholeNumber {
    least: i64,
    most: i64,
}

impl Visitor<'_> for WholeNumber {
    type Value = Option<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {} to {}", self.least, self.most)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<i64>, E> {
        let signed = i64::try_from(number).ok().filter(|signed| *signed <= self.most);
        signed.map(Some).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<i64>, E> {
        let is_in_range = (self.least..=self.most).contains(&number);
        let number = is_in_range.then_some(number).ok_or(number);
        number.map(Some).map_err(|number| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<Option<i64>, E> {
        Ok(None)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration such as `250ms`, `5s`, `1m30s` or `2h`, or whole seconds; at most 30 days.",
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": limits::DURATION_SECONDS},
                {"type": "string", "pattern": "^[ ]*[0-9].*[a-zµ][ ]*$"},
            ],
        })
    }
}

/// An amount of memory in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory(pub(crate) u64);

/// Suffixes and what they multiply by.
const UNITS: [(&str, u64); 6] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("K", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
];

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Memory;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of memory such as 512Mi or 2G, or whole bytes")
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<Memory, E> {
                if bytes == 0 {
                    return Err(E::custom(
                        "no program runs in 0 bytes; leave `memory` out for no limit",
                    ));
                }
                Ok(Memory(bytes))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Memory, E> {
                let bytes = UNITS.iter().find_map(|(unit, factor)| {
                    text.strip_suffix(unit)?.trim_end().parse::<u64>().ok()?.checked_mul(*factor)
                });
                let refused = || E::invalid_value(Unexpected::Str(text), &self);
                let bytes = bytes.ok_or_else(refused)?;
                self.visit_u64(bytes)
            }
        }

        deserializer.deserialize_any(Bytes)
    }
}

impl JsonSchema for Memory {
    fn schema_name() -> Cow<'static, str> {
        "Memory".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An amount of memory such as `512Mi` or `2G`, or whole bytes.",
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": "^[0-9]+ *(Ki|Mi|Gi|K|M|G)$"},
            ],
        })
    }
}
