//! From sources to settings.

use std::collections::BTreeMap;

use config::{Config, Source as _, Value, ValueKind};
use serde_json::Value as Json;

use super::{
    Program, Settings,
    key::{Key, keys},
    rules,
    source::Sources,
    unknown::Unknown,
    violation::{SettingsError, Violation},
};

/// The configuration of a program, checked.
#[derive(Debug)]
pub struct Configuration {
    /// Which program it is for.
    pub program: Program,
    /// What is configured.
    pub settings: Settings,
    /// Where each value comes from that is not the default's, by the names of keys.
    pub origins: BTreeMap<String, String>,
}

/// Reads the configuration of a program: defaults, then each source over the one before it. Reads the files that the
/// settings name, too, so that what is wrong with them is told now.
///
/// # Errors
///
/// All that is wrong at once. Left out is only what a value would decide that is wrong itself.
pub fn load(program: Program, sources: &Sources) -> Result<Configuration, SettingsError> {
    let mut violations = Vec::new();
    let [file, environment, flags] = sources.layers(&mut violations);
    let merged = Config::builder()
        .add_source(file)
        .add_source(environment)
        .add_source(flags)
        .build()
        .and_then(|merged| merged.collect())
        .map(ValueKind::Table)
        .expect("layers are maps, which are always merged");
    let mut loading = Loading::new(violations);
    for key in keys() {
        if let Some(value) = find(&merged, &key.path) {
            loading.set(key, value);
        }
    }
    loading.finish(program)
}

struct Loading {
    /// The settings as far as they are read. It begins with the defaults.
    tree: Json,
    origins: BTreeMap<String, String>,
    violations: Vec<Violation>,
}

impl Loading {
    fn new(violations: Vec<Violation>) -> Self {
        let tree = serde_json::to_value(Settings::default())
            .expect("settings are maps, texts and numbers");
        Self { tree, origins: BTreeMap::new(), violations }
    }

    /// Sets one value. A wrong one is told, and the value before it stays.
    fn set(&mut self, key: &Key, value: &Value) {
        let origin = value.origin().unwrap_or("the defaults").to_owned();
        let value = to_json(&value.kind);
        let problem = if key.kind.holds(&value) {
            let before = replace(&mut self.tree, &key.path, value);
            let problem = settings(&self.tree).err().map(|error| error.to_string());
            if problem.is_some() {
                replace(&mut self.tree, &key.path, before);
            }
            problem
        } else {
            Some(format!("`{}` is not possible", value.as_str().unwrap_or(&value.to_string())))
        };
        match problem {
            None => {
                self.origins.insert(key.name(), origin);
            }
            Some(problem) => self.violations.push(Violation::Value {
                key: key.name(),
                origin,
                problem,
                expected: key.kind.to_string(),
            }),
        }
    }

    fn finish(self, program: Program) -> Result<Configuration, SettingsError> {
        let Self { tree, origins, mut violations } = self;
        let settings = settings(&tree).expect("every value was tried when it was set");
        let broken = rules::broken(&settings, program, &Unknown::of(&violations));
        violations.extend(broken.into_iter().map(|(key, problem)| {
            let origin = origins.get(&key).cloned();
            let origin = origin.unwrap_or_else(|| "the defaults".to_owned());
            Violation::Rule { key, origin, problem }
        }));
        if violations.is_empty() {
            Ok(Configuration { program, settings, origins })
        } else {
            Err(SettingsError { violations })
        }
    }
}

fn settings(tree: &Json) -> Result<Settings, serde_json::Error> {
    serde::Deserialize::deserialize(tree)
}

fn find<'a>(table: &'a ValueKind, path: &[String]) -> Option<&'a Value> {
    let (name, rest) = path.split_first()?;
    let ValueKind::Table(entries) = table else { return None };
    let value = entries.get(name)?;
    if rest.is_empty() { Some(value) } else { find(&value.kind, rest) }
}

/// Puts a value in the place of another one, which it returns.
fn replace(tree: &mut Json, path: &[String], value: Json) -> Json {
    let place = path.iter().fold(tree, |tree, name| &mut tree[name]);
    std::mem::replace(place, value)
}

fn to_json(value: &ValueKind) -> Json {
    match value {
        ValueKind::Nil => Json::Null,
        ValueKind::Boolean(value) => (*value).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::U64(number) => (*number).into(),
        // What is no number, or infinite, has no place in JSON, nor in any setting.
        ValueKind::Float(number) => serde_json::Number::from_f64(*number)
            .map_or_else(|| number.to_string().into(), Json::Number),
        // No number in the settings is so large.
        ValueKind::I128(number) => number.to_string().into(),
        ValueKind::U128(number) => number.to_string().into(),
        ValueKind::String(text) => text.as_str().into(),
        ValueKind::Table(table) => {
            table.iter().map(|(name, value)| (name.clone(), to_json(&value.kind))).collect()
        }
        ValueKind::Array(values) => values.iter().map(|value| to_json(&value.kind)).collect(),
    }
}
