//! From a command to create attempts to attempts on the runtime: only what the store still wants, and only what is claimed.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use prost::Message as _;
use windlass_bus::{Bus, BusError};
use windlass_engine::{
    event::AttemptPhase,
    reason::{Failure, FailureReason},
    record::{RunState, StepIndex, StepRecord, StepState},
};
use windlass_proto::{
    id::RunId,
    subject::{ClusterToken, Subject},
    v1::{self, command::Command as Body},
};
use windlass_service::fail_point;
use windlass_store::{RunView, Store, StoreError};

use crate::{
    attempts::{Attempts, AttemptsError},
    claims::Place,
    list_files::ListReader,
    plan::PlanError,
    plans::Plans,
    results,
    runtime::{AttemptKey, AttemptSpec, Runtime},
};

/// Creates attempts.
#[derive(Debug)]
pub(crate) struct Launches<R> {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: Arc<dyn Store>,
    /// Whose launchers have what there is no room for here.
    pub(crate) cluster: ClusterToken,
    pub(crate) attempts: Arc<Attempts<R>>,
    pub(crate) plans: Plans,
    pub(crate) list_files: ListReader,
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

impl<R: Runtime> Launches<R> {
    /// Creates the attempts that the store still wants, `room` of them at most; the others are for another launcher, or for
    /// later.
    pub(crate) async fn launch(
        &self,
        run: RunId,
        launch: v1::Launch,
        room: usize,
    ) -> Result<(), AttemptsError> {
        let v1::Launch { generation, attempts } = launch;
        let steps: Vec<_> = attempts.iter().map(|attempt| StepIndex(attempt.step)).collect();
        let wanted_at = Instant::now();
        let Some((view, records)) = self.store.read_steps(run, &steps).await? else {
            // The run is gone, and its attempts with it.
            return Ok(());
        };
        let (mut wanted, mut withdrawn) = (Vec::new(), Vec::new());
        for (attempt, record) in attempts.into_iter().zip(&records) {
            match standing(attempt, generation, &view, record) {
                Standing::Wanted => wanted.push(key(run, attempt)),
                Standing::Withdrawn => withdrawn.push(key(run, attempt)),
                Standing::Past => {}
            }
        }
        if !withdrawn.is_empty() {
            self.attempts.withdraw(run, &withdrawn).await?;
        }
        let others = self.beyond(run, room, &mut wanted).await?;
        // Others need not wait for what begins here, and what begins here need not wait for room on the bus.
        let (handed_back, begun) = tokio::join!(
            self.hand_back(run, generation, &others),
            self.begin(&view, generation, wanted.clone(), wanted_at),
        );
        match (begun, handed_back) {
            // If the command came again as it is, the others would come twice.
            (Err(AttemptsError::NotTaken), Ok(())) if !others.is_empty() => {
                self.hand_back(run, generation, &wanted).await
            }
            (begun, handed_back) => begun.and(handed_back),
        }
    }

    /// Takes out what there is no room for. What somebody has claimed needs none here, and is not handed back either.
    async fn beyond(
        &self,
        run: RunId,
        room: usize,
        wanted: &mut Vec<AttemptKey>,
    ) -> Result<Vec<AttemptKey>, AttemptsError> {
        if wanted.len() <= room {
            return Ok(Vec::new());
        }
        let Some(claims) = &self.attempts.claims else {
            return Ok(wanted.split_off(room));
        };
        let places = claims.find(run, wanted).await?;
        let (unclaimed, claimed): (Vec<_>, Vec<_>) =
            places.into_iter().partition(|(_, place)| *place == Place::Unclaimed);
        let mut unclaimed: Vec<_> = unclaimed.into_iter().map(|(key, _)| key).collect();
        let others = unclaimed.split_off(room.min(unclaimed.len()));
        *wanted = claimed.into_iter().map(|(key, _)| key).chain(unclaimed).collect();
        Ok(others)
    }

    async fn begin(
        &self,
        view: &RunView,
        generation: u32,
        wanted: Vec<AttemptKey>,
        wanted_at: Instant,
    ) -> Result<(), AttemptsError> {
        let here = self.claim(view.submission.id, generation, wanted).await?;
        fail_point::reach("launcher.claimed");
        let started = self.start(view, &here, wanted_at).await;
        if let Some(claims) = &self.attempts.claims {
            claims.handed_over(&here);
        }
        fail_point::reach("launcher.started");
        let not_taken = started?;
        if !not_taken.is_empty() && not_taken.len() == here.len() {
            // Nothing has come of the command: it comes again as it is, and not at once.
            return Err(AttemptsError::NotTaken);
        }
        self.hand_back(view.submission.id, generation, &not_taken).await
    }

    /// Those that the runtime has not taken.
    async fn start(
        &self,
        view: &RunView,
        keys: &[AttemptKey],
        wanted_at: Instant,
    ) -> Result<Vec<AttemptKey>, AttemptsError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let specs = self.specs(view, keys).await?;
        Ok(self.attempts.runtime.start(specs, wanted_at).await)
    }

    /// Keeps a run's plan no longer.
    pub(crate) fn forget(&self, run: RunId) {
        self.plans.forget(run);
    }

