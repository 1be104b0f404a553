//! Finds the places that violations name. Only a file that is refused is read for it, once more and for all places at
//! once, so that reading a good one costs no memory for positions.

use std::{cell::RefCell, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

use super::{error::Position, yaml};

/// For each path of the contract's field names, the nearest place in the file; none where not even its beginning is.
pub(super) fn locate<'a>(
    text: &str,
    fields: impl IntoIterator<Item = &'a str>,
) -> Vec<Option<Position>> {
    let paths: Vec<_> = fields.into_iter().map(path).collect();
    let found = RefCell::new(vec![None; paths.len()]);
    let active = (0..paths.len()).map(|path| (path, 0)).collect();
    // What was found before an error stays found, and the file was readable before.
    let _ = yaml::read_with(text, |deserializer| {
        Search { paths: &paths, found: &found, active }.deserialize(deserializer)
    });
    found.into_inner()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment<'a> {
    Name(&'a str),
    Index(usize),
}

/// A path as the file spells it.
fn path(mut rest: &str) -> Vec<Segment<'_>> {
    let mut path = Vec::new();
    while !rest.is_empty() {
        let segment;
        if let Some(inner) = rest.strip_prefix('[') {
            (segment, rest) = inner.split_once(']').unwrap_or((inner, ""));
            path.push(match segment.parse() {
                Ok(index) if path.last() != Some(&Segment::Name("labels")) => Segment::Index(index),
                _ => Segment::Name(segment),
            });
        } else {
            rest = rest.trim_start_matches('.');
            (segment, rest) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
            match segment {
                // A file's step has no level for the kind of its work.
                "task" => {}
                "default_value" => path.push(Segment::Name("default")),
                name => path.push(Segment::Name(name)),
            }
        }
    }
    path
}

impl Segment<'_> {
    /// Whether a map's entry is meant. Named lists of the contract are maps in the file, in the same order.
    fn is(self, key: &str, index: usize) -> bool {
        match self {
            Self::Name("command") => key == "command" || key == "run",
            Self::Name(name) => key == name,
            Self::Index(wanted) => wanted == index,
        }
    }
}

/// Looks for paths below one node.
struct Search<'a> {
    paths: &'a [Vec<Segment<'a>>],
    found: &'a RefCell<Vec<Option<Position>>>,
    /// Those that lead here, each with its next segment.
    active: Vec<(usize, usize)>,
}

impl<'a> Search<'a> {
    /// Keeps the place of an entry, and tells which paths lead on below it.
    fn enter(
        &self,
        location: Location,
        is_meant: impl Fn(Segment<'a>) -> bool,
    ) -> Vec<(usize, usize)> {
        let mut below = Vec::new();
        for (path, next) in &self.active {
            if self.paths[*path].get(*next).is_some_and(|segment| is_meant(*segment)) {
                self.found.borrow_mut()[*path] = Position::new(location);
                below.push((*path, next + 1));
            }
        }
        below
    }
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let active = self.enter(key.referenced, |segment| segment.is(&key.value, index));
            if active.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Search { active, ..self })?;
            }
            index += 1;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(item) = list.next_element::<Spanned<IgnoredAny>>()? {
            self.enter(item.referenced, |segment| segment == Segment::Index(index));
            index += 1;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
