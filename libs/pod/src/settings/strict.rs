//! Reads what is spelled as Kubernetes spells it, and takes nothing that Kubernetes would leave out in silence.
//!
//! A type says which fields it has when it is read. So a field that it does not have is told with its place, and with the one
//! that was probably meant; null stands for a field that is not there.

use serde::{
    Deserialize, Serialize,
    de::{DeserializeSeed, Deserializer, IntoDeserializer as _, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};
use serde_json::Value as Json;

use super::{
    Reading,
    failure::Failure,
    problem::{Path, Rule},
};
use crate::{quote::quote, suggest::nearest, syntax};

/// How many fields are named where none is similar to one that is not known.
const NAMED: usize = 10;

/// Reads a value; none where it is not of the type, which is reported then.
pub(super) fn read<T: for<'de> Deserialize<'de> + Serialize>(
    value: &Json,
    path: Path<'_>,
    reading: &Reading,
) -> Option<T> {
    match T::deserialize(Strict { value, path, reading }) {
        Ok(typed) => {
            // What is written and was not read must be there: the types have no other defaults.
            if let Ok(written) = serde_json::to_value(&typed) {
                report_missing(value, &written, path, reading);
            }
            Some(typed)
        }
        Err(Failure { path: place, message }) => {
            let path = place.as_deref().map_or(path, Path::of);
            reading.report.add(path, Rule::WrongType, format_args!("{message}"));
            None
        }
    }
}

/// Reports fields that must be there.
fn report_missing(read: &Json, written: &Json, path: Path<'_>, reading: &Reading) {
    match (read, written) {
        (Json::Object(read), Json::Object(written)) => {
            for (name, value) in written {
                match read.get(name).filter(|it| !it.is_null()) {
                    Some(read) => report_missing(read, value, path.field(name), reading),
                    // The containers of a pod are no setting.
                    None if name == "containers" => {}
                    None => {
                        let message = format_args!("the field `{name}` is missing; add it");
                        reading.report.add(path, Rule::MissingField, message);
                    }
                }
            }
        }
        (Json::Array(read), Json::Array(written)) => {
            for (at, (read, written)) in read.iter().zip(written).enumerate() {
                report_missing(read, written, path.index(at), reading);
            }
        }
        _ => {}
    }
}

/// A value at its place.
#[derive(Clone, Copy)]
struct Strict<'a> {
    value: &'a Json,
    path: Path<'a>,
    reading: &'a Reading,
}

impl Strict<'_> {
    fn report_unknown(self, fields: &'static [&'static str]) {
        let Json::Object(given) = self.value else { return };
        for (name, value) in given {
            if value.is_null() || fields.contains(&name.as_str()) {
                continue;
            }
            let is_told = !self.reading.report.is_full();
            let similar = nearest(name, fields.iter().copied().filter(|_| is_told));
            let advice = match similar {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if fields.len() <= NAMED => format!("known are `{}`", fields.join("`, `")),
                None => "see the reference of its API".to_owned(),
            };
            let message = format_args!("Kubernetes knows no field {} here; {advice}", quote(name));
            self.reading.report.add(self.path.field(name), Rule::UnknownField, message);
        }
    }
}

impl<'de> Deserializer<'de> for Strict<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value {
            Json::Null => visitor.visit_unit(),
            Json::Bool(is_so) => visitor.visit_bool(*is_so),
            Json::Number(number) => {
                if let Some(number) = number.as_i64() {
                    visitor.visit_i64(number)
                } else {
                    // All come as doubles, so that none is a larger whole number.
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            Json::String(text) => visitor.visit_str(text),
            Json::Array(entries) => {
                let Self { path, reading, .. } = self;
                visitor.visit_seq(List { entries: entries.iter().enumerate(), path, reading })
            }
            Json::Object(entries) => {
                let Self { path, reading, .. } = self;
                visitor.visit_map(Fields { entries: entries.iter(), value: None, path, reading })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.report_unknown(fields);
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if let (Json::String(text), "Quantity") = (self.value, name) {
            self.reading.check(self.path, &syntax::QUANTITY, text);
        }
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

struct List<'a> {
    entries: std::iter::Enumerate<std::slice::Iter<'a, Json>>,
    path: Path<'a>,
    reading: &'a Reading,
}

impl<'de> SeqAccess<'de> for List<'_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        let Some((at, value)) = self.entries.next() else { return Ok(None) };
        let path = self.path.index(at);
        let entry = Strict { value, path, reading: self.reading };
        seed.deserialize(entry).map(Some).map_err(|failure| failure.at(path))
    }
}

struct Fields<'a> {
    entries: serde_json::map::Iter<'a>,
    value: Option<(&'a str, &'a Json)>,
    path: Path<'a>,
    reading: &'a Reading,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        let Some((name, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((name, value));
        seed.deserialize(name.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        // Who asks for a value has asked for its key; nothing stands for a field that is not there.
        let (name, value) = self.value.take().unwrap_or(("", &Json::Null));
        let path = self.path.field(name);
        let field = Strict { value, path, reading: self.reading };
        seed.deserialize(field).map_err(|failure| failure.at(path))
    }
}
