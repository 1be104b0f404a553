//! What a store in Redis takes up, and what a commit costs there: bytes of memory for each step that has succeeded, and
//! microseconds of the server's and of this process's processor for each call.
//!
//! Not a loop around a clock: the server is another process, and the machine is shared, so that processor time is what can
//! be compared.

#![expect(clippy::print_stdout, reason = "it reports")]

mod bench;

use std::{collections::BTreeMap, time::Instant};

use bench::Bench;
use redis::Value;
use windlass_engine::{
    layout::Expansion,
    record::{RunRecord, RunState, StepIndex, StepRecord, StepState},
};
use windlass_proto::id::RunId;
use windlass_servers::Program;
use windlass_store::{Commit, Committed, NewRun, Store as _, Submission, Version};

/// What a step of a pipeline takes up, encoded, in a typical one: a name, a command, two dependencies.
const PIPELINE_BYTES: u32 = 50;

fn run_id(number: u32) -> RunId {
    format!("run_{number:026}").parse().expect("an id")
}

fn new_run(number: u32, steps: u32) -> NewRun {
    let submission = Submission {
        id: run_id(number),
        namespace: "default".into(),
        pipeline: "wide".into(),
        labels: BTreeMap::new(),
        arguments_json: "{}".into(),
        digest: [0; 32],
        rerun_of: None,
        no_cache: false,
        priority: 0,
        steps,
    };
    let pipeline = vec![7; (PIPELINE_BYTES * steps) as usize].into();
    NewRun { submission, pipeline, record: RunRecord::default() }
}

fn commit(number: u32, expected: Version, steps: impl Iterator<Item = u32>) -> Commit {
    let record = StepRecord { state: StepState::Succeeded, attempt: 1, ..StepRecord::default() };
    Commit {
        run: run_id(number),
        expected,
        commit: expected.number,
        record: RunRecord { state: RunState::Running, ..RunRecord::default() },
        steps: steps.map(|step| (StepIndex(step), record)).collect(),
        attempts: Vec::new(),
        outputs: Vec::new(),
        expansions: Vec::new(),
        step_count: 0,
        orders_taken: None,
        amendment: None,
    }
}

impl Bench {
    /// In bytes.
    async fn memory(&mut self) -> f64 {
        let _: Value =
            redis::cmd("MEMORY").arg("PURGE").query_async(&mut self.past).await.expect("purged");
        let [memory] = self.info(["used_memory"]).await;
        memory
    }

    async fn create(&self, number: u32, steps: u32) {
        self.store.create(new_run(number, steps)).await.expect("created");
    }

    /// Commits so many steps of a run at a time, until all have succeeded and the run has.
    async fn finish(&self, number: u32, steps: u32, at_once: u32) {
        let mut version = Version::FIRST;
        for first in (0..steps).step_by(at_once as usize) {
            let mut change = commit(number, version, first..(first + at_once).min(steps));
            if first + at_once >= steps {
                change.record.state = RunState::Succeeded;
            }
            version = self.commit(change).await;
        }
    }

    async fn commit(&self, change: Commit) -> Version {
        match self.store.commit(vec![change]).await.expect("committed")[..] {
            [Committed::Done(version)] => version,
            ref other => panic!("nobody else commits: {other:?}"),
        }
    }

    async fn report_memory(&mut self, runs: u32, steps: u32) {
        let before = self.memory().await;
        for number in 0..runs {
            self.create(runs * 10 + number, steps).await;
            self.finish(runs * 10 + number, steps, steps.min(1000)).await;
        }
        let taken = self.memory().await - before;
        let each = taken / (f64::from(runs) * f64::from(steps));
        println!(
            "{}: {runs} runs of {steps} steps: {each:.1} bytes per finished step, of which {PIPELINE_BYTES} are its pipeline",
            self.name
        );
    }

