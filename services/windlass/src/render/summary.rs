//! What became of a run, told at its end.

use std::fmt::Write as _;

use jiff::Timestamp;
use windlass_client::v1::{LogLine, Run, StepStatus};

use super::{SkippedGroup, Theme, lines::log_text, skipped::skipped, time, words};

/// What became of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summary {
    pub(crate) run: Run,
    /// The first failed steps; how many there are is in the run.
    pub(crate) failed: Vec<FailedStep>,
    /// The skipped steps, as far as they were looked at.
    pub(crate) skipped: Vec<SkippedGroup>,
}

/// A failed step and the end of what its last attempt wrote.
#[derive(Debug, Clone)]
pub(crate) struct FailedStep {
    pub(crate) step: StepStatus,
    pub(crate) last_lines: Vec<LogLine>,
}

/// How the run ended, what failed and why with its last lines, and what was skipped and why.
pub(crate) fn summary(summary: &Summary, theme: &Theme) -> String {
    let mut text = verdict(&summary.run, theme);
    for failed in &summary.failed {
        text.push('\n');
        text.push_str(&failed_step(failed, theme));
    }
    let counts = summary.run.step_counts.unwrap_or_default();
    let unnamed = (counts.failed as usize).saturating_sub(summary.failed.len());
    if unnamed > 0 && !summary.failed.is_empty() {
        let _ = writeln!(text, "\n… and {} more failed", words::steps(unnamed));
    }
    let skipped = skipped(&summary.skipped, counts.skipped as usize);
    if !skipped.is_empty() {
        let _ = writeln!(text, "\n{}", skipped.join("\n"));
    }
    text
}

fn verdict(run: &Run, theme: &Theme) -> String {
    let state = theme.run_state(run.state(), &words::run_state(run.state()));
    let took = time::between(run.start_time, run.end_time, Timestamp::UNIX_EPOCH)
        .filter(|_| run.end_time.is_some())
        .map(|took| format!(" after {}", time::length(took)))
        .unwrap_or_default();
    let why = words::harmless(&words::why(&run.message, run.reason()));
    let why = if why.is_empty() { why } else { format!(": {why}") };
    let counts = run.step_counts.unwrap_or_default();
    let parts = [
        (counts.succeeded, "succeeded"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.cancelled, "cancelled"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<_> =
        parts.map(|(count, word)| format!("{} {word}", words::number(count as usize))).collect();
    format!(
        "{} {} {state}{took}{why}\n{}: {}\n",
        theme.bold(&run.run_id),
        words::harmless(&run.pipeline),
        words::steps(counts.total as usize),
        if parts.is_empty() { "none has ended".to_owned() } else { parts.join(", ") },
    )
}

fn failed_step(FailedStep { step, last_lines }: &FailedStep, theme: &Theme) -> String {
    let took = time::between(step.start_time, step.end_time, Timestamp::UNIX_EPOCH)
        .map(|took| format!(" after {}", time::length(took)))
        .unwrap_or_default();
    let attempts = match step.attempt {
        0 | 1 => String::new(),
        number => format!(" in attempt {number}"),
    };
    let why = words::harmless(&words::why(&step.message, step.reason()));
    let name = theme.bold(&words::harmless(&step.name));
    let mut text = format!("{} {name}{attempts}{took}: {why}\n", theme.bad("failed:"));
    for line in last_lines {
        let _ = writeln!(text, "  {} {}", theme.dim("|"), log_text(line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use windlass_client::v1::StepState;

    #[test]
    fn a_failed_run_is_summed_up_with_what_failed_and_what_was_skipped() {
        let steps = samples::steps_of_failed_run();
        let of = |state| {
            steps.iter().filter(move |step| step.state() == state).cloned().collect::<Vec<_>>()
        };
        let failed = of(StepState::Failed).into_iter().map(|step| FailedStep {
            last_lines: vec![
                samples::line(&step.name, "reading day 3"),
                samples::line(&step.name, "no such table"),
            ],
            step,
        });
        let data = Summary {
            run: samples::failed_run(),
            failed: failed.collect(),
            skipped: SkippedGroup::group(&of(StepState::Skipped)),
        };
        insta::assert_snapshot!("failed", summary(&data, &samples::theme()));
    }

    #[test]
    fn a_cancelled_and_a_succeeded_run_are_summed_up_in_two_lines() {
        let of = |run| Summary { run, ..Summary::default() };
        insta::assert_snapshot!(
            "cancelled",
            summary(&of(samples::cancelled_run()), &samples::theme())
        );
        insta::assert_snapshot!(
            "succeeded",
            summary(&of(samples::succeeded_run()), &samples::theme())
        );
    }
}
