//! What was told of each step, so that nothing is told twice: a step may change in ways that nobody wants to read of.

use jiff::Timestamp;
use windlass_client::v1::{LogLine, StepState};

use crate::{
    follow::{StepChange, tells_of_failure},
    render::{self, SkippedGroup, Theme, lines, words},
};

/// Steps that are skipped together and told of one by one; where there are more, they are summed up.
const MAX_TOLD_SKIPPED: usize = 5;

/// Something to be told of steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct News {
    /// When it took place.
    pub(super) at: Timestamp,
    /// The state that the step, or each of them, is in now.
    pub(super) state: StepState,
    pub(super) text: String,
}

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
    /// What is to be told of steps that changed, in order.
    pub(super) fn news(&mut self, changes: &[&StepChange], theme: &Theme) -> Vec<News> {
        let mut news = Vec::new();
        let (mut skipped, mut last_skipped) = (Vec::new(), 0);
        for change in changes {
            let state = change.step.state();
            let told = self.news_of(change, theme);
            if state == StepState::Skipped && !told.is_empty() {
                skipped.push(*change);
                last_skipped = news.len();
            }
            news.extend(told.into_iter().map(|text| News { at: change.at, state, text }));
        }
        if let [.., last] = skipped.as_slice()
            && skipped.len() > MAX_TOLD_SKIPPED
        {
            let groups = SkippedGroup::group(skipped.iter().map(|change| &change.step));
            let lines = render::skipped(&groups, skipped.len()).into_iter();
            let summed_up = lines.map(|text| News { at: last.at, state: StepState::Skipped, text });
            let after = news.split_off(last_skipped + 1);
            news.retain(|news| news.state != StepState::Skipped);
            news.extend(summed_up);
            news.extend(after);
        }
        news
    }

    /// What is to be told of a step that changed, in order: at most that an attempt failed that has a successor already,
    /// and what became of the step.
    fn news_of(&mut self, change: &StepChange, theme: &Theme) -> Vec<String> {
        let step = &change.step;
        self.name_width = self.name_width.max(words::width(&step.name));
        let place = step.index as usize;
        if place >= self.steps.len() {
            self.steps.resize(place + 1, Last::default());
        }
        let (state, attempt) = (step.state(), step.attempt);
        let now = Last { state, attempt, failures: step.failures + step.losses };
        let before = std::mem::replace(&mut self.steps[place], now);
        let failed_unseen = before.attempt > 0
            && now.failures > before.failures
            && attempt > before.attempt
            && !tells_of_failure(step);
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
        let widest = lines.iter().map(|line| lines::source_width(line)).max().unwrap_or(0);
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
            told.news_of(&change, &theme)
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
    #[test]
    fn many_steps_that_are_skipped_together_are_summed_up() {
        let change = |name: String, index, state, message: &str| {
            let mut step = samples::step(&name, state);
            (step.index, step.message) = (index, message.to_owned());
            StepChange { at: samples::now(), step, failed_before: None }
        };
        let because = "skipped because step `a` failed";
        let mut changes = vec![change("a".to_owned(), 0, StepState::Failed, "")];
        changes.extend(
            (1..=900).map(|index| change(format!("s{index}"), index, StepState::Skipped, because)),
        );
        changes.push(change("b".to_owned(), 901, StepState::Running, ""));
        let told = |count: usize| {
            let skipped = changes[1..].iter().take(count);
            let changes: Vec<_> = skipped.chain([&changes[0], &changes[901]]).collect();
            let news = Told::default().news(&changes, &samples::theme());
            news.into_iter().map(|news| news.text).collect::<Vec<_>>()
        };
        assert_eq!(
            told(900),
            [
                "skipped: 900 steps, because step `a` failed: s1, s2, s3 and 897 more",
                "a failed",
                "b started"
            ]
        );
        assert_eq!(told(1), ["s1 skipped because step `a` failed", "a failed", "b started"]);
    }
}
