//! From a step of a pipeline to what a runtime needs to create an attempt of it: references become values.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};
use windlass_engine::{graph::NodeIndex, layout::ImpossibleExpansion, record::StepIndex};
use windlass_pipeline::{
    allowance::Allowance,
    cache::Inputs,
    outline::RunSteps,
    resolve::{At, Resolver, Site},
    template::{MissingValue, Reference, Template, TemplateError, Values},
};
use windlass_pod::settings;
use windlass_proto::{
    encoded::EncodedPipeline,
    id::RunId,
    v1::{self, step::Work},
};
use windlass_store::{CACHE_TTL, RunView, Store, StoreError, Submission};

use crate::{
    known::KnownRun,
    list_files::{ListError, ListReader, StillReading},
    runtime::{AttemptKey, AttemptSpec, CacheUse},
};

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
    #[error(transparent)]
    ListFile(#[from] ListError),
    #[error(transparent)]
    StillReading(#[from] StillReading),
    #[error(transparent)]
    Expansion(#[from] ImpossibleExpansion),
}

/// A run's pipeline and arguments.
#[derive(Debug)]
pub(crate) struct Plan {
    pipeline: EncodedPipeline,
    arguments: Map<String, Value>,
    /// The run's steps, as far as they were needed.
    steps: Mutex<Arc<RunSteps>>,
}

impl Plan {
    pub(crate) fn new(pipeline: EncodedPipeline, arguments_json: &str) -> Result<Self, PlanError> {
        let steps = Mutex::new(Arc::new(RunSteps::of_encoded(&pipeline)?));
        let arguments = serde_json::from_str(arguments_json)?;
        Ok(Self { pipeline, arguments, steps })
    }

    /// How many bytes it takes up, nearly all of them the pipeline's.
    pub(crate) fn bytes(&self) -> usize {
        self.pipeline.size()
    }

    /// The run's steps as they are now: at least those of which there was a command, and all loops that those may refer to,
    /// which expanded before.
    async fn steps(&self, store: &dyn Store, run: RunId) -> Result<Arc<RunSteps>, PlanError> {
        let known = self.lock().clone();
        if !known.outline().has_loops() {
            return Ok(known);
        }
        let expansions = store.read_expansions(run, known.expansions()).await?;
        let expansions = expansions.ok_or(PlanError::Gone(run))?;
        if expansions.is_empty() {
            return Ok(known);
        }
        let mut steps = RunSteps::clone(&known);
        steps.add(expansions)?;
        let steps = Arc::new(steps);
        let mut kept = self.lock();
        if kept.expansions() < steps.expansions() {
            *kept = steps.clone();
        }
        drop(kept);
        Ok(steps)
    }

    fn lock(&self) -> MutexGuard<'_, Arc<RunSteps>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts attempts together: each by itself, so that one that cannot be made harms no other.
    pub(crate) async fn specs(
        &self,
        store: &dyn Store,
        list_files: &ListReader,
        view: &RunView,
        keys: &[AttemptKey],
    ) -> Result<Vec<Result<AttemptSpec, PlanError>>, PlanError> {
        let run = view.submission.id;
        let is_cached = !view.submission.no_cache && !self.pipeline.head().no_cache;
        let steps = self.steps(store, run).await?;
        let mut known = KnownRun::new(&steps, &view.record);
        loop {
            let spec = |key: &AttemptKey| {
                let spec = self.spec(*key, &view.submission, &known, is_cached);
                // Why there is no value says more than that there is none.
                let failed = known.take_failed_item();
                spec.map_err(|error| failed.map_or(error, PlanError::from))
            };
            let specs = keys.iter().map(spec).collect();
            if !known.learn(store, list_files, run).await? {
                return Ok(specs);
            }
        }
    }

    /// Puts an attempt together, from what is known of the run.
    fn spec(
        &self,
        key: AttemptKey,
        submission: &Submission,
        run: &KnownRun<'_>,
        is_cached: bool,
    ) -> Result<AttemptSpec, PlanError> {
        let index = StepIndex(key.step);
        if !run.steps.contains(index) {
            return Err(PlanError::UnknownStep(key.step));
        }
        let step = self.definition(run.steps, run.steps.layout().node(index))?;
        let Some(Work::Task(task)) = &step.work else { return Err(PlanError::UnknownWork) };
        let path = run.steps.path(index);
        let run_id = key.run.to_string();
        let resolver = Resolver::new(run.steps.outline(), &self.arguments, run)
            .with_run_id(&run_id)
            .with_list_files(run);
        let known = Known { at: At { resolver, site: Site::at(index) }, key, path: &path };
        let render = |text: &String| known.render(text);
        let working_dir = render(&task.working_dir)?;
        let image = render(&task.image)?;
        let (mut command, mut args) =
            (known.render_all(&task.command)?, known.render_all(&task.args)?);
        if !command.is_empty() {
            command.append(&mut args);
        }
        let texts = task.env.iter().filter(|variable| variable.secret.is_none());
        let secrets = task.env.iter().filter_map(|it| Some((it.name.clone(), *it.secret.clone()?)));
        let spec = AttemptSpec {
            key,
            namespace: submission.namespace.clone(),
            pipeline: submission.pipeline.clone(),
            image: (!image.is_empty()).then_some(image),
            command,
            args,
            env: texts
                .map(|variable| Ok((variable.name.clone(), render(&variable.value)?)))
                .collect::<Result<_, PlanError>>()?,
            secrets: secrets.collect(),
            pod: task.pod.as_ref().map(|pod| known.render_pod(pod)).transpose()?,
            working_dir: (!working_dir.is_empty()).then(|| PathBuf::from(working_dir)),
            termination_grace: task
                .termination_grace
                .and_then(|grace| grace.try_into().ok())
                .unwrap_or(DEFAULT_GRACE),
            memory_bytes: Allowance::of(&step).and_then(|allowance| {
                let may_be_raised = key.attempt > 1 && allowance.memory_grows();
                let ran_out = if may_be_raised { run.ran_out_before(key) } else { 0 };
                allowance.memory_bytes(ran_out)
            }),
            outputs: step.outputs.clone(),
            step: path.clone(),
            cache: None,
            cached: None,
        };
        let cache = task.cache.as_deref().filter(|_| is_cached);
        let cache = cache.map(|cache| known.cache_use(cache, &spec)).transpose()?;
        Ok(AttemptSpec { cache, ..spec })
    }

    /// What a step was made of.
    fn definition<'a>(
        &self,
        steps: &'a RunSteps,
        node: NodeIndex,
    ) -> Result<Cow<'a, v1::Step>, PlanError> {
        if let Some(step) = steps.outline().definition(node) {
            return Ok(Cow::Borrowed(step));
        }
        let step = self.pipeline.step(node.0).ok_or(PlanError::UnknownStep(node.0))??;
        Ok(Cow::Owned(step))
    }
}

