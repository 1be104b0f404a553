//! The `Dockerfile`, as far as it can be looked at without building it.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

use crate::file::{root, text};

/// Its instructions: the words of each, with continued lines joined and comments left out.
fn instructions() -> Vec<Vec<String>> {
    let lines = text("Dockerfile");
    let lines = lines.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    joined.lines().map(words).filter(|words| !words.is_empty()).collect()
}

fn named<'a>(all: &'a [Vec<String>], name: &str) -> Vec<&'a [String]> {
    all.iter().filter(|words| words[0] == name).map(|words| &words[1..]).collect()
}

/// What cargo knows of the workspace when only what the build is given is there.
fn metadata(manifest: &Path) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline", "--locked"])
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The names of the programs of a package.
fn programs(package: &Value) -> BTreeSet<&str> {
    let targets = package["targets"].as_array().expect("targets");
    let is_program = |target: &&Value| target["kind"][0] == "bin";
    targets.iter().filter(is_program).filter_map(|target| target["name"].as_str()).collect()
}

#[test]
fn what_is_built_and_copied_are_programs_of_the_workspace() {
    let all = instructions();
    let command =
        all.iter().find(|words| words.iter().any(|word| word == "cargo")).expect("a build");
    let built: BTreeSet<&str> =
        command.windows(2).filter(|pair| pair[0] == "-p").map(|pair| pair[1].as_str()).collect();
    let metadata = metadata(&root().join("Cargo.toml"));
    let packages = metadata["packages"].as_array().expect("packages");
    let mut available = BTreeSet::new();
    for name in &built {
        let package = packages.iter().find(|package| package["name"] == *name);
        available.extend(programs(package.unwrap_or_else(|| panic!("{name} is no package"))));
    }
    let copied: BTreeSet<&str> =
        command.iter().filter_map(|word| word.strip_prefix("target/release/")).collect();
    assert_eq!(copied, built, "what is built is not what is copied");
    assert!(copied.is_subset(&available), "{copied:?} are not all among {available:?}");
    assert!(command.iter().any(|word| word == "--locked"));
}

#[test]
fn base_images_are_pinned_and_new_enough() {
    let all = instructions();
    let images: Vec<&str> =
        named(&all, "FROM").into_iter().map(|words| words[0].as_str()).collect();
    let [build, last] = images.as_slice() else { panic!("one stage builds, one is run") };
    let (name, tag) = build.split_once(':').expect("the image has a version");
    let (version, variant) = tag.split_once('-').expect("the image has a variant");
    assert_eq!(name, "rust");
    let metadata = metadata(&root().join("Cargo.toml"));
    let needed = metadata["packages"][0]["rust_version"].as_str().expect("it has a version");
    let number = |version: &str| -> Vec<u32> {
        version.split('.').map(|part| part.parse().expect("a number")).collect()
    };
    assert!(number(version) >= number(needed), "Rust {version} is older than {needed}");
    // What is built against one C library runs with the same one.
    let release = last.strip_prefix("debian:").and_then(|tag| tag.strip_suffix("-slim"));
    assert_eq!(variant.strip_prefix("slim-"), release, "{build} and {last} are of two releases");
}

#[test]
fn sources_are_there_and_nothing_runs_as_root() {
    let all = instructions();
    let stages: Vec<_> = named(&all, "FROM").into_iter().filter_map(|it| it.get(2)).collect();
    for copy in named(&all, "COPY") {
        let (flags, paths): (Vec<_>, Vec<_>) = copy.iter().partition(|word| word.starts_with("--"));
        let [sources @ .., _] = paths.as_slice() else { panic!("a copy has two ends") };
        match flags.as_slice() {
            [] => {
                for source in sources {
                    assert!(root().join(source).exists(), "{source} is not there");
                }
            }
            [from] => {
                let stage = from.strip_prefix("--from=").expect("it is from a stage");
                assert!(stages.iter().any(|name| *name == stage), "{stage} is no stage");
            }
            _ => panic!("{copy:?} has unknown flags"),
        }
    }
    let user = named(&all, "USER").pop().expect("it says as whom it runs");
    let (user, group) = user[0].split_once(':').expect("a user and a group, as numbers");
    for id in [user, group] {
        assert!(id.parse::<u32>().expect("orchestrators want a number") > 0);
    }
}

/// Copies what the build is given: all of a directory but what is ignored.
fn copy_context(from: &Path, to: &Path, is_ignored: &dyn Fn(&Path) -> bool) {
    fs::create_dir_all(to).expect("the directory is made");
    for entry in fs::read_dir(from).expect("the directory is read") {
        let entry = entry.expect("the directory is read");
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if is_ignored(&path) {
            continue;
        }
        if entry.file_type().expect("its type is known").is_dir() {
            copy_context(&path, &copy, is_ignored);
        } else {
            fs::copy(&path, copy).expect("the file is copied");
        }
    }
}

#[test]
fn cargo_finds_all_packages_in_what_the_build_is_given() {
    let ignored = text(".dockerignore");
    let ignored: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    let is_ignored = |path: &Path| {
        let path = path.strip_prefix(root()).expect("below the root");
        let is_at_root = path.components().count() == 1;
        ignored.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(extension) => is_at_root && path.extension().is_some_and(|it| it == extension),
            None => path == Path::new(pattern),
        })
    };
    let context = tempfile::tempdir().expect("a directory");
    copy_context(&root(), context.path(), &is_ignored);
    assert!(!context.path().join("target").exists(), "what was built here is sent to the engine");
    let members = |manifest: &Path| metadata(manifest)["packages"].as_array().map(Vec::len);
    let all = members(&root().join("Cargo.toml"));
    assert_eq!(members(&context.path().join("Cargo.toml")), all);
}
