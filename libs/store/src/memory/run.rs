//! One run as it is held in memory.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use windlass_engine::{
    event::Order,
    layout::Expansion,
    record::{AttemptRecord, StepIndex, StepRecord},
    time::Timestamp,
};

use crate::{
    Commit, NewRun, Placed, PlacedOrder, RunView, StoreError, StoredRun, Version, codec,
    run::ORDER_OVERHEAD,
};

#[derive(Debug)]
pub(super) struct Run {
    view: RunView,
    pipeline: Bytes,
    steps: Vec<StepRecord>,
    expansions: Vec<Expansion>,
    attempts: BTreeMap<(StepIndex, u32), AttemptRecord>,
    outputs: HashMap<StepIndex, Arc<str>>,
    claims: HashMap<(StepIndex, u32), Arc<str>>,
    orders: VecDeque<PlacedOrder>,
    /// Of the latest order that was placed, taken or not.
    order_sequence: u64,
}

impl Run {
    pub(super) fn new(run: NewRun, created_at: Timestamp) -> Self {
        let step_count = run.submission.steps;
        Self {
            view: RunView {
                submission: Arc::new(run.submission),
                created_at,
                version: Version::FIRST,
                record: run.record,
                step_count,
                amendment: None,
            },
            pipeline: run.pipeline,
            steps: vec![StepRecord::default(); step_count as usize],
            expansions: Vec::new(),
            attempts: BTreeMap::new(),
            outputs: HashMap::new(),
            claims: HashMap::new(),
            orders: VecDeque::new(),
            order_sequence: 0,
        }
    }

    pub(super) fn view(&self) -> &RunView {
        &self.view
    }

    pub(super) fn is_active(&self) -> bool {
        !self.view.record.state.is_final() || !self.orders.is_empty()
    }

    /// Takes over a commit whose version was checked; or nothing, where that cannot be done.
    pub(super) fn apply(&mut self, commit: Commit) -> Result<Version, String> {
        self.view.step_count = commit.steps_after(self.view.step_count)?;
        self.steps.resize(self.view.step_count as usize, StepRecord::default());
        self.expansions.extend(commit.expansions);
        self.view.version = self.view.version.next(commit.commit);
        self.view.record = commit.record;
        for (step, record) in commit.steps {
            if let Some(place) = self.steps.get_mut(step.0 as usize) {
                *place = record;
            }
        }
        for attempt in commit.attempts {
            self.attempts.insert((attempt.step, attempt.attempt), attempt);
        }
        self.outputs.extend(commit.outputs);
        if commit.amendment.is_some() {
            self.view.amendment = commit.amendment;
        }
        if let Some(taken) = commit.orders_taken {
            self.orders.retain(|order| order.sequence > taken);
        }
        Ok(self.view.version)
    }

    pub(super) fn place_order(&mut self, order: Order) -> Placed {
        let size = |order: &Order| codec::encode_order(order).len();
        let waiting = self.orders.iter().map(|it| size(&it.order) + ORDER_OVERHEAD).sum();
        if let Some(refused) = Placed::refused(size(&order), waiting) {
            return refused;
        }
        self.order_sequence += 1;
        self.orders.push_back(PlacedOrder { sequence: self.order_sequence, order });
        Placed::Waiting
    }

    pub(super) fn load(&self) -> StoredRun {
        StoredRun {
            view: self.view.clone(),
            steps: self.steps.clone(),
            expansions: self.expansions.clone(),
            pipeline: self.pipeline.clone(),
            orders: self.orders(),
        }
    }

    pub(super) fn orders(&self) -> Vec<PlacedOrder> {
        self.orders.iter().cloned().collect()
    }

    pub(super) fn pipeline(&self) -> Bytes {
        self.pipeline.clone()
    }

    pub(super) fn expansions(&self, from: usize) -> Vec<Expansion> {
        self.expansions.get(from..).unwrap_or_default().to_vec()
    }

    pub(super) fn step_range(&self, range: Range<u32>) -> Vec<StepRecord> {
        let end = self.steps.len().min(range.end as usize);
        self.steps.get(range.start as usize..end).unwrap_or_default().to_vec()
    }

    pub(super) fn steps(&self, steps: &[StepIndex]) -> Result<Vec<StepRecord>, StoreError> {
        let (run, count) = (self.view.submission.id, self.view.step_count);
        let record = |step: &StepIndex| {
            let record = self.steps.get(step.0 as usize).copied();
            record.ok_or_else(|| StoreError::no_such_step(run, count, *step))
        };
        steps.iter().map(record).collect()
    }

    pub(super) fn attempts(&self, step: StepIndex) -> Vec<AttemptRecord> {
        self.attempts_of(step).cloned().collect()
    }

    pub(super) fn latest_attempts(
        &self,
        steps: &[StepIndex],
    ) -> BTreeMap<StepIndex, AttemptRecord> {
        let latest = |step: &StepIndex| Some((*step, self.attempts_of(*step).next_back()?.clone()));
        steps.iter().filter_map(latest).collect()
    }

    fn attempts_of(&self, step: StepIndex) -> impl DoubleEndedIterator<Item = &AttemptRecord> {
        self.attempts.range((step, 0)..=(step, u32::MAX)).map(|(_, attempt)| attempt)
    }

    pub(super) fn outputs(&self, steps: &[StepIndex]) -> BTreeMap<StepIndex, Arc<str>> {
        steps.iter().filter_map(|step| Some((*step, self.outputs.get(step)?.clone()))).collect()
    }

    pub(super) fn claim(&mut self, holder: &str, attempts: &[(StepIndex, u32)]) -> Vec<Arc<str>> {
        let holder: Arc<str> = holder.into();
        let mut claim = |attempt: &_| {
            Arc::clone(self.claims.entry(*attempt).or_insert_with(|| Arc::clone(&holder)))
        };
        attempts.iter().map(&mut claim).collect()
    }

    pub(super) fn claims(&self, attempts: &[(StepIndex, u32)]) -> Vec<Option<Arc<str>>> {
        attempts.iter().map(|attempt| self.claims.get(attempt).cloned()).collect()
    }
}
