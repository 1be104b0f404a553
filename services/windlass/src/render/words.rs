//! The contract's words as they are shown: lower case, without what they belong to.

use std::time::Duration;

use windlass_client::v1::{
    AttemptState, FailureMode, LogStream, ObstacleKind, Reason, RunState, StepState, StepStatus,
    TriggerRule,
};

pub(crate) fn run_state(state: RunState) -> String {
    word(state.as_str_name(), "RUN_STATE_")
}

pub(crate) fn step_state(state: StepState) -> String {
    word(state.as_str_name(), "STEP_STATE_")
}

/// The state that a step is in; `cached` where it has succeeded by a result that was taken.
pub(crate) fn step(step: &StepStatus) -> String {
    match (step.state(), step.reason()) {
        (StepState::Succeeded, Reason::Cached) => "cached".to_owned(),
        (state, _) => step_state(state),
    }
}

pub(crate) fn attempt_state(state: AttemptState) -> String {
    word(state.as_str_name(), "ATTEMPT_STATE_")
}

pub(crate) fn log_stream(stream: LogStream) -> String {
    word(stream.as_str_name(), "LOG_STREAM_")
}

pub(crate) fn failure_mode(mode: FailureMode) -> String {
    word(mode.as_str_name(), "FAILURE_MODE_")
}

pub(crate) fn trigger_rule(rule: TriggerRule) -> String {
    word(rule.as_str_name(), "TRIGGER_RULE_")
}

pub(crate) fn obstacle(kind: ObstacleKind) -> String {
    word(kind.as_str_name(), "OBSTACLE_KIND_")
}

/// None where there is nothing to say.
pub(crate) fn reason(reason: Reason) -> Option<String> {
    (reason != Reason::Unspecified).then(|| word(reason.as_str_name(), "REASON_"))
}

/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// The server's message, and where there is none the reason in plain words.
pub(crate) fn why(message: &str, because: Reason) -> String {
    if message.is_empty() {
        reason(because).unwrap_or_default().replace('_', " ")
    } else {
        message.to_owned()
    }
}

fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}

/// `1 step`, `2 steps`.
pub(crate) fn steps(count: usize) -> String {
    if count == 1 { "1 step".to_owned() } else { format!("{} steps", number(count)) }
}

/// `1 min`: in the largest unit that it has a whole number of.
pub(crate) fn period(period: Duration) -> String {
    let ms = period.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")];
    let unit = units.into_iter().find(|(length, _)| ms >= *length && ms.is_multiple_of(*length));
    let (length, name) = unit.unwrap_or((1, "ms"));
    format!("{} {name}", ms / length)
}

/// With commas between thousands.
pub(crate) fn number(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An amount of memory, in the largest unit of which there is one, to a tenth.
pub(crate) fn memory(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let unit = (bytes.max(1).ilog2() / 10).min(3);
    let tenths = (u128::from(bytes) * 10) >> (10 * unit);
    let fraction = match tenths % 10 {
        0 => String::new(),
        tenth => format!(".{tenth}"),
    };
    format!("{}{fraction} {}", tenths / 10, UNITS[unit as usize])
}

/// The columns that somebody else's text takes.
pub(crate) fn width(text: &str) -> usize {
    console::measure_text_width(&harmless(text))
}

/// Text that somebody else wrote, as a terminal with a tab at every eighth column shows it: of what a line writes over
/// itself, as progress bars do, the last.
pub(crate) fn shown(text: &str) -> String {
    let last = text.rsplit('\r').map(harmless).find(|part| !part.trim().is_empty());
    let mut columns = 0;
    let mut expanded = String::new();
    for (at, part) in last.unwrap_or_default().split('\t').enumerate() {
        if at > 0 {
            let gap = TAB - columns % TAB;
            expanded.push_str(&" ".repeat(gap));
            columns += gap;
        }
        expanded.push_str(part);
        columns += console::measure_text_width(part);
    }
    expanded
}

/// Text that somebody else wrote, safe for a terminal: control characters would move its cursor or change its state, and
/// those of the direction of writing would show what follows in another order than it has.
pub(crate) fn harmless(text: &str) -> String {
    let plain = console::strip_ansi_codes(text);
    let turns = |letter| matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let is_harmless = |letter: &char| *letter == '\t' || !letter.is_control() && !turns(*letter);
    plain.chars().filter(is_harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_thousands() {
        assert_eq!([7, 1000, 1_000_000].map(number), ["7", "1,000", "1,000,000"]);
        assert_eq!([1, 2].map(steps), ["1 step", "2 steps"]);
    }

    #[test]
    fn memory_is_read_in_units() {
        let shown = [1, 1023, 1024, 1536 << 10, (1 << 30) - 1, 3 << 29, 5 << 40].map(memory);
        let expected = ["1 B", "1023 B", "1 KiB", "1.5 MiB", "1023.9 MiB", "1.5 GiB", "5120 GiB"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn tabs_and_carriage_returns_are_shown_as_a_terminal_does() {
        assert_eq!(shown("a\tbc\t1"), "a       bc      1");
        assert_eq!(shown("10%\r20%\r100%\r"), "100%");
        assert_eq!([shown(""), shown("plain\r")], ["", "plain"]);
    }

    #[test]
    fn what_a_step_writes_cannot_steer_the_terminal() {
        assert_eq!(harmless("\u{202e}gpj.\u{2066}exe\u{2069} \u{5d0}"), "gpj.exe \u{5d0}");
        assert_eq!(harmless("\u{1b}[31mred\u{1b}[0m\tand\r\u{7} plain\u{1b}[2J"), "red\tand plain");
    }
}
