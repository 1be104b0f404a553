//! What pods cost: the four programs, NATS and Valkey, each a process, and a real Kubernetes control plane whose nodes are played.
//!
//! `cargo bench -p windlass-tests --bench kubernetes` measures everything; with names of cases behind `--`, only those: `wide`,
//! `20x50`, `chain`, `rate`. A number behind `=` is the number of pods for `wide`, of steps for `chain`, and of pods in each
//! chain for `rate`. `rounds=7` has each case measured so often: figures are medians. Beside a figure stands the bare client's:
//! it creates the same pods on the same API server in the same round, watches and deletes them, keeps no state, and is a process
//! of its own. It asserts that runs end well and that no attempt is started twice; it asserts no time.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

mod bare;
mod cases;
mod counters;
#[path = "../shared/figures.rs"]
mod figures;
mod installation;
mod observer;
#[path = "../shared/processes.rs"]
mod processes;
mod report;
mod runs;
#[path = "../shared/shares.rs"]
mod shares;
mod work;

use anyhow::{Context as _, bail};
use windlass_servers::Kubernetes;

use crate::installation::Ground;

/// The cases, and how large each is where the command line does not say.
const CASES: [(&str, u32); 4] = [("wide", 1000), ("20x50", 50), ("chain", 200), ("rate", 20)];

/// How often each case is measured where the command line does not say.
const ROUNDS: usize = 3;

fn main() -> anyhow::Result<()> {
    // Cargo says `--bench`.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let [role, plan] = &arguments[..]
        && role == bare::ROLE
    {
        return bare::run(plan);
    }
    let (mut chosen, mut rounds) = (Vec::new(), ROUNDS);
    for argument in arguments {
        let (name, size) = argument.split_once('=').unzip();
        let name = name.unwrap_or(&argument);
        let size = size.map(str::parse::<u32>).transpose();
        let size = size.with_context(|| format!("`{argument}`"))?;
        if let ("rounds", Some(count)) = (name, size) {
            rounds = usize::try_from(count.max(1))?;
            continue;
        }
        let Some((name, usual)) = CASES.iter().find(|(case, _)| *case == name) else {
            bail!("there is no case `{name}`; there are {:?}", CASES.map(|(case, _)| case));
        };
        chosen.push((*name, size.unwrap_or(*usual)));
    }
    if chosen.is_empty() {
        chosen.extend(CASES);
    }
    if Kubernetes::is_missing() {
        return Ok(());
    }
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure(&chosen, rounds))
}

async fn measure(chosen: &[(&str, u32)], rounds: usize) -> anyhow::Result<()> {
    println!("{}", figures::machine());
    println!("Windlass {}, medians of {rounds} rounds", env!("CARGO_PKG_VERSION"));
    let ground = Ground::start().await;
    for (name, size) in chosen {
        let before = figures::load();
        match *name {
            "wide" => cases::of_a_wide_run(&ground, *size, rounds).await,
            "20x50" => cases::of_runs(&ground, *size, rounds).await,
            "chain" => cases::of_a_chain(&ground, *size, rounds).await,
            _ => cases::of_rates(&ground, *size, rounds).await,
        }
        .with_context(|| format!("case `{name}`"))?;
        println!("  load average before: {before}, after: {}", figures::load());
    }
    Ok(())
}