/// What references stand for, for one attempt.
struct Known<'a> {
    at: At<'a>,
    key: AttemptKey,
    path: &'a str,
}

impl Known<'_> {
    fn render(&self, text: &str) -> Result<String, PlanError> {
        Ok(Template::parse(text)?.render(self)?)
    }

    fn render_all(&self, texts: &[String]) -> Result<Vec<String>, PlanError> {
        texts.iter().map(|text| self.render(text)).collect()
    }

    fn render_pod(&self, pod: &v1::Pod) -> Result<Arc<v1::Pod>, PlanError> {
        settings::rendered(pod, &mut |text| self.render(text)).map(Arc::new)
    }

    /// Under which key the attempt's result is kept.
    fn cache_use(&self, cache: &v1::Cache, spec: &AttemptSpec) -> Result<CacheUse, PlanError> {
        let declared: Vec<_> =
            cache.key.iter().map(|text| self.render(text)).collect::<Result<_, _>>()?;
        let inputs = Inputs {
            command: &spec.command,
            args: &spec.args,
            image: spec.image.as_deref().unwrap_or_default(),
            env: &spec.env,
            secrets: &spec.secrets,
            working_dir: spec.working_dir.as_deref().and_then(Path::to_str).unwrap_or_default(),
            outputs: &spec.outputs,
            key: &declared,
            salt: &cache.salt,
        };
        let max_age = cache.max_age.and_then(|age| age.try_into().ok()).unwrap_or(CACHE_TTL);
        Ok(CacheUse { key: inputs.digest(), max_age })
    }
}

