//! The attempts of a step.

use jiff::Timestamp;
use windlass_client::v1::Attempt;

use super::{Theme, table::table, time, words};

/// One attempt per line; with its host, and with how much memory it may use, where any has one.
pub(crate) fn attempts(attempts: &[Attempt], now: Timestamp, theme: &Theme) -> String {
    if attempts.is_empty() {
        return "no attempts yet\n".to_owned();
    }
    let on_hosts = attempts.iter().any(|attempt| !attempt.host.is_empty());
    let is_limited = attempts.iter().any(|attempt| attempt.memory_bytes > 0);
    let row = |cells: [String; 6], memory: String, host: String| {
        let mut cells = cells.to_vec();
        for (_, cell) in [(is_limited, memory), (on_hosts, host)].into_iter().filter(|it| it.0) {
            // Before the reason, which may be long.
            cells.insert(cells.len() - 1, cell);
        }
        cells
    };
    let heading = ["ATTEMPT", "STATE", "STARTED", "TOOK", "EXIT", "WHY"];
    let rows = attempts.iter().map(|attempt| {
        let took = time::between(attempt.start_time, attempt.end_time, now);
        let cells = [
            attempt.number.to_string(),
            words::attempt_state(attempt.state()),
            time::date_and_clock(attempt.start_time, &theme.zone),
            took.map_or_else(|| "-".to_owned(), time::length),
            exit(attempt),
            words::harmless(&words::why(&attempt.message, attempt.reason())),
        ];
        row(cells, memory(attempt), host(attempt))
    });
    table(row(heading.map(|word| theme.dim(word)), theme.dim("MEMORY"), theme.dim("HOST")), rows)
}

fn memory(attempt: &Attempt) -> String {
    if attempt.memory_bytes == 0 { "-".to_owned() } else { words::memory(attempt.memory_bytes) }
}

fn host(attempt: &Attempt) -> String {
    if attempt.host.is_empty() { "-".to_owned() } else { words::harmless(&attempt.host) }
}

fn exit(attempt: &Attempt) -> String {
    match (attempt.exit_code, attempt.signal) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn attempts_are_listed_with_how_they_ended() {
        let text = attempts(&samples::attempts(), samples::now(), &samples::theme());
        insta::assert_snapshot!("attempts", text);
        let text = attempts(&samples::attempts_on_hosts(), samples::now(), &samples::theme());
        insta::assert_snapshot!("attempts_on_hosts", text);
        let mut limited = samples::attempts();
        for (attempt, memory) in limited.iter_mut().zip([64 << 20, 96 << 20, 3 << 29]) {
            attempt.memory_bytes = memory;
        }
        insta::assert_snapshot!(
            "attempts_with_memory",
            attempts(&limited, samples::now(), &samples::theme())
        );
        assert_eq!(attempts(&[], samples::now(), &samples::theme()), "no attempts yet\n");
    }
}
