//! A list of runs.

use jiff::Timestamp;
use windlass_client::v1::Run;

use super::{Theme, table::table, time, words};

/// One run per line; `more` tells that there are further ones.
pub(crate) fn runs(runs: &[Run], more: bool, now: Timestamp, theme: &Theme) -> String {
    if runs.is_empty() {
        return "no runs\n".to_owned();
    }
    let heading =
        ["RUN", "PIPELINE", "STATE", "STEPS", "CREATED", "TOOK"].map(|word| theme.dim(word));
    let rows = runs.iter().map(|run| {
        let took = time::between(run.start_time, run.end_time, now);
        [
            run.run_id.clone(),
            words::harmless(&run.pipeline),
            theme.run_state(run.state(), &words::run_state(run.state())),
            steps_done(run, theme),
            time::date_and_clock(run.create_time, &theme.zone),
            took.map_or_else(|| "-".to_owned(), time::length),
        ]
    });
    let mut text = table(heading, rows);
    if more {
        text.push_str(&theme.dim(
            "… and more: give --limit, or narrow the list with --state, --pipeline or --label",
        ));
        text.push('\n');
    }
    text
}

/// `12/40`, and how many failed and were skipped.
fn steps_done(run: &Run, theme: &Theme) -> String {
    let counts = run.step_counts.unwrap_or_default();
    let done = counts.succeeded + counts.failed + counts.skipped + counts.cancelled;
    let mut odd = Vec::new();
    if counts.failed > 0 {
        odd.push(theme.bad(&format!("{} failed", counts.failed)));
    }
    if counts.skipped > 0 {
        odd.push(format!("{} skipped", counts.skipped));
    }
    let odd = if odd.is_empty() { String::new() } else { format!(" ({})", odd.join(", ")) };
    format!("{done}/{}{odd}", counts.total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn runs_are_listed_one_per_line() {
        let list = [samples::running_run(), samples::failed_run(), samples::cancelled_run()];
        insta::assert_snapshot!("runs", runs(&list, true, samples::now(), &samples::theme()));
        assert_eq!(runs(&[], false, samples::now(), &samples::theme()), "no runs\n");
    }
}
