//! The list of all keys, read from the schema of [`Settings`].

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

use super::{Settings, kind::Kind};

/// What all variables begin with.
pub(super) const PREFIX: &str = "WINDLASS_";

/// Something that can be configured.
#[derive(Debug, Clone)]
pub struct Key {
    /// The names on the way to it, such as `bus`, `tls`, `ca_file`.
    pub path: Vec<String>,
    /// What its value can be.
    pub kind: Kind,
    /// What it is for.
    pub doc: String,
    /// Its value where nobody sets it; null if it has none.
    pub default: Json,
    /// Whether its value must never be shown.
    pub is_secret: bool,
}

/// A part of the configuration that has keys.
#[derive(Debug, Clone)]
pub struct Section {
    /// The names on the way to it.
    pub path: Vec<String>,
    /// What it is for.
    pub doc: String,
}

/// All that can be configured.
#[derive(Debug)]
pub(super) struct Catalog {
    /// All keys; those of a section stand together, before those of the sections in it.
    pub(super) keys: Vec<Key>,
    /// All sections, each one before those in it.
    pub(super) sections: Vec<Section>,
}

/// The sections in the order in which they are documented.
const ORDER: [&str; 10] = [
    "installation",
    "bus",
    "store",
    "grpc",
    "submitter",
    "scheduler",
    "launcher",
    "streamer",
    "shutdown",
    "log",
];

/// All keys; those of a section stand together, before those of the sections in it.
pub fn keys() -> &'static [Key] {
    &catalog().keys
}

/// All sections, each one before those in it.
pub fn sections() -> &'static [Section] {
    &catalog().sections
}

pub(super) fn catalog() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::read);
    &CATALOG
}

impl Key {
    /// As it is written in `--set`, in errors and in the documentation: `bus.tls.ca_file`.
    pub fn name(&self) -> String {
        self.path.join(".")
    }

    /// The variable that sets it: `WINDLASS_BUS__TLS__CA_FILE`.
    pub fn variable(&self) -> String {
        variable(&self.path)
    }

    /// The section that it is in, such as `bus.tls`.
    pub fn section(&self) -> String {
        self.path[..self.path.len() - 1].join(".")
    }
}

impl Section {
    /// As it is written in the file: `bus.tls`.
    pub fn name(&self) -> String {
        self.path.join(".")
    }
}

/// The variable of a key or section.
pub(super) fn variable(path: &[String]) -> String {
    format!("{PREFIX}{}", path.join("__").to_uppercase())
}

impl Catalog {
    fn read() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
        });
        let schema = settings.into_generator().into_root_schema_for::<Settings>();
        let defaults = serde_json::to_value(Settings::default())
            .expect("settings are maps, texts and numbers");
        let mut catalog = Self { keys: Vec::new(), sections: Vec::new() };
        catalog.walk(schema.as_value(), &defaults, &mut Vec::new());
        let rank = |path: &[String]| ORDER.iter().position(|name| *name == path[0]);
        let place = |path: &[String]| {
            let (name, section) = path.split_last().expect("every path has a name");
            (rank(path), section.to_vec(), name.clone())
        };
        catalog.keys.sort_by_cached_key(|key| place(&key.path));
        catalog.sections.sort_by_cached_key(|section| (rank(&section.path), section.path.clone()));
        catalog
    }

    fn walk(&mut self, schema: &Json, defaults: &Json, path: &mut Vec<String>) {
        let properties = schema["properties"].as_object();
        for (name, property) in properties.into_iter().flatten() {
            path.push(name.clone());
            let doc = property["description"].as_str().unwrap_or_default().replace('\n', " ");
            let default = &defaults[name];
            if property["properties"].is_object() {
                self.sections.push(Section { path: path.clone(), doc });
                self.walk(property, default, path);
            } else {
                self.keys.push(Key {
                    path: path.clone(),
                    kind: Kind::of(property),
                    doc,
                    default: default.clone(),
                    is_secret: property["writeOnly"] == true,
                });
            }
            path.pop();
        }
    }

    /// The key of this path, if there is one.
    pub(super) fn key(&self, path: &[String]) -> Option<&Key> {
        self.keys.iter().find(|key| key.path == path)
    }

    /// Whether this is the path of a section.
    pub(super) fn is_section(&self, path: &[String]) -> bool {
        self.sections.iter().any(|section| section.path == path)
    }

    /// The key or section that was probably meant.
    pub(super) fn nearest(&self, path: &[String]) -> Option<&[String]> {
        /// From here on (of 1) two names are similar.
        const SIMILAR: f64 = 0.6;
        let wrong = path.join(".").to_lowercase();
        let keys = self.keys.iter().map(|key| key.path.as_slice());
        // Who wrote a path meant a key.
        let sections = self.sections.iter().filter(|_| path.len() == 1);
        let sections = sections.map(|section| section.path.as_slice());
        let similarity =
            |known: &[String]| strsim::normalized_damerau_levenshtein(&wrong, &known.join("."));
        let rated = keys.chain(sections).map(|known| (similarity(known), known));
        let best = rated.max_by(|(one, _), (other, _)| one.total_cmp(other));
        best.filter(|(similarity, _)| *similarity >= SIMILAR).map(|(_, known)| known)
    }
}
