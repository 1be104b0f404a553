//! How the services end: in order, or at once with a run's attempts stopped.

use std::{collections::BTreeSet, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use windlass_client::v1::{ListStepsRequest, StepState, StepStatus};
use windlass_launcher::runtime::AttemptKey;
use windlass_proto::id::RunId;

use super::Embedded;

/// How long what works on runs may take to end when somebody wants to leave at once.
const LAST_WORK: Duration = Duration::from_millis(500);
/// How often it is looked whether an attempt that is being created is there.
const INTERVAL: Duration = Duration::from_millis(5);
/// The states of steps that may have an attempt.
const WITH_ATTEMPT: [StepState; 4] =
    [StepState::Queued, StepState::Starting, StepState::Running, StepState::Stopping];

impl Embedded {
    /// Ends the services in order: those that take requests first. Steps that run as processes go on under their
    /// supervisors, and are found again by the next start on the same state directory.
    pub async fn shutdown(self) {
        self.stop_serving.cancel();
        self.stop_working.cancel();
        for task in self.working {
            // A service that panicked has said so.
            let _ = task.await;
        }
        let _ = self.serving.await;
        drop(self.runtime);
        drop(self.state);
    }

    /// Ends the services, and returns when all attempts of a run have been told to stop. For who leaves a run that is being
    /// cancelled: nobody would tell them later. No service is needed for that, and none that hangs is waited for.
    pub async fn leave(mut self, run: RunId) {
        self.stop_working.cancel();
        end(&mut self.working).await;
        // From here on nothing new is ordered: what may run is what was committed, and what the runtime knows.
        self.stop_attempts(run).await;
        self.shutdown().await;
    }

    async fn stop_attempts(&self, run: RunId) {
        let mut attempts: BTreeSet<AttemptKey> = self.committed_attempts(run).await;
        loop {
            let there: BTreeSet<_> =
                self.runtime.known().await.into_iter().filter(|key| key.run == run).collect();
            attempts.extend(&there);
            for key in &attempts {
                self.runtime.stop(*key).await;
            }
            // One that is being created is told when it is there, and only while the runtime lives.
            let mut is_told = true;
            for key in attempts.difference(&there) {
                is_told &= !self.runtime.probe(*key).await;
            }
            if is_told {
                return;
            }
            sleep(INTERVAL).await;
        }
    }

    /// The attempts that launchers may have been told to start. None where the store does not answer: then the runtime's own
    /// knowledge has to do.
    async fn committed_attempts(&self, run: RunId) -> BTreeSet<AttemptKey> {
        let states = WITH_ATTEMPT.map(i32::from).to_vec();
        let request =
            ListStepsRequest { run_id: run.to_string(), states, ..ListStepsRequest::default() };
        let steps = timeout(LAST_WORK, self.client().list_steps(request).all()).await;
        let steps = steps.ok().and_then(Result::ok).unwrap_or_default();
        let key = |step: StepStatus| AttemptKey { run, step: step.index, attempt: step.attempt };
        steps.into_iter().map(key).collect()
    }
}

/// Waits for tasks for a moment, then ends them wherever they are, as a crash might.
async fn end(tasks: &mut Vec<JoinHandle<()>>) {
    let all = async {
        for task in &mut *tasks {
            let _ = task.await;
        }
    };
    if timeout(LAST_WORK, all).await.is_err() {
        tasks.iter().for_each(JoinHandle::abort);
    }
    tasks.clear();
}
