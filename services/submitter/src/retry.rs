//! Runs that are taken up again, as they were or with other values and limits.
//!
//! Whether something may be changed is the scheduler's to decide, when it follows the order. It is asked here first, by the same
//! function, so that who may not is told why.

use std::{collections::BTreeMap, sync::Arc};

use prost_types::Value;
use windlass_engine::{
    event::{Order, RunChanges},
    record::{RunState, StepIndex, StepRecord},
};
use windlass_pipeline::amend;
use windlass_proto::{id::RunId, json, v1};
use windlass_service::{
    amend::{self as amendment, AmendError},
    error::{ApiError, ErrorReason},
};
use windlass_store::RunView;

use crate::{Submitter, orders::run_not_ended, submit::invalid_pipeline};

impl Submitter {
    pub(crate) async fn retry(&self, request: v1::RetryRunRequest) -> Result<v1::Run, ApiError> {
        let view = self.run(&request.run_id).await?;
        let run = view.submission.id;
        let from = self.current_step(&view, &request.from_step).await?;
        match view.record.state {
            RunState::Succeeded if from.is_none() => return Err(run_succeeded(run)),
            RunState::Succeeded | RunState::Failed | RunState::Cancelled => {}
            RunState::Pending | RunState::Running | RunState::Stopping | RunState::Exiting => {
                return Err(run_not_ended(run, "retried"));
            }
        }
        let Some(changes) = changes(request)? else {
            return self.place(run, Order::Retry { from, changes: None }).await;
        };
        let changes = Arc::new(changes);
        self.refuse_unless_amendable(run, from, &changes).await?;
        let shown = self.place(run, Order::Retry { from, changes: Some(changes.clone()) }).await?;
        // Where the run has changed since it was looked at, the scheduler may have refused.
        if shown.retries == view.record.retries && self.store.read_orders(run).await?.is_empty() {
            self.refuse_unless_amendable(run, from, &changes).await?;
        }
        Ok(shown)
    }

    /// Refuses changes that the run's scheduler would refuse.
    async fn refuse_unless_amendable(
        &self,
        run: RunId,
        from: Option<StepIndex>,
        changes: &Arc<RunChanges>,
    ) -> Result<(), ApiError> {
        let room = self.loads.acquire().await;
        let stored = self.store.load(run).await?.ok_or_else(|| ApiError::run_not_found(run))?;
        let changes = changes.clone();
        let amended = self.with_run(run, stored, move |engine, stored| {
            amendment::amend(engine, &stored.view, stored.pipeline, from, &changes).map(drop)
        });
        let amended = amended.await?;
        drop(room);
        amended.map_err(|error| match error {
            AmendError::Arguments(violations) => invalid_pipeline(&violations),
            AmendError::InUse(_) => {
                let message = format!("run {run} is not retried with these values: {error}");
                ApiError::new(ErrorReason::ParameterInUse, message).with("run_id", &run)
            }
            AmendError::Stored(_) => {
                let message = format!(
                    "run {run} cannot be loaded: {error}; restore the store from a copy, or delete the run"
                );
                ApiError::new(ErrorReason::Damaged, message).with("run_id", &run)
            }
        })
    }

    /// The step of a path: one that still counts. None where the path is empty.
    async fn current_step(
        &self,
        view: &RunView,
        path: &str,
    ) -> Result<Option<StepIndex>, ApiError> {
        if path.is_empty() {
            return Ok(None);
        }
        let run = view.submission.id;
        let step = self.names.find(&*self.store, run, path).await?;
        let names = self.names.of(&*self.store, run, Some(step)).await?;
        let current = self.current(view, &names, vec![(step, StepRecord::default())]).await?;
        if current.is_empty() {
            return Err(ApiError::step_not_found(run, path));
        }
        Ok(Some(step))
    }
}

/// What a request asks to be changed; none where that is nothing.
fn changes(request: v1::RetryRunRequest) -> Result<Option<RunChanges>, ApiError> {
    let v1::RetryRunRequest { arguments, max_parallelism, timeout, .. } = request;
    let limits = amend::limits(max_parallelism, timeout.as_ref()).map_err(|violations| {
        let first = violations.iter().next();
        let (field, message) = first.map(|it| (&*it.field, &*it.message)).unwrap_or_default();
        ApiError::invalid(field, message.to_owned())
    })?;
    let changes = RunChanges { arguments_json: arguments_json(&arguments).into(), limits };
    Ok((changes != RunChanges::default()).then_some(changes))
}

/// Values as an order has them: a JSON object, or empty where there are none.
fn arguments_json(arguments: &BTreeMap<String, Value>) -> String {
    if arguments.is_empty() {
        return String::new();
    }
    let values = arguments.iter().map(|(name, value)| (name.clone(), json::from_value(value)));
    serde_json::Value::Object(values.collect()).to_string()
}

fn run_succeeded(run: RunId) -> ApiError {
    ApiError::new(
        ErrorReason::RunSucceeded,
        format!(
            "run {run} succeeded, so there is nothing to retry; `windlass rerun {run}` runs all of it again, and \
             `windlass retry {run} --from STEP` a step and what depends on it"
        ),
    )
    .with("run_id", &run)
}
