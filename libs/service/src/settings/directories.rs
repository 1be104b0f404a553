//! Several directories.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};

/// Directories in the order in which they are given; there may be none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Directories(Vec<PathBuf>);

impl Directories {
    /// All of them.
    pub fn as_slice(&self) -> &[PathBuf] {
        &self.0
    }
}

impl From<Directories> for Vec<PathBuf> {
    fn from(directories: Directories) -> Self {
        directories.0
    }
}

/// From a list, or from a text with commas between them.
impl<'de> Deserialize<'de> for Directories {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrList;

        impl<'de> Visitor<'de> for TextOrList {
            type Value = Directories;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path or a list of paths")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Directories, E> {
                let parts = text.split(',').map(|part| Path::new(part.trim()).to_owned());
                Ok(Directories(parts.collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Directories, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = list.next_element()? {
                    paths.push(path);
                }
                Ok(Directories(paths))
            }
        }

        deserializer.deserialize_any(TextOrList)
    }
}
