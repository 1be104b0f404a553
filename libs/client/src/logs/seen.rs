//! Which lines were seen, so that reading again after a broken connection gives each line once. No I/O.

use std::collections::HashMap;

use prost_types::Timestamp;
use windlass_proto::v1::{LogLine, StreamLogsRequest};

/// How much older than the newest line seen a line may be that comes late: lines of many steps are merged while they are
/// written, and hosts' clocks differ.
const LATENESS_SECONDS: i64 = 60;
/// How many attempts are remembered before those that ended long ago are forgotten.
const REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Seen {
    attempts: HashMap<(String, u32), Last>,
    newest_seconds: Option<i64>,
    /// Where the attempts that were not written to lately are next forgotten.
    forget_at: usize,
}

/// The last line that was seen of an attempt.
#[derive(Debug)]
struct Last {
    sequence: u64,
    seconds: i64,
}

impl Seen {
    /// The request that goes on where reading broke off.
    pub(crate) fn go_on(&self, request: &StreamLogsRequest) -> StreamLogsRequest {
        let mut request = request.clone();
        if let Some(newest) = self.newest_seconds {
            let seconds = newest.saturating_sub(LATENESS_SECONDS);
            let asked = request.since.filter(|asked| asked.seconds >= seconds);
            request.since = Some(asked.unwrap_or(Timestamp { seconds, nanos: 0 }));
            // The tail was counted from where the first request stood.
            request.tail = None;
        }
        request
    }

    /// Leaves out the lines that were seen before, and remembers the others.
    pub(crate) fn take_new(&mut self, lines: Vec<LogLine>) -> Vec<LogLine> {
        let new = lines.into_iter().filter(|line| self.note(line)).collect();
        self.forget_old();
        new
    }

    /// Whether the line is new.
    fn note(&mut self, line: &LogLine) -> bool {
        let seconds = line.time.map_or(0, |time| time.seconds);
        // Within an attempt, lines come in the order of their numbers.
        match self.attempts.get_mut(&(line.step.clone(), line.attempt)) {
            Some(last) if line.sequence <= last.sequence => return false,
            Some(last) => *last = Last { sequence: line.sequence, seconds },
            None => {
                let last = Last { sequence: line.sequence, seconds };
                self.attempts.insert((line.step.clone(), line.attempt), last);
            }
        }
        self.newest_seconds = self.newest_seconds.max(Some(seconds));
        true
    }

    /// Forgets attempts whose lines no request of [`Seen::go_on`] gives again.
    fn forget_old(&mut self) {
        if self.attempts.len() <= self.forget_at.max(REMEMBERED) {
            return;
        }
        let oldest = self.newest_seconds.unwrap_or(0).saturating_sub(LATENESS_SECONDS);
        self.attempts.retain(|_, last| last.seconds >= oldest);
        // Doubling keeps the cost per line constant when all of them are recent.
        self.forget_at = self.attempts.len().saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: &str, sequence: u64, seconds: i64) -> LogLine {
        let time = Some(Timestamp { seconds, nanos: 0 });
        LogLine { step: step.to_owned(), attempt: 1, sequence, time, ..LogLine::default() }
    }

    #[test]
    fn reading_again_gives_what_was_not_seen_and_nothing_twice() {
        let mut seen = Seen::default();
        let asked =
            StreamLogsRequest { run_id: "r".to_owned(), tail: Some(10), ..Default::default() };
        assert_eq!(seen.go_on(&asked), asked, "nothing was seen yet");

        let first = vec![line("a", 0, 1000), line("a", 1, 1001), line("b", 0, 1000)];
        assert_eq!(seen.take_new(first.clone()), first);
        let again = seen.go_on(&asked);
        assert_eq!((again.since.unwrap().seconds, again.tail), (941, None));
        let more = vec![
            line("a", 0, 1000),
            line("a", 1, 1001),
            line("b", 0, 1000),
            line("b", 1, 990),
            line("a", 2, 1002),
        ];
        assert_eq!(seen.take_new(more), [line("b", 1, 990), line("a", 2, 1002)]);
    }

    #[test]
    fn a_later_start_that_was_asked_for_is_kept() {
        let mut seen = Seen::default();
        seen.take_new(vec![line("a", 0, 1000)]);
        let since = Some(Timestamp { seconds: 990, nanos: 5 });
        let asked = StreamLogsRequest { since, ..StreamLogsRequest::default() };
        assert_eq!(seen.go_on(&asked).since, since);
    }

    #[test]
    fn attempts_that_ended_long_ago_are_forgotten() {
        let mut seen = Seen::default();
        for second in 0..20_000 {
            seen.take_new(vec![line(&format!("s{second}"), 0, second)]);
        }
        assert!(seen.attempts.len() <= REMEMBERED + 1, "{}", seen.attempts.len());
    }
}
