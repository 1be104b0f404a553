//! What became of a run, told at its end.

use std::fmt::Write as _;

use jiff::Timestamp;
use windlass_client::v1::{LogLine, Run, StepStatus};

use super::{Theme, lines::log_text, time, words};

/// Names listed of a group of skipped steps.
const NAMED: usize = 3;

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

/// Steps that were skipped for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SkippedGroup {
    pub(crate) why: String,
    pub(crate) count: usize,
    /// The first ones' names.
    pub(crate) names: Vec<String>,
}

impl SkippedGroup {
    /// Groups steps by why they were skipped, in the order of the first of each group.
    pub(crate) fn group(steps: &[StepStatus]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for step in steps {
            let why = words::why(&step.message, step.reason());
            let place = *places.entry(why.clone()).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Self { why, count: 0, names: Vec::new() });
            }
            let group = &mut groups[place];
            group.count += 1;
            if group.names.len() < NAMED {
                group.names.push(step.name.clone());
            }
        }
        groups
    }
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
    if !summary.skipped.is_empty() {
        text.push('\n');
        summary.skipped.iter().for_each(|group| text.push_str(&skipped_group(group)));
        let grouped: usize = summary.skipped.iter().map(|group| group.count).sum();
        let rest = (counts.skipped as usize).saturating_sub(grouped);
        if rest > 0 {
            let _ = writeln!(text, "… and {} more skipped", words::steps(rest));
        }
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

fn skipped_group(group: &SkippedGroup) -> String {
    let why = group.why.strip_prefix("skipped ").unwrap_or(&group.why);
    let mut names = group.names.join(", ");
    let unnamed = group.count.saturating_sub(group.names.len());
    if unnamed > 0 {
        let _ = write!(names, " and {} more", words::number(unnamed));
    }
    let why = if why.is_empty() { "its own rule".to_owned() } else { why.to_owned() };
    words::harmless(&format!("skipped: {}, {why}: {names}", words::steps(group.count))) + "\n"
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

    #[test]
    fn many_skipped_steps_are_counted_by_reason() {
        let skipped: Vec<_> = (0..2500)
            .map(|number| {
                let mut step = samples::step(&format!("s{number}"), StepState::Skipped);
                step.message = format!(
                    "skipped because step `{}` failed",
                    if number % 5 == 0 { "a" } else { "b" }
                );
                step
            })
            .collect();
        let groups: String = SkippedGroup::group(&skipped).iter().map(skipped_group).collect();
        insta::assert_snapshot!(groups, @r"
        skipped: 500 steps, because step `a` failed: s0, s5, s10 and 497 more
        skipped: 2,000 steps, because step `b` failed: s1, s2, s3 and 1,997 more
        ");
    }
}
