//! The documentation, the schema and the reader of the format say the same.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jsonschema::Validator;
use serde_json::Value as Json;
use windlass_engine::layout;
use windlass_pipeline::{
    file::{self, FileOptions, Files},
    limits, schema,
};
use windlass_pod::settings;

const DOCS: &str = include_str!("../../../docs/pipeline-file.md");
const WHOLE: &str = include_str!("files/whole.yaml");
const GRAPH: &str = include_str!("files/graph.yaml");
const PODS: &str = include_str!("files/pods.yaml");

/// The YAML blocks of the documentation that are whole pipelines; others are marked as fragments.
fn examples() -> Vec<&'static str> {
    let blocks = DOCS.split("```yaml\n").skip(1);
    blocks.map(|block| block.split_once("```").expect("a block ends").0).collect()
}

/// The examples that begin with their names, for those that use them.
#[derive(Debug)]
struct Examples;

impl Files for Examples {
    fn identify(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    fn read(&self, path: &Path, _: usize) -> io::Result<Option<Vec<u8>>> {
        let name = format!("# {}\n", path.display());
        let example = examples().into_iter().find(|example| example.starts_with(&name));
        example.map(|example| Some(example.into())).ok_or(io::ErrorKind::NotFound.into())
    }
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
        file::parse(
            example.as_bytes(),
            &FileOptions { files: Some(&Examples), ..FileOptions::default() },
        )
        .unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}

/// The files of the repository.
#[derive(Debug)]
struct Repository;

impl Files for Repository {
    fn identify(&self, path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }

    fn read(&self, path: &Path, _: usize) -> io::Result<Option<Vec<u8>>> {
        fs::read(path).map(Some)
    }
}

#[test]
fn every_file_among_the_examples_is_a_pipeline() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut found = 0;
    for example in fs::read_dir(examples).unwrap() {
        let example = example.unwrap().path();
        for path in fs::read_dir(&example).into_iter().flatten() {
            let path = path.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = fs::read_to_string(&path).unwrap();
                // What an example needs in a cluster is Kubernetes' own.
                if text.lines().any(|line| line.starts_with("apiVersion: ")) {
                    continue;
                }
                let options = FileOptions {
                    path: Some(&path),
                    files: Some(&Repository),
                    ..FileOptions::default()
                };
                file::parse(text.as_bytes(), &options)
                    .unwrap_or_else(|error| panic!("{}:{error}", path.display()));
                found += 1;
            }
        }
    }
    assert!(found >= 8, "{found}");
}

