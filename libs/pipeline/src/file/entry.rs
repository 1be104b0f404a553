//! What may be written in more than one way.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{
        Error, MapAccess, SeqAccess, Unexpected, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use serde_json::Value as Json;

use super::format;
use crate::limits;

/// How failures are tried again: the limit alone, or a map.
#[derive(Debug, Clone)]
pub(crate) struct RetryEntry(pub(crate) Box<format::Retry>);

impl<'de> Deserialize<'de> for RetryEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LimitOrMap;

        impl<'de> Visitor<'de> for LimitOrMap {
            type Value = RetryEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of retries, or a map such as {limit: 3, delay: 5s}")
            }

            fn visit_u64<E: Error>(self, limit: u64) -> Result<RetryEntry, E> {
                // What does not fit is refused by the rules, which know the range.
                let limit = u32::try_from(limit).unwrap_or(u32::MAX);
                let retry = format::Retry { limit: Some(limit), ..format::Retry::default() };
                Ok(RetryEntry(Box::new(retry)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RetryEntry, A::Error> {
                Box::deserialize(MapAccessDeserializer::new(map)).map(RetryEntry)
            }
        }

        deserializer.deserialize_any(LimitOrMap)
    }
}

impl JsonSchema for RetryEntry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RetryEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<format::Retry>();
        json_schema!({"anyOf": [{"type": "integer", "minimum": 0, "maximum": limits::RETRIES}, long]})
    }
}

/// A parameter: its default alone, or a map.
#[derive(Debug)]
pub(crate) struct ParameterEntry(pub(crate) format::Parameter);

impl<'de> Deserialize<'de> for ParameterEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DefaultOrMap;

        fn default(value: Json) -> ParameterEntry {
            ParameterEntry(format::Parameter {
                kind: None,
                default: Some(value),
                description: None,
            })
        }

        impl<'de> Visitor<'de> for DefaultOrMap {
            type Value = ParameterEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a default, or a map such as {type: string}")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<ParameterEntry, E> {
                Ok(default(value.into()))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<ParameterEntry, E> {
                Ok(default(value.into()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<ParameterEntry, E> {
                Ok(default(value.into()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<ParameterEntry, E> {
                Ok(default(value.into()))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<ParameterEntry, E> {
                Ok(default(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ParameterEntry, A::Error> {
                Json::deserialize(SeqAccessDeserializer::new(list)).map(default)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ParameterEntry, A::Error> {
                format::Parameter::deserialize(MapAccessDeserializer::new(map)).map(ParameterEntry)
            }
        }

        deserializer.deserialize_any(DefaultOrMap)
    }
}

impl JsonSchema for ParameterEntry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ParameterEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<format::Parameter>();
        json_schema!({"anyOf": [{"type": ["string", "number", "boolean", "array"]}, long]})
    }
}

/// That a step is an approval, which has nothing else to say.
#[derive(Debug)]
pub(crate) struct ApprovalEntry;

impl<'de> Deserialize<'de> for ApprovalEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Empty;

        impl<'de> Visitor<'de> for Empty {
            type Value = ApprovalEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`{}`: what else there is to say stands beside it, such as `timeout`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ApprovalEntry, A::Error> {
                match map.next_key::<Cow<'_, str>>()? {
                    None => Ok(ApprovalEntry),
                    Some(key) => Err(A::Error::invalid_value(Unexpected::Str(&key), &self)),
                }
            }
        }

        deserializer.deserialize_any(Empty)
    }
}

impl JsonSchema for ApprovalEntry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ApprovalEntry".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "maxProperties": 0})
    }
}

/// A condition; a truth counts as the text it is written as.
#[derive(Debug)]
pub(crate) struct When(pub(crate) String);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Condition;

        impl Visitor<'_> for Condition {
            type Value = When;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a condition such as params.rate > 0.5; leave `when` out for none")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<When, E> {
                Ok(When(value.to_string()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<When, E> {
                if text.trim().is_empty() {
                    return Err(E::invalid_value(Unexpected::Str(text), &self));
                }
                Ok(When(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Condition)
    }
}

impl JsonSchema for When {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "When".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text =
            json_schema!({"type": "string", "minLength": 1, "maxLength": limits::CONDITION_BYTES});
        json_schema!({"anyOf": [text, {"type": "boolean"}]})
    }
}
