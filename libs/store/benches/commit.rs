//! How many steps a store commits in a second, in a run of a million steps: so many to a commit, one commit after the
//! other, next to each other or scattered.

use std::{collections::BTreeMap, hint::black_box, sync::Arc};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use windlass_engine::record::{RunRecord, StepIndex, StepRecord, StepState};
use windlass_proto::id::RunId;
use windlass_store::{
    Commit, Committed, MemoryStore, NewRun, SqliteStore, Store, Submission, Version,
};

const STEPS: u32 = 1_000_000;

/// Coprime to the number of steps, so that its multiples reach all of them.
const STRIDE: u32 = 7919;

fn run_id() -> RunId {
    "run_00000000000000000000000001".parse().expect("an id")
}

fn new_run() -> NewRun {
    let submission = Submission {
        id: run_id(),
        namespace: "default".into(),
        pipeline: "wide".into(),
        labels: BTreeMap::new(),
        arguments_json: "{}".into(),
        digest: [0; 32],
        rerun_of: None,
        no_cache: false,
        priority: 0,
        steps: STEPS,
    };
    NewRun { submission, pipeline: vec![0; 1 << 20].into(), record: RunRecord::default() }
}

/// Goes through all steps again and again.
struct Writer {
    store: Arc<dyn Store>,
    version: Version,
    next: u32,
    stride: u32,
}

impl Writer {
    async fn commit(&mut self, count: u32) {
        let place =
            |number: u32| (u64::from(number) * u64::from(self.stride) % u64::from(STEPS)) as u32;
        let record =
            StepRecord { state: StepState::Succeeded, attempt: 1, ..StepRecord::default() };
        let mut steps: Vec<_> = (self.next..self.next + count)
            .map(|number| (StepIndex(place(number)), record))
            .collect();
        steps.sort_unstable_by_key(|(step, _)| *step);
        self.next = (self.next + count) % STEPS;
        let commit = Commit {
            run: run_id(),
            expected: self.version,
            commit: self.version.number,
            record: RunRecord::default(),
            steps,
            attempts: Vec::new(),
            outputs: Vec::new(),
            expansions: Vec::new(),
            step_count: STEPS,
            orders_taken: None,
            amendment: None,
        };
        match self.store.commit(vec![commit]).await.expect("committed")[..] {
            [Committed::Done(version)] => self.version = version,
            ref other => panic!("nobody else commits: {other:?}"),
        }
    }
}

fn measure(criterion: &mut Criterion, name: &str, store: &Arc<dyn Store>) {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(store.create(new_run())).expect("created");
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    let mut version = Version::FIRST;
    for (order, stride) in [("consecutive", 1), ("scattered", STRIDE)] {
        for count in [1_u32, 32, 256, 4096] {
            let mut writer = Writer { store: Arc::clone(store), version, next: 0, stride };
            group.throughput(Throughput::Elements(count.into()));
            group.bench_function(BenchmarkId::new(order, count), |bencher| {
                bencher.iter(|| runtime.block_on(writer.commit(count)));
            });
            version = writer.version;
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group(format!("{name}/load"));
    group.sample_size(10).throughput(Throughput::Elements(STEPS.into()));
    group.bench_function("all", |bencher| {
        bencher.iter(|| black_box(runtime.block_on(store.load(run_id()))));
    });
    group.finish();
}

fn memory(criterion: &mut Criterion) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    measure(criterion, "memory", &store);
}

fn sqlite(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(directory.path().join("windlass.db")).expect("a store");
    let store: Arc<dyn Store> = Arc::new(store);
    measure(criterion, "sqlite", &store);
}

criterion_group!(benches, memory, sqlite);
criterion_main!(benches);
