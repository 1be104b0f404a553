//! What is known of a run while attempts of it are put together: as much as was asked for.
//!
//! Which steps' outputs a reference needs shows only while its value is looked for: the branch that was taken, the items of a
//! loop. So values are looked for with what is known, what was missing is read, and they are looked for again.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;
use windlass_engine::{
    layout::Layout,
    logic::Facts,
    record::{RunRecord, RunState, StepIndex, StepState},
};
use windlass_pipeline::{allowance, outline::RunSteps};
use windlass_proto::id::RunId;
use windlass_store::{Store, StoreError};

use crate::runtime::AttemptKey;

/// A run, as far as it is known.
#[derive(Debug)]
pub(crate) struct KnownRun<'a> {
    pub(crate) steps: &'a RunSteps,
    record: &'a RunRecord,
    read: BTreeMap<StepIndex, Read>,
    /// How many attempts ran out of memory before one.
    ran_out: BTreeMap<AttemptKey, u32>,
    missing: RefCell<Missing>,
}

/// What was asked for and is not known.
#[derive(Debug, Default)]
struct Missing {
    steps: BTreeSet<StepIndex>,
    /// How many ran out of memory before these.
    ran_out: BTreeSet<AttemptKey>,
}

/// What was read of a step.
#[derive(Debug)]
struct Read {
    state: StepState,
    outputs: Option<Arc<Value>>,
}

impl<'a> KnownRun<'a> {
    /// A run of which only the steps are known.
    pub(crate) fn new(steps: &'a RunSteps, record: &'a RunRecord) -> Self {
        let (read, ran_out) = (BTreeMap::new(), BTreeMap::new());
        Self { steps, record, read, ran_out, missing: RefCell::default() }
    }

    /// Reads what was asked for in vain. False where that was nothing.
    pub(crate) async fn learn(
        &mut self,
        store: &dyn Store,
        run: RunId,
    ) -> Result<bool, StoreError> {
        let Missing { steps, ran_out } = self.missing.take();
        let has_learnt = !steps.is_empty() || !ran_out.is_empty();
        if !steps.is_empty() {
            self.learn_steps(store, run, steps.into_iter().collect()).await?;
        }
        for key in ran_out {
            let attempts = store.read_attempts(run, StepIndex(key.step)).await?;
            self.ran_out.insert(key, allowance::ran_out(&attempts, key.attempt));
        }
        Ok(has_learnt)
    }

    async fn learn_steps(
        &mut self,
        store: &dyn Store,
        run: RunId,
        missing: Vec<StepIndex>,
    ) -> Result<(), StoreError> {
        let records = store.read_steps(run, &missing).await?;
        let mut outputs = store.read_outputs(run, &missing).await?;
        // Of a run that is gone nothing is known, and nobody wants its attempts.
        let records = records.map(|(_, records)| records).unwrap_or_default();
        let mut records = records.into_iter();
        for step in missing {
            let record = records.next().unwrap_or_default();
            // What an earlier attempt wrote is not an output of a step that was done again and failed.
            let written = outputs.remove(&step).filter(|_| record.latest_succeeded());
            let outputs = written.and_then(|text| serde_json::from_str(&text).ok()).map(Arc::new);
            self.read.insert(step, Read { state: record.state, outputs });
        }
        Ok(())
    }

    /// How many attempts of its step ran out of memory before this one.
    pub(crate) fn ran_out_before(&self, key: AttemptKey) -> u32 {
        let known = self.ran_out.get(&key).copied();
        if known.is_none() {
            self.missing.borrow_mut().ran_out.insert(key);
        }
        known.unwrap_or(0)
    }

    fn read<T>(&self, step: StepIndex, what: impl FnOnce(&Read) -> T) -> Option<T> {
        let read = self.read.get(&step);
        if read.is_none() {
            self.missing.borrow_mut().steps.insert(step);
        }
        read.map(what)
    }
}

impl Facts for KnownRun<'_> {
    fn layout(&self) -> &Layout {
        self.steps.layout()
    }

    fn state(&self, step: StepIndex) -> StepState {
        self.read(step, |read| read.state).unwrap_or_default()
    }

    fn outputs(&self, step: StepIndex) -> Option<Arc<Value>> {
        self.read(step, |read| read.outputs.clone()).flatten()
    }

    fn run_state(&self) -> RunState {
        self.record.outcome()
    }
}
