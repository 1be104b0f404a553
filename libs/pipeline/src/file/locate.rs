//! Finds the places that violations name. Only a file that is refused is read for it, once more and for all places at
//! once, so that reading a good one costs no memory for positions.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fmt,
};

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

use super::{
    error::{FileError, Position, Problem},
    sources::Sources,
    yaml,
};
use crate::check::{Violation, Violations};

/// Violations with their places in the files.
pub(super) fn placed(sources: &Sources<'_>, violations: &Violations) -> FileError {
    let told = once(sources, violations);
    let mut fields: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (_, file, field) in &told {
        fields.entry(*file).or_default().push(field);
    }
    let mut positions: BTreeMap<_, _> = fields
        .into_iter()
        .map(|(file, fields)| (file, locate(&sources.get(file).text, fields).into_iter()))
        .collect();
    let problems = told.into_iter().map(|(violation, file, _)| Problem {
        file: sources.get(file).path.clone(),
        position: positions.get_mut(&file).and_then(Iterator::next).flatten(),
        message: violation.message.clone(),
    });
    FileError::Rules { problems: problems.collect(), more: violations.more() }
}

/// Violations with their files and their fields in these. What is wrong in a file that is used in several places is wrong in
/// each of them, and told of the first one only.
fn once<'v>(
    sources: &Sources<'_>,
    violations: &'v Violations,
) -> Vec<(&'v Violation, usize, &'v str)> {
    let mut first: HashMap<(usize, &str), &str> = HashMap::new();
    let mut told = Vec::new();
    for violation in violations {
        let (file, field) = sources.place(&violation.field);
        if *first.entry((file, field)).or_insert(&violation.field) == violation.field {
            told.push((violation, file, field));
        }
    }
    told
}

/// For each path of the contract's field names, the nearest place in the file; none where not even its beginning is.
fn locate(text: &str, fields: Vec<&str>) -> Vec<Option<Position>> {
    let paths: Vec<_> = fields.into_iter().map(path).collect();
    let found = RefCell::new(vec![None; paths.len()]);
    let active = (0..paths.len()).map(|path| (path, 0)).collect();
    // What was found before an error stays found, and the file was readable before.
    let _ = yaml::read_with(text, |deserializer| {
        Search { paths: &paths, found: &found, active, is_entry: false }.deserialize(deserializer)
    });
    found.into_inner()
}

/// Fields that are maps with keys that the user chose.
const MAPS: [&str; 5] = ["annotations", "arguments", "labels", "node_selector", "requests"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment<'a> {
    /// A field of the contract.
    Name(&'a str),
    /// A key that the user chose.
    Key(&'a str),
    Index(usize),
}

/// A path as the file spells it.
fn path(mut rest: &str) -> Vec<Segment<'_>> {
    let mut path: Vec<Segment<'_>> = Vec::new();
    // Whether the next name is a field of a group, or of the file as one.
    let mut in_group = true;
    let mut is_map = false;
    while !rest.is_empty() {
        let segment;
        if let Some(inner) = rest.strip_prefix('[') {
            (segment, rest) = inner.split_once(']').unwrap_or((inner, ""));
            path.push(match segment.parse() {
                Ok(index) if !is_map => Segment::Index(index),
                _ => Segment::Key(segment),
            });
            in_group = false;
            continue;
        }
        rest = rest.trim_start_matches('.');
        (segment, rest) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
        // Limits are a list but for those of a pod's resources.
        let is_amounts = segment == "limits" && path.last() == Some(&Segment::Name("resources"));
        is_map = MAPS.contains(&segment) || is_amounts || in_group && segment == "outputs";
        in_group = segment == "group";
        match segment {
            // A file's step has no level for the kind of its work, and none for what a group is given.
            "task" | "group" | "inputs" => {}
            "branches" if path.last() == Some(&Segment::Name("branches")) => {}
            "default_value" => path.push(Segment::Name("default")),
            "max_memory_bytes" => path.push(Segment::Name("max_memory")),
            name => path.push(Segment::Name(name)),
        }
    }
    path
}

impl Segment<'_> {
    /// Whether a map's entry is meant. Named lists of the contract are maps in the file, in the same order.
    fn is(self, key: &str, index: usize) -> bool {
        match self {
            Self::Name("command") => key == "command" || key == "run",
            Self::Name("items") => key == "items" || key == "count",
            Self::Name(name) | Self::Key(name) => key == name,
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
    /// Whether this is an entry of a list, whose place is that of its first key.
    is_entry: bool,
}

impl<'a> Search<'a> {
    /// The paths that lead on below an entry.
    fn entries(&self, is_meant: impl Fn(Segment<'a>) -> bool) -> Vec<(usize, usize)> {
        let active = self.active.iter();
        active
            .filter(|(path, next)| self.paths[*path].get(*next).is_some_and(|it| is_meant(*it)))
            .map(|(path, next)| (*path, next + 1))
            .collect()
    }

    /// Keeps the place of an entry, and tells which paths lead on below it.
    fn enter(
        &self,
        location: Location,
        is_meant: impl Fn(Segment<'a>) -> bool,
    ) -> Vec<(usize, usize)> {
        let below = self.entries(is_meant);
        for (path, _) in &below {
            self.found.borrow_mut()[*path] = Position::new(location);
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
            if self.is_entry && index == 0 {
                for (path, _) in &self.active {
                    self.found.borrow_mut()[*path] = Position::new(key.referenced);
                }
            }
            let active = self.enter(key.referenced, |segment| segment.is(&key.value, index));
            if active.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Search { active, is_entry: false, ..self })?;
            }
            index += 1;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for index in 0.. {
            let is_meant = |segment| segment == Segment::Index(index);
            let active = self.entries(is_meant);
            let is_deeper = |(path, next): &(usize, usize)| self.paths[*path].len() > *next;
            if active.iter().any(is_deeper) {
                // A reader that goes on within an entry is not told where the entry begins.
                let within = Search { active, is_entry: true, ..self };
                if list.next_element_seed(within)?.is_none() {
                    break;
                }
            } else if let Some(entry) = list.next_element::<Spanned<IgnoredAny>>()? {
                self.enter(entry.referenced, is_meant);
            } else {
                break;
            }
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
