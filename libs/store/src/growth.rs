//! How a run grows when its loops expand: what a commit may add, and whether what is stored can have come from that.

use windlass_engine::layout::{Expansion, STEPS_MAX};
use windlass_proto::id::RunId;

use crate::{Commit, RunView, StoreError, no_such_step};

impl Commit {
    /// How many steps a run has after this, which had so many before; or why it cannot be done.
    pub(crate) fn steps_after(&self, before: u32) -> Result<u32, String> {
        let after = self.step_count.max(before);
        if self.step_count > STEPS_MAX {
            return Err(too_many_steps(self.run, after));
        }
        match self.steps.iter().map(|(step, _)| *step).find(|step| step.0 >= after) {
            Some(step) => Err(no_such_step(self.run, after, step)),
            None => Ok(after),
        }
    }
}

fn too_many_steps(run: RunId, steps: u32) -> String {
    format!("run {run} would have {steps} steps, and may have {STEPS_MAX}")
}

/// Refuses what cannot be the expansions of a run from the `from`-th on: each gets the steps that follow those of the one
/// before, the first one those that follow the steps that the run began with.
pub(crate) fn check_expansions(
    view: &RunView,
    from: usize,
    expansions: &[Expansion],
) -> Result<(), StoreError> {
    let damaged = |why: String| StoreError::Damaged(format!("run {}: {why}", view.submission.id));
    let (began_with, steps) = (view.submission.steps, view.step_count);
    if from == 0 && expansions.is_empty() && steps != began_with {
        let why = format!("it began with {began_with} steps and has {steps}, and no loop expanded");
        return Err(damaged(why));
    }
    let mut next = began_with;
    for (number, expansion) in (from..).zip(expansions) {
        let Expansion { step, first, items } = *expansion;
        let is_next = if number == 0 { first.0 == next } else { first.0 >= next };
        // An item has a step at least.
        let beyond = first.0.checked_add(items).filter(|beyond| *beyond <= steps);
        let Some(beyond) = beyond.filter(|_| is_next && step < first) else {
            return Err(damaged(format!(
                "step {} cannot have expanded to {items} items from step {} on: it has {steps} steps",
                step.0, first.0
            )));
        };
        next = beyond;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use windlass_engine::{
        record::{RunRecord, StepIndex},
        time::Timestamp,
    };

    use super::*;
    use crate::{Submission, Version};

    /// A run that began with 10 steps.
    fn view(step_count: u32) -> RunView {
        let submission = Submission {
            id: "run_00000000000000000000000001".parse().unwrap(),
            namespace: "team".into(),
            pipeline: "nightly".into(),
            labels: std::collections::BTreeMap::new(),
            arguments_json: "{}".into(),
            digest: [0; 32],
            rerun_of: None,
            no_cache: false,
            priority: 0,
            steps: 10,
        };
        RunView {
            submission: Arc::new(submission),
            created_at: Timestamp(1),
            version: Version::FIRST,
            record: RunRecord::default(),
            step_count,
            amendment: None,
        }
    }

    fn expansion((step, first, items): (u32, u32, u32)) -> Expansion {
        Expansion { step: StepIndex(step), first: StepIndex(first), items }
    }

    #[test]
    fn expansions_that_no_run_can_have_are_told_from_others() {
        let is_sound = |steps, from, expansions: &[_]| {
            let expansions: Vec<_> = expansions.iter().copied().map(expansion).collect();
            check_expansions(&view(steps), from, &expansions).is_ok()
        };
        assert!(is_sound(10, 0, &[]));
        assert!(is_sound(30, 0, &[(1, 10, 5), (2, 20, 0), (12, 20, 10)]));
        assert!(is_sound(30, 1, &[(2, 20, 0), (12, 20, 10)]), "behind another one");
        assert!(is_sound(30, 3, &[]), "there is nothing new");

        assert!(!is_sound(30, 0, &[]), "they are gone");
        assert!(!is_sound(30, 0, &[(12, 20, 10)]), "the first is gone");
        assert!(!is_sound(9, 0, &[]), "steps are gone");
        assert!(!is_sound(30, 0, &[(1, 10, 5), (2, 14, 5)]), "they overlap");
        assert!(!is_sound(30, 1, &[(2, 9, 5)]), "among the steps that it began with");
        assert!(!is_sound(30, 1, &[(20, 20, 5)]), "in itself");
        assert!(!is_sound(30, 1, &[(2, 20, 11)]), "beyond the last step");
        assert!(!is_sound(30, 1, &[(2, 20, u32::MAX)]), "beyond any step");
    }
}
