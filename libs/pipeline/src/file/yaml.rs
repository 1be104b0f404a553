//! How YAML is read here: strictly, and within limits that no file gets around.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{
    DuplicateKeyPolicy, Error as YamlError, NonFiniteFloatPolicy, Options, alias_limits, budget,
    options,
};

use crate::limits;

/// Reads a whole file as one value. JSON is YAML, so this reads JSON, too.
pub(super) fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, YamlError> {
    serde_saphyr::from_str_with_options(text, strict())
}

/// Reads a whole file by hand.
pub(super) fn read_with<T>(
    text: &str,
    read: impl for<'de> FnOnce(serde_saphyr::Deserializer<'de, '_>) -> Result<T, YamlError>,
) -> Result<T, YamlError> {
    serde_saphyr::with_deserializer_from_str_with_options(text, strict(), read)
}

/// Reads a value that must be there where its key is: a condition that was forgotten is none that is true.
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn strict() -> Options {
    options! {
        budget: budget! {
            max_depth: limits::FILE_DEPTH,
            max_documents: 2,
            // The size of the file bounds what is written out; aliases have limits of their own.
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_recorded_anchor_events: limits::FILE_ALIASED_NODES,
            max_recorded_anchor_bytes: limits::FILE_BYTES,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: alias_limits! {
            max_total_replayed_events: limits::FILE_ALIASED_NODES,
            max_replay_stack_depth: limits::FILE_DEPTH,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
    }
}

/// Refuses a file whose texts, aliases replaced by what they stand for, are too large to be kept. Keeps nothing itself.
pub(super) fn refuse_bombs(text: &str) -> Result<(), YamlError> {
    if text.contains('&') && text.contains('*') {
        read::<Expanded>(text)?;
    }
    Ok(())
}

/// Bytes of all texts of a value; at most [`limits::FILE_EXPANDED_BYTES`].
#[derive(Clone, Copy)]
struct Expanded(u64);

impl Expanded {
    fn plus<E: Error>(self, other: Self) -> Result<Self, E> {
        let sum = self.0 + other.0;
        if sum > limits::FILE_EXPANDED_BYTES {
            return Err(E::custom(format_args!(
                "the texts of the file exceed {} MiB once its aliases (`*name`) are replaced; use fewer aliases",
                limits::FILE_EXPANDED_BYTES >> 20
            )));
        }
        Ok(Self(sum))
    }
}

impl<'de> Deserialize<'de> for Expanded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sum;

        impl<'de> Visitor<'de> for Sum {
            type Value = Expanded;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Expanded, E> {
                Ok(Expanded(0))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Expanded, E> {
                Ok(Expanded(0))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Expanded, E> {
                Ok(Expanded(0))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Expanded, E> {
                Ok(Expanded(0))
            }

            fn visit_unit<E>(self) -> Result<Expanded, E> {
                Ok(Expanded(0))
            }

            fn visit_str<E>(self, text: &str) -> Result<Expanded, E> {
                Ok(Expanded(text.len() as u64))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Expanded, A::Error> {
                let mut sum = Expanded(0);
                while let Some(item) = list.next_element::<Expanded>()? {
                    sum = sum.plus(item)?;
                }
                Ok(sum)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Expanded, A::Error> {
                let mut sum = Expanded(0);
                while map.next_key::<IgnoredAny>()?.is_some() {
                    sum = sum.plus(map.next_value::<Expanded>()?)?;
                }
                Ok(sum)
            }
        }

        deserializer.deserialize_any(Sum)
    }
}
