//! What the engine costs: transitions per second, and bytes per step.
//!
//! A transition is one change of a step's state. A run is driven as a scheduler does it: a batch of launches, then one
//! report per attempt that tells at once that it ran and that it succeeded. A step takes three transitions: to ready, to
//! queued, to succeeded.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput};
use windlass_engine::{
    event::{AttemptPhase, AttemptReport, Event},
    graph::{Graph, GraphBuilder, NodeIndex, Place},
    logic::{Facts, Logic},
    output::{Effect, Output},
    policy::{ClusterIndex, RunPolicy, StepPolicy},
    record::{RunState, StepIndex},
    run::Run,
    time::Timestamp,
};

/// The most launches in a batch.
const BATCH: usize = 1024;
const SIZES: [u32; 3] = [1_000, 100_000, 1_000_000];
const SHAPES: [(&str, Shape); 5] =
    [("chain", chain), ("fan", fan), ("layered", layered), ("loop", items), ("nested", nested)];
/// The table shows the best of so many runs: the least disturbed one.
const RUNS: usize = 5;

/// Makes a graph of so many steps.
type Shape = fn(u32) -> Graph;

fn main() {
    print_table();
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion);
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("run");
    group.sample_size(10).measurement_time(Duration::from_secs(2));
    for (name, shape) in SHAPES {
        for size in [1_000, 100_000] {
            let graph = Arc::new(shape(size));
            group.throughput(Throughput::Elements(u64::from(size) * 3));
            group.bench_with_input(BenchmarkId::new(name, size), &graph, |bencher, graph| {
                bencher.iter(|| drive(&mut Run::new(graph.clone())));
            });
        }
    }
    group.finish();
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn print_table() {
    println!(
        "shape        steps   transitions/s   ns/transition   x 1,000   state B/step   peak   graph B/step"
    );
    for (name, shape) in SHAPES {
        let mut at_first = None;
        for size in SIZES {
            let graph = Arc::new(shape(size));
            let row = best(&graph, size);
            let cost = row.elapsed.as_nanos() as f64 / row.transitions as f64;
            let per_step = |bytes: usize| bytes as f64 / f64::from(size);
            println!(
                "{name:8} {size:9} {:15.0} {cost:15.1} {:9.2} {:14.1} {:6.1} {:14.1}",
                1e9 / cost,
                cost / *at_first.get_or_insert(cost),
                per_step(row.state_bytes),
                per_step(row.peak_bytes),
                per_step(graph.bytes()),
            );
        }
    }
}

/// What a run took.
struct Row {
    elapsed: Duration,
    transitions: usize,
    state_bytes: usize,
    peak_bytes: usize,
}

fn best(graph: &Arc<Graph>, steps: u32) -> Row {
    // A small run is over too soon for the clock: as many as come to a million transitions count as one.
    let repeats = 1_000_000 / (steps as usize * 3) + 1;
    let rows = (0..RUNS).map(|_| {
        let mut runs = vec![Run::new(graph.clone()); repeats];
        let begun = Instant::now();
        let (transitions, peak_bytes) =
            runs.iter_mut().map(drive).fold((0, 0), |all, one| (all.0 + one.0, one.1));
        let elapsed = begun.elapsed();
        Row { elapsed, transitions, state_bytes: runs[0].state_bytes(), peak_bytes }
    });
    rows.min_by_key(|row| row.elapsed).expect("some runs")
}

/// Drives a run to its end. Tells how many transitions that took, and the most bytes of state on the way.
fn drive(run: &mut Run) -> (usize, usize) {
    let (mut transitions, mut peak_bytes) = (0, 0);
    let mut now = Timestamp(1_000_000);
    let mut output = Output::default();
    apply(run, &Event::Submitted, now, &mut output);
    loop {
        run.dispatch(ClusterIndex(0), BATCH, now, &mut output);
        let Output { mut delta, effects } = std::mem::take(&mut output);
        transitions += delta.steps.len();
        delta.settle();
        black_box((&delta, run.next_wakeup(now)));
        peak_bytes = peak_bytes.max(run.state_bytes());
        if effects.is_empty() {
            break;
        }
        now = now.plus(1);
        for effect in effects {
            apply(run, &succeeded(effect, now), now, &mut output);
        }
    }
    assert_eq!(run.record().state, RunState::Succeeded);
    (transitions, peak_bytes)
}

fn apply(run: &mut Run, event: &Event, now: Timestamp, output: &mut Output) {
    run.apply(event, now, output).expect("the event makes sense");
}

fn succeeded(effect: Effect, now: Timestamp) -> Event {
    let it = effect.attempt();
    Event::Report(AttemptReport {
        step: it.step,
        attempt: it.attempt,
        phase: AttemptPhase::Succeeded(None),
        created_at: Some(now),
        started_at: Some(now),
        ended_at: Some(now),
    })
}

/// Each step waits for the one before.
fn chain(steps: u32) -> Graph {
    graph(steps, |step| step.checked_sub(1).into_iter().collect())
}

/// All steps wait for the first one, and the last one for all.
fn fan(steps: u32) -> Graph {
    graph(steps, |step| match step {
        0 => Vec::new(),
        _ if step == steps - 1 => (1..step).collect(),
        _ => vec![0],
    })
}

/// Layers as wide as there are layers; each step waits for two of the layer before, drawn at random.
fn layered(steps: u32) -> Graph {
    let width = steps.isqrt();
    let mut state = 1_u64;
    let mut draw = move |below: u32| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % u64::from(below)) as u32
    };
    graph(steps, |step| match (step / width).checked_sub(1) {
        None => Vec::new(),
        Some(before) => vec![before * width + draw(width), before * width + draw(width)],
    })
}

/// A loop over a task.
fn items(steps: u32) -> Graph {
    loops(&[steps])
}

/// A loop over a loop over a task.
fn nested(steps: u32) -> Graph {
    loops(&[steps.isqrt(), steps.isqrt()])
}

/// Loops, each the body of the one before, and a task in the innermost.
fn loops(items: &[u32]) -> Graph {
    let mut builder = GraphBuilder::new(RunPolicy::default());
    for _ in items {
        let holder = builder.add_step(StepPolicy::default());
        builder.begin(Place::Items(holder));
    }
    builder.add_step(StepPolicy::default());
    builder.set_logic(Arc::new(Items(items.to_vec())));
    builder.build().expect("nothing waits for anything")
}

/// How many items the loops have, by their nodes.
#[derive(Debug)]
struct Items(Vec<u32>);

impl Logic for Items {
    fn condition(&self, _: StepIndex, _: &dyn Facts) -> Result<bool, String> {
        Ok(true)
    }

    fn items(&self, step: StepIndex, facts: &dyn Facts) -> Result<u32, String> {
        Ok(self.0[facts.layout().node(step).0 as usize])
    }
}

fn graph(steps: u32, mut waits_for: impl FnMut(u32) -> Vec<u32>) -> Graph {
    let mut builder = GraphBuilder::new(RunPolicy::default());
    for _ in 0..steps {
        let step = builder.add_step(StepPolicy::default());
        for on in waits_for(step.0) {
            builder.add_dependency(step, NodeIndex(on));
        }
    }
    builder.build().expect("steps wait for earlier ones")
}
