//! The list of runs, and what a query asks of one.

use std::{cmp::Reverse, ops::Bound};

use windlass_engine::time::Timestamp;
use windlass_proto::id::RunId;

use super::Contents;
use crate::{FinishedRun, FinishedRuns, RunQuery, RunView};

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
            .filter(|view| query.matches(view))
            .take(limit)
            .cloned()
            .collect()
    }

    pub(super) fn finished(&self, limit: usize) -> FinishedRuns {
        let of = |(ended_at, run): &(Timestamp, RunId)| {
            let version = self.runs.get(run)?.view().version;
            Some(FinishedRun { run: *run, version, ended_at: *ended_at })
        };
        FinishedRuns {
            total: self.finished.len() as u64,
            oldest: self.finished.iter().filter_map(of).take(limit).collect(),
        }
    }
}
