//! From a file and a command line to a request.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use prost_types::{Value, value::Kind};
use serde_json::Value as Json;
use windlass_client::{FieldViolation, v1};
use windlass_pipeline::{
    arguments,
    file::{self, FileError, FileOptions, Files, Problem},
    limits,
};
use windlass_proto::json;
use windlass_service::error::ErrorReason;

use crate::{args::SubmissionArgs, bounded, failure::InputError};

/// Where relative working directories of steps are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BaseDir {
    /// In the directory of the pipeline's file: steps see it.
    OfFile,
    /// In this directory of the machines that steps run on.
    Given(PathBuf),
    /// Wherever the runtime says: steps run elsewhere.
    OfRuntime,
}

/// Reads the file, and the arguments by the types of its parameters.
pub(crate) fn request(
    args: &SubmissionArgs,
    base_dir: &BaseDir,
) -> Result<v1::SubmitRunRequest, InputError> {
    let mut pipeline = pipeline(&args.file, base_dir)?;
    pipeline.priority = args.priority.unwrap_or(pipeline.priority);
    let mut given = args.params_file.as_deref().map_or_else(|| Ok(BTreeMap::new()), params_file)?;
    check_once("parameter", &args.params)?;
    check_once("label", &args.labels)?;
    for (name, text) in &args.params {
        given.insert(name.clone(), param(&pipeline, name, text)?);
    }
    arguments::resolve(&pipeline, &given).map_err(|violations| InputError {
        reason: ErrorReason::InvalidPipeline,
        message: format!("the arguments of pipeline `{}` are not as they must be", pipeline.name),
        violations: violations
            .iter()
            .map(|violation| FieldViolation {
                field: violation.field.clone(),
                description: violation.message.clone(),
            })
            .collect(),
    })?;
    Ok(v1::SubmitRunRequest {
        pipeline: Some(pipeline),
        arguments: given,
        labels: args.labels.iter().cloned().collect(),
        no_cache: args.no_cache,
        ..v1::SubmitRunRequest::default()
    })
}

/// Refuses a name that is given twice: nobody knows which value is meant.
fn check_once(what: &str, given: &[(String, String)]) -> Result<(), InputError> {
    let mut names = BTreeSet::new();
    match given.iter().find(|(name, _)| !names.insert(name)) {
        Some((name, _)) => {
            Err(InputError::new(format!("{what} `{name}` is given twice; give it one value")))
        }
        None => Ok(()),
    }
}

/// Reads and checks a pipeline's file; `-` is standard input.
pub(crate) fn pipeline(file: &Path, base_dir: &BaseDir) -> Result<v1::Pipeline, InputError> {
    let is_stdin = file == Path::new("-");
    let content = read(file, "submit a pipeline of this size through the API")?;
    let base_dir = match base_dir {
        BaseDir::OfFile => Some(directory_of(file, is_stdin)?),
        BaseDir::Given(dir) => Some(dir.clone()),
        BaseDir::OfRuntime => None,
    };
    let options =
        FileOptions { base_dir, path: (!is_stdin).then_some(file), files: Some(&FilesOfDisk) };
    file::parse(&content, &options).map_err(|error| not_a_pipeline(file, &error))
}

/// The files that pipeline files use.
#[derive(Debug)]
struct FilesOfDisk;

impl Files for FilesOfDisk {
    fn identify(&self, path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
        // Opening a pipe waits for somebody who writes into it.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        bounded::read_file(path, limit)
    }
}

