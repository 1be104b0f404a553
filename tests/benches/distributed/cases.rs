//! What is measured: one function for each case.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::future::try_join_all;
use tokio::time::{MissedTickBehavior, interval};
use windlass_tests::pipelines::{self, Dependencies, chain, wide};

use crate::{
    ceiling::{self, Ceiling},
    counters::{Counters, Counting},
    figures::{Aim, Percentiles, as_f64, figure, per},
    installation::{Installation, Layout},
    latency,
    report::{processor, processor_by_kind, title},
    runs::{self, Witness},
};

/// One launcher and one scheduler, whose steps take no time.
const ALONE: Layout = Layout { replicas: 1, duration: Duration::ZERO };

/// What a case took.
struct Took {
    /// From the first submission to its answer, where there is one run.
    submission: Duration,
    /// From there to the end.
    run: Duration,
    /// From before the submission.
    counters: Counters,
    /// What the servers need for the same.
    ceiling: Ceiling,
    /// In bytes of Redis' memory.
    memory: f64,
}

/// Has one run of an installation come to its end, then the servers do the same alone.
async fn one_run(
    installation: &Installation,
    steps: usize,
    dependencies: Dependencies,
) -> anyhow::Result<Took> {
    let mut counting = Counting::of(installation).await?;
    let client = installation.runs().await?;
    let witness = Witness::of(installation).await?;
    let memory = counting.memory().await?;
    let before = counting.read().await?;
    let began = Instant::now();
    let run = runs::submit(client.clone(), "one".into(), steps, dependencies).await?;
    let submission = began.elapsed();
    let submitted = counting.read().await?;
    runs::until_succeeded(client, run, steps).await?;
    let run = began.elapsed().saturating_sub(submission);
    let after = counting.read().await?;
    witness.confirm(steps).await?;
    ensure_quiet(installation)?;
    let memory = counting.memory().await? - memory;
    // What was submitted is large, and no message and no call is like it.
    let ceiling = ceiling::measure(installation, &mut counting, &after.since(&submitted)).await?;
    Ok(Took { submission, run, counters: after.since(&before), ceiling, memory })
}

/// A program that warns of something does not do what it should.
fn ensure_quiet(installation: &Installation) -> anyhow::Result<()> {
    for program in &installation.programs {
        let warnings = program.warnings();
        ensure!(warnings.is_empty(), "the {} warns: {warnings:#?}", program.kind);
    }
    Ok(())
}

fn per_second(steps: usize, elapsed: Duration) -> f64 {
    as_f64(steps) / elapsed.as_secs_f64()
}

fn peaks(installation: &Installation) -> anyhow::Result<()> {
    for (kind, mib) in Counting::peak_memory(installation)? {
        figure(&format!("peak memory of the {kind} process, MiB"), mib, Aim::None, None);
    }
    Ok(())
}

/// A wide run of one pipeline.
pub(crate) async fn of_a_wide_run(steps: usize) -> anyhow::Result<()> {
    title(&format!("one wide run of {steps} steps that take no time"));
    let installation = Installation::start(ALONE).await?;
    let took = one_run(&installation, steps, wide).await?;
    let (counters, ceiling) = (&took.counters, &took.ceiling);
    let each = |count| per(count, steps);
    let rate = per_second(steps, took.run);
    let bare = per_second(steps, ceiling.elapsed);
    figure("steps per second", rate, Aim::AtLeast(50_000.0), Some(bare));
    let pipeline = pipelines::encoded_len(steps, wide);
    let (all, of_pipeline) = (took.memory / as_f64(steps), as_f64(pipeline) / as_f64(steps));
    figure("bytes in Redis per finished step", all, Aim::Below(100.0), None);
    figure("  of which the pipeline, as it was submitted", of_pipeline, Aim::None, None);
    figure("messages kept by NATS per step", each(counters.kept_messages), Aim::Below(0.5), None);
    figure("all messages to NATS per step", each(counters.messages), Aim::None, None);
    figure("bytes to NATS per step", each(counters.message_bytes), Aim::None, None);
    figure("scripts called in Redis per step", each(counters.scripts()), Aim::None, None);
    figure("bytes to Redis per step", each(counters.command_bytes), Aim::None, None);
    processor(counters, steps, ceiling);
    Ok(())
}

/// How many launchers and schedulers.
const REPLICAS: [usize; 3] = [1, 2, 4];

/// How often each of them is measured.
const ROUNDS: usize = 7;

