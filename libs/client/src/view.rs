//! The state of a run as a watch puts it together: parts of a snapshot, then what changes. No I/O.

use windlass_proto::v1::{
    Run, RunSnapshot, RunState, StepStatus, WatchRunResponse, watch_run_response::Event,
};

/// A run and its steps, by index.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) run: Run,
    pub(crate) steps: Vec<StepStatus>,
    /// The parts of a snapshot whose last one has not come.
    parts: Vec<StepStatus>,
}

impl View {
    /// Takes in a message. The indices of the steps that are other than before; none if the message was a part of a
    /// snapshot whose last one has not come, or held nothing.
    pub(crate) fn apply(&mut self, message: WatchRunResponse) -> Option<Vec<u32>> {
        match message.event? {
            Event::Snapshot(part) => self.apply_part(part),
            Event::Delta(delta) => {
                if let Some(run) = delta.run {
                    self.run = run;
                }
                Some(delta.steps.into_iter().filter_map(|step| self.set(step)).collect())
            }
        }
    }

    /// Forgets the parts of a snapshot that broke off.
    pub(crate) fn drop_parts(&mut self) {
        self.parts = Vec::new();
    }

    /// Whether the run has ended, and nothing more will change.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.run.state(), RunState::Succeeded | RunState::Failed | RunState::Cancelled)
    }

    fn apply_part(&mut self, part: RunSnapshot) -> Option<Vec<u32>> {
        if let Some(run) = part.run {
            self.run = run;
        }
        self.parts.extend(part.steps);
        if !part.last {
            return None;
        }
        // Steps never vanish from a run, so a second snapshot is taken in like a delta: whoever watches sees what has
        // changed while the connection was broken, and nothing twice.
        let steps = std::mem::take(&mut self.parts);
        Some(steps.into_iter().filter_map(|step| self.set(step)).collect())
    }

    /// Puts a step in its place; its index if it is other than what was there.
    fn set(&mut self, step: StepStatus) -> Option<u32> {
        let index = step.index;
        let place = index as usize;
        // A run has at most so many steps: an index beyond is a sender's defect, and no reason to take all memory.
        if place >= MAX_STEPS {
            return None;
        }
        if place >= self.steps.len() {
            self.steps.resize_with(place + 1, StepStatus::default);
        }
        let changed = self.steps[place] != step;
        self.steps[place] = step;
        changed.then_some(index)
    }
}

/// The most steps of a run, those of its loops' items included.
const MAX_STEPS: usize = 16_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_proto::v1::{RunDelta, StepState};

    fn step(index: u32, state: StepState) -> StepStatus {
        StepStatus {
            name: format!("s{index}"),
            index,
            state: state.into(),
            ..StepStatus::default()
        }
    }

    fn snapshot(version: u64, steps: Vec<StepStatus>, last: bool) -> WatchRunResponse {
        let run = Some(Run { version, ..Run::default() });
        WatchRunResponse { event: Some(Event::Snapshot(RunSnapshot { run, steps, last })) }
    }

    fn delta(version: u64, steps: Vec<StepStatus>) -> WatchRunResponse {
        let run = Some(Run { version, ..Run::default() });
        WatchRunResponse { event: Some(Event::Delta(RunDelta { run, steps })) }
    }

    #[test]
    fn a_snapshot_is_seen_when_it_is_whole_and_a_delta_at_once() {
        let mut view = View::default();
        assert_eq!(view.apply(snapshot(4, vec![step(0, StepState::Running)], false)), None);
        assert_eq!(
            view.apply(snapshot(4, vec![step(1, StepState::Waiting)], true)),
            Some(vec![0, 1])
        );
        assert_eq!(view.apply(delta(5, vec![step(1, StepState::Running)])), Some(vec![1]));
        assert_eq!(view.run.version, 5);
        assert_eq!(view.steps, [step(0, StepState::Running), step(1, StepState::Running)]);
    }

    #[test]
    fn a_second_snapshot_tells_only_what_changed_and_a_broken_one_nothing() {
        let mut view = View::default();
        view.apply(snapshot(
            1,
            vec![step(0, StepState::Running), step(1, StepState::Waiting)],
            true,
        ));
        assert_eq!(view.apply(snapshot(2, vec![step(1, StepState::Failed)], false)), None);
        view.drop_parts();
        let second = vec![step(0, StepState::Succeeded), step(1, StepState::Waiting)];
        assert_eq!(view.apply(snapshot(3, second.clone(), true)), Some(vec![0]));
        assert_eq!(view.steps, second);
    }

    #[test]
    fn a_step_beyond_the_largest_run_is_left_out() {
        let mut view = View::default();
        assert_eq!(view.apply(delta(1, vec![step(u32::MAX, StepState::Running)])), Some(vec![]));
        assert!(view.steps.is_empty());
    }
}
