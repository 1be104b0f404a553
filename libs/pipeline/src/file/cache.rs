//! Whether results are kept and taken, and what they depend on.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::{collection::Text, format};
use crate::limits;

/// On or off, or a map, which is on.
#[derive(Debug)]
pub(crate) enum CacheEntry {
    Off,
    On(Box<format::Cache>),
}

impl<'de> Deserialize<'de> for CacheEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SwitchOrMap;

        impl<'de> Visitor<'de> for SwitchOrMap {
            type Value = CacheEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "true, false, or a map such as {key: [\"${{ params.data }}\"], max_age: 24h}",
                )
            }

            fn visit_bool<E: Error>(self, is_on: bool) -> Result<CacheEntry, E> {
                Ok(if is_on { CacheEntry::On(Box::default()) } else { CacheEntry::Off })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CacheEntry, A::Error> {
                Box::deserialize(MapAccessDeserializer::new(map)).map(CacheEntry::On)
            }
        }

        deserializer.deserialize_any(SwitchOrMap)
    }
}

impl JsonSchema for CacheEntry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CacheEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<format::Cache>();
        json_schema!({"anyOf": [{"type": "boolean"}, long]})
    }
}

/// The switch of a whole pipeline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CacheSwitch(pub(crate) bool);

impl<'de> Deserialize<'de> for CacheSwitch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Switch;

        impl Visitor<'_> for Switch {
            type Value = CacheSwitch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "false, which switches the cache of all steps off, or true; what results depend on goes into `cache` of a \
                     step, or of `defaults`",
                )
            }

            fn visit_bool<E: Error>(self, is_on: bool) -> Result<CacheSwitch, E> {
                Ok(CacheSwitch(is_on))
            }
        }

        deserializer.deserialize_any(Switch)
    }
}

impl JsonSchema for CacheSwitch {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CacheSwitch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "boolean"})
    }
}

/// The entries of a key, at least one; a single one needs no list.
#[derive(Debug)]
pub(crate) struct CacheKeyEntry(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for CacheKeyEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTexts;

        impl<'de> Visitor<'de> for TextOrTexts {
            type Value = CacheKeyEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts, such as [\"${{ params.data }}\"]")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<CacheKeyEntry, E> {
                Ok(CacheKeyEntry(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<CacheKeyEntry, A::Error> {
                let mut texts = Vec::new();
                while let Some(Text(text)) = list.next_element()? {
                    texts.push(text);
                }
                if texts.is_empty() {
                    return Err(A::Error::custom(
                        "the list is empty; leave `key` out where the result depends on the program alone",
                    ));
                }
                Ok(CacheKeyEntry(texts))
            }
        }

        deserializer.deserialize_any(TextOrTexts)
    }
}

impl JsonSchema for CacheKeyEntry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CacheKeyEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<Text>();
        let list = json_schema!({"type": "array", "items": text, "minItems": 1, "maxItems": limits::CACHE_KEYS});
        json_schema!({"anyOf": [{"type": "string"}, list]})
    }
}
