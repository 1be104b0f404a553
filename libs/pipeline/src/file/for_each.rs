//! What a step is done for once each, as people write it.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value as Json;

use super::format;
use crate::limits;

/// A list, or a reference to one.
#[derive(Debug)]
pub(crate) enum Items {
    /// These.
    List(Vec<Json>),
    /// What a text says, which should be a reference.
    Text(String),
}

/// The items alone, a number of times alone, or a map.
#[derive(Debug)]
pub(crate) struct ForEachEntry(pub(crate) format::ForEach);

/// Reads a list, but no more of it than can be lawful.
fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Items, A::Error> {
    let mut items = Vec::new();
    while let Some(item) = list.next_element()? {
        if items.len() == limits::ITEMS {
            return Err(A::Error::custom(format_args!(
                "the loop has more than {} items, which are the most; let each item stand for several",
                limits::ITEMS
            )));
        }
        items.push(item);
    }
    Ok(Items::List(items))
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrText;

        impl<'de> Visitor<'de> for ListOrText {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a list such as [a, b], or a reference to one; a number of items is `count`",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Items, E> {
                Ok(Items::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Items, A::Error> {
                list(items)
            }
        }

        deserializer.deserialize_any(ListOrText)
    }
}

impl JsonSchema for Items {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Items".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "array", "maxItems": limits::ITEMS},
            {"type": "string", "pattern": r"^\$\{\{.*\}\}$"},
        ]})
    }
}

impl<'de> Deserialize<'de> for ForEachEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsOrMap;

        fn entry(items: Items) -> ForEachEntry {
            ForEachEntry(format::ForEach { items: Some(items), ..format::ForEach::default() })
        }

        impl<'de> Visitor<'de> for ItemsOrMap {
            type Value = ForEachEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a list, a whole number of times, a reference to a list, or a map such as {count: 3}",
                )
            }

            fn visit_u64<E: Error>(self, count: u64) -> Result<ForEachEntry, E> {
                let count = u32::try_from(count).map_err(|_| {
                    E::custom(format_args!(
                        "the loop has {count} items, and {} are the most; let each item stand for several",
                        limits::ITEMS
                    ))
                })?;
                Ok(ForEachEntry(format::ForEach {
                    count: Some(count),
                    ..format::ForEach::default()
                }))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ForEachEntry, E> {
                Ok(entry(Items::Text(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<ForEachEntry, A::Error> {
                list(items).map(entry)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ForEachEntry, A::Error> {
                format::ForEach::deserialize(MapAccessDeserializer::new(map)).map(ForEachEntry)
            }
        }

        deserializer.deserialize_any(ItemsOrMap)
    }
}

impl JsonSchema for ForEachEntry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ForEachEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = Items::json_schema(generator);
        let long = generator.subschema_for::<format::ForEach>();
        let count = json_schema!({"type": "integer", "minimum": 0, "maximum": limits::ITEMS});
        json_schema!({"anyOf": [count, items, long]})
    }
}
