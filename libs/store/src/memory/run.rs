//! One run as it is held in memory.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use windlass_engine::{
    event::Order,
    record::{AttemptRecord, StepIndex, StepRecord},
    time::Timestamp,
};

use crate::{Commit, NewRun, PlacedOrder, RunView, StoreError, StoredRun, Version, no_such_step};

#[derive(Debug)]
pub(super) struct Run {
    view: RunView,
    pipeline: Bytes,
    steps: Vec<StepRecord>,
    attempts: BTreeMap<(StepIndex, u32), AttemptRecord>,
    outputs: HashMap<StepIndex, Arc<str>>,
    claims: HashMap<(StepIndex, u32), Arc<str>>,
    orders: VecDeque<PlacedOrder>,
    /// Of the latest order that was placed, taken or not.
    order_sequence: u64,
}

impl Run {
    pub(super) fn new(run: NewRun, created_at: Timestamp) -> Self {
        let steps = vec![StepRecord::default(); run.submission.steps as usize];
        Self {
            view: RunView {
                submission: Arc::new(run.submission),
                created_at,
                version: Version::FIRST,
                record: run.record,
            },
            pipeline: run.pipeline,
            steps,
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

    pub(super) fn check_steps(
        &self,
        mut steps: impl Iterator<Item = StepIndex>,
    ) -> Result<(), String> {
        match steps.find(|step| self.steps.len() <= step.0 as usize) {
            Some(step) => {
                let submission = &self.view.submission;
                Err(no_such_step(submission.id, submission.steps, step))
            }
            None => Ok(()),
        }
    }

    /// Takes over a commit whose steps and version were checked.
    pub(super) fn apply(&mut self, commit: Commit) -> Version {
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
        if let Some(taken) = commit.orders_taken {
            self.orders.retain(|order| order.sequence > taken);
        }
        self.view.version
    }

    pub(super) fn place_order(&mut self, order: Order) {
        self.order_sequence += 1;
        self.orders.push_back(PlacedOrder { sequence: self.order_sequence, order });
    }

    pub(super) fn load(&self) -> StoredRun {
        StoredRun {
            view: self.view.clone(),
            steps: self.steps.clone(),
            pipeline: self.pipeline.clone(),
            orders: self.orders(),
        }
    }

    pub(super) fn orders(&self) -> Vec<PlacedOrder> {
        self.orders.iter().copied().collect()
    }

    pub(super) fn pipeline(&self) -> Bytes {
        self.pipeline.clone()
    }

    pub(super) fn step_range(&self, range: Range<u32>) -> Vec<StepRecord> {
        let end = self.steps.len().min(range.end as usize);
        self.steps.get(range.start as usize..end).unwrap_or_default().to_vec()
    }

    pub(super) fn steps(&self, steps: &[StepIndex]) -> Result<Vec<StepRecord>, StoreError> {
        self.check_steps(steps.iter().copied()).map_err(StoreError::Damaged)?;
        Ok(steps.iter().filter_map(|step| self.steps.get(step.0 as usize)).copied().collect())
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
