//! What was told of each step, so that nothing is told twice: a step may change in ways that nobody wants to read of.

use windlass_client::v1::{LogLine, StepState};

use crate::{
    follow::StepChange,
    render::{Theme, lines, words},
};

#[derive(Debug, Default)]
pub(super) struct Told {
    steps: Vec<Last>,
    /// Columns of the longest name.
    name_width: usize,
}

/// A step as it was last told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Last {
    state: StepState,
    attempt: u32,
    /// Failures of every kind.
    failures: u32,
}

impl Told {
    /// What is to be told of a step that changed, in order: at most that an attempt failed that has a successor already,
    /// and what became of the step.
    pub(super) fn news(&mut self, change: &StepChange, theme: &Theme) -> Vec<String> {
        let step = &change.step;
        self.name_width = self.name_width.max(words::width(&step.name));
        let place = step.index as usize;
        if place >= self.steps.len() {
            self.steps.resize(place + 1, Last::default());
        }
        let (state, attempt) = (step.state(), step.attempt);
        let now = Last { state, attempt, failures: step.failures + step.losses };
        let before = std::mem::replace(&mut self.steps[place], now);
        let tells_of_failure = matches!(state, StepState::Delayed | StepState::Failed);
        let failed_unseen = before.attempt > 0
            && now.failures > before.failures
            && attempt > before.attempt
            && !tells_of_failure;
        let mut news = Vec::new();
        if failed_unseen {
            news.push(lines::tried_again(step, change.failed_before.as_deref(), theme));
        }
        if (before.state, before.attempt) != (state, attempt) {
            news.extend(lines::happened(step, change.at, theme));
        }
        news
    }

    /// The columns that names need before these lines. The names of steps are known from the start, but for those of a
    /// run that is too large to tell of each.
    pub(super) fn name_width(&mut self, lines: &[&LogLine]) -> usize {
        let widest = lines.iter().map(|line| words::width(&line.step)).max().unwrap_or(0);
        self.name_width = self.name_width.max(widest);
        self.name_width.min(lines::MAX_NAME_WIDTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use windlass_client::v1::StepStatus;

    #[test]
    fn a_step_is_told_of_when_its_state_or_attempt_is_another() {
        let (mut told, theme) = (Told::default(), samples::theme());
        let mut step = samples::step("load", StepState::Running);
        step.index = 3;
        let mut news = |step: &_| {
            let failed_before = Some("it hung".to_owned());
            let change =
                StepChange { at: samples::now(), step: StepStatus::clone(step), failed_before };
            told.news(&change, &theme)
        };
        assert_eq!(news(&step), ["load started"]);
        step.message = "still at it".to_owned();
        assert!(news(&step).is_empty());
        (step.attempt, step.failures) = (2, 1);
        step.set_state(StepState::Queued);
        assert_eq!(news(&step), ["load failed in attempt 1: it hung; it is tried again"]);
        step.set_state(StepState::Running);
        assert_eq!(news(&step), ["load started (attempt 2)"]);
        step.failures = 2;
        step.set_state(StepState::Delayed);
        assert_eq!(news(&step), ["load failed in attempt 2: still at it"]);
    }
}
