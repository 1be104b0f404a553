//! All services in one process with simulated attempts that take no time: what Windlass itself costs per step.
//!
//! `cargo bench -p windlass-tests` prints a table; a number as argument (`-- 1000000`) says how many steps, and `file` that state is kept in a
//! file instead of memory. Beside each figure stands what the engine alone reaches on the same graph in the same process.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::{
    env,
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use windlass::embedded::{Embedded, EmbeddedConfig, RuntimeConfig, StateDir};
use windlass_engine::{
    event::{AttemptPhase, AttemptReport, Event},
    graph::{GraphBuilder, NodeIndex},
    output::{Effect, Output},
    policy::{ClusterIndex, RunPolicy, StepPolicy},
    run::Run,
    time::Timestamp,
};
use windlass_launcher::runtime::simulated::{SimulatedAttempt, SimulatedEnd};
use windlass_proto::v1::{self, RunState};
use windlass_tests::pipelines::{Dependencies, chain, layers, parts, wide};

/// How many attempts may be ordered and not begun.
const WINDOW: usize = 8192;

const SHAPES: [(&str, Dependencies); 3] = [("wide", wide), ("layers", layers), ("chain", chain)];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let steps = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let in_file = arguments.iter().any(|argument| argument == "file");
    let runtime = tokio::runtime::Runtime::new()?;
    println!(
        "{:>8} {:>9} {:>10} {:>12} {:>14} {:>9}",
        "shape", "steps", "seconds", "steps/s", "engine steps/s", "peak MiB"
    );
    for (shape, dependencies) in SHAPES {
        // A chain is all latency: a step can only begin when the one before it has ended.
        let steps = if shape == "chain" { steps / 100 } else { steps };
        let ceiling = engine_alone(steps, dependencies);
        let elapsed = runtime.block_on(embedded(steps, dependencies, in_file))?;
        println!(
            "{shape:>8} {steps:>9} {:>10.2} {:>12.0} {ceiling:>14.0} {:>9}",
            elapsed.as_secs_f64(),
            per_second(steps, elapsed),
            peak_mib()
        );
    }
    Ok(())
}

/// Steps per second of the engine alone, everything else left out.
fn engine_alone(steps: usize, dependencies: Dependencies) -> f64 {
    let mut builder = GraphBuilder::new(RunPolicy::default());
    let index = |step| NodeIndex(u32::try_from(step).expect("few enough"));
    for _ in 0..steps {
        builder.add_step(StepPolicy::default());
    }
    for step in 0..steps {
        for on in dependencies(step, steps) {
            builder.add_dependency(index(step), index(on));
        }
    }
    let mut run = Run::new(Arc::new(builder.build().expect("the graph has no cycle")));
    let now = Timestamp(1);
    let mut out = Output::default();
    let started = Instant::now();
    run.apply(&Event::Submitted, now, &mut out).expect("every run begins");
    while run.dispatch(ClusterIndex(0), WINDOW, now, &mut out) > 0 {
        for effect in std::mem::take(&mut out).effects {
            let Effect::Launch(attempt) = effect else { continue };
            let report = AttemptReport {
                step: attempt.step,
                attempt: attempt.attempt,
                phase: AttemptPhase::Succeeded(None),
                created_at: Some(now),
                started_at: Some(now),
                ended_at: Some(now),
            };
            run.apply(&Event::Report(report), now, &mut out).expect("the step is the run's");
        }
    }
    per_second(steps, started.elapsed())
}

/// From the end of the submission to the end of the run.
async fn embedded(
    steps: usize,
    dependencies: Dependencies,
    in_file: bool,
) -> anyhow::Result<Duration> {
    let dir = tempfile::tempdir()?;
    let state = if in_file {
        StateDir::Persistent(PathBuf::from(dir.path()))
    } else {
        StateDir::temporary()?
    };
    let attempt = SimulatedAttempt { duration: Duration::ZERO, end: SimulatedEnd::Succeed(None) };
    let window = NonZeroUsize::new(WINDOW).expect("not zero");
    let runtime = RuntimeConfig::Simulated { plan: Arc::new(move |_| attempt.clone()), window };
    let embedded = Embedded::start(EmbeddedConfig { state, runtime }).await?;
    let mut runs = v1::run_service_client::RunServiceClient::new(embedded.channel());
    let run = runs
        .submit_large_run(tokio_stream::iter(parts(String::new(), steps, dependencies)))
        .await?
        .into_inner()
        .run;
    let run_id = run.expect("a submission is answered with its run").run_id;
    let started = Instant::now();
    let mut watch =
        runs.watch_run(v1::WatchRunRequest { run_id, run_only: true }).await?.into_inner();
    let mut state = RunState::Unspecified;
    while let Some(message) = watch.message().await? {
        let run = match message.event {
            Some(v1::watch_run_response::Event::Snapshot(snapshot)) => snapshot.run,
            Some(v1::watch_run_response::Event::Delta(delta)) => delta.run,
            None => None,
        };
        state = run.map_or(state, |run| run.state());
    }
    let elapsed = started.elapsed();
    anyhow::ensure!(state == RunState::Succeeded, "the run ended as {state:?}");
    embedded.shutdown().await;
    Ok(elapsed)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn per_second(steps: usize, elapsed: Duration) -> f64 {
    steps as f64 / elapsed.as_secs_f64()
}

/// The most memory this process has held; 0 where the system does not tell.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
