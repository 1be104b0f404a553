//! What is printed: one line for each figure, under the heads of a table.

use std::{fs, time::Duration};

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    AtLeast(f64),
    Below(f64),
    None,
}

/// Prints a title, and the heads of its figures; `beside` is the head of what they are compared with.
pub(crate) fn title(text: &str, beside: &str) {
    println!("\n{text}");
    println!("  {:<58} {:>10} {:>10} {beside:>10} {:>9}", "", "measured", "aim", "ratio");
}

/// Prints a figure, the aim, and what it is compared with.
pub(crate) fn figure(name: &str, measured: f64, aim: Aim, ceiling: Option<f64>) {
    let (aim, met) = match aim {
        Aim::AtLeast(least) => (format!("≥ {}", number(least)), measured >= least),
        Aim::Below(limit) => (format!("< {}", number(limit)), measured < limit),
        Aim::None => (String::new(), true),
    };
    let of_some = ceiling.filter(|ceiling| *ceiling > 0.0);
    let ratio = of_some.map(|ceiling| format!("{:.2}", measured / ceiling)).unwrap_or_default();
    let ceiling = ceiling.map(number).unwrap_or_default();
    let missed = if met { "" } else { "  missed" };
    println!("  {name:<58} {:>10} {aim:>10} {ceiling:>10} {ratio:>9}{missed}", number(measured));
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

/// Durations, sorted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Percentiles(Vec<Duration>);

impl Percentiles {
    /// In milliseconds: the value that this share of all is not above.
    pub(crate) fn at(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a share of a length"
        )]
        let place = (self.0.len() as f64 * share) as usize;
        let found = self.0.get(place.min(self.0.len().saturating_sub(1)));
        found.map_or(f64::NAN, |it| it.as_secs_f64() * 1e3)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<Duration> for Percentiles {
    fn from_iter<T: IntoIterator<Item = Duration>>(durations: T) -> Self {
        let mut durations: Vec<_> = durations.into_iter().collect();
        durations.sort_unstable();
        Self(durations)
    }
}