    async fn hand_back(
        &self,
        run: RunId,
        generation: u32,
        keys: &[AttemptKey],
    ) -> Result<(), AttemptsError> {
        if keys.is_empty() {
            return Ok(());
        }
        let attempts =
            keys.iter().map(|it| v1::AttemptRef { step: it.step, attempt: it.attempt }).collect();
        let body = Body::Launch(v1::Launch { generation, attempts });
        let command = v1::Command { run_id: run.to_string(), command: Some(body) };
        let payload = Bytes::from(command.encode_to_vec());
        let subject = Subject::Launch { cluster: self.cluster };
        Ok(self.bus.offer(subject, payload.into()).await?)
    }

    /// Those of the attempts that are this launcher's to create. The others are somebody's already, who is told to see to it.
    async fn claim(
        &self,
        run: RunId,
        generation: u32,
        wanted: Vec<AttemptKey>,
    ) -> Result<Vec<AttemptKey>, AttemptsError> {
        let Some(claims) = self.attempts.claims.as_ref().filter(|_| !wanted.is_empty()) else {
            return Ok(wanted);
        };
        let (mut here, mut away) = (Vec::new(), Vec::new());
        let places = match claims.claim(run, &wanted).await {
            // They have begun before, and claims are of no use any more.
            Err(StoreError::Damaged(_)) if self.attempts.are_here(&wanted).await => None,
            places => places?,
        };
        for (key, place) in places.unwrap_or_default() {
            match place {
                Place::Here => here.push(key),
                Place::There(host) => self.attempts.expect_there(key, host, &mut away),
                Place::Nowhere | Place::Unclaimed => {
                    self.attempts.report(key, AttemptPhase::NotCreated);
                }
            }
        }
        let launch = |attempts| Body::Launch(v1::Launch { generation, attempts });
        match claims.pass_on(run, &away, launch).await {
            // Their hosts have most likely begun them, and the scheduler asks again for what it misses. To insist would keep
            // this command where others need the room.
            Err(BusError::Full { .. }) | Ok(()) => Ok(here),
            Err(error) => {
                claims.handed_over(&here);
                Err(error.into())
            }
        }
    }

    /// Puts together what the runtime needs; an attempt for which that fails is reported as failed.
    async fn specs(
        &self,
        view: &RunView,
        keys: &[AttemptKey],
    ) -> Result<Vec<AttemptSpec>, AttemptsError> {
        let plan = self.plans.of(&*self.store, view).await;
        let planned = match plan {
            Ok(plan) => plan.specs(&*self.store, &self.list_files, view, keys).await,
            Err(error) => Err(error),
        };
        let planned = match planned {
            Ok(planned) => planned,
            Err(PlanError::Store(error)) => return Err(error.into()),
            Err(PlanError::StillReading(error)) => return Err(error.into()),
            Err(error) => {
                for key in keys {
                    self.report_unstartable(*key, &error);
                }
                return Ok(Vec::new());
            }
        };
        let mut specs = Vec::with_capacity(keys.len());
        for (key, planned) in keys.iter().zip(planned) {
            match planned {
                Ok(spec) => specs.push(spec),
                Err(error) => self.report_unstartable(*key, &error),
            }
        }
        results::take(&*self.store, &view.submission.namespace, &mut specs).await?;
        Ok(specs)
    }

    fn report_unstartable(&self, key: AttemptKey, error: &PlanError) {
        let message = error.to_string();
        let reason = match error {
            PlanError::ListFile(error) if error.is_passing() => FailureReason::LaunchFailed,
            _ => FailureReason::CannotStart,
        };
        let failure = Failure { reason, message, exit_code: None, signal: None };
        self.attempts.report(key, AttemptPhase::Failed(failure));
    }
}

/// The attempt of a run that a command names.
pub(crate) fn key(run: RunId, attempt: v1::AttemptRef) -> AttemptKey {
    AttemptKey { run, step: attempt.step, attempt: attempt.attempt }
}

fn standing(
    attempt: v1::AttemptRef,
    generation: u32,
    view: &RunView,
    record: &StepRecord,
) -> Standing {
    let queued = record.state == StepState::Queued && record.attempt == attempt.attempt;
    match (queued, view.record.state) {
        (true, RunState::Running | RunState::Exiting)
            if view.record.launch_generation == generation =>
        {
            Standing::Wanted
        }
        (true, _) => Standing::Withdrawn,
        (false, _) => Standing::Past,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
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
                no_cache: false,
                priority: 0,
                steps: 1,
            }),
            created_at: Timestamp(1),
            version: Version::default(),
            record: RunRecord { state, launch_generation, ..RunRecord::default() },
            step_count: 1,
            amendment: None,
        };
        let record = |state, attempt| StepRecord { state, attempt, ..StepRecord::default() };
        let attempt = v1::AttemptRef { step: 0, attempt: 2 };
        let running = view(RunState::Running, 3);
        let cases = [
            (&running, 3, record(StepState::Queued, 2), Standing::Wanted),
            (&view(RunState::Exiting, 3), 3, record(StepState::Queued, 2), Standing::Wanted),
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
