//! A list of runs.

use jiff::Timestamp;
use windlass_client::v1::Run;

use super::{Theme, table::table, time, words};

/// One run per line; `more` tells that there are further ones.
pub(crate) fn runs(runs: &[Run], more: bool, now: Timestamp, theme: &Theme) -> String {
    if runs.is_empty() {
        return "no runs\n".to_owned();
    }
    let differ = runs.iter().any(|run| run.priority != 0);
    let row = |cells: [String; 6], priority: String| {
        let mut cells = cells.to_vec();
        if differ {
            cells.insert(4, priority);
        }
        cells
    };
    let heading =
        ["RUN", "PIPELINE", "STATE", "STEPS", "CREATED", "TOOK"].map(|word| theme.dim(word));
    let rows = runs.iter().map(|run| {
        let took = time::between(run.start_time, run.end_time, now);
        let cells = [
            run.run_id.clone(),
            words::harmless(&run.pipeline),
            theme.run_state(run.state(), &words::run_state(run.state())),
            steps_done(run, theme),
            time::date_and_clock(run.create_time, &theme.zone),
            took.map_or_else(|| "-".to_owned(), time::length),
        ];
        let priority = if run.priority == 0 { "-".to_owned() } else { run.priority.to_string() };
        row(cells, priority)
    });
    let mut text = table(row(heading, theme.dim("PRIORITY")), rows);
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

    #[test]
    fn priorities_are_listed_where_a_run_has_one() {
        let urgent = Run { priority: -5, ..samples::running_run() };
        let list = [urgent, samples::failed_run()];
        let text = runs(&list, false, samples::now(), &samples::theme());
        let column = |word: &str| text.lines().next().unwrap().find(word).unwrap();
        let told: Vec<_> =
            text.lines().map(|line| line[column("PRIORITY")..column("CREATED")].trim()).collect();
        assert_eq!(told, ["PRIORITY", "-5", "-"]);
    }
}
