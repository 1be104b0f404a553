//! The loop that serves one partition.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::future;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use uuid::Uuid;
use windlass_bus::{Bus, BusError, Delivery};
use windlass_engine::{
    event::Event,
    output::{Effect, Output},
    run::{Mismatch, Run},
};
use windlass_pipeline::compile::{self, CompileError};
use windlass_proto::{encoded::EncodedPipeline, id::RunId, subject::Subject};
use windlass_store::{Commit, Committed, Store, StoreError, StoredRun};

use crate::{
    SchedulerConfig,
    cache::Cache,
    clock::Clock,
    inbox::{self, RunWork, Work},
    outbox,
};

/// How long a loop waits after something it depends on failed it.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(250);

/// Serves one partition.
#[derive(Debug)]
pub struct Partition {
    number: u32,
    config: SchedulerConfig,
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
    cache: Cache,
    /// Runs to be looked at although no event names them: they may owe something, or have orders in their inbox.
    owing: BTreeSet<RunId>,
}

/// What a turn decided about one run.
#[derive(Debug, Default)]
struct Decision {
    output: Output,
    orders_taken: Option<u64>,
}

/// Why a turn was given up. All of it may be done again.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl Partition {
    /// A loop that holds nothing yet.
    pub fn new(
        number: u32,
        config: SchedulerConfig,
        bus: Arc<dyn Bus>,
        store: Arc<dyn Store>,
    ) -> Self {
        Self { number, config, bus, store, cache: Cache::default(), owing: BTreeSet::new() }
    }

    /// Takes turns until `shutdown`, through whatever fails meanwhile.
    pub async fn serve(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.serve_once(&shutdown).await {
                warn!(partition = self.number, %error, "partition is started over");
                self.cache = Cache::default();
                tokio::select! {
                    () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
                    () = shutdown.cancelled() => {}
                }
            }
        }
    }

    /// Takes up the partition as the store has it, then takes turns.
    async fn serve_once(&mut self, shutdown: &CancellationToken) -> Result<(), TurnError> {
        let mut clock = Clock::read(&*self.store).await?;
        let mut consumer = self.bus.consume(Subject::Event { partition: self.number }).await?;
        self.find_active().await?;
        let mut next_sweep = Instant::now() + self.config.sweep;
        loop {
            let wakeup = match self.cache.next_wakeup() {
                _ if !self.owing.is_empty() => Instant::now(),
                Some(time) => next_sweep.min(Instant::now() + clock.until(time)),
                None => next_sweep,
            };
            let deliveries = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                deliveries = consumer.fetch(self.config.batch.get()) => deliveries?,
                () = sleep_until(wakeup) => Vec::new(),
            };
            if Instant::now() >= next_sweep {
                clock.adjust(&*self.store).await?;
                self.sweep(&clock).await?;
                next_sweep = Instant::now() + self.config.sweep;
            }
            self.turn(deliveries, &clock).await?;
        }
    }

    /// One turn. Where it fails, the deliveries go back and everything in memory is given up: loading finds out again
    /// what is owed.
    async fn turn(&mut self, deliveries: Vec<Delivery>, clock: &Clock) -> Result<(), TurnError> {
        let mut work = Work::new();
        for run in std::mem::take(&mut self.owing) {
            work.entry(run).or_default().orders = true;
        }
        for run in self.cache.due(clock.now()) {
            work.entry(run).or_default().events.push(Event::Wake);
        }
        for delivery in &deliveries {
            inbox::add(&mut work, &delivery.payload);
        }
        loop {
            let decisions = self.decide(work, clock).await?;
            let conflicts = self.carry_out(decisions).await?;
            if conflicts.is_empty() {
                break;
            }
            // Somebody else committed first: whatever of this turn's events is not in their state yet comes again.
            info!(
                partition = self.number,
                runs = conflicts.len(),
                "version conflict, loading again"
            );
            work = Work::new();
            for delivery in &deliveries {
                inbox::add(&mut work, &delivery.payload);
            }
            work.retain(|run, _| conflicts.contains(run));
            for run in conflicts {
                work.entry(run).or_default().orders = true;
            }
        }
        future::try_join_all(deliveries.into_iter().map(|delivery| delivery.receipt.ack())).await?;
        Ok(())
    }

    /// Asks the engine what the events mean, and which of the steps that are ready may start.
    async fn decide(
        &mut self,
        work: Work,
        clock: &Clock,
    ) -> Result<BTreeMap<RunId, Decision>, TurnError> {
        let mut decisions = BTreeMap::new();
        for (id, run_work) in work {
            if let Some(decision) = self.apply(id, run_work, clock).await? {
                decisions.insert(id, decision);
                self.cache.refresh(id, clock.now());
            }
        }
        self.dispatch(&mut decisions, clock);
        Ok(decisions)
    }

    /// Applies a run's events and orders; none if the run is gone.
    async fn apply(
        &mut self,
        id: RunId,
        work: RunWork,
        clock: &Clock,
    ) -> Result<Option<Decision>, TurnError> {
        let mut decision = Decision::default();
        let orders = if !self.cache.contains(id) {
            let Some(mut stored) = self.store.load(id).await? else {
                debug!(run = %id, "events of a run that is gone");
                return Ok(None);
            };
            let orders = std::mem::take(&mut stored.orders);
            let (version, created_at) = (stored.view.version, stored.view.created_at);
            match revive(id, stored) {
                // Nobody knows which of its effects were carried out.
                Ok(run) => {
                    decision.output.effects.extend(run.outstanding());
                    self.cache.insert(id, run, version, created_at);
                }
                Err(error) => {
                    error!(run = %id, %error, "run cannot be loaded and is left alone");
                    return Ok(None);
                }
            }
            orders
        } else if work.orders {
            self.store.read_orders(id).await?
        } else {
            Vec::new()
        };
        decision.orders_taken = orders.last().map(|order| order.sequence);
        let cached = self.cache.get_mut(id).expect("was there or has just been loaded");
        // The news that the run exists may be lost; the engine ignores it where it is none.
        let events = [Event::Submitted].into_iter().chain(work.events);
        let orders = orders.into_iter().map(|placed| Event::Order(placed.order));
        // Two readings of the store's clock may differ by a millisecond: nothing begins before it was accepted.
        let now = clock.now().max(cached.created_at);
        for event in events.chain(orders) {
            if let Err(error) = cached.run.apply(&event, now, &mut decision.output) {
                error!(run = %id, %error, "event dropped");
            }
        }
        Ok(Some(decision))
    }

    /// Shares the room for launches among the runs that could use it, the oldest first.
    fn dispatch(&mut self, decisions: &mut BTreeMap<RunId, Decision>, clock: &Clock) {
        let mut room = self.config.launch_window.get().saturating_sub(self.cache.unconfirmed());
        if room == 0 {
            return;
        }
        let hungry = self.cache.hungry();
        let now = clock.now();
        // Twice: what the others leave of their shares goes to those who can use it.
        for pass in 0..2 {
            for (place, id) in hungry.iter().enumerate() {
                let share = if pass == 0 { room.div_ceil(hungry.len() - place) } else { room };
                let cached = self.cache.get_mut(*id).expect("the index names runs that are there");
                let decision = decisions.entry(*id).or_default();
                room -= cached.run.dispatch(share, now, &mut decision.output);
                self.cache.refresh(*id, now);
                if room == 0 {
                    return;
                }
            }
        }
    }

    /// Commits decisions, then publishes what follows. Tells which runs somebody else committed first.
    async fn carry_out(
        &mut self,
        mut decisions: BTreeMap<RunId, Decision>,
    ) -> Result<BTreeSet<RunId>, TurnError> {
        let mut commits = Vec::new();
        for (id, decision) in &mut decisions {
            decision.output.delta.settle();
            if !decision.output.delta.is_empty() || decision.orders_taken.is_some() {
                commits.push(self.commit(*id, decision));
            }
        }
        let runs: Vec<_> = commits.iter().map(|commit| (commit.run, commit.expected)).collect();
        let outcomes =
            if commits.is_empty() { Vec::new() } else { self.store.commit(commits).await? };
        let mut conflicts = BTreeSet::new();
        let mut changes = Vec::new();
        for ((id, before), outcome) in runs.into_iter().zip(outcomes) {
            match outcome {
                Committed::Done(after) => {
                    let steps = &decisions[&id].output.delta.steps;
                    changes.push((
                        Subject::Change { run: id },
                        outbox::change(id, before, after, steps),
                    ));
                    self.cache.get_mut(id).expect("decided upon in this turn").version = after;
                }
                Committed::Conflict => {
                    self.cache.remove(id);
                    conflicts.insert(id);
                }
            }
        }
        decisions.retain(|id, _| !conflicts.contains(id));
        self.publish(&decisions, changes).await?;
        self.forget_ended(decisions.into_keys());
        Ok(conflicts)
    }

    fn commit(&mut self, id: RunId, decision: &mut Decision) -> Commit {
        let cached = self.cache.get_mut(id).expect("decided upon in this turn");
        let delta = &mut decision.output.delta;
        Commit {
            run: id,
            expected: cached.version,
            commit: Uuid::new_v4().as_u64_pair().0,
            record: cached.run.record().clone(),
            steps: delta.steps.iter().map(|step| (*step, *cached.run.step(*step))).collect(),
            attempts: std::mem::take(&mut delta.attempts),
            outputs: std::mem::take(&mut delta.outputs),
            orders_taken: decision.orders_taken,
        }
    }

    async fn publish(
        &mut self,
        decisions: &BTreeMap<RunId, Decision>,
        changes: Vec<(Subject, bytes::Bytes)>,
    ) -> Result<(), TurnError> {
        let size = self.config.command_size.get();
        let mut messages = Vec::new();
        for (id, decision) in decisions {
            let Some(cached) = self.cache.get_mut(*id) else {
                continue;
            };
            let generation = cached.run.record().launch_generation;
            let commands = outbox::commands(*id, generation, &decision.output.effects, size);
            messages.extend(commands.into_iter().map(|command| (Subject::Launch, command)));
        }
        messages.extend(changes);
        let sent =
            messages.into_iter().map(|(subject, message)| self.bus.publish(subject, message));
        future::try_join_all(sent).await?;
        Ok(())
    }

    fn forget_ended(&mut self, ids: impl Iterator<Item = RunId>) {
        for id in ids {
            if self.cache.get_mut(id).is_some_and(|cached| cached.run.record().state.is_final()) {
                self.cache.remove(id);
            }
        }
    }

    /// Has all runs looked at that the store holds as active.
    async fn find_active(&mut self) -> Result<(), TurnError> {
        self.owing.extend(self.store.active_runs(self.number, self.config.partitions).await?);
        Ok(())
    }

    /// Asks again for what is owed for longer than a sweep's time.
    async fn sweep(&mut self, clock: &Clock) -> Result<(), TurnError> {
        self.find_active().await?;
        let now = clock.now();
        let patience = u64::try_from(self.config.sweep.as_millis()).unwrap_or(u64::MAX);
        let mut overdue = BTreeMap::new();
        for id in self.cache.ids() {
            let cached = self.cache.get_mut(id).expect("listed a moment ago");
            let effects: Vec<Effect> = cached
                .run
                .outstanding()
                .filter(|effect| {
                    let (Effect::Launch(it) | Effect::Stop(it) | Effect::Probe(it)) = *effect;
                    let record = cached.run.step(it.step);
                    now.since(record.queued_at.max(record.started_at)) >= patience
                })
                .collect();
            if !effects.is_empty() {
                let output = Output { effects, ..Output::default() };
                overdue.insert(id, Decision { output, orders_taken: None });
            }
        }
        self.publish(&overdue, Vec::new()).await
    }
}

/// Why a stored run cannot be brought to life.
#[derive(Debug, thiserror::Error)]
enum ReviveError {
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
}

fn revive(id: RunId, stored: StoredRun) -> Result<Run, ReviveError> {
    let pipeline = EncodedPipeline::new(stored.pipeline).map_err(CompileError::from)?;
    let graph = compile::graph_of_encoded(&pipeline, id.stable_hash())?;
    Ok(Run::load(Arc::new(graph), stored.view.record, stored.steps)?)
}