/// How many runs there are, so that every scheduler has some.
const SCALED_RUNS: usize = 32;

/// The processor time per step, with more and more launchers and schedulers.
pub(crate) async fn of_more_replicas(steps: usize) -> anyhow::Result<()> {
    title(&format!(
        "{SCALED_RUNS} wide runs of {steps} steps at once: medians of {ROUNDS} interleaved rounds"
    ));
    let mut took = vec![Vec::new(); REPLICAS.len()];
    for round in 0..ROUNDS {
        // Begins with another one each time, so that none is always the first.
        for place in 0..REPLICAS.len() {
            let place = (place + round) % REPLICAS.len();
            took[place].push(scaled(REPLICAS[place], steps).await?);
        }
    }
    let all = SCALED_RUNS * steps;
    let mut alone = None;
    for (replicas, mut took) in REPLICAS.into_iter().zip(took) {
        took.sort_by(|one, other| one.processor.total_cmp(&other.processor));
        let each = |seconds: f64| seconds * 1e6 / as_f64(all);
        let (least, most) = (each(took[0].processor), each(took[ROUNDS - 1].processor));
        let median = each(took[ROUNDS / 2].processor);
        let aim = alone.map_or(Aim::None, |alone: f64| Aim::Below(alone * 1.3));
        let bare = each(took[ROUNDS / 2].ceiling);
        let name = format!("{replicas} of each: processor time per step, all processes, µs");
        figure(&name, median, aim, Some(bare));
        figure("  the least of all rounds", least, Aim::None, None);
        figure("  the most", most, Aim::None, None);
        alone.get_or_insert(median);
        took.sort_by_key(|it| it.elapsed);
        let rate = per_second(all, took[ROUNDS / 2].elapsed);
        figure("  steps per second", rate, Aim::None, None);
    }
    Ok(())
}

/// What many wide runs took.
#[derive(Debug, Clone)]
struct Scaled {
    elapsed: Duration,
    /// Seconds of processor time of all processes.
    processor: f64,
    /// Of the servers alone with a bare client.
    ceiling: f64,
}

async fn scaled(replicas: usize, steps: usize) -> anyhow::Result<Scaled> {
    let installation = Installation::start(Layout { replicas, ..ALONE }).await?;
    let mut counting = Counting::of(&installation).await?;
    let client = installation.runs().await?;
    let witness = Witness::of(&installation).await?;
    let before = counting.read().await?;
    let began = Instant::now();
    // The same runs in the same partitions each time.
    let runs = runs::submit_many(&client, SCALED_RUNS, steps, wide).await?;
    let ends = runs.into_iter().map(|run| runs::until_succeeded(client.clone(), run, steps));
    try_join_all(ends).await?;
    let elapsed = began.elapsed();
    let took = counting.read().await?.since(&before);
    witness.confirm(SCALED_RUNS * steps).await?;
    ensure_quiet(&installation)?;
    let ceiling = ceiling::measure(&installation, &mut counting, &took).await?;
    let processor = took.processor_of_all();
    Ok(Scaled { elapsed, processor, ceiling: ceiling.servers + ceiling.client })
}

/// How long a step of a chain takes.
const CHAINED: Duration = Duration::from_millis(100);

/// How many chains there are: each makes a step in the time that a step takes and that lies between two.
const CHAINS: usize = 103;

/// When the store has what it acknowledges on its disk, as its server calls it, and in words.
const FLUSHES: [(&str, &str); 2] =
    [("always", "before it answers"), ("everysec", "within the next second")];

/// From one step's end to the next one's launch command.
pub(crate) async fn of_chains(steps: usize) -> anyhow::Result<()> {
    for (policy, words) in FLUSHES {
        title(&format!(
            "{CHAINS} chains of {steps} steps that take 100 ms each; the store flushes {words}"
        ));
        of_chains_with(steps, policy).await?;
    }
    Ok(())
}

