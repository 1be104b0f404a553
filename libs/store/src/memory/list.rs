//! The list of runs, and what a query asks of one.

use std::{cmp::Reverse, ops::Bound};

use windlass_engine::time::Timestamp;
use windlass_proto::{convert, id::RunId};

use super::Contents;
use crate::{RunQuery, RunView};

/// A run's place in the list, ordered as the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    created_at: Reverse<Timestamp>,
    run: RunId,
}

impl Place {
    pub(super) fn new(created_at: Timestamp, run: RunId) -> Self {
        Self { created_at: Reverse(created_at), run }
    }
}

impl Contents {
    pub(super) fn list(&self, query: &RunQuery, limit: usize) -> Vec<RunView> {
        let after = query.after.map(|after| Place::new(after.created_at, after.run));
        self.list
            .range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
            .filter_map(|place| self.runs.get(&place.run))
            .map(super::Run::view)
            .filter(|view| matches(query, view))
            .take(limit)
            .cloned()
            .collect()
    }
}

fn matches(query: &RunQuery, view: &RunView) -> bool {
    let submission = &view.submission;
    let has_label = |(name, value)| submission.labels.get(name) == Some(value);
    query.namespace.as_ref().is_none_or(|namespace| *namespace == submission.namespace)
        && query.pipeline.as_ref().is_none_or(|pipeline| *pipeline == submission.pipeline)
        && query.labels.iter().all(has_label)
        && (query.states.is_empty() || query.states.contains(&convert::run_state(&view.record)))
        && query.created_after.is_none_or(|time| view.created_at >= time)
        && query.created_before.is_none_or(|time| view.created_at < time)
}
