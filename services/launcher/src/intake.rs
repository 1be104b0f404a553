//! Takes commands from schedulers and has the runtime carry them out.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use prost::Message as _;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use windlass_bus::{Bus, BusError, Delivery};
use windlass_engine::{
    event::{AttemptPhase, AttemptReport},
    reason::{Failure, FailureReason},
    record::{RunState, StepIndex, StepRecord, StepState},
};
use windlass_proto::{
    id::{InvalidRunId, RunId},
    subject::Subject,
    v1,
};
use windlass_store::{RunView, Store, StoreError};

use crate::{
    plan::{PlanError, Plans},
    runtime::{AttemptKey, AttemptSpec, Report, ReportSender, Runtime},
};

/// The most commands taken at once.
const BATCH: usize = 64;

/// How long to wait after the bus or the store has failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(250);

/// Takes commands and carries them out.
#[derive(Debug)]
pub(crate) struct Intake<R> {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) runtime: Arc<R>,
    pub(crate) reports: ReportSender,
    pub(crate) plans: Plans,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it cannot be decoded: {0}; its sender is of another version, or broken")]
    Decode(#[from] prost::DecodeError),
    #[error(transparent)]
    RunId(#[from] InvalidRunId),
    #[error("it is of no known kind; its sender is of a newer version")]
    Unknown,
    #[error("the run's pipeline cannot be read: {0}")]
    Plan(#[from] PlanError),
}

impl CommandError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Plan(error) => error.is_retryable(),
            Self::Decode(_) | Self::RunId(_) | Self::Unknown => false,
        }
    }
}

/// What the store says of an ordered attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is wanted: create it.
    Wanted,
    /// It was ordered, and then taken back.
    Withdrawn,
    /// It is past that, or somebody else has reported it already.
    Past,
}

