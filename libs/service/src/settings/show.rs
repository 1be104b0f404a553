//! The configuration in force, as TOML, for `--check-config`.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::{
    key::{Key, keys},
    load::Configuration,
};

impl Configuration {
    /// All values in force, as TOML: secrets as `(set)`, and behind each value that is not the default's where it comes
    /// from.
    pub fn to_toml(&self) -> String {
        let values =
            serde_json::to_value(&self.settings).expect("settings are maps, texts and numbers");
        let mut toml = format!("# The configuration of {}.\n", self.program.name());
        let mut section = String::new();
        for key in keys() {
            if key.section() != section {
                section = key.section();
                let _ = writeln!(toml, "\n[{section}]");
            }
            let value = key.path.iter().fold(&values, |tree, name| &tree[name]);
            self.line(key, value, &mut toml);
        }
        toml
    }

    fn line(&self, key: &Key, value: &Json, toml: &mut String) {
        let name = key.path.last().expect("every path has a name");
        // Writing to a string cannot fail.
        let _ = match value {
            Json::Null => write!(toml, "# {name} is not set"),
            value => write!(toml, "{name} = {}", toml_value(value)),
        };
        if let Some(origin) = self.origins.get(&key.name()) {
            let _ = write!(toml, " # from {}", origin.replace(char::is_control, "?"));
        }
        toml.push('\n');
    }
}

/// Texts, numbers, truth values and lists are written as in JSON, but for one character.
fn toml_value(value: &Json) -> String {
    value.to_string().replace('\u{7f}', "\\u007f")
}
