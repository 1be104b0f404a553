//! Which failures retry rules list, as people write them.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// Exit codes: one, or the first and the last of a range.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExitCodes {
    pub(crate) first: i32,
    pub(crate) last: i32,
}

impl<'de> Deserialize<'de> for ExitCodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CodeOrRange;

        impl Visitor<'_> for CodeOrRange {
            type Value = ExitCodes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an exit code such as 75, or a range of them such as 100-110")
            }

            fn visit_u64<E: Error>(self, code: u64) -> Result<ExitCodes, E> {
                // What is no exit code is refused by the rules, which know the range.
                let code = i32::try_from(code).unwrap_or(i32::MAX);
                Ok(ExitCodes { first: code, last: code })
            }

            fn visit_i64<E: Error>(self, code: i64) -> Result<ExitCodes, E> {
                let code = i32::try_from(code).unwrap_or(i32::MIN);
                Ok(ExitCodes { first: code, last: code })
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ExitCodes, E> {
                let number = |text: &str| text.trim().parse::<u16>().ok().map(i32::from);
                let range = text.split_once('-').and_then(|(first, last)| {
                    Some(ExitCodes { first: number(first)?, last: number(last)? })
                });
                range.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(CodeOrRange)
    }
}

impl JsonSchema for ExitCodes {
    fn schema_name() -> Cow<'static, str> {
        "ExitCodes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An exit code such as `75`, or a range of them such as `100-110`.",
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 255},
                {"type": "string", "pattern": "^ *[0-9]{1,3} *- *[0-9]{1,3} *$"},
            ],
        })
    }
}

/// A signal's number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signal(pub(crate) i32);

/// The signals that end programs, by the numbers that Linux gives them: the same names as in what is told of an attempt.
const SIGNALS: [(&str, i32); 23] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrName;

        impl Visitor<'_> for NumberOrName {
            type Value = Signal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a signal that ends programs, such as SIGKILL, or a number from 1 to 64",
                )
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Signal, E> {
                Ok(Signal(i32::try_from(number).unwrap_or(i32::MAX)))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Signal, E> {
                Ok(Signal(i32::try_from(number).unwrap_or(i32::MIN)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Signal, E> {
                let name = text.strip_prefix("SIG").unwrap_or(text);
                let known = SIGNALS.iter().find(|(known, _)| *known == name);
                known
                    .map(|(_, number)| Signal(*number))
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(NumberOrName)
    }
}

impl JsonSchema for Signal {
    fn schema_name() -> Cow<'static, str> {
        "Signal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = SIGNALS.map(|(name, _)| name).join("|");
        json_schema!({
            "description": "A signal, such as `SIGKILL`, `KILL` or `9`.",
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 64},
                {"type": "string", "pattern": format!("^(SIG)?({names})$")},
            ],
        })
    }
}
