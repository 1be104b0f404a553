//! A run and its steps.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use windlass_client::v1::{ChangedLimits, Run, StepStatus};
use windlass_proto::json;

use super::{Theme, table::table, time, words};

/// The run, then one step per line; `more` tells that there are further ones.
pub(crate) fn run(
    run: &Run,
    steps: &[StepStatus],
    more: bool,
    now: Timestamp,
    theme: &Theme,
) -> String {
    let mut text = format!("{}\n", heading(run, now, theme));
    for (name, value) in facts(run, theme) {
        let _ = writeln!(text, "  {} {value}", theme.dim(&format!("{name:<10}")));
    }
    text.push('\n');
    text.push_str(&steps_table(steps, now, theme));
    if more {
        let total = run.step_counts.unwrap_or_default().total as usize;
        let left = words::steps(total.saturating_sub(steps.len()));
        let _ = writeln!(
            text,
            "{}",
            theme.dim(&format!("… and {left} more: give --limit, or --output json"))
        );
    }
    text
}

/// The run, its state, and how long it has taken.
pub(super) fn heading(run: &Run, now: Timestamp, theme: &Theme) -> String {
    let state = theme.run_state(run.state(), &words::run_state(run.state()));
    let took = time::between(run.start_time, run.end_time, now).map(time::length);
    let took = match (took, run.end_time) {
        (None, _) => String::new(),
        (Some(took), None) => format!(" for {took}"),
        (Some(took), Some(_)) => format!(" after {took}"),
    };
    format!("{} {} {state}{took}", theme.bold(&run.run_id), words::harmless(&run.pipeline))
}

fn facts(run: &Run, theme: &Theme) -> Vec<(&'static str, String)> {
    let arguments = run
        .arguments
        .iter()
        .map(|(name, value)| (name.clone(), json::from_value(value).to_string()))
        .collect();
    let mut facts = vec![
        ("why", words::harmless(&words::why(&run.message, run.reason()))),
        ("created", time::date_and_clock(run.create_time, &theme.zone)),
        ("namespace", run.namespace.clone()),
        ("arguments", pairs(&arguments)),
        ("labels", pairs(&run.labels)),
        ("rerun of", run.rerun_of.clone()),
    ];
    if run.priority != 0 {
        facts.push(("priority", run.priority.to_string()));
    }
    if run.retries > 0 {
        facts.push(("retries", run.retries.to_string()));
    }
    facts.push(("limits", limits(run)));
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

/// The limits that a retry has changed.
fn limits(run: &Run) -> String {
    let Some(ChangedLimits { max_parallelism, timeout }) = run.changed_limits else {
        return String::new();
    };
    let most = max_parallelism.map(|most| match most {
        0 => "max_parallelism=none".to_owned(),
        most => format!("max_parallelism={most}"),
    });
    let timeout = timeout.and_then(|it| std::time::Duration::try_from(it).ok());
    let timeout = timeout.map(|timeout| {
        if timeout.is_zero() {
            "timeout=none".to_owned()
        } else {
            format!("timeout={}", time::length(timeout))
        }
    });
    most.into_iter().chain(timeout).collect::<Vec<_>>().join(", ")
}

fn pairs(pairs: &BTreeMap<String, String>) -> String {
    let pairs = pairs.iter().map(|(key, value)| format!("{key}={value}"));
    words::harmless(&pairs.collect::<Vec<_>>().join(", "))
}

fn steps_table(steps: &[StepStatus], now: Timestamp, theme: &Theme) -> String {
    let have_failed = steps.iter().any(has_failed);
    let row = |cells: [String; 5], failures: [String; 2]| {
        let mut cells = cells.to_vec();
        if have_failed {
            cells.splice(3..3, failures);
        }
        cells
    };
    let heading = ["STEP", "STATE", "ATTEMPT", "TOOK", "WHY"].map(|word| theme.dim(word));
    let failures = ["FAILURES", "LOSSES"].map(|word| theme.dim(word));
    let rows = steps.iter().map(|step| {
        let attempt = if step.attempt == 0 { "-".to_owned() } else { step.attempt.to_string() };
        let took = time::between(step.start_time, step.end_time, now);
        let cells = [
            words::harmless(&step.name),
            theme.step_state(step.state(), &words::step(step)),
            attempt,
            took.map_or_else(|| "-".to_owned(), time::length),
            words::harmless(&words::why(&step.message, step.reason())),
        ];
        row(cells, budgets(step))
    });
    table(row(heading, failures), rows)
}

fn has_failed(step: &StepStatus) -> bool {
    step.failures > 0 || step.losses > 0
}

/// How often a step failed by its own fault, and how often not by its own, each with how many of these are retried.
fn budgets(step: &StepStatus) -> [String; 2] {
    let budgets = [(step.failures, step.retry_limit), (step.losses, step.system_retry_limit)];
    budgets.map(|(failures, limit)| match (has_failed(step), limit) {
        (false, _) => "-".to_owned(),
        (true, 1) => format!("{failures} (1 retry)"),
        (true, limit) => format!("{failures} ({limit} retries)"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn a_run_is_shown_with_what_became_of_its_steps() {
        let steps = samples::steps_of_failed_run();
        let text = run(&samples::failed_run(), &steps, false, samples::now(), &samples::theme());
        insta::assert_snapshot!("run", text);
        let cut = run(&samples::failed_run(), &steps[..1], true, samples::now(), &samples::theme());
        assert!(cut.ends_with("… and 4 steps more: give --limit, or --output json\n"), "{cut}");
        assert!(!text.contains("priority"), "{text}");
        let urgent = Run { priority: -5, ..samples::failed_run() };
        let urgent = run(&urgent, &steps, false, samples::now(), &samples::theme());
        assert!(urgent.contains("\n  priority   -5\n"), "{urgent}");
    }
}
