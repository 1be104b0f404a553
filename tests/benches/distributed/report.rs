//! What is printed of processor time.

use crate::{
    ceiling::Ceiling,
    counters::{BENCH, Counters},
    figures::{self, Aim, as_f64, figure},
};

/// The kinds of processes whose processor time is told, in the order of their columns.
const KINDS: [&str; 6] = ["submitter", "scheduler", "launcher", "streamer", "nats", "redis"];

/// Prints the processor time per step, by process, and what the servers alone take.
pub(crate) fn processor(took: &Counters, steps: usize, ceiling: &Ceiling) {
    let each = |seconds: f64| seconds * 1e6 / as_f64(steps);
    processor_by_kind(took, steps);
    let servers = took.processor_of(&["nats", "redis"]);
    figure("  both servers", each(servers), Aim::None, Some(each(ceiling.servers)));
    let bench = each(took.processor_of(&[BENCH]));
    figure("beside them, this benchmark, which listens", bench, Aim::None, None);
}

/// Prints the processor time per step, by process.
pub(crate) fn processor_by_kind(took: &Counters, steps: usize) {
    let each = |seconds: f64| seconds * 1e6 / as_f64(steps);
    let all = took.processor_of_all();
    figure("processor time per step, all processes, µs", each(all), Aim::None, None);
    for kind in KINDS {
        figure(&format!("  {kind}"), each(took.processor_of(&[kind])), Aim::None, None);
    }
}

/// Prints a title, and the heads of its figures.
pub(crate) fn title(text: &str) {
    figures::title(text, "ceiling");
}
