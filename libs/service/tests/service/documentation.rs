//! docs/configuration.md and the settings say the same.

use std::{env, fmt::Write as _, fs};

use tempfile::TempDir;
use windlass_service::settings::{self, Key, Kind, Program, Sources, keys, sections};

use crate::certificates::write;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
const BEGIN: &str = "<!-- Generated from libs/service/src/settings; `UPDATE=1 cargo test -p windlass-service` writes it anew. -->\n";
const END: &str = "<!-- End of what is generated. -->\n";

#[test]
fn the_reference_of_all_keys_is_up_to_date() {
    let docs = fs::read_to_string(PATH).unwrap();
    let (before, rest) = docs.split_once(BEGIN).expect("the reference begins");
    let (reference, after) = rest.split_once(END).expect("the reference ends");
    let wanted = wanted();
    if env::var_os("UPDATE").is_some() {
        fs::write(PATH, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert!(
        reference == wanted,
        "docs/configuration.md is out of date: `UPDATE=1 cargo test -p windlass-service` writes it anew"
    );
}

#[test]
fn every_key_of_the_example_exists_and_goes_with_the_others() {
    let docs = fs::read_to_string(PATH).unwrap();
    let (_, rest) = docs.split_once("```toml\n").expect("there is an example");
    let (example, _) = rest.split_once("```").expect("the example ends");
    let dir = TempDir::new().unwrap();
    let sources =
        Sources { file: Some(write(dir.path(), "windlass.toml", example)), ..Sources::default() };
    let error = settings::load(Program::Submitter, &sources).unwrap_err();
    for violation in error.violations {
        // Only the files that it names are not there.
        assert!(violation.to_string().contains("cannot be read: No such file"), "{violation}");
    }
}

#[test]
fn every_key_says_what_it_is_for() {
    assert!(keys().len() > 50);
    assert!(sections().iter().all(|section| section.doc.ends_with('.')));
    for key in keys() {
        assert!(key.doc.ends_with('.'), "{}", key.name());
        if let Kind::Word(words) = &key.kind {
            assert!(words.iter().all(|word| word.meaning.ends_with('.')), "{}", key.name());
        }
    }
}

/// A table for each section.
fn wanted() -> String {
    let mut text = String::new();
    for section in sections() {
        let (level, name) = ("#".repeat(1 + section.path.len()), section.name());
        let _ = writeln!(text, "\n{level} `[{name}]`\n\n{}", section.doc);
        let keys: Vec<_> = keys().iter().filter(|key| key.section() == name).collect();
        if !keys.is_empty() {
            text.push_str(
                "\n| Key | Type | Default | Variable | Meaning |\n|---|---|---|---|---|\n",
            );
        }
        for key in keys {
            row(key, &mut text);
        }
    }
    text.push('\n');
    text
}

fn row(key: &Key, text: &mut String) {
    let name = key.path.last().expect("every path has a name");
    let default = match key.default.as_str() {
        Some(default) => format!("`{default}`"),
        None if key.default.is_null() => "none".to_owned(),
        None => format!("`{}`", key.default),
    };
    let form = match &key.kind {
        Kind::Text { form, .. } => form.clone(),
        other => other.to_string(),
    };
    let mut meaning = key.doc.clone();
    if let Kind::Word(words) = &key.kind {
        for word in words {
            let _ = write!(meaning, " `{}`: {}", word.word, word.meaning);
        }
    }
    let variable = key.variable();
    let _ = writeln!(text, "| `{name}` | {form} | {default} | `{variable}` | {meaning} |");
}
