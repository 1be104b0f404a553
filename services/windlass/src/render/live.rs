//! The part of a terminal that changes while a run goes on: what runs now, and how far it is.

use console::{measure_text_width, truncate_str};
use jiff::Timestamp;
use windlass_client::v1::{Run, StepState, StepStatus};

use super::{Theme, lines::progress, time, words};

/// Busy steps shown at most; of more, only how many.
const SHOWN: usize = 8;
/// Columns of the bar.
const BAR: usize = 30;

/// One line per step that runs, waits for somebody's approval, for its next attempt or for its limits, then the bar. No line is
/// wider than the terminal, and most rows of a small one are left to what scrolls.
pub(crate) fn live(run: &Run, steps: &[StepStatus], now: Timestamp, theme: &Theme) -> String {
    let runs =
        |step: &&StepStatus| matches!(step.state(), StepState::Running | StepState::Stopping);
    let waits = |step: &&StepStatus| step.state() == StepState::Delayed;
    let asks = |step: &&StepStatus| step.state() == StepState::Suspended;
    let queues = |step: &&StepStatus| step.state() == StepState::Blocked;
    let room = (theme.height / 3).saturating_sub(1).clamp(1, SHOWN);
    let running = steps.iter().filter(runs).map(|step| step_line(step, now, theme));
    let suspended = steps.iter().filter(asks).map(|step| told_line(step, theme));
    let delayed = steps.iter().filter(waits).map(|step| delayed_line(step, now, theme));
    let blocked = steps.iter().filter(queues).map(|step| told_line(step, theme));
    let waiting = suspended.chain(delayed).chain(blocked);
    let mut lines: Vec<String> = running.chain(waiting).take(room).collect();
    let counts = run.step_counts.unwrap_or_default();
    let hidden = ((counts.running + counts.stopping) as usize).saturating_sub(lines.len());
    if hidden > 0 && lines.len() > 1 {
        // This line takes a row of the same room.
        let dropped = usize::from(lines.len() == room && room < SHOWN);
        lines.truncate(lines.len() - dropped);
        lines.push(theme.dim(&format!("  … and {} more", words::number(hidden + dropped))));
    }
    lines.push(bar_line(run, now, theme));
    let fitting = lines.iter().map(|line| truncate_str(line, theme.width.saturating_sub(1), "…"));
    fitting.collect::<Vec<_>>().join("\n")
}

fn step_line(step: &StepStatus, now: Timestamp, theme: &Theme) -> String {
    let took = time::between(step.start_time, None, now).map(time::length).unwrap_or_default();
    let attempt =
        if step.attempt > 1 { format!(" (attempt {})", step.attempt) } else { String::new() };
    let stopping = if step.state() == StepState::Stopping { " stopping" } else { "" };
    let name = theme.step(&words::harmless(&step.name));
    format!("  {name}{attempt}{} {}", theme.odd(stopping), theme.dim(&took))
}

/// `connect: attempt 2 in 1.2 s`
fn delayed_line(step: &StepStatus, now: Timestamp, theme: &Theme) -> String {
    let name = theme.step(&words::harmless(&step.name));
    let next = format!("attempt {}", step.attempt.saturating_add(1));
    let left = time::until(step.retry_time, now).map(time::length).unwrap_or_default();
    format!("  {name}: {} in {}", theme.odd(&next), theme.dim(&left))
}

/// `sign-off: waits for approval: windlass approve run_… sign-off`
fn told_line(step: &StepStatus, theme: &Theme) -> String {
    let name = theme.step(&words::harmless(&step.name));
    format!("  {name}: {}", theme.odd(&words::harmless(&step.message)))
}

fn bar_line(run: &Run, now: Timestamp, theme: &Theme) -> String {
    let counts = run.step_counts.unwrap_or_default();
    let total = u64::from(counts.total).max(1);
    let columns = |count: u64| usize::try_from(count * BAR as u64 / total).unwrap_or(BAR).min(BAR);
    let done = u64::from(counts.succeeded + counts.skipped + counts.cancelled + counts.failed);
    let filled = columns(done);
    // What failed is seen even where it is less than a column.
    let failed = columns(u64::from(counts.failed)).max(usize::from(counts.failed > 0)).min(filled);
    let bar = format!(
        "{}{}{}",
        theme.good(&"━".repeat(filled - failed)),
        theme.bad(&"━".repeat(failed)),
        theme.dim(&"─".repeat(BAR - filled)),
    );
    let took =
        time::between(run.start_time, run.end_time, now).map(time::length).unwrap_or_default();
    debug_assert_eq!(measure_text_width(&bar), BAR, "the bar keeps its width");
    format!("{bar} {}  {}", progress(run, theme), theme.dim(&took))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn running_steps_and_the_bar_are_shown_and_no_line_is_too_wide() {
        let mut run = samples::running_run();
        run.start_time = Some(samples::at(0));
        let steps: Vec<_> = (0..12)
            .map(|number| {
                let mut step = samples::step(&format!("part-{number}"), StepState::Running);
                step.start_time = Some(samples::at(number));
                step.end_time = None;
                step.attempt = 1 + u32::from(number == 3);
                step
            })
            .collect();
        insta::assert_snapshot!("live", live(&run, &steps, samples::now(), &samples::theme()));
        let small = Theme { height: 12, ..samples::theme() };
        let text = live(&run, &steps, samples::now(), &small);
        assert_eq!(text.lines().count(), 4, "a third of the rows: {text}");
        let mut delayed = samples::step("connect", StepState::Delayed);
        delayed.retry_time = Some(samples::at(91));
        let text = live(&run, &[delayed], samples::now(), &small);
        assert!(text.starts_with("  connect: attempt 2 in 1.3 s\n"), "{text}");
        let mut suspended = samples::step("sign-off", StepState::Suspended);
        suspended.message = "waits for approval: windlass approve run_1 sign-off".to_owned();
        let text = live(&run, &[suspended], samples::now(), &small);
        let line = "  sign-off: waits for approval: windlass approve run_1 sign-off\n";
        assert!(text.starts_with(line), "{text}");
        let mut blocked = samples::step("train", StepState::Blocked);
        blocked.message = "stands in line for `gpu`".to_owned();
        let text = live(&run, &[blocked], samples::now(), &small);
        let line = "  train: stands in line for `gpu`\n";
        assert!(text.starts_with(line), "{text}");
        let narrow = Theme { width: 20, colour: true, ..samples::theme() };
        let text = live(&run, &steps, samples::now(), &narrow);
        assert!(text.lines().all(|line| measure_text_width(line) < 20), "{text}");
    }
}
