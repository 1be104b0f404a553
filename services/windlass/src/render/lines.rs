//! Single lines: what a step wrote, and what happened to it.

use jiff::Timestamp;
use windlass_client::v1::{LogLine, LogStream, Run, StepState, StepStatus};

use super::{Theme, time, words};

/// The widest that the column of steps' names becomes.
pub(crate) const MAX_NAME_WIDTH: usize = 30;

/// `load | text`, and `load/2 | text` for a later attempt than the first; the names' column is `name_width` wide, and longer
/// names are cut at [`MAX_NAME_WIDTH`].
pub(crate) fn log_line(line: &LogLine, name_width: usize, theme: &Theme) -> String {
    let (name, attempt) = source(line);
    let width = console::measure_text_width(&name) + attempt.len();
    let padding = " ".repeat(name_width.saturating_sub(width));
    let text = log_text(line);
    let (mark, text) = match line.stream() {
        LogStream::System => ("*", theme.dim(&text)),
        LogStream::Unspecified | LogStream::Stdout | LogStream::Stderr => ("|", text),
    };
    format!("{}{}{padding} {} {text}", theme.step(&name), theme.dim(&attempt), theme.dim(mark))
}

/// The columns that a line's step and attempt take.
pub(crate) fn source_width(line: &LogLine) -> usize {
    let (name, attempt) = source(line);
    console::measure_text_width(&name) + attempt.len()
}

/// The step that wrote a line, and in which attempt where that is not its first.
fn source(line: &LogLine) -> (String, String) {
    let name = words::harmless(&line.step);
    let attempt = if line.attempt > 1 { format!("/{}", line.attempt) } else { String::new() };
    (console::truncate_str(&name, MAX_NAME_WIDTH - attempt.len(), "…").into_owned(), attempt)
}

/// The line's text, safe for a terminal.
pub(crate) fn log_text(line: &LogLine) -> String {
    words::shown(&String::from_utf8_lossy(&line.content))
}

/// What the change to a step's present state is called; none where nobody wants to know. `at` is when it took place.
pub(crate) fn happened(step: &StepStatus, at: Timestamp, theme: &Theme) -> Option<String> {
    let name = theme.step(&words::harmless(&step.name));
    let state = step.state();
    let why = words::harmless(&words::why(&step.message, step.reason()));
    let took = time::between(step.start_time, step.end_time, Timestamp::UNIX_EPOCH)
        .filter(|_| step.end_time.is_some())
        .map(time::length);
    let attempt =
        if step.attempt > 1 { format!(" (attempt {})", step.attempt) } else { String::new() };
    let told = |word: &str| theme.step_state(state, word);
    Some(match state {
        StepState::Running => format!("{name} {}{attempt}", told("started")),
        StepState::Succeeded => {
            // There is something to say where a failure was ignored.
            format!(
                "{name} {}{attempt}{}{}",
                told(&words::step(step)),
                after(" in ", took),
                after(": ", some(why))
            )
        }
        StepState::Failed => {
            format!(
                "{name} {}{attempt}{}{}",
                told("failed"),
                after(" after ", took),
                after(": ", some(why))
            )
        }
        StepState::Delayed => {
            let next = time::until(step.retry_time, at).map(time::length);
            let next = after("; next attempt in ", next);
            format!(
                "{name} {}{}{next}",
                told(&format!("failed in attempt {}", step.attempt)),
                after(": ", some(why))
            )
        }
        StepState::Suspended | StepState::Blocked => format!("{name} {}", told(&why)),
        StepState::Skipped if why.starts_with("skipped") => format!("{name} {}", told(&why)),
        StepState::Skipped => format!("{name} {}{}", told("skipped"), after(": ", some(why))),
        StepState::Cancelled => format!("{name} {}{}", told("cancelled"), after(": ", some(why))),
        StepState::Unspecified
        | StepState::Waiting
        | StepState::Ready
        | StepState::Queued
        | StepState::Starting
        | StepState::Stopping => return None,
    })
}

