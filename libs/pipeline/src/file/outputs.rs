//! What a step outputs, as people write it.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{
        Error, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use super::collection::{Named, OneOrMany};

/// Names of what a program writes, or references by name.
#[derive(Debug)]
pub(crate) enum OutputsEntry {
    /// A program's.
    Names(Vec<String>),
    /// A group's.
    References(Vec<(String, String)>),
}

impl Default for OutputsEntry {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

impl<'de> Deserialize<'de> for OutputsEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamesOrMap;

        impl<'de> Visitor<'de> for NamesOrMap {
            type Value = OutputsEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a list of names, such as [load, train], or a map of names to references")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<OutputsEntry, E> {
                Ok(OutputsEntry::Names(vec![name.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<OutputsEntry, A::Error> {
                OneOrMany::deserialize(SeqAccessDeserializer::new(names))
                    .map(|names| OutputsEntry::Names(names.0))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OutputsEntry, A::Error> {
                Named::deserialize(MapAccessDeserializer::new(map))
                    .map(|map| OutputsEntry::References(map.0))
            }
        }

        deserializer.deserialize_any(NamesOrMap)
    }
}

impl JsonSchema for OutputsEntry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OutputsEntry".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}},
            {"type": "object", "additionalProperties": {"type": "string", "pattern": r"^\$\{\{.*\}\}$"}},
        ]})
    }
}
