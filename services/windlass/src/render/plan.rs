//! What a run would do.

use std::{fmt::Write as _, time::Duration};

use serde_json::Value as Json;
use windlass_client::v1::{FailureMode, TriggerRule};
use windlass_pipeline::plan::{
    Plan, PlannedItems, PlannedRetry, PlannedStep, PlannedTask, PlannedValue, PlannedWork,
};

use super::{Theme, time, words};

/// How many steps are named that a step waits for.
const NAMED: usize = 10;

/// The run's limits, then a block for each step.
pub(crate) fn plan(plan: &Plan, theme: &Theme) -> String {
    let steps = words::steps(plan.steps.len());
    let name = theme.bold(&words::harmless(&plan.pipeline));
    let mut text = format!("{name}: {steps}, and nothing is started\n");
    let directory = common_directory(plan);
    write_facts(&mut text, &facts_of_run(plan, directory), theme);
    let mut in_exit = false;
    for step in &plan.steps {
        if step.is_exit && !in_exit {
            in_exit = true;
            text.push_str("\nonce all these have ended:\n");
        }
        let name = theme.bold(&words::harmless(&step.path));
        let _ =
            writeln!(text, "\n{} {name}{}", theme.dim(&step.level.to_string()), how_often(step));
        write_facts(&mut text, &facts(step, directory), theme);
    }
    text
}

fn write_facts(text: &mut String, facts: &[(&str, String)], theme: &Theme) {
    for (name, value) in facts {
        let mut name = *name;
        for line in value.lines() {
            let label = theme.dim(&format!("{name:<10}"));
            let line = format!("  {label} {}", words::harmless(line));
            let _ = writeln!(text, "{}", line.trim_end());
            name = "";
        }
    }
}