/// An attempt failed, and the next one is on its way.
pub(crate) fn tried_again(step: &StepStatus, why: Option<&str>, theme: &Theme) -> String {
    let failed = format!("failed in attempt {}", step.attempt.saturating_sub(1));
    let failed = theme.step_state(StepState::Delayed, &failed);
    let name = theme.step(&words::harmless(&step.name));
    match why.filter(|why| !why.is_empty()) {
        Some(why) => format!("{name} {failed}: {}; it is tried again", words::harmless(why)),
        None => format!("{name} {failed}, and is tried again"),
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn after(before: &str, text: Option<String>) -> String {
    text.map(|text| format!("{before}{text}")).unwrap_or_default()
}

/// `12 of 40 steps done, 1 failed, 10 running`
pub(crate) fn progress(run: &Run, theme: &Theme) -> String {
    let counts = run.step_counts.unwrap_or_default();
    let number = |count: u32| words::number(count as usize);
    let done = counts.succeeded + counts.failed + counts.skipped + counts.cancelled;
    let mut text = format!("{} of {} steps done", number(done), number(counts.total));
    let others =
        [(counts.failed, "failed"), (counts.skipped, "skipped"), (counts.running, "running")];
    for (count, word) in others.into_iter().filter(|(count, _)| *count > 0) {
        let part = format!("{} {word}", number(count));
        text.push_str(", ");
        text.push_str(&if word == "failed" { theme.bad(&part) } else { part });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn what_happens_to_steps_is_told_in_a_line_each() {
        let (theme, at) = (samples::theme(), time::timestamp(Some(samples::at(29))).unwrap());
        let mut delayed = samples::step("fetch", StepState::Delayed);
        delayed.attempt = 2;
        delayed.message = "exited with code 7".to_owned();
        delayed.retry_time = Some(samples::at(30));
        let mut running = samples::step("fetch", StepState::Running);
        running.attempt = 3;
        let mut ignored = samples::step("fetch", StepState::Succeeded);
        ignored.message = "a failure was ignored: exited with code 7".to_owned();
        let mut suspended = samples::step("sign-off", StepState::Suspended);
        suspended.message = "waits for approval: windlass approve run_1 sign-off".to_owned();
        let mut blocked = samples::step("train", StepState::Blocked);
        blocked.message = "stands in line for `gpu`".to_owned();
        let queued = samples::step("fetch", StepState::Queued);
        let steps = [delayed, running, queued, ignored, suspended, blocked];
        let mut told: Vec<_> =
            samples::steps_of_failed_run().iter().map(|step| happened(step, at, &theme)).collect();
        told.extend(steps.iter().map(|step| happened(step, at, &theme)));
        let told: Vec<_> = told.into_iter().map(Option::unwrap_or_default).collect();
        insta::assert_snapshot!("happened", told.join("\n"));
        insta::assert_snapshot!(progress(&samples::failed_run(), &theme), @"5 of 5 steps done, 1 failed, 2 skipped");
    }

    #[test]
    fn a_line_names_its_step_and_windlass_itself_is_told_apart() {
        let mut line = samples::line("load", "10 rows\u{1b}[2J");
        assert_eq!(log_line(&line, 6, &samples::theme()), "load   | 10 rows");
        line.stream = LogStream::System.into();
        assert_eq!(log_line(&line, 0, &samples::theme()), "load * 10 rows");
        line.attempt = 2;
        assert_eq!(log_line(&line, 0, &samples::theme()), "load/2 * 10 rows");
        line.attempt = 1;
        line.step = "x".repeat(40);
        let told = log_line(&line, MAX_NAME_WIDTH, &samples::theme());
        assert_eq!(told, format!("{}… * 10 rows", "x".repeat(MAX_NAME_WIDTH - 1)));
        line.attempt = 12;
        let told = log_line(&line, MAX_NAME_WIDTH, &samples::theme());
        assert_eq!(told, format!("{}…/12 * 10 rows", "x".repeat(MAX_NAME_WIDTH - 4)));
    }
}
