//! Where values come from: the file, the environment, the flags. Here they get their keys; whether they are right is looked
//! at when all of them are there.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use config::{ConfigError, File, FileFormat, Map, Source, Value, ValueKind};

use super::{
    key::{Catalog, Key, PREFIX, catalog, variable},
    violation::Violation,
};

/// The filter of log lines, which `windlass` has, too. It looks like the section `log`, and is none.
const LOG_FILTER: &str = "WINDLASS_LOG";

/// What a configuration is read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// All variables of the process; those that are not about configuration are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// The flags that set a key: their names, and KEY=VALUE.
    pub flags: Vec<(&'static str, String)>,
}

/// The values of one source, by the names of their keys. Each knows where it comes from.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

impl Sources {
    /// The layers, the weakest first.
    pub(super) fn layers(&self, violations: &mut Vec<Violation>) -> [Layer; 3] {
        let layer = Layer::default();
        let mut reader = Reader { catalog: catalog(), violations, layer, is_private: false };
        if let Some(path) = &self.file {
            reader.file(path);
        }
        let file = std::mem::take(&mut reader.layer);
        reader.is_private = true;
        for (name, value) in &self.environment {
            reader.environment(name, value);
        }
        reader.is_private = false;
        let environment = std::mem::take(&mut reader.layer);
        for (flag, assignment) in &self.flags {
            reader.flag(flag, assignment);
        }
        [file, environment, reader.layer]
    }
}

struct Reader<'a> {
    catalog: &'static Catalog,
    violations: &'a mut Vec<Violation>,
    layer: Layer,
    /// Whether others cannot read what is read now.
    is_private: bool,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path) {
        let table = fs::read_to_string(path)
            .map_err(|error| format!("cannot be read: {error}; see that it is there"))
            .and_then(|text| {
                File::from_str(&text, FileFormat::Toml)
                    .collect()
                    .map_err(|error| without_quotes(&error.to_string()))
            });
        match table {
            Ok(table) => self.table(table, &mut Vec::new(), &path.display().to_string()),
            Err(problem) => {
                self.violations.push(Violation::File { path: path.to_owned(), problem });
            }
        }
    }

    fn table(&mut self, table: Map<String, Value>, path: &mut Vec<String>, origin: &str) {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (name, value) in entries {
            path.push(name);
            match value.kind {
                ValueKind::Table(table) if self.catalog.is_section(path) => {
                    self.table(table, path, origin);
                }
                kind => self.value(path, dotted, origin, |_| kind),
            }
            path.pop();
        }
    }

    fn environment(&mut self, name: &OsString, value: &OsString) {
        let Some(name) = name.to_str() else { return };
        let Some(rest) = name.strip_prefix(PREFIX) else { return };
        let path: Vec<String> = rest.to_lowercase().split("__").map(str::to_owned).collect();
        if path.len() == 1 && (name == LOG_FILTER || !self.catalog.is_section(&path)) {
            // Other variables begin with the same word, such as those that Kubernetes makes of the names of services. They are
            // taken for a mistake only where nothing but the second `_` is missing.
            let meant = self.catalog.keys.iter().find(|key| key.path.join("_") == path[0]);
            if let Some(key) = meant {
                self.violations.push(Violation::UnknownKey {
                    key: name.to_owned(),
                    origin: "the environment".to_owned(),
                    nearest: Some(key.variable()),
                });
            }
            return;
        }
        let origin = format!("the variable {name}");
        let Some(text) = value.to_str() else {
            self.violations.push(Violation::Value {
                key: path.join("."),
                origin,
                problem: "is no UTF-8".to_owned(),
                expected: "a text".to_owned(),
            });
            return;
        };
        if text.is_empty() && self.catalog.key(&path).is_some() {
            // What starts programs often cannot leave a variable out, only leave it empty.
            return;
        }
        self.value(&path, variable, &origin, |key| key.kind.parse(text));
    }

    fn flag(&mut self, flag: &str, assignment: &str) {
        let Some((name, text)) = assignment.split_once('=') else {
            self.violations.push(Violation::NoAssignment);
            return;
        };
        let path: Vec<String> = name.trim().split('.').map(str::to_owned).collect();
        self.value(&path, dotted, flag, |key| key.kind.parse(text));
    }

    /// Takes a value, if there is a key for it. `write` writes keys as this source does.
    fn value(
        &mut self,
        path: &[String],
        write: fn(&[String]) -> String,
        origin: &str,
        kind: impl FnOnce(&Key) -> ValueKind,
    ) {
        let origin = origin.to_owned();
        let Some(key) = self.catalog.key(path) else {
            let violation = if self.catalog.is_section(path) {
                let example = self.catalog.keys.iter().find(|key| key.path.starts_with(path));
                let example = example.map(|key| write(&key.path)).unwrap_or_default();
                Violation::Section { key: write(path), origin, example }
            } else {
                let nearest = self.catalog.nearest(path).map(write);
                Violation::UnknownKey { key: write(path), origin, nearest }
            };
            self.violations.push(violation);
            return;
        };
        if key.is_secret && !self.is_private {
            let variable = key.variable();
            self.violations.push(Violation::ExposedSecret { key: key.name(), origin, variable });
            return;
        }
        let value = Value::new(Some(&origin), kind(key));
        self.layer.0.insert(key.name(), value);
    }
}

fn dotted(path: &[String]) -> String {
    path.join(".")
}

/// A message of the TOML parser without the lines that it quotes: somebody may have written a password there.
fn without_quotes(message: &str) -> String {
    let lines = message.lines().filter(|line| !line.contains('|'));
    format!("{}; correct it there", lines.collect::<Vec<_>>().join(": "))
}