/// A file as it is named to people.
pub(crate) fn called(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

/// Reads a file, or standard input for `-`, but no more than can be lawful. `instead` says what to do with more.
fn read(file: &Path, instead: &str) -> Result<Vec<u8>, InputError> {
    let content = if file == Path::new("-") {
        bounded::read(io::stdin().lock(), limits::FILE_BYTES)
    } else {
        bounded::read_file(file, limits::FILE_BYTES)
    };
    content.map_err(|error| unreadable(file, &error))?.ok_or_else(|| {
        let message = format!(
            "{} has more than {} MiB, which are the most; {instead}",
            called(file),
            limits::FILE_BYTES >> 20
        );
        InputError::because(ErrorReason::TooLarge, message)
    })
}

fn directory_of(file: &Path, is_stdin: bool) -> Result<PathBuf, InputError> {
    let dir = if is_stdin { Path::new("") } else { file.parent().unwrap_or(Path::new("")) };
    let dir = if dir == Path::new("") { Path::new(".") } else { dir };
    dir.canonicalize().map_err(|error| unreadable(dir, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> InputError {
    let path = called(path);
    InputError::new(format!("{path} cannot be read: {error}; see whether the path is right"))
}

/// One problem is the message itself; several are listed below it.
fn not_a_pipeline(file: &Path, error: &FileError) -> InputError {
    let place = |problem: &Problem| {
        let file = called(problem.file.as_deref().unwrap_or(file));
        match problem.position {
            Some(at) => format!("{file}:{}:{}", at.line, at.column),
            None => file,
        }
    };
    let mut violations: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| FieldViolation {
            field: place(problem),
            description: problem.message.clone(),
        })
        .collect();
    if error.more() > 0 {
        let description = format!("and {} more problems", error.more());
        violations.push(FieldViolation { field: called(file), description });
    }
    InputError {
        reason: ErrorReason::InvalidPipeline,
        message: format!("{} is not a pipeline that can run", called(file)),
        violations,
    }
}

fn params_file(file: &Path) -> Result<BTreeMap<String, Value>, InputError> {
    let text = String::from_utf8(read(file, "pass large data by file")?).map_err(|_| {
        InputError::new(format!("{} is not UTF-8 text; save it as UTF-8", called(file)))
    })?;
    // JSON is YAML.
    let values: BTreeMap<String, Json> = serde_saphyr::from_str(&text).map_err(|error| {
        let what = "write a YAML or JSON map from parameters' names to values";
        InputError::new(format!("{} holds no parameters: {error}; {what}", file.display()))
    })?;
    Ok(values.into_iter().map(|(name, value)| (name, json::to_value(&value))).collect())
}

fn param(pipeline: &v1::Pipeline, name: &str, text: &str) -> Result<Value, InputError> {
    let parameter = pipeline.parameters.iter().find(|parameter| parameter.name == name);
    // One that the pipeline does not have is refused with all others, once they are known.
    value(parameter.map_or(v1::ParameterType::String, v1::Parameter::r#type), name, text)
}

fn value(kind: v1::ParameterType, name: &str, text: &str) -> Result<Value, InputError> {
    arguments::parse_argument(kind, text).map_err(|error| {
        let message = format!("the value of parameter `{name}`: {error}");
        InputError::because(ErrorReason::InvalidPipeline, message)
    })
}

/// New values of parameters of a run, each of the kind that the parameter has there.
pub(crate) fn changed_arguments(
    run: &v1::Run,
    params: &[(String, String)],
) -> Result<BTreeMap<String, Value>, InputError> {
    check_once("parameter", params)?;
    let kind = |name: &str| match run.arguments.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::NumberValue(_)) => v1::ParameterType::Number,
        Some(Kind::BoolValue(_)) => v1::ParameterType::Boolean,
        Some(Kind::ListValue(_)) => v1::ParameterType::List,
        Some(Kind::StructValue(_)) => v1::ParameterType::Object,
        // One that the pipeline does not have is refused by the server, which knows what it may have been meant to be.
        Some(Kind::StringValue(_) | Kind::NullValue(_)) | None => v1::ParameterType::String,
    };
    params.iter().map(|(name, text)| Ok((name.clone(), value(kind(name), name, text)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PIPELINE: &str = "\
name: nightly
parameters:
  day: {type: string}
  parts: {type: integer, default: 2}
  tags: {type: list, default: []}
steps:
  load:
    run: 'true'
";

    fn args(
        dir: &Path,
        pipeline: &str,
        params_file: &str,
        params: &[(&str, &str)],
    ) -> SubmissionArgs {
        let (file, given) = (dir.join("p.yaml"), dir.join("params.yaml"));
        fs::write(&file, pipeline).unwrap();
        fs::write(&given, params_file).unwrap();
        SubmissionArgs {
            file,
            params: params
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
            params_file: Some(given),
            labels: vec![("team".to_owned(), "data".to_owned())],
            dry_run: false,
            no_cache: true,
            priority: Some(-5),
        }
    }

    #[test]
    fn arguments_of_the_command_line_go_before_those_of_the_file_and_have_their_parameters_type() {
        let dir = tempfile::tempdir().unwrap();
        let args = args(
            dir.path(),
            PIPELINE,
            r#"{"day": "monday", "tags": ["a"]}"#,
            &[("day", "7"), ("parts", "3")],
        );
        let request = request(&args, &BaseDir::OfFile).unwrap();
        let given: BTreeMap<_, _> = request
            .arguments
            .iter()
            .map(|(name, value)| (name.as_str(), json::from_value(value)))
            .collect();
        assert_eq!(
            given,
            BTreeMap::from([("day", json!("7")), ("parts", json!(3)), ("tags", json!(["a"]))])
        );
        assert_eq!(request.labels["team"], "data");
        assert!(request.no_cache);
        assert_eq!(request.pipeline.as_ref().map(|pipeline| pipeline.priority), Some(-5));
        let Some(v1::step::Work::Task(task)) = &request.pipeline.unwrap().steps[0].work else {
            panic!("a task");
        };
        assert_eq!(Path::new(&task.working_dir), dir.path().canonicalize().unwrap());
    }

    #[test]
    fn every_argument_that_is_wrong_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |params_file, params: &[_]| {
            let args = args(dir.path(), PIPELINE, params_file, params);
            request(&args, &BaseDir::OfRuntime).unwrap_err()
        };
        let fields =
            |error: InputError| error.violations.into_iter().map(|v| v.field).collect::<Vec<_>>();
        assert_eq!(fields(refused("{}", &[])), ["arguments[day]"]);
        assert_eq!(
            fields(refused("{dya: x, prts: 1}", &[])),
            ["arguments[dya]", "arguments[prts]"]
        );
        assert!(refused("{}", &[("parts", "many")]).message.contains("parameter `parts`"));
        assert!(refused("[]", &[]).message.contains("holds no parameters"));
    }

    #[test]
    fn a_file_that_is_no_pipeline_is_told_of_with_its_places() {
        let dir = tempfile::tempdir().unwrap();
        let wrong = "name: nightly\nsteps:\n  load: {run: 'true', depends_on: [laod]}\n";
        let file = args(dir.path(), wrong, "{}", &[]).file;
        let error = pipeline(&file, &BaseDir::OfFile).unwrap_err();
        let [violation] = error.violations.as_slice() else { panic!("{error:?}") };
        assert!(violation.field.starts_with(&format!("{}:3:", file.display())), "{violation:?}");
        assert!(violation.description.contains("laod"), "{violation:?}");
    }

    #[test]
    fn files_that_are_used_are_read_from_beside_the_one_that_uses_them() {
        let dir = tempfile::tempdir().unwrap();
        let part = dir.path().join("part.yaml");
        fs::write(&part, "name: part\nsteps:\n  a: {run: ':'}\n").unwrap();
        let file = args(dir.path(), "name: p\nsteps: {b: {use: part.yaml}}\n", "{}", &[]).file;
        let read = pipeline(&file, &BaseDir::OfRuntime).unwrap();
        let Some(v1::step::Work::Group(group)) = &read.steps[0].work else { panic!("{read:?}") };
        assert_eq!(group.steps[0].name, "a");

        fs::write(&part, "name: part\nsteps:\n  a: {run: ':', depends_on: b}\n").unwrap();
        let error = pipeline(&file, &BaseDir::OfRuntime).unwrap_err();
        let fields: Vec<_> = error.violations.iter().map(|violation| &violation.field).collect();
        assert_eq!(fields, [&format!("{}:3:17", part.display())]);

        fs::remove_file(&part).unwrap();
        fs::create_dir(&part).unwrap();
        let error = pipeline(&file, &BaseDir::OfRuntime).unwrap_err();
        assert!(error.violations[0].description.contains("no regular file"), "{error:?}");
    }

    #[test]
    fn new_values_have_the_kind_that_the_run_has() {
        let value = |value: Json| json::to_value(&value);
        let arguments = BTreeMap::from([
            ("day".to_owned(), value(json!("monday"))),
            ("parts".to_owned(), value(json!(2))),
            ("tags".to_owned(), value(json!([]))),
        ]);
        let run = v1::Run { arguments, ..v1::Run::default() };
        let changed = |name: &str, text: &str| {
            changed_arguments(&run, &[(name.to_owned(), text.to_owned())])
                .map(|mut changed| json::from_value(&changed.remove(name).unwrap()))
        };
        assert_eq!(changed("day", "7"), Ok(json!("7")));
        assert_eq!(changed("parts", "7"), Ok(json!(7)));
        assert_eq!(changed("tags", "[1]"), Ok(json!([1])));
        assert_eq!(changed("dya", "7"), Ok(json!("7")), "the server refuses it");
        assert!(changed("parts", "many").unwrap_err().message.contains("parameter `parts`"));
        let twice = ["1", "2"].map(|text| ("day".to_owned(), text.to_owned()));
        assert!(changed_arguments(&run, &twice).unwrap_err().message.contains("given twice"));
    }
}