    /// A run of 10 steps whose loops expand to so many in all, a few items at a time.
    async fn report_growth(&mut self, number: u32, loops: u32, items: u32) {
        const BEGIN: u32 = 10;
        self.create(number, BEGIN).await;
        let mut version = Version::FIRST;
        let (memory, before) = (self.memory().await, self.processor().await);
        for expansion in 0..loops {
            let first = BEGIN + expansion * items;
            let mut change = commit(number, version, 0..1);
            change.expansions =
                vec![Expansion { step: StepIndex(0), first: StepIndex(first), items }];
            change.step_count = first + items;
            version = self.commit(change).await;
        }
        let (memory, after) = (self.memory().await - memory, self.processor().await);
        let [server, own] =
            [after[0] - before[0], after[1] - before[1]].map(|s| s * 1e6 / f64::from(loops));
        println!(
            "{}: a run that grows by {loops} loops of {items} items: {:.1} bytes for each item, and for each loop {server:.0} µs of the server's processor, {own:.0} µs of the client's",
            self.name,
            memory / f64::from(loops * items)
        );
    }

    /// Consecutive steps where the stride is 1.
    async fn report_commits(&mut self, at_once: u32, stride: u32, calls: u32) {
        const STEPS: u32 = 100_000;
        let number = at_once * 1000 + stride;
        self.create(number, STEPS).await;
        let mut version = Version::FIRST;
        let (before, began) = (self.processor().await, Instant::now());
        for call in 0..calls {
            let place = |step: u32| (call * at_once + step) * stride % STEPS;
            let mut steps: Vec<u32> = (0..at_once).map(place).collect();
            steps.sort_unstable();
            version = self.commit(commit(number, version, steps.into_iter())).await;
        }
        let took = began.elapsed().as_secs_f64();
        let after = self.processor().await;
        let [server, own, wall] =
            [after[0] - before[0], after[1] - before[1], took].map(|s| s * 1e6 / f64::from(calls));
        let order = if stride == 1 { "consecutive" } else { "scattered" };
        println!(
            "{}: a commit of {at_once} {order} steps: {server:.0} µs of the server's processor, {own:.0} µs of the client's, {wall:.0} µs in all",
            self.name
        );
    }
}

impl Bench {
    /// As a busy scheduler does: one call for many runs of a partition, a few consecutive steps each.
    async fn report_batches(&mut self, runs: u32, at_once: u32, calls: u32) {
        let partition = |number: &u32| run_id(*number).partition(16) == 0;
        let numbers: Vec<u32> = (50_000_000..).filter(partition).take(runs as usize).collect();
        for number in &numbers {
            self.create(*number, 1000).await;
        }
        let mut versions = vec![Version::FIRST; numbers.len()];
        let (before, began) = (self.processor().await, Instant::now());
        for call in 0..calls {
            let first = call * at_once % 1000;
            let change = |(number, version): (&u32, &Version)| {
                commit(*number, *version, first..(first + at_once).min(1000))
            };
            let changes = numbers.iter().zip(&versions).map(change).collect();
            let done = self.store.commit(changes).await.expect("committed");
            let version = |done| match done {
                Committed::Done(version) => version,
                other => panic!("nobody else commits: {other:?}"),
            };
            versions = done.into_iter().map(version).collect();
        }
        let took = began.elapsed().as_secs_f64();
        let after = self.processor().await;
        let steps = f64::from(calls) * f64::from(runs) * f64::from(at_once);
        let [server, own, wall] =
            [after[0] - before[0], after[1] - before[1], took].map(|s| s * 1e6 / steps);
        println!(
            "{}: a call for {runs} runs of {at_once} steps: for each step {server:.2} µs of the server's processor, {own:.2} µs of the client's, {wall:.2} µs in all",
            self.name
        );
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for (name, program) in [("Valkey", Program::Valkey), ("Redis", Program::Redis)] {
        let mut bench = Bench::start(name, program).await;
        bench.report_memory(1, 1_000_000).await;
        bench.report_memory(10_000, 10).await;
        for (number, loops, items) in
            [(1, 1, 1000), (2, 10, 1000), (3, 1000, 10), (4, 1, 1_000_000)]
        {
            bench.report_growth(60_000_000 + number, loops, items).await;
        }
        for (at_once, calls) in [(1, 20_000), (32, 10_000), (1000, 1000)] {
            bench.report_commits(at_once, 1, calls).await;
            bench.report_commits(at_once, 7, calls).await;
        }
        bench.report_batches(64, 8, 500).await;
        let began = Instant::now();
        let loaded = bench.store.load(run_id(10)).await.expect("read").expect("there");
        println!("{name}: loading {} steps: {:?}", loaded.steps.len(), began.elapsed());
    }
}
