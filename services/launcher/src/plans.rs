//! The plans of the runs that attempts were created of lately. Pipelines never change; arguments do, where a run is retried with
//! others: a plan is good as long as its arguments are those of the run as it was read with the attempt.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;
use windlass_proto::{encoded::EncodedPipeline, id::RunId};
use windlass_store::{RunView, Store};

use crate::plan::{Plan, PlanError};

/// How many bytes of encoded pipelines are kept: a million steps take up some 50 MB, ten of them some 500 bytes.
const KEPT_BYTES: usize = 128 << 20;

/// How many plans are kept.
const KEPT: usize = 4096;

/// Reads each run's plan once, and keeps as many as there is room for.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    slots: HashMap<RunId, Slot>,
    /// Of all pipelines that were read.
    bytes: usize,
    uses: u64,
}

#[derive(Debug, Default)]
struct Slot {
    /// What the plan is made of, besides the pipeline.
    arguments_json: Arc<str>,
    plan: Arc<OnceCell<Arc<Plan>>>,
    /// 0 until it was read.
    bytes: usize,
    /// The number of the latest use.
    used: u64,
}

impl Plans {
    /// The plan of a run as it is, read from the store where it is not kept. Those who want the same one wait for it together.
    pub(crate) async fn of(
        &self,
        store: &dyn Store,
        run: &RunView,
    ) -> Result<Arc<Plan>, PlanError> {
        let id = run.submission.id;
        let cell = self.lock().using(id, run.arguments_json());
        let plan = cell.get_or_try_init(|| read(store, run)).await?;
        self.lock().keep(id, plan.bytes());
        Ok(Arc::clone(plan))
    }

    /// Keeps a run's plan no longer.
    pub(crate) fn forget(&self, run: RunId) {
        self.lock().remove(run);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(store: &dyn Store, run: &RunView) -> Result<Arc<Plan>, PlanError> {
    let id = run.submission.id;
    let bytes = store.read_pipeline(id).await?.ok_or(PlanError::Gone(id))?;
    Ok(Arc::new(Plan::new(EncodedPipeline::new(bytes)?, run.arguments_json())?))
}

impl Kept {
    fn using(&mut self, run: RunId, arguments_json: &str) -> Arc<OnceCell<Arc<Plan>>> {
        if self.slots.get(&run).is_some_and(|slot| *slot.arguments_json != *arguments_json) {
            self.remove(run);
        }
        self.uses += 1;
        let slot = self
            .slots
            .entry(run)
            .or_insert_with(|| Slot { arguments_json: arguments_json.into(), ..Slot::default() });
        slot.used = self.uses;
        Arc::clone(&slot.plan)
    }

    /// Counts a plan that was read, and gives up those that were used least lately until there is room for it.
    fn keep(&mut self, run: RunId, bytes: usize) {
        // Somebody may have given it up meanwhile.
        let Some(slot) = self.slots.get_mut(&run).filter(|slot| slot.bytes == 0) else {
            return;
        };
        slot.bytes = bytes;
        self.bytes += bytes;
        while self.slots.len() > 1 && (self.bytes > KEPT_BYTES || self.slots.len() > KEPT) {
            let oldest = self.slots.iter().min_by_key(|(_, slot)| slot.used).map(|(run, _)| *run);
            if let Some(oldest) = oldest {
                self.remove(oldest);
            }
        }
    }

    fn remove(&mut self, run: RunId) {
        if let Some(slot) = self.slots.remove(&run) {
            self.bytes -= slot.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: usize) -> RunId {
        format!("run_{number:026}").parse().unwrap()
    }

    #[test]
    fn what_was_used_least_lately_makes_room() {
        let mut kept = Kept::default();
        for number in 0..4 {
            kept.using(run(number), "{}");
            kept.keep(run(number), KEPT_BYTES / 4);
        }
        kept.using(run(0), "{}");
        kept.using(run(4), "{}");
        kept.keep(run(4), KEPT_BYTES / 2);
        let mut left: Vec<_> = kept.slots.keys().copied().collect();
        left.sort();
        assert_eq!(left, [0, 3, 4].map(run));
        assert_eq!(kept.bytes, KEPT_BYTES);
        kept.using(run(5), "{}");
        kept.keep(run(5), KEPT_BYTES * 2);
        assert_eq!(kept.slots.keys().collect::<Vec<_>>(), [&run(5)], "it is kept while it is used");
        for number in 6..KEPT + 16 {
            kept.using(run(number), "{}");
            kept.keep(run(number), 1);
        }
        assert_eq!((kept.slots.len(), kept.bytes), (KEPT, KEPT));
    }
    #[test]
    fn a_plan_is_kept_for_the_arguments_that_it_was_made_of() {
        let mut kept = Kept::default();
        let first = kept.using(run(1), r#"{"day":1}"#);
        kept.keep(run(1), 100);
        assert!(Arc::ptr_eq(&first, &kept.using(run(1), r#"{"day":1}"#)));
        let other = kept.using(run(1), r#"{"day":2}"#);
        assert!(!Arc::ptr_eq(&first, &other), "the run was retried with another day");
        assert_eq!(kept.bytes, 0, "what was given up is not counted");
        kept.keep(run(1), 70);
        assert!(Arc::ptr_eq(&other, &kept.using(run(1), r#"{"day":2}"#)));
        assert_eq!((kept.slots.len(), kept.bytes), (1, 70));
    }
}
