//! Variables of the environment: texts, and what secrets have.

use std::{borrow::Cow, fmt, ops::Range};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_saphyr::Spanned;
use windlass_proto::v1;

use super::collection::Text;

/// A variable's value.
#[derive(Debug, Clone)]
pub(crate) enum EnvEntry {
    /// A text, which may stand for a secret.
    Text(String),
    /// A number or a boolean: as it is usually written, and where in the file it stands as it is written there.
    Plain(String, Option<Range<usize>>),
    /// A text that is nothing else.
    Literal(String),
    /// What a secret has.
    Secret(v1::SecretKey),
}

/// A variable in the long form: a text as it is, or what a secret of Kubernetes has.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    {"required": ["value"], "maxProperties": 1},
    {"required": ["secret", "key"], "not": {"required": ["value"]}},
]))]
pub(crate) struct EnvMap {
    /// The text, also where it would stand for a secret otherwise. May hold references.
    #[serde(default)]
    pub(crate) value: Option<Text>,
    /// The name of a secret of Kubernetes.
    #[serde(default)]
    pub(crate) secret: Option<String>,
    /// Which of its entries.
    #[serde(default)]
    pub(crate) key: Option<String>,
    /// Whether the program also starts without the secret, the variable not set; false by default.
    #[serde(default)]
    pub(crate) optional: Option<bool>,
}

impl EnvEntry {
    /// The variable of this name; `file` is what the entry was read from.
    pub(super) fn variable(&self, name: &str, file: &str) -> v1::EnvVar {
        let (value, secret) = match self {
            Self::Text(text) => match in_braces(text) {
                Some(secret) => (String::new(), Some(secret)),
                None => (text.clone(), None),
            },
            Self::Plain(usual, place) => {
                let written = place.as_ref().and_then(|place| file.get(place.clone()));
                (written.unwrap_or(usual).to_owned(), None)
            }
            Self::Literal(text) => (text.clone(), None),
            Self::Secret(secret) => (String::new(), Some(secret.clone())),
        };
        v1::EnvVar { name: name.to_owned(), value, secret: secret.map(Box::new) }
    }
}

/// The entry of a secret that `{{ NAME.KEY }}` stands for; none for any other text.
fn in_braces(text: &str) -> Option<v1::SecretKey> {
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let (name, key) = inner.split_once('.')?;
    let is_name = |it: &str| {
        !it.is_empty()
            && it.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    (is_name(name) && is_name(key)).then(|| v1::SecretKey {
        name: name.to_owned(),
        key: key.to_owned(),
        optional: false,
    })
}

impl<'de> Deserialize<'de> for EnvEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::<Written>::deserialize(deserializer)?;
        Ok(match value.0 {
            Self::Plain(usual, _) => {
                let span = defined.span();
                let bytes = span.byte_offset().zip(span.byte_len());
                let place = bytes.and_then(|(start, length)| {
                    let start = usize::try_from(start).ok()?;
                    Some(start..start.checked_add(usize::try_from(length).ok()?)?)
                });
                Self::Plain(usual, place)
            }
            other => other,
        })
    }
}

/// What is written, without its place.
struct Written(EnvEntry);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMap;

        fn plain(value: &impl ToString) -> Written {
            Written(EnvEntry::Plain(value.to_string(), None))
        }

        impl<'de> Visitor<'de> for TextOrMap {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a map such as {secret: db, key: password} or {value: text}")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Written, E> {
                Ok(plain(&value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Written, E> {
                Ok(plain(&value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Written, E> {
                Ok(plain(&value))
            }

            fn visit_i128<E: Error>(self, value: i128) -> Result<Written, E> {
                Ok(plain(&value))
            }

            fn visit_u128<E: Error>(self, value: u128) -> Result<Written, E> {
                Ok(plain(&value))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Written, E> {
                Ok(plain(&value))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
                Ok(Written(EnvEntry::Text(text.to_owned())))
            }

            fn visit_unit<E: Error>(self) -> Result<Written, E> {
                Err(E::custom("a text is missing here; write \"\" for an empty one"))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Written, A::Error> {
                let map = EnvMap::deserialize(MapAccessDeserializer::new(map))?;
                let entry = match (map.value, map.secret, map.key) {
                    (Some(value), None, None) if map.optional.is_none() => {
                        EnvEntry::Literal(value.0)
                    }
                    (None, Some(name), Some(key)) => {
                        let optional = map.optional.unwrap_or(false);
                        EnvEntry::Secret(v1::SecretKey { name, key, optional })
                    }
                    _ => {
                        return Err(A::Error::custom(
                            "this must be either {secret: NAME, key: KEY}, with or without `optional`, or {value: TEXT}",
                        ));
                    }
                };
                Ok(Written(entry))
            }
        }

        deserializer.deserialize_any(TextOrMap)
    }
}

impl JsonSchema for EnvEntry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "EnvEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let map = generator.subschema_for::<EnvMap>();
        json_schema!({"anyOf": [{"type": ["string", "number", "boolean"]}, map]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_braces_is_the_whole_text() {
        let secret = |text| in_braces(text).map(|it| (it.name, it.key));
        let db = Some(("db".to_owned(), "password".to_owned()));
        assert_eq!(secret("{{ db.password }}"), db);
        assert_eq!(secret("{{db.password}}"), db);
        assert_eq!(secret("{{ tls.tls.crt }}").unwrap().1, "tls.crt");
        for text in [
            "{{ db }}",
            "{{ a.b }} ",
            "x{{ a.b }}",
            "${{ params.b }}",
            "{{ a b.c }}",
            "{{ a.b }}{{ c.d }}",
            "{{ .a }}",
            "{{}}",
            "{{",
        ] {
            assert_eq!(secret(text), None, "{text}");
        }
    }
}