async fn of_chains_with(steps: usize, flush: &str) -> anyhow::Result<()> {
    let installation = Installation::start(Layout { replicas: 1, duration: CHAINED }).await?;
    installation.redis.command(&format!("CONFIG SET appendfsync {flush}")).await;
    let client = installation.runs().await?;
    let witness = Witness::of(&installation).await?;
    let listening = tokio::spawn(latency::listen(&installation, CHAINS * steps).await?);
    let mut counting = Counting::of(&installation).await?;
    let before = counting.read().await?;
    let began = Instant::now();
    // One after the other, so that their steps do not end at the same time.
    let mut ticks = interval(CHAINED / u32::try_from(CHAINS)?);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut submitted = Vec::new();
    for number in 0..CHAINS {
        ticks.tick().await;
        let submitting = runs::submit(client.clone(), format!("run-{number}"), steps, chain);
        submitted.push(tokio::spawn(submitting));
    }
    let heard = listening.await??;
    let elapsed = began.elapsed();
    let took = counting.read().await?.since(&before);
    for run in submitted {
        runs::until_succeeded(client.clone(), run.await??, steps).await?;
    }
    witness.confirm(CHAINS * steps).await?;
    ensure_quiet(&installation)?;
    let bare = latency::bare(&installation, Duration::from_secs(5)).await?;
    let all = CHAINS * steps;
    figure("steps per second", per_second(all, elapsed), Aim::None, None);
    let row = |name: &str, it: &Percentiles, share, aim, ceiling| {
        figure(&format!("from {name}, p{:.0}, ms", share * 100.0), it.at(share), aim, ceiling);
    };
    for (share, aim) in [(0.5, Aim::Below(2.0)), (0.99, Aim::Below(10.0))] {
        row("a step's end to the next launch command", &heard.from_end, share, aim, None);
    }
    for share in [0.5, 0.99] {
        let bare = Some(bare.at(share));
        row("the report of it to the command", &heard.from_report, share, Aim::None, bare);
    }
    // A listener may miss a message, and nothing is lost by that but a figure.
    let share = as_f64(heard.from_end.len()) / as_f64(CHAINS * (steps - 1));
    figure("share of the ends that were heard with their commands", share, Aim::None, None);
    let each = |count| per(count, all);
    figure("messages kept by NATS per step", each(took.kept_messages), Aim::None, None);
    figure("all messages to NATS per step", each(took.messages), Aim::None, None);
    figure("scripts called in Redis per step", each(took.scripts()), Aim::None, None);
    processor_by_kind(&took, all);
    Ok(())
}

/// The largest run there may be.
pub(crate) async fn of_the_largest_run(steps: usize) -> anyhow::Result<()> {
    title(&format!("the largest run: {steps} steps that take no time"));
    let installation = Installation::start(ALONE).await?;
    let took = one_run(&installation, steps, wide).await?;
    figure("seconds to submit", took.submission.as_secs_f64(), Aim::None, None);
    let bare = took.ceiling.elapsed.as_secs_f64();
    figure("seconds from there to its end", took.run.as_secs_f64(), Aim::None, Some(bare));
    let rate = per_second(steps, took.run);
    figure("steps per second", rate, Aim::None, Some(per_second(steps, took.ceiling.elapsed)));
    let memory = took.memory / as_f64(steps);
    figure("bytes in Redis per finished step", memory, Aim::Below(100.0), None);
    processor(&took.counters, steps, &took.ceiling);
    peaks(&installation)
}

/// Many small runs.
pub(crate) async fn of_many_runs(runs: usize, steps: usize) -> anyhow::Result<()> {
    title(&format!("{runs} runs of {steps} steps that take no time, at once"));
    let installation = Installation::start(ALONE).await?;
    let mut counting = Counting::of(&installation).await?;
    let mut client = installation.runs().await?;
    let witness = Witness::of(&installation).await?;
    let before = counting.read().await?;
    let began = Instant::now();
    runs::submit_many(&client, runs, steps, wide).await?;
    let submission = began.elapsed();
    runs::until_all_succeeded(&mut client, runs, steps).await?;
    let elapsed = began.elapsed();
    let took = counting.read().await?.since(&before);
    witness.confirm(runs * steps).await?;
    ensure_quiet(&installation)?;
    let ceiling = ceiling::measure(&installation, &mut counting, &took).await?;
    figure("seconds to submit", submission.as_secs_f64(), Aim::None, None);
    let bare = ceiling.elapsed.as_secs_f64();
    figure(
        "seconds from the first submission to the last end",
        elapsed.as_secs_f64(),
        Aim::None,
        Some(bare),
    );
    figure(
        "runs per second",
        per_second(runs, elapsed),
        Aim::None,
        Some(per_second(runs, ceiling.elapsed)),
    );
    let each = |count| per(count, runs);
    figure("messages kept by NATS per run", each(took.kept_messages), Aim::None, None);
    figure("scripts called in Redis per run", each(took.scripts()), Aim::None, None);
    processor(&took, runs * steps, &ceiling);
    peaks(&installation)
}