#[test]
fn what_is_read_is_valid() {
    for file in examples().into_iter().chain([WHOLE, GRAPH, PODS]) {
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
        step("run: x, retry: {memory_factor: 0.5}"),
        step("run: x, retry: {limit: 1, rules: [{exit_codes: [1]}]}"),
        step("run: x, retry: {limit: 1, rules: [{exit_codes: [1], action: again}]}"),
        step("run: x, retry: {limit: 1, rules: [{exit_codes: [0], action: retry}]}"),
        step("run: x, retry: {limit: 1, rules: [{exit_codes: [1 to 3], action: retry}]}"),
        step("run: x, retry: {limit: 1, rules: [{signals: [65], action: retry}]}"),
        step("run: x, retry: {limit: 1, rules: [{signals: [SIGSTOP], action: retry}]}"),
        step("run: x, retry: {limit: 1, rules: [{reasons: [upstream_failed], action: retry}]}"),
        step("run: x, retry: {limit: 1, rules: [{reason: [lost], action: retry}]}"),
        step("run: x, trigger_rule: always"),
        step("run: x, resources: {memory: 0}"),
        step("run: x, resources: {memory: 5 pages}"),
        step("run: x, env: {A: [b]}"),
        step("run: x, env: {A: {secret: b}}"),
        step("run: x, env: {A: {secret: b, key: c, value: d}}"),
        step("run: x, env: {A: {value: b, optional: true}}"),
        step("run: x, cluster: A"),
        step("run: x, pod: {hostIPC: true}"),
        step("run: x, pod: {privileged: yes please}"),
        step("run: x, pod: {volumes: {name: a}}"),
        step("run: x, pod: {affinity: [a]}"),
        step("run: x, pod: {labels: {a: [b]}}"),
        step("run: x, pod: {resources: {cpu: 1}}"),
        step("run: x, depends_on: {b: c}"),
        "name: p\nsteps: {a: {run: x}}\nexit_steps: {B: {run: x}}".to_owned(),
        "name: p\nsteps: {a: {run: x}}\noutputs: {b: [c]}".to_owned(),
        "name: p\npriority: 1.5\nsteps: {a: {run: x}}".to_owned(),
        "name: p\npriority: 1001\nsteps: {a: {run: x}}".to_owned(),
        step("run: x, limits: GPU"),
        step("run: x, limits: [gpu, 1b]"),
        step("run: x, limits: [a, b, c, d, e, f, g, h, i]"),
        step("run: x, when: 3"),
        step("run: x, when: \"\""),
        step("run: x, cache: always"),
        step("run: x, cache: {keys: a}"),
        step("run: x, cache: {key: []}"),
        step("run: x, cache: {key: {a: b}}"),
        step("run: x, cache: {max_age: soon}"),
        "name: p\ncache: {key: a}\nsteps: {a: {run: x}}".to_owned(),
        step("run: x, for_each: abc"),
        step("run: x, for_each: -1"),
        step("run: x, for_each: 10000001"),
        step("run: x, for_each: true"),
        step("run: x, for_each: {}"),
        step("run: x, for_each: {items: [], count: 3}"),
        step("run: x, for_each: {items: 3}"),
        step("run: x, outputs: {b: c}"),
        step("run: x, steps: {b: {run: x}}"),
        step("use: b.yaml, branches: {b: {run: x}}"),
        step("steps: {}"),
        step("steps: {b: {}}"),
        step("steps: {B: {run: x}}"),
        step("branches: {}"),
        step("branches: {b: {run: x, timeout: soon}}"),
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
        ("Steps, at every depth", limits::STEPS),
        ("Steps of a run, those of all items counted", layout::STEPS_MAX as usize),
        ("Levels of groups, loops and branches in each other", limits::NESTING),
        ("Items of a loop", limits::ITEMS),
        ("Size of a list file, in MiB", limits::LIST_FILE_BYTES as usize >> 20),
        ("Size of a line of a list file, in KiB", limits::LIST_LINE_BYTES >> 10),
        ("Branches of a step", limits::BRANCHES),
        ("Bytes of a condition", limits::CONDITION_BYTES),
        ("All conditions together, in MiB", limits::CONDITIONS_BYTES >> 20),
        ("Dependencies of all steps together", limits::DEPENDENCIES),
        ("Size of the file and of all files that it uses, in MiB", limits::FILE_BYTES >> 20),
        ("Files that are used", limits::FILES),
        ("Values that aliases stand for", limits::FILE_ALIASED_NODES),
        (
            "Steps that used files stand for, wherever they are used, in MiB",
            limits::FILE_EXPANDED_BYTES as usize >> 20,
        ),
        ("Levels of lists and maps in the file", limits::FILE_DEPTH),
        ("Levels of lists and maps in a parameter or an item", limits::VALUE_DEPTH),
        ("Parameters, of a pipeline or of a group", limits::PARAMETERS),
        (
            "All defaults, or all arguments of a run or of a group, in MiB",
            limits::ARGUMENTS_BYTES >> 20,
        ),
        ("Labels", limits::LABELS),
        ("Named limits of a step", limits::NAMED_LIMITS),
        ("Bytes of an image's name", limits::IMAGE_BYTES),
        ("Size of the settings of a pod, in KiB", settings::POD_BYTES >> 10),
        ("Entries of a list or a map in a pod's settings", settings::ENTRIES),
        ("Levels of lists and maps in a pod's settings", settings::DEPTH),
        ("Waiting reasons of a pod's settings", settings::WAITING_REASONS),
        ("Characters of a description", limits::DESCRIPTION_CHARS),
        ("Words of `command` and `args` of a step", limits::WORDS),
        ("Variables in `env` of a step", limits::ENV_VARS),
        ("Outputs of a step, a group or a file", limits::OUTPUTS),
        ("Entries of a cache's `key`", limits::CACHE_KEYS),
        ("Bytes of a cache's `salt`", limits::CACHE_SALT_BYTES),
        ("Retries", limits::RETRIES as usize),
        ("Retry rules of a step", limits::RETRY_RULES),
    ];
    for (what, limit) in rows {
        let digits = limit.to_string();
        let grouped =
            digits.as_bytes().rchunks(3).rev().map(|three| std::str::from_utf8(three).unwrap());
        let row = format!("| {what} | {} |", grouped.collect::<Vec<_>>().join(","));
        assert!(DOCS.contains(&row), "{row}");
    }
}
