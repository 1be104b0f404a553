//! The pods that a case has created: the same by Windlass and by the bare client.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use windlass_proto::v1::{self, step::Work as StepWork};

/// What the pods' image is called. Nodes that are played never fetch it.
pub(crate) const IMAGE: &str = "example.com/work:1";

/// What the program of a pod is.
pub(crate) const COMMAND: &str = "true";

/// What the pipeline is called.
pub(crate) const PIPELINE: &str = "benchmark";

/// Runs and their pods.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) runs: u32,
    pub(crate) steps: u32,
    /// Whether a step waits for the one before it, or for none.
    pub(crate) is_chain: bool,
    /// From one run's beginning to the next one's.
    pub(crate) gap: Duration,
    /// How long a pod runs once it was said to run.
    pub(crate) pod_runs: Duration,
}

impl Work {
    /// How many pods there are.
    pub(crate) fn pods(&self) -> usize {
        self.runs as usize * self.steps as usize
    }

    /// What a step is called.
    pub(crate) fn step_name(index: u32) -> String {
        format!("s{index}")
    }

    /// What a step asks of its pod: how the node that is played has it behave.
    pub(crate) fn pod(&self) -> v1::Pod {
        let millis = self.pod_runs.as_millis();
        let run_for = (millis > 0).then(|| ("fake/run-for".to_owned(), format!("{millis}ms")));
        v1::Pod {
            annotations: run_for.into_iter().collect::<BTreeMap<_, _>>(),
            ..v1::Pod::default()
        }
    }

    /// A run's submission.
    pub(crate) fn submission(&self, request_id: String) -> v1::SubmitRunRequest {
        let steps = (0..self.steps).map(|index| self.step(index)).collect();
        let pipeline = v1::Pipeline { name: PIPELINE.into(), steps, ..Default::default() };
        v1::SubmitRunRequest { request_id, pipeline: Some(pipeline), ..Default::default() }
    }

    fn step(&self, index: u32) -> v1::Step {
        let task = v1::Task {
            image: IMAGE.into(),
            command: vec![COMMAND.into()],
            pod: Some(Box::new(self.pod())),
            ..Default::default()
        };
        let before = index.checked_sub(1).filter(|_| self.is_chain);
        v1::Step {
            name: Self::step_name(index),
            depends_on: before.map(Self::step_name).into_iter().collect(),
            work: Some(StepWork::Task(Box::new(task))),
            ..Default::default()
        }
    }
}