impl<R: Runtime> Intake<R> {
    /// Takes commands until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let served = tokio::select! {
                served = self.serve() => served,
                () = shutdown.cancelled() => return,
            };
            if let Err(error) = served {
                warn!(%error, "commands wait");
                tokio::select! {
                    () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
                    () = shutdown.cancelled() => {}
                }
            }
        }
    }

    async fn serve(&mut self) -> Result<(), BusError> {
        let mut consumer = self.bus.consume(Subject::Launch).await?;
        loop {
            for delivery in consumer.fetch(BATCH).await? {
                self.take(delivery).await?;
            }
        }
    }

    /// Carries a command out, then acknowledges it. One that can never be carried out is named in the log and left: the
    /// scheduler asks again for what it misses.
    async fn take(&mut self, delivery: Delivery) -> Result<(), BusError> {
        match self.carry_out(&delivery.payload).await {
            Ok(()) => delivery.receipt.ack().await,
            Err(error) if error.is_retryable() => {
                warn!(%error, "command is tried again");
                delivery.receipt.nak(PAUSE_AFTER_ERROR).await
            }
            Err(error) => {
                error!(%error, "command dropped");
                delivery.receipt.ack().await
            }
        }
    }

    async fn carry_out(&mut self, payload: &[u8]) -> Result<(), CommandError> {
        use v1::command::Command as Body;
        let command = v1::Command::decode(payload)?;
        let run: RunId = command.run_id.parse()?;
        match command.command.ok_or(CommandError::Unknown)? {
            Body::Launch(launch) => self.launch(run, launch).await?,
            Body::Stop(stop) => {
                for attempt in stop.attempts {
                    self.runtime.stop(key(run, attempt)).await;
                }
            }
            Body::Probe(probe) => {
                for attempt in probe.attempts {
                    self.probe(key(run, attempt)).await;
                }
            }
            Body::Remove(_) => {
                self.plans.forget(run);
                self.runtime.remove(run).await;
            }
        }
        Ok(())
    }

    /// Creates the attempts that the store still wants.
    async fn launch(&mut self, run: RunId, launch: v1::Launch) -> Result<(), CommandError> {
        let steps: Vec<StepIndex> =
            launch.attempts.iter().map(|attempt| StepIndex(attempt.step)).collect();
        let Some((view, records)) = self.store.read_steps(run, &steps).await? else {
            // The run is gone, and its attempts with it.
            return Ok(());
        };
        let mut wanted = Vec::new();
        for (attempt, record) in launch.attempts.into_iter().zip(&records) {
            match standing(attempt, launch.generation, &view, record) {
                Standing::Wanted => wanted.push(key(run, attempt)),
                Standing::Withdrawn => self.withdraw(key(run, attempt)).await,
                Standing::Past => {}
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let specs = self.specs(&view, wanted).await?;
        self.runtime.start(specs).await;
        Ok(())
    }

    /// Puts together what the runtime needs; an attempt for which that fails is reported as failed.
    async fn specs(
        &mut self,
        view: &RunView,
        keys: Vec<AttemptKey>,
    ) -> Result<Vec<AttemptSpec>, CommandError> {
        let plan = self.plans.of(&*self.store, &view.submission).await?;
        let needed = plan.steps_referred_to(keys.iter().map(|key| key.step));
        let outputs = if needed.is_empty() {
            BTreeMap::new()
        } else {
            self.store.read_outputs(view.submission.id, &needed).await?
        };
        let mut specs = Vec::with_capacity(keys.len());
        for key in keys {
            match plan.spec(key, &outputs) {
                Ok(spec) => specs.push(spec),
                Err(error) => {
                    let message = error.to_string();
                    let reason = FailureReason::CannotStart;
                    let failure = Failure { reason, message, exit_code: None, signal: None };
                    self.report(key, AttemptPhase::Failed(failure));
                }
            }
        }
        Ok(specs)
    }

    /// Takes an attempt back that does not exist; one that does goes on, and is reported.
    async fn withdraw(&self, key: AttemptKey) {
        if !self.runtime.probe(key).await {
            // The order may be repeated and be wanted then: stopping what does not exist sees to it that it never will.
            self.runtime.stop(key).await;
        }
    }

    /// Has the runtime report an attempt, or reports it as lost where the runtime has never heard of it.
    async fn probe(&self, key: AttemptKey) {
        if !self.runtime.probe(key).await {
            self.report(key, AttemptPhase::Failed(lost()));
        }
    }

    fn report(&self, key: AttemptKey, phase: AttemptPhase) {
        let report = AttemptReport {
            step: StepIndex(key.step),
            attempt: key.attempt,
            phase,
            created_at: None,
            started_at: None,
            ended_at: None,
        };
        // Nobody listens any more only when the launcher is ending; the next one is asked again.
        let _ = self.reports.send(Report { run: key.run, report });
    }
}

fn key(run: RunId, attempt: v1::AttemptRef) -> AttemptKey {
    AttemptKey { run, step: attempt.step, attempt: attempt.attempt }
}

fn lost() -> Failure {
    Failure {
        reason: FailureReason::Lost,
        message: "no launcher knows the attempt any more: its host or its supervisor is gone"
            .to_owned(),
        exit_code: None,
        signal: None,
    }
}

fn standing(
    attempt: v1::AttemptRef,
    generation: u32,
    view: &RunView,
    record: &StepRecord,
) -> Standing {
    let queued = record.state == StepState::Queued && record.attempt == attempt.attempt;
    match (queued, view.record.state) {
        (true, RunState::Running) if view.record.launch_generation == generation => {
            Standing::Wanted
        }
        (true, _) => Standing::Withdrawn,
        (false, _) => Standing::Past,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_engine::{record::RunRecord, time::Timestamp};
    use windlass_store::{Submission, Version};

    #[test]
    fn only_what_is_still_queued_in_this_generation_of_a_running_run_is_created() {
        let view = |state, launch_generation| RunView {
            submission: Arc::new(Submission {
                id: "run_0123456789abcdefghijklmnop".parse().unwrap(),
                namespace: String::new(),
                pipeline: String::new(),
                labels: BTreeMap::new(),
                arguments_json: String::new(),
                digest: [0; 32],
                rerun_of: None,
                steps: 1,
            }),
            created_at: Timestamp(1),
            version: Version::default(),
            record: RunRecord { state, launch_generation, ..RunRecord::default() },
        };
        let record = |state, attempt| StepRecord { state, attempt, ..StepRecord::default() };
        let attempt = v1::AttemptRef { step: 0, attempt: 2 };
        let running = view(RunState::Running, 3);
        let cases = [
            (&running, 3, record(StepState::Queued, 2), Standing::Wanted),
            (&running, 2, record(StepState::Queued, 2), Standing::Withdrawn),
            (&view(RunState::Stopping, 3), 3, record(StepState::Queued, 2), Standing::Withdrawn),
            (&running, 3, record(StepState::Queued, 3), Standing::Past),
            (&running, 3, record(StepState::Running, 2), Standing::Past),
            (&running, 3, record(StepState::Stopping, 2), Standing::Past),
        ];
        for (view, generation, record, expected) in cases {
            assert_eq!(standing(attempt, generation, view, &record), expected, "{record:?}");
        }
    }
}
