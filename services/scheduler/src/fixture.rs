//! What unit tests of turns begin with.

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message as _;
use windlass_bus::{Bus, MemoryBus};
use windlass_engine::record::{RunRecord, StepState};
use windlass_proto::{
    id::RunId,
    v1::{self, step::Work},
};
use windlass_service::dead_letters::DeadLetters;
use windlass_store::{MemoryStore, NewRun, Store, Submission};

use crate::{Ownership, SchedulerConfig, partition::Partition};

pub(crate) fn run_id() -> RunId {
    "run_0123456789abcdefghijklmnop".parse().unwrap()
}

/// A loop that has not begun.
pub(crate) fn partition(store: &Arc<dyn Store>) -> Partition {
    let number = |number| NonZeroUsize::new(number).unwrap();
    let config = SchedulerConfig {
        partitions: 1,
        ownership: Ownership::All,
        launch_window: number(8),
        command_size: number(8),
        batch: number(8),
        sweep: Duration::from_hours(1),
        retention: None,
    };
    let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
    let dead_letters = Arc::new(DeadLetters::new(bus.clone()));
    Partition::new(0, config, bus, store.clone(), dead_letters, Arc::default())
}

/// A step that runs a program without arguments.
pub(crate) fn step(name: &str, program: &str) -> v1::Step {
    let task = v1::Task { command: vec![program.into()], ..v1::Task::default() };
    let work = Some(Work::Task(Box::new(task)));
    v1::Step { name: name.into(), work, ..v1::Step::default() }
}

/// A store that has a run of this pipeline.
pub(crate) async fn store(pipeline: v1::Pipeline, arguments_json: &str) -> Arc<dyn Store> {
    let steps = u32::try_from(pipeline.steps.len()).unwrap();
    let submission = Submission {
        id: run_id(),
        namespace: "team".into(),
        pipeline: "p".into(),
        labels: BTreeMap::new(),
        arguments_json: arguments_json.into(),
        digest: [0; 32],
        rerun_of: None,
        no_cache: false,
        priority: 0,
        steps,
    };
    let mut record = RunRecord::default();
    record.counts[StepState::Waiting as usize] = steps;
    let pipeline = Bytes::from(pipeline.encode_to_vec());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    store.create(NewRun { submission, pipeline, record }).await.unwrap();
    store
}