impl Values for Known<'_> {
    fn value(&self, reference: Reference<'_>) -> Option<Cow<'_, Value>> {
        match reference {
            Reference::StepName => Some(Cow::Owned(self.path.into())),
            Reference::StepAttempt => Some(Cow::Owned(self.key.attempt.into())),
            other => self.at.value(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use prost::Message as _;
    use std::collections::BTreeMap;
    use windlass_engine::{
        reason::{Failure, FailureReason},
        record::{AttemptEnd, AttemptRecord, RunRecord, StepRecord, StepState},
        time::Timestamp,
    };
    use windlass_store::{Commit, MemoryStore, NewRun, Version};

    fn plan() -> Plan {
        let step = |name: &str, task| v1::Step {
            name: name.to_owned(),
            work: Some(Work::Task(Box::new(task))),
            ..v1::Step::default()
        };
        let labels = [("attempt".to_owned(), "no-${{ step.attempt }}".to_owned())].into();
        let token = v1::SecretKey { name: "api".into(), key: "token".into(), optional: true };
        let task = v1::Task {
            command: vec!["train".into(), "--rate=${{ params.rate }}".into()],
            args: vec!["${{ steps.load.outputs.rows }}".into()],
            env: vec![
                v1::EnvVar {
                    name: "WHO".into(),
                    value: "${{ step.name }}/${{ step.attempt }}".into(),
                    secret: None,
                },
                v1::EnvVar {
                    name: "TOKEN".into(),
                    value: String::new(),
                    secret: Some(Box::new(token)),
                },
            ],
            resources: Some(v1::Resources { memory_bytes: 7 }),
            image: "train:${{ params.rate }}".into(),
            pod: Some(Box::new(v1::Pod { labels, ..v1::Pod::default() })),
            ..v1::Task::default()
        };
        let retry = v1::RetryPolicy {
            memory_factor: 3.0,
            max_memory_bytes: 60,
            ..v1::RetryPolicy::default()
        };
        let steps = vec![
            step("load", v1::Task { command: vec!["load".into()], ..v1::Task::default() }),
            v1::Step { retry: Some(Box::new(retry)), ..step("train", task) },
        ];
        let pipeline = v1::Pipeline { steps, ..v1::Pipeline::default() };
        let encoded = EncodedPipeline::new(pipeline.encode_to_vec().into()).unwrap();
        Plan::new(encoded, r#"{"rate": 0.5}"#).unwrap()
    }

    fn failed(attempt: u32, reason: FailureReason) -> AttemptRecord {
        let failure = Failure { reason, message: String::new(), exit_code: None, signal: None };
        AttemptRecord {
            step: StepIndex(1),
            attempt,
            queued_at: Timestamp(1),
            started_at: Timestamp(1),
            ended_at: Timestamp(1),
            end: AttemptEnd::Failed(failure),
        }
    }

    /// The second step's third attempt, where the first one has put this out. The step's own first attempt has run out of
    /// memory.
    async fn spec(outputs: Option<&str>) -> Result<AttemptSpec, PlanError> {
        let store = MemoryStore::default();
        let key = AttemptKey {
            run: "run_0123456789abcdefghijklmnop".parse().unwrap(),
            step: 1,
            attempt: 3,
        };
        let submission = Submission {
            id: key.run,
            namespace: "default".into(),
            pipeline: "p".into(),
            labels: BTreeMap::new(),
            arguments_json: "{}".into(),
            digest: [0; 32],
            rerun_of: None,
            no_cache: false,
            priority: 0,
            steps: 2,
        };
        let record = RunRecord::default();
        let new = NewRun { submission, pipeline: Bytes::new(), record: record.clone() };
        store.create(new).await.unwrap();
        let succeeded = StepRecord { state: StepState::Succeeded, ..StepRecord::default() };
        let commit = Commit {
            run: key.run,
            expected: Version::FIRST,
            commit: 7,
            record,
            steps: vec![(StepIndex(0), succeeded)],
            attempts: vec![
                failed(1, FailureReason::OutOfMemory),
                failed(2, FailureReason::ExitCode),
            ],
            outputs: outputs.map(|outputs| (StepIndex(0), outputs.into())).into_iter().collect(),
            expansions: Vec::new(),
            step_count: 2,
            orders_taken: None,
            amendment: None,
        };
        store.commit(vec![commit]).await.unwrap();
        let view = store.read_run(key.run).await.unwrap().unwrap();
        let list_files = ListReader::new(None);
        let mut specs = plan().specs(&store, &list_files, &view, &[key]).await.unwrap();
        specs.remove(0)
    }

    #[tokio::test]
    async fn references_become_arguments_outputs_and_names_and_memory_is_what_it_was_raised_to() {
        let spec = spec(Some(r#"{"rows": [1, 2]}"#)).await.unwrap();
        assert_eq!(spec.command, ["train", "--rate=0.5", "[1,2]"]);
        assert_eq!(spec.env, BTreeMap::from([("WHO".to_owned(), "train/3".to_owned())]));
        assert_eq!((spec.memory_bytes, spec.termination_grace), (Some(21), DEFAULT_GRACE));
        assert_eq!((spec.namespace.as_str(), spec.pipeline.as_str()), ("default", "p"));
        assert_eq!(spec.image.as_deref(), Some("train:0.5"));
        assert_eq!(spec.pod.unwrap().labels["attempt"], "no-3");
        assert_eq!(spec.secrets.keys().collect::<Vec<_>>(), ["TOKEN"]);
        assert_eq!(spec.secrets["TOKEN"].key, "token");
    }

    #[tokio::test]
    async fn an_output_that_was_not_written_is_named() {
        let error = spec(None).await.unwrap_err();
        assert!(error.to_string().contains("${{ steps.load.outputs.rows }}"), "{error}");
    }
}
