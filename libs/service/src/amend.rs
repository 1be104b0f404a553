//! What a retry changes of a run, and whether it may: asked by the submitter, so that a refusal is answered, and by the scheduler,
//! on the state that it decides upon.

use bytes::Bytes;
use serde_json::Map;
use windlass_engine::{event::RunChanges, graph::Graph, record::StepIndex, run::Run};
use windlass_pipeline::{
    amend::{self, InUse},
    check::Violations,
    compile::{self, CompileError},
};
use windlass_proto::encoded::EncodedPipeline;
use windlass_store::{Amendment, RunView};

use crate::revive::ReviveError;

/// Why a run is not retried with what was to be changed.
#[derive(Debug, thiserror::Error)]
pub enum AmendError {
    /// The values are not as they must be.
    #[error(transparent)]
    Arguments(#[from] Violations),
    /// Steps that would keep their results have come from other values.
    #[error("{}", in_use(.0))]
    InUse(InUse),
    /// What is stored of the run cannot be understood.
    #[error(transparent)]
    Stored(#[from] ReviveError),
}

/// What comes of changes to a run.
#[derive(Debug)]
pub struct Amended {
    /// All that is other than it was submitted.
    pub amendment: Amendment,
    /// What the run obeys from then on.
    pub graph: Graph,
}

/// Changes values of parameters and limits of a run that is about to be retried from a step, or from none: `run`, which has this
/// pipeline. `view` tells what holds now. Nothing is changed of the run itself.
pub fn amend(
    run: &Run,
    view: &RunView,
    pipeline: Bytes,
    from: Option<StepIndex>,
    changes: &RunChanges,
) -> Result<Amended, AmendError> {
    let pipeline = EncodedPipeline::new(pipeline).map_err(stored)?;
    let limits = view.limit_changes().then(changes.limits);
    let current: Map<_, _> =
        serde_json::from_str(view.arguments_json()).map_err(ReviveError::from)?;
    let amended = |arguments_json, arguments| {
        let graph = compile::graph_of_run(&pipeline, view.submission.id, arguments, limits);
        let amendment = Amendment { arguments_json, limits };
        Ok(Amended { amendment, graph: graph.map_err(ReviveError::from)? })
    };
    let given: Map<_, _> = match &*changes.arguments_json {
        "" => Map::new(),
        given => serde_json::from_str(given).map_err(ReviveError::from)?,
    };
    let amend::Arguments { values, changed } = amend::arguments(pipeline.head(), &current, &given)?;
    if changed.is_empty() {
        let before = view.amendment.as_ref().and_then(|it| it.arguments_json.clone());
        return amended(before, current);
    }
    let kept = run.kept_by_retry(from);
    let in_use = amend::in_use(&pipeline, run.layout(), &kept, &changed).map_err(stored)?;
    if let Some(in_use) = in_use {
        return Err(AmendError::InUse(in_use));
    }
    let text = serde_json::to_string(&values).map_err(ReviveError::from)?;
    amended(Some(text), values.into_iter().collect())
}

fn stored(error: prost::DecodeError) -> ReviveError {
    CompileError::from(error).into()
}

fn in_use(InUse { parameters, steps, more }: &InUse) -> String {
    let quoted = |names: &[String]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let others = match more {
        0 => String::new(),
        1 => " and one more".to_owned(),
        _ => format!(" and {more} more"),
    };
    format!(
        "steps keep their results, which have come from the value of {}: {}{others}; have them done again with `--from STEP`, or \
         submit a new run with the new values",
        quoted(parameters),
        quoted(steps)
    )
}
