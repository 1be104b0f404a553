//! Named limits, and who holds them.

use std::time::Duration;

use jiff::Timestamp;
use windlass_client::v1::{Limit, LimitHolder};

use super::{Theme, table::table, time, words};

/// One limit per line.
pub(crate) fn limits(limits: &[Limit], theme: &Theme) -> String {
    if limits.is_empty() {
        return "no limit is set, and nobody holds one\n".to_owned();
    }
    let heading = ["LIMIT", "AT ONCE", "STARTS", "HELD", "WAITING"].map(|word| theme.dim(word));
    let rows = limits.iter().map(|limit| {
        let size = limit.size.map_or_else(|| "any".to_owned(), |size| size.to_string());
        let size = if limit.is_set { size } else { format!("{size} (not set)") };
        [
            words::harmless(&limit.name),
            size,
            limit.rate.map_or_else(|| "-".to_owned(), |_| rate(limit)),
            limit.held.to_string(),
            limit.waiting.to_string(),
        ]
    });
    table(heading, rows)
}

/// `gpu: 4 at once, 10 starts in 1 min; 3 steps hold it, and 2 wait`
pub(crate) fn limit_line(limit: &Limit, theme: &Theme) -> String {
    let size = limit.size.map_or_else(|| "any".to_owned(), |size| words::number(size as usize));
    let size = format!("{size} at once");
    let starts = limit.rate.map(|rate_| {
        let word = if rate_.starts == 1 { "start" } else { "starts" };
        rate(limit).replacen(" in ", &format!(" {word} in "), 1)
    });
    let allowed: Vec<_> = std::iter::once(size).chain(starts).collect();
    let note = if limit.is_set { "" } else { " (not set)" };
    let hold = match limit.held {
        0 => "nobody holds it".to_owned(),
        1 => "1 step holds it".to_owned(),
        held => format!("{} steps hold it", words::number(held as usize)),
    };
    let wait = match limit.waiting {
        0 => String::new(),
        1 => ", and 1 waits".to_owned(),
        waiting => format!(", and {} wait", words::number(waiting as usize)),
    };
    let name = theme.bold(&words::harmless(&limit.name));
    format!("{name}: {}{note}; {hold}{wait}", allowed.join(", "))
}

/// A limit, and a line for each of its holders.
pub(crate) fn limit(
    limit: &Limit,
    holders: &[LimitHolder],
    now: Timestamp,
    theme: &Theme,
) -> String {
    let mut text = format!("{}\n", limit_line(limit, theme));
    if holders.is_empty() {
        return text;
    }
    let heading = ["RUN", "STEP", "ATTEMPT", "FOR"].map(|word| theme.dim(word));
    let rows = holders.iter().map(|holder| {
        let held = time::between(holder.since, None, now);
        let step = if holder.step.is_empty() { "-" } else { &holder.step };
        [
            words::harmless(&holder.run_id),
            words::harmless(step),
            holder.attempt.to_string(),
            held.map_or_else(|| "-".to_owned(), time::length),
        ]
    });
    text.push('\n');
    text.push_str(&table(heading, rows));
    let others = (limit.held as usize).saturating_sub(holders.len());
    if others > 0 {
        let note = format!("… and {} more", words::number(others));
        text.push_str(&theme.dim(&note));
        text.push('\n');
    }
    text
}

/// `10 in 1 min`
fn rate(limit: &Limit) -> String {
    let rate = limit.rate.unwrap_or_default();
    let period = rate.period.and_then(|period| Duration::try_from(period).ok());
    let starts = words::number(rate.starts as usize);
    format!("{starts} in {}", words::period(period.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn limits_are_listed_one_per_line_and_one_is_shown_with_its_holders() {
        let theme = samples::theme();
        let all = samples::limits();
        let shown = limit(&all[0], &samples::holders(), samples::now(), &theme);
        let lines: Vec<_> = all.iter().map(|it| limit_line(it, &theme)).collect();
        let text = format!("{}\n{shown}\n{}", limits(&all, &theme), lines.join("\n"));
        insta::assert_snapshot!("limits", text);
        assert_eq!(limits(&[], &theme), "no limit is set, and nobody holds one\n");
    }
}
