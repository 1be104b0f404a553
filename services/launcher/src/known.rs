//! What is known of a run while attempts of it are put together: as much as was asked for.
//!
//! Which steps' outputs a reference needs shows only while its value is looked for: the branch that was taken, the items of a
//! loop. So values are looked for with what is known, what was missing is read, and they are looked for again. Items of list
//! files are found in the same way.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::future;
use serde_json::Value;
use windlass_engine::{
    layout::Layout,
    logic::Facts,
    record::{RunRecord, RunState, StepIndex, StepState},
};
use windlass_pipeline::{
    allowance,
    list_file::{ListFile, ListFiles},
    outline::RunSteps,
};
use windlass_proto::id::RunId;
use windlass_store::{Store, StoreError};

use crate::{
    list_files::{ListError, ListReader},
    plan::PlanError,
    runtime::AttemptKey,
};

/// A run, as far as it is known.
#[derive(Debug)]
pub(crate) struct KnownRun<'a> {
    pub(crate) steps: &'a RunSteps,
    record: &'a RunRecord,
    read: BTreeMap<StepIndex, Read>,
    /// How many attempts ran out of memory before one.
    ran_out: BTreeMap<AttemptKey, u32>,
    items: BTreeMap<ListFile, BTreeMap<u32, Result<Value, ListError>>>,
    missing: RefCell<Missing>,
    /// Of the items that were asked for the latest that cannot be had.
    failed: RefCell<Option<ListError>>,
}

/// What was asked for and is not known.
#[derive(Debug, Default)]
struct Missing {
    steps: BTreeSet<StepIndex>,
    /// How many ran out of memory before these.
    ran_out: BTreeSet<AttemptKey>,
    items: BTreeMap<ListFile, BTreeSet<u32>>,
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
        Self {
            steps,
            record,
            read: BTreeMap::new(),
            ran_out: BTreeMap::new(),
            items: BTreeMap::new(),
            missing: RefCell::default(),
            failed: RefCell::default(),
        }
    }

    /// Reads what was asked for in vain. False where that was nothing.
    pub(crate) async fn learn(
        &mut self,
        store: &dyn Store,
        list_files: &ListReader,
        run: RunId,
    ) -> Result<bool, PlanError> {
        let Missing { steps, ran_out, items } = self.missing.take();
        let has_learnt = !(steps.is_empty() && ran_out.is_empty() && items.is_empty());
        if !steps.is_empty() {
            self.learn_steps(store, run, steps.into_iter().collect()).await?;
        }
        for key in ran_out {
            let attempts = store.read_attempts(run, StepIndex(key.step)).await?;
            self.ran_out.insert(key, allowance::ran_out(&attempts, key.attempt));
        }
        // One file that does not come keeps no other waiting.
        let items = items.into_iter().map(async |(list, wanted)| {
            let read = list_files.items(&list, wanted).await;
            (list, read)
        });
        for (list, read) in future::join_all(items).await {
            self.items.entry(list).or_default().extend(read?);
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

    /// What is wrong with an item that was asked for since this was called before; none where nothing is.
    pub(crate) fn take_failed_item(&self) -> Option<ListError> {
        self.failed.take()
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

impl ListFiles for KnownRun<'_> {
    fn item(&self, list: &ListFile, index: u32) -> Option<Value> {
        let known = self.items.get(list).and_then(|items| items.get(&index));
        match known {
            Some(Ok(item)) => return Some(item.clone()),
            Some(Err(error)) => {
                self.failed.replace(Some(error.clone()));
            }
            None => {
                let mut missing = self.missing.borrow_mut();
                missing.items.entry(list.clone()).or_default().insert(index);
            }
        }
        None
    }
}
