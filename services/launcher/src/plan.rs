//! From a step of a pipeline to what a runtime needs to create an attempt of it: references become values.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use serde_json::{Map, Value};
use windlass_engine::record::StepIndex;
use windlass_pipeline::template::{MissingValue, Reference, Template, TemplateError, Values};
use windlass_proto::{
    encoded::EncodedPipeline,
    id::RunId,
    v1::{self, step::Work},
};
use windlass_store::StoreError;

use crate::runtime::{AttemptKey, AttemptSpec};

/// Between TERM and KILL, where a step does not say.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// Why an attempt cannot be put together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("run {0} is gone")]
    Gone(RunId),
    #[error("the pipeline cannot be decoded: {0}; the store is damaged")]
    Decode(#[from] prost::DecodeError),
    #[error("the run's arguments are no JSON object: {0}; the store is damaged")]
    Arguments(#[from] serde_json::Error),
    #[error("the pipeline has no step {0}; the sender of the command holds another pipeline")]
    UnknownStep(u32),
    #[error(
        "the step is of a kind that this version does not know; use the version that accepted it"
    )]
    UnknownWork,
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Missing(#[from] MissingValue),
}

/// A run's pipeline and arguments.
#[derive(Debug)]
pub(crate) struct Plan {
    pipeline: EncodedPipeline,
    arguments: Map<String, Value>,
    /// Indexes of the steps whose outputs others refer to.
    referred_to: BTreeMap<String, StepIndex>,
}

impl Plan {
    pub(crate) fn new(pipeline: EncodedPipeline, arguments_json: &str) -> Result<Self, PlanError> {
        let mut names = BTreeSet::new();
        for step in pipeline.steps() {
            let step = step?;
            let outputs =
                task_texts(&step).flat_map(references).filter_map(|reference| match reference {
                    Reference::Output { step, .. } => Some(step.to_owned()),
                    _ => None,
                });
            names.extend(outputs);
        }
        let mut referred_to = BTreeMap::new();
        if !names.is_empty() {
            for (index, step) in (0..).zip(pipeline.steps()) {
                let name = step?.name;
                if names.contains(&name) {
                    referred_to.insert(name, StepIndex(index));
                }
            }
        }
        let arguments = serde_json::from_str(arguments_json)?;
        Ok(Self { pipeline, arguments, referred_to })
    }

    /// How many bytes it takes up, nearly all of them the pipeline's.
    pub(crate) fn bytes(&self) -> usize {
        self.pipeline.size()
    }

    /// The steps whose outputs these steps refer to.
    pub(crate) fn steps_referred_to(&self, of: impl Iterator<Item = u32>) -> Vec<StepIndex> {
        if self.referred_to.is_empty() {
            return Vec::new();
        }
        let mut referred_to = BTreeSet::new();
        for step in of.filter_map(|index| self.pipeline.step(index).and_then(Result::ok)) {
            referred_to.extend(task_texts(&step).flat_map(references).filter_map(|reference| {
                match reference {
                    Reference::Output { step, .. } => self.referred_to.get(step).copied(),
                    _ => None,
                }
            }));
        }
        referred_to.into_iter().collect()
    }

    /// Puts an attempt together.
    pub(crate) fn spec(
        &self,
        key: AttemptKey,
        outputs: &BTreeMap<StepIndex, Arc<str>>,
    ) -> Result<AttemptSpec, PlanError> {
        let step = self.pipeline.step(key.step).ok_or(PlanError::UnknownStep(key.step))??;
        let Some(Work::Task(task)) = step.work else { return Err(PlanError::UnknownWork) };
        let known = Known { plan: self, outputs, key, step: &step.name };
        let render = |text: &String| -> Result<String, PlanError> {
            Ok(Template::parse(text)?.render(&known)?)
        };
        let working_dir = render(&task.working_dir)?;
        Ok(AttemptSpec {
            key,
            command: task.command.iter().chain(&task.args).map(render).collect::<Result<_, _>>()?,
            env: task
                .env
                .iter()
                .map(|variable| Ok((variable.name.clone(), render(&variable.value)?)))
                .collect::<Result<_, PlanError>>()?,
            working_dir: (!working_dir.is_empty()).then(|| PathBuf::from(working_dir)),
            termination_grace: task
                .termination_grace
                .and_then(|grace| grace.try_into().ok())
                .unwrap_or(DEFAULT_GRACE),
            memory_bytes: task
                .resources
                .map(|limits| limits.memory_bytes)
                .filter(|bytes| *bytes > 0),
            outputs: step.outputs,
            step: step.name,
        })
    }
}

