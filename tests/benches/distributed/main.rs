//! What an installation does on this machine: the four programs, NATS and Valkey, each a process, durable as they are shipped.
//!
//! `cargo bench -p windlass-tests --bench distributed` measures everything; with names of cases behind `--`, only those:
//! `wide`, `replicas`, `latency`, `million`, `many`. A number behind `=` is the number of steps, such as `wide=10000`; of
//! runs, for `many`. Beside a figure stands the ceiling: what the same servers do in the same run with as many messages and
//! calls of the same size, sent in batches by a bare client. It asserts that runs end well and that nothing is done twice;
//! it asserts no time.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

mod cases;
mod ceiling;
mod counters;
#[path = "../shared/figures.rs"]
mod figures;
mod installation;
mod latency;
#[path = "../shared/processes.rs"]
mod processes;
mod report;
mod runs;
#[path = "../shared/shares.rs"]
mod shares;

use anyhow::{Context as _, bail};

/// The cases, and how many steps or runs each has where the command line does not say.
const CASES: [(&str, usize); 5] = [
    ("wide", 100_000),
    ("replicas", 5000),
    ("latency", 100),
    ("million", 1_000_000),
    ("many", 10_000),
];

/// How many steps each of many runs has.
const FEW: usize = 10;

fn main() -> anyhow::Result<()> {
    let mut chosen = Vec::new();
    // Cargo says `--bench`.
    for argument in std::env::args().skip(1).filter(|argument| !argument.starts_with("--")) {
        let (name, size) = argument.split_once('=').unzip();
        let name = name.unwrap_or(&argument);
        let Some((name, usual)) = CASES.iter().find(|(case, _)| *case == name) else {
            bail!("there is no case `{name}`; there are {:?}", CASES.map(|(case, _)| case));
        };
        let size = match size {
            Some(size) => size.parse().with_context(|| format!("`{argument}`"))?,
            None => *usual,
        };
        chosen.push((*name, size));
    }
    if chosen.is_empty() {
        chosen.extend(CASES);
    }
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure(&chosen))
}

async fn measure(chosen: &[(&str, usize)]) -> anyhow::Result<()> {
    println!("{}", figures::machine());
    println!("Windlass {}, {}", env!("CARGO_PKG_VERSION"), installation::versions()?);
    for (name, size) in chosen {
        let before = figures::load();
        match *name {
            "wide" => cases::of_a_wide_run(*size).await,
            "replicas" => cases::of_more_replicas(*size).await,
            "latency" => cases::of_chains(*size).await,
            "million" => cases::of_the_largest_run(*size).await,
            _ => cases::of_many_runs(*size, FEW).await,
        }
        .with_context(|| format!("case `{name}`"))?;
        println!("  load average before: {before}, after: {}", figures::load());
    }
    Ok(())
}
