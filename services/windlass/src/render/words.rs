//! The contract's words as they are shown: lower case, without what they belong to.

use windlass_client::v1::{AttemptState, LogStream, Reason, RunState, StepState};

pub(crate) fn run_state(state: RunState) -> String {
    word(state.as_str_name(), "RUN_STATE_")
}

pub(crate) fn step_state(state: StepState) -> String {
    word(state.as_str_name(), "STEP_STATE_")
}

pub(crate) fn attempt_state(state: AttemptState) -> String {
    word(state.as_str_name(), "ATTEMPT_STATE_")
}

pub(crate) fn log_stream(stream: LogStream) -> String {
    word(stream.as_str_name(), "LOG_STREAM_")
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
