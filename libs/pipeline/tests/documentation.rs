//! The documentation, the schema and the reader of the format say the same.

use jsonschema::Validator;
use serde_json::Value as Json;
use windlass_pipeline::{
    file::{self, FileOptions},
    limits, schema,
};

const DOCS: &str = include_str!("../../../docs/pipeline-file.md");
const WHOLE: &str = include_str!("files/whole.yaml");

/// The YAML blocks of the documentation that are whole pipelines; others are marked as fragments.
fn examples() -> Vec<&'static str> {
    let blocks = DOCS.split("```yaml\n").skip(1);
    blocks.map(|block| block.split_once("```").expect("a block ends").0).collect()
}

fn validator() -> Validator {
    jsonschema::validator_for(&schema::json_schema()).expect("a schema")
}

fn json(yaml: &str) -> Json {
    serde_saphyr::from_str(yaml).expect("YAML")
}

#[test]
fn every_example_is_a_pipeline() {
    let examples = examples();
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        file::parse(example.as_bytes(), &FileOptions::default())
            .unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}

#[test]
fn what_is_read_is_valid() {
    for file in examples().into_iter().chain([WHOLE]) {
        let errors: Vec<_> =
            validator().iter_errors(&json(file)).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{file}");
    }
}

#[test]
fn what_is_refused_for_its_form_is_not_valid() {
    let step = |step: &str| format!("name: p\nsteps:\n  a: {{{step}}}\n");
    let files = [
        "{}".to_owned(),
        "name: p\nsteps: {}".to_owned(),
        "name: P\nsteps: {a: {run: x}}".to_owned(),
        "name: p\nsteps: {A: {run: x}}".to_owned(),
        "name: p\nstep: {a: {run: x}}".to_owned(),
        "name: p\nfailure_mode: stop\nsteps: {a: {run: x}}".to_owned(),
        "name: p\nparameters: {n: {type: int}}\nsteps: {a: {run: x}}".to_owned(),
        "name: p\nmax_parallelism: -1\nsteps: {a: {run: x}}".to_owned(),
        step(""),
        step("run: x, command: [y]"),
        step("command: x"),
        step("run: x, timeout: -5"),
        step("run: x, timeout: -5s"),
        step("run: x, timeout: soon"),
        step("run: x, timeout: 1.5"),
        step("run: x, retry: 10001"),
        step("run: x, retry: {factor: 101}"),
        step("run: x, retry: {jitter: 1.5}"),
        step("run: x, retry: {limits: 3}"),
        step("run: x, trigger_rule: always"),
        step("run: x, resources: {memory: 0}"),
        step("run: x, resources: {memory: 5 pages}"),
        step("run: x, env: {A: [b]}"),
        step("run: x, depends_on: {b: c}"),
    ];
    for file in files {
        assert!(file::parse(file.as_bytes(), &FileOptions::default()).is_err(), "{file}");
        assert!(!validator().is_valid(&json(&file)), "{file}");
    }
}

#[test]
fn every_key_is_documented() {
    fn keys(schema: &Json, found: &mut Vec<String>) {
        match schema {
            Json::Object(fields) => {
                if let Some(Json::Object(properties)) = fields.get("properties") {
                    found.extend(properties.keys().cloned());
                }
                fields.values().for_each(|value| keys(value, found));
            }
            Json::Array(items) => items.iter().for_each(|item| keys(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    keys(&schema::json_schema(), &mut found);
    assert!(found.len() > 30, "{found:?}");
    for key in found {
        assert!(DOCS.contains(&format!("| `{key}` |")), "`{key}` is missing in the documentation");
    }
}

#[test]
fn the_limits_in_the_documentation_are_the_real_ones() {
    let rows = [
        ("Steps", limits::STEPS),
        ("Dependencies of all steps together", limits::DEPENDENCIES),
        ("Size of the file, in MiB", limits::FILE_BYTES >> 20),
        ("Values that aliases stand for", limits::FILE_ALIASED_NODES),
        ("Levels of lists and maps in the file", limits::FILE_DEPTH),
        ("Levels of lists and maps in a parameter", limits::VALUE_DEPTH),
        ("Parameters", limits::PARAMETERS),
        ("All defaults, or all arguments of a run, in MiB", limits::ARGUMENTS_BYTES >> 20),
        ("Labels", limits::LABELS),
        ("Characters of a description", limits::DESCRIPTION_CHARS),
        ("Words of `command` and `args` of a step", limits::WORDS),
        ("Variables in `env` of a step", limits::ENV_VARS),
        ("Outputs of a step", limits::OUTPUTS),
        ("Retries", limits::RETRIES as usize),
    ];
    for (what, limit) in rows {
        let digits = limit.to_string();
        let grouped =
            digits.as_bytes().rchunks(3).rev().map(|three| std::str::from_utf8(three).unwrap());
        let row = format!("| {what} | {} |", grouped.collect::<Vec<_>>().join(","));
        assert!(DOCS.contains(&row), "{row}");
    }
}