/// What references stand for, for one attempt.
struct Known<'a> {
    plan: &'a Plan,
    outputs: &'a BTreeMap<StepIndex, Arc<str>>,
    key: AttemptKey,
    step: &'a str,
}

impl Values for Known<'_> {
    fn value(&self, reference: Reference<'_>) -> Option<Cow<'_, Value>> {
        match reference {
            Reference::Param(name) => self.plan.arguments.get(name).map(Cow::Borrowed),
            Reference::Output { step, output } => {
                let written = self.outputs.get(self.plan.referred_to.get(step)?)?;
                let mut written: Map<String, Value> = serde_json::from_str(written).ok()?;
                written.remove(output).map(Cow::Owned)
            }
            Reference::RunId => Some(Cow::Owned(self.key.run.to_string().into())),
            Reference::StepName => Some(Cow::Owned(self.step.into())),
            Reference::StepAttempt => Some(Cow::Owned(self.key.attempt.into())),
        }
    }
}

/// The texts of a step that may hold references.
fn task_texts(step: &v1::Step) -> impl Iterator<Item = &str> {
    step.work.iter().flat_map(|Work::Task(task)| {
        let values = task.env.iter().map(|variable| &variable.value);
        task.command
            .iter()
            .chain(&task.args)
            .chain(values)
            .chain([&task.working_dir])
            .map(String::as_str)
    })
}

fn references(text: &str) -> Vec<Reference<'_>> {
    Template::parse(text).map(|template| template.references().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    fn plan() -> Plan {
        let step = |name: &str, task| v1::Step {
            name: name.to_owned(),
            work: Some(Work::Task(Box::new(task))),
            ..v1::Step::default()
        };
        let task = v1::Task {
            command: vec!["train".into(), "--rate=${{ params.rate }}".into()],
            args: vec!["${{ steps.load.outputs.rows }}".into()],
            env: vec![v1::EnvVar {
                name: "WHO".into(),
                value: "${{ step.name }}/${{ step.attempt }}".into(),
            }],
            resources: Some(v1::Resources { memory_bytes: 7 }),
            ..v1::Task::default()
        };
        let steps = vec![
            step("load", v1::Task { command: vec!["load".into()], ..v1::Task::default() }),
            step("train", task),
        ];
        let pipeline = v1::Pipeline { steps, ..v1::Pipeline::default() };
        let encoded = EncodedPipeline::new(pipeline.encode_to_vec().into()).unwrap();
        Plan::new(encoded, r#"{"rate": 0.5}"#).unwrap()
    }

    fn key(step: u32) -> AttemptKey {
        AttemptKey { run: "run_0123456789abcdefghijklmnop".parse().unwrap(), step, attempt: 3 }
    }

    #[test]
    fn references_become_arguments_outputs_and_names() {
        let plan = plan();
        assert_eq!(plan.steps_referred_to([0, 1].into_iter()), [StepIndex(0)]);
        let outputs = BTreeMap::from([(StepIndex(0), Arc::from(r#"{"rows": [1, 2]}"#))]);
        let spec = plan.spec(key(1), &outputs).unwrap();
        assert_eq!(spec.command, ["train", "--rate=0.5", "[1,2]"]);
        assert_eq!(spec.env, BTreeMap::from([("WHO".to_owned(), "train/3".to_owned())]));
        assert_eq!((spec.memory_bytes, spec.termination_grace), (Some(7), DEFAULT_GRACE));
    }

    #[test]
    fn an_output_that_was_not_written_is_named() {
        let error = plan().spec(key(1), &BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains("${{ steps.load.outputs.rows }}"), "{error}");
        assert!(matches!(plan().spec(key(2), &BTreeMap::new()), Err(PlanError::UnknownStep(2))));
    }
}
