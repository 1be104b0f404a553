//! From a file and a command line to a request.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use prost_types::Value;
use serde_json::Value as Json;
use windlass_client::{FieldViolation, v1};
use windlass_pipeline::{
    arguments,
    file::{self, FileError, FileOptions},
};
use windlass_proto::json;

use crate::{args::SubmissionArgs, failure::InputError};

/// Where relative working directories of steps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BaseDir {
    /// In the directory of the pipeline's file: steps run on this machine.
    OfFile,
    /// Wherever the runtime says: steps run elsewhere.
    OfRuntime,
}

/// Reads the file, and the arguments by the types of its parameters.
pub(crate) fn request(
    args: &SubmissionArgs,
    base_dir: BaseDir,
) -> Result<v1::SubmitRunRequest, InputError> {
    let pipeline = pipeline(&args.file, base_dir)?;
    let mut given = args.params_file.as_deref().map_or_else(|| Ok(BTreeMap::new()), params_file)?;
    for (name, text) in &args.params {
        given.insert(name.clone(), param(&pipeline, name, text)?);
    }
    arguments::resolve(&pipeline, &given).map_err(|violations| InputError {
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
        ..v1::SubmitRunRequest::default()
    })
}

/// Reads and checks a pipeline's file; `-` is standard input.
pub(crate) fn pipeline(file: &Path, base_dir: BaseDir) -> Result<v1::Pipeline, InputError> {
    let is_stdin = file == Path::new("-");
    let content = if is_stdin { read_stdin() } else { fs::read(file) };
    let content = content.map_err(|error| unreadable(file, &error))?;
    let base_dir = match base_dir {
        BaseDir::OfFile => Some(directory_of(file, is_stdin)?),
        BaseDir::OfRuntime => None,
    };
    file::parse(&content, &FileOptions { base_dir }).map_err(|error| not_a_pipeline(file, &error))
}

fn read_stdin() -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    io::stdin().lock().read_to_end(&mut content)?;
    Ok(content)
}

fn directory_of(file: &Path, is_stdin: bool) -> Result<PathBuf, InputError> {
    let dir = if is_stdin { Path::new("") } else { file.parent().unwrap_or(Path::new("")) };
    let dir = if dir == Path::new("") { Path::new(".") } else { dir };
    dir.canonicalize().map_err(|error| unreadable(dir, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> InputError {
    InputError::new(format!(
        "{} cannot be read: {error}; see whether the path is right",
        path.display()
    ))
}

/// One problem is the message itself; several are listed below it.
fn not_a_pipeline(file: &Path, error: &FileError) -> InputError {
    let place = |position: Option<file::Position>| match position {
        Some(at) => format!("{}:{}:{}", file.display(), at.line, at.column),
        None => file.display().to_string(),
    };
    let mut violations: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| FieldViolation {
            field: place(problem.position),
            description: problem.message.clone(),
        })
        .collect();
    if error.more() > 0 {
        let description = format!("and {} more problems", error.more());
        violations.push(FieldViolation { field: file.display().to_string(), description });
    }
    InputError { message: format!("{} is not a pipeline that can run", file.display()), violations }
}

fn params_file(file: &Path) -> Result<BTreeMap<String, Value>, InputError> {
    let text = fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
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
    let kind = parameter.map_or(v1::ParameterType::String, v1::Parameter::r#type);
    arguments::parse_argument(kind, text)
        .map_err(|error| InputError::new(format!("the value of parameter `{name}`: {error}")))
}