fn facts_of_run(plan: &Plan, directory: Option<&str>) -> Vec<(&'static str, String)> {
    let arguments = plan.arguments.iter().map(|(name, value)| format!("{name}={value}"));
    let limits = [
        plan.max_parallelism.map(|most| format!("at most {most} attempts at once")),
        plan.start_gap.map(|gap| format!("{} between starts", time::length(gap))),
        plan.timeout.map(|timeout| format!("{} in all", time::length(timeout))),
    ];
    let priority = if plan.priority == 0 { String::new() } else { plan.priority.to_string() };
    let mut facts = vec![
        ("arguments", arguments.collect::<Vec<_>>().join(", ")),
        ("directory", directory.unwrap_or_default().to_owned()),
        ("limits", limits.into_iter().flatten().collect::<Vec<_>>().join(", ")),
        ("priority", priority),
        ("failures", after_failure(plan.failure_mode).to_owned()),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

fn after_failure(mode: FailureMode) -> &'static str {
    match mode {
        FailureMode::FailFast => "the first one stops the run",
        FailureMode::StopOnFailure => "after the first one nothing starts",
        FailureMode::Unspecified | FailureMode::ContinueOnFailure => {
            "what does not depend on a failed step goes on"
        }
    }
}

/// The directory in which all programs start, where that is one.
fn common_directory(plan: &Plan) -> Option<&str> {
    let mut directories = plan.steps.iter().filter_map(|step| match &step.work {
        PlannedWork::Task(task) => Some(task.working_dir.as_deref()),
        _ => None,
    });
    let first = directories.next()??;
    directories.all(|directory| directory == Some(first)).then_some(first)
}

fn how_often(step: &PlannedStep) -> String {
    let Some(innermost) = step.loops.last() else {
        return String::new();
    };
    match step.times {
        Some(1) => ", once".to_owned(),
        Some(times) => {
            format!(", {} times", words::number(usize::try_from(times).unwrap_or(usize::MAX)))
        }
        None => format!(", once for each item of {innermost}"),
    }
}

fn facts(step: &PlannedStep, directory: Option<&str>) -> Vec<(&'static str, String)> {
    let mut facts =
        vec![("waits for", waits_for(step)), ("if", step.condition.clone().unwrap_or_default())];
    match &step.work {
        PlannedWork::Task(task) => facts.extend(facts_of_task(task, directory)),
        PlannedWork::Approval { timeout } => {
            facts.push(("waits", "until somebody approves or rejects it".to_owned()));
            facts.push(("time-out", timeout.map(time::length).unwrap_or_default()));
        }
        PlannedWork::Group => facts.push(("does", "the steps that it holds".to_owned())),
        PlannedWork::Branches => {
            facts.push(("does", "the first of its branches whose condition holds".to_owned()));
        }
        PlannedWork::Loop { items, max_parallelism } => {
            let items = match items {
                PlannedItems::Known(1) => "1 item".to_owned(),
                PlannedItems::Known(items) => {
                    format!(
                        "each of {} items",
                        words::number(usize::try_from(*items).unwrap_or(usize::MAX))
                    )
                }
                PlannedItems::Reference(text) => format!("each item of {text}"),
            };
            let most = max_parallelism.map(|most| format!(", at most {most} at once"));
            facts.push(("for", items + &most.unwrap_or_default()));
        }
    }
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

fn waits_for(step: &PlannedStep) -> String {
    let mut named = step.waits_for.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let others = step.waits_for.len().saturating_sub(NAMED);
    if others > 0 {
        let _ = write!(named, " and {} more", words::number(others));
    }
    named
        + match step.trigger_rule {
            TriggerRule::Unspecified | TriggerRule::AllSucceeded => "",
            TriggerRule::AllDone => ", whatever they come to",
            TriggerRule::AnyFailed => ", one of which must have failed",
            TriggerRule::AnySucceeded => ", one of which must have succeeded",
        }
}

fn facts_of_task(task: &PlannedTask, directory: Option<&str>) -> Vec<(&'static str, String)> {
    let words = task.command.iter().map(|word| quoted(word));
    let env = task.env.iter().map(|(name, value)| format!("{name}={}", value_of_variable(value)));
    let pod = task.pod.iter().map(|(key, value)| match value {
        Json::String(text) => format!("{key}: {text}"),
        value => format!("{key}: {value}"),
    });
    let own_directory = task.working_dir.as_deref().filter(|own| Some(*own) != directory);
    let length = |limit: Option<Duration>| limit.map(time::length).unwrap_or_default();
    vec![
        ("cluster", task.cluster.clone().unwrap_or_default()),
        ("image", task.image.clone().unwrap_or_default()),
        ("runs", words.collect::<Vec<_>>().join(" ")),
        ("env", env.collect::<Vec<_>>().join("\n")),
        ("pod", pod.collect::<Vec<_>>().join("\n")),
        ("directory", own_directory.unwrap_or_default().to_owned()),
        ("memory", task.memory_bytes.map(words::memory).unwrap_or_default()),
        ("start-up", length(task.startup_timeout)),
        ("time-out", length(task.timeout)),
        ("retries", retries(&task.retry)),
        ("holds", task.limits.join(", ")),
    ]
}

/// A text as a shell reads it, and for a secret where it is, which a shell would not read.
fn value_of_variable(value: &PlannedValue) -> String {
    match value {
        PlannedValue::Text(text) => quoted(text),
        PlannedValue::Secret { name, key, is_optional } => {
            let if_any = if *is_optional { ", if it is there" } else { "" };
            format!("(key {key} of the secret {name}{if_any})")
        }
    }
}

/// How often it is tried again, where that is not as it is unless somebody says otherwise.
fn retries(retry: &PlannedRetry) -> String {
    if *retry == PlannedRetry::default() {
        return String::new();
    }
    let mut text = format!(
        "{} of failures of its own, {} of others",
        words::number(retry.limit as usize),
        words::number(retry.system_limit as usize)
    );
    if !retry.delay.is_zero() {
        let _ = write!(text, "; after {}", time::length(retry.delay));
        if retry.factor > 1.0 {
            let longest = time::length(retry.max_delay);
            let _ =
                write!(text, ", then {} times as long each time, at most {longest}", retry.factor);
        }
        if retry.jitter > 0.0 {
            let _ = write!(text, ", less up to {}% of it", (retry.jitter * 100.0).round());
        }
    }
    match retry.rules {
        0 => {}
        1 => text.push_str("; 1 rule for some failures"),
        rules => {
            let _ = write!(text, "; {rules} rules for some failures");
        }
    }
    text
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./=:,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn a_plan_shows_the_steps_in_order_with_their_command_lines_and_limits() {
        insta::assert_snapshot!("plan", plan(&samples::plan(), &samples::theme()));
        let urgent = Plan { priority: 7, ..samples::plan() };
        let urgent = plan(&urgent, &samples::theme());
        assert!(urgent.contains("\n  priority   7\n"), "{urgent}");
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        let words = ["plain-1.0/a=b", "two words", "it's", "", "$HOME", "a\nb"].map(quoted);
        assert_eq!(
            words,
            ["plain-1.0/a=b", "'two words'", r"'it'\''s'", "''", "'$HOME'", "'a\nb'"]
        );
    }
}
