//! What is printed: one line for each figure, under the heads of a table.

use std::fs;

use crate::{
    ceiling::Ceiling,
    counters::{BENCH, Counters},
};

/// The kinds of processes whose processor time is told, in the order of their columns.
const KINDS: [&str; 6] = ["submitter", "scheduler", "launcher", "streamer", "nats", "redis"];

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    AtLeast(f64),
    Below(f64),
    None,
}

/// Prints a title, and the heads of its figures.
pub(crate) fn title(text: &str) {
    println!("\n{text}");
    println!("  {:<58} {:>10} {:>10} {:>10} {:>9}", "", "measured", "aim", "ceiling", "ratio");
}

/// Prints a figure, the aim, and what the servers alone reach.
pub(crate) fn figure(name: &str, measured: f64, aim: Aim, ceiling: Option<f64>) {
    let (aim, met) = match aim {
        Aim::AtLeast(least) => (format!("≥ {}", number(least)), measured >= least),
        Aim::Below(limit) => (format!("< {}", number(limit)), measured < limit),
        Aim::None => (String::new(), true),
    };
    let ratio = ceiling.map(|ceiling| format!("{:.2}", measured / ceiling)).unwrap_or_default();
    let ceiling = ceiling.map(number).unwrap_or_default();
    let missed = if met { "" } else { "  missed" };
    println!("  {name:<58} {:>10} {aim:>10} {ceiling:>10} {ratio:>9}{missed}", number(measured));
}

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

/// A number as people read it: three digits that count, or all before the point, in groups.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        it if it >= 100.0 || it == 0.0 => 0,
        it if it >= 10.0 => 1,
        it if it >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text
        .split_once('.')
        .map_or((&text[..], String::new()), |(whole, rest)| (whole, format!(".{rest}")));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + &rest
}

/// What the machine is.
pub(crate) fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let of = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()));
        value.unwrap_or_else(|| "unknown".into())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = of(&read("/proc/meminfo"), "MemTotal");
    let kib: f64 = memory.trim_end_matches(" kB").parse().unwrap_or(0.0);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{cores} × {}, {:.0} GiB, Linux {}",
        of(&read("/proc/cpuinfo"), "model name"),
        kib / f64::from(1 << 20),
        kernel.trim()
    )
}

/// How many processes want a processor, on average over the last minute.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn per(count: u64, whole: usize) -> f64 {
    count as f64 / as_f64(whole)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn as_f64(count: usize) -> f64 {
    count as f64
}
