//! The loop that serves one partition: when to take a turn, and what to do when one fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::future;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use windlass_bus::{Bus, BusError, Delivery};
use windlass_engine::{
    event::Event,
    output::{AttemptRef, Effect, Output},
};
use windlass_proto::{id::RunId, subject::Subject};
use windlass_service::{
    dead_letters::{DeadLetters, Refused},
    fail_point,
    recurring::Recurring,
};
use windlass_store::{Holder, Store, StoreError};

use crate::{
    SchedulerConfig,
    cache::Cache,
    clock::Clock,
    dispatch::Rooms,
    inbox::{self, Inbox, Work},
    limits::Lines,
    load::Board,
    results::ReportedResult,
    turn::Decision,
    unsent::Unsent,
};

/// How long a loop waits after something it depends on failed it.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(250);

/// How long a message waits that holds an event of a kind only a newer program knows.
const WAIT_FOR_NEWER: Duration = Duration::from_secs(30);

/// Serves one partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) number: u32,
    pub(crate) config: SchedulerConfig,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cache: Cache,
    /// How all partitions are.
    pub(crate) board: Arc<Board>,
    /// How much may be ordered, in each cluster.
    pub(crate) rooms: Rooms,
    /// Commands for which the bus has no room.
    pub(crate) unsent: Unsent,
    dead_letters: Arc<DeadLetters>,
    /// Runs to be looked at although no event names them: they may owe something, or have orders in their inbox.
    pub(crate) owing: BTreeSet<RunId>,
    /// What was refused in this turn and is not yet kept.
    pub(crate) refused: Vec<Refused>,
    /// Results that were reported in this turn and are not yet kept.
    pub(crate) results: Vec<ReportedResult>,
    pub(crate) lines: Lines,
    /// What is told of turns that fail again and again.
    pub(crate) troubles: Recurring,
}

/// Why a turn was given up. All of it may be done again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("another scheduler serves the partition")]
    Superseded,
    #[error("the store may have lost what it had acknowledged")]
    Reload,
}

impl Partition {
    /// A loop that holds nothing yet.
    pub(crate) fn new(
        number: u32,
        config: SchedulerConfig,
        bus: Arc<dyn Bus>,
        store: Arc<dyn Store>,
        dead_letters: Arc<DeadLetters>,
        board: Arc<Board>,
    ) -> Self {
        Self {
            number,
            rooms: Rooms::new(config.launch_window.get()),
            unsent: Unsent::default(),
            config,
            bus,
            store,
            cache: Cache::default(),
            board,
            dead_letters,
            owing: BTreeSet::new(),
            refused: Vec::new(),
            results: Vec::new(),
            lines: Lines::default(),
            troubles: Recurring::default(),
        }
    }

    /// Takes turns until `stop`, through whatever fails meanwhile. A word on `reload` has all that is in memory read anew.
    pub(crate) async fn serve(mut self, stop: CancellationToken, mut reload: watch::Receiver<()>) {
        while !stop.is_cancelled() {
            if let Err(error) = self.serve_once(&stop, &mut reload).await {
                if let Some(untold) = self.troubles.came(&error.to_string(), Instant::now()) {
                    warn!(partition = self.number, %error, untold, "partition is started over");
                }
                self.cache = Cache::default();
                self.rooms.reset();
                self.unsent = Unsent::default();
                self.refused.clear();
                self.results.clear();
                self.lines = Lines::default();
                tokio::select! {
                    () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        self.board.forget(self.number);
    }

    /// Takes up the partition as the store has it, then takes turns.
    async fn serve_once(
        &mut self,
        stop: &CancellationToken,
        reload: &mut watch::Receiver<()>,
    ) -> Result<(), TurnError> {
        reload.mark_unchanged();
        let mut clock = Clock::read(&*self.store).await?;
        let mut consumer = self.bus.consume(Subject::Event { partition: self.number }).await?;
        self.find_active().await?;
        let mut next_sweep = Instant::now() + self.config.sweep;
        loop {
            let times = [self.cache.next_wakeup(), self.lines.next_look(), self.rooms.next_look()];
            let due = times.into_iter().flatten().min();
            let wakeup = match due {
                _ if !self.owing.is_empty() || self.lines.has_news() => Instant::now(),
                Some(time) => next_sweep.min(Instant::now() + clock.until(time)),
                None => next_sweep,
            };
            let wakeup = self.unsent.next_offer().map_or(wakeup, |again| wakeup.min(again));
            let mut deliveries = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                Ok(()) = reload.changed() => return Err(TurnError::Reload),
                deliveries = consumer.fetch(self.config.batch.get()) => deliveries?,
                () = sleep_until(wakeup) => Vec::new(),
            };
            let gathered = self.gather(&mut deliveries, &mut *consumer, wakeup);
            match stop.run_until_cancelled(gathered).await {
                Some(gathered) => gathered?,
                None => return Ok(()),
            }
            fail_point::reach("scheduler.fetched");
            if Instant::now() >= next_sweep {
                clock.adjust(&*self.store).await?;
                self.sweep(&clock).await?;
                self.reconcile_all().await?;
                next_sweep = Instant::now() + self.config.sweep;
            }
            self.look_at_lines(clock.now()).await?;
            self.make_sure(clock.now()).await?;
            self.offer_unsent().await?;
            let turn = self.turn(&deliveries, &clock, stop);
            let newer = windlass_bus::hold(&deliveries, turn).await?;
            fail_point::reach("scheduler.published");
            settle(deliveries, newer).await?;
            fail_point::reach("scheduler.acked");
        }
    }

    /// One turn. Tells of each delivery whether a newer program has to read it. Where it fails, the deliveries go back and
    /// everything in memory is given up: loading finds out again what is owed.
    async fn turn(
        &mut self,
        deliveries: &[Delivery],
        clock: &Clock,
        stop: &CancellationToken,
    ) -> Result<Vec<bool>, TurnError> {
        let mut work = Work::new();
        for run in std::mem::take(&mut self.owing) {
            work.entry(run).or_default().orders = true;
        }
        for run in self.cache.due(clock.now()) {
            work.entry(run).or_default().events.push(Event::Wake);
        }
        for Holder { run, step, attempt } in self.lines.take_news() {
            let granted = Event::Granted(AttemptRef { step, attempt });
            work.entry(run).or_default().events.push(granted);
        }
        let mut newer = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let inbox = Inbox::read(&delivery.payload);
            inbox::add(&mut work, inbox.work);
            self.refused.extend(inbox.refused);
            self.results.extend(inbox.results);
            newer.push(inbox.newer);
        }
        loop {
            let decisions = self.decide(work, clock).await?;
            let conflicts = self.carry_out(decisions).await?;
            if conflicts.is_empty() {
                break;
            }
            if stop.is_cancelled() {
                return Err(TurnError::Superseded);
            }
            // Somebody else committed first: whatever of this turn's events is not in their state yet comes again.
            info!(
                partition = self.number,
                runs = conflicts.len(),
                "version conflict, loading again"
            );
            work = Work::new();
            for delivery in deliveries {
                inbox::add(&mut work, Inbox::read(&delivery.payload).work);
            }
            work.retain(|run, _| conflicts.contains(run));
            for run in conflicts {
                work.entry(run).or_default().orders = true;
            }
        }
        self.keep_refused(clock).await?;
        Ok(newer)
    }

    /// Puts away what was refused in this turn.
    async fn keep_refused(&mut self, clock: &Clock) -> Result<(), TurnError> {
        let from = Subject::Event { partition: self.number };
        for refused in std::mem::take(&mut self.refused) {
            self.dead_letters.keep(from, refused, clock.now().0).await?;
        }
        Ok(())
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
            let cached = &*self.cache.get_mut(id).expect("listed a moment ago");
            let is_overdue = |effect: &Effect| {
                let step = effect.attempt().step;
                let record = cached.run.step(step);
                // What waits to be sent need not be sent again.
                let waits =
                    matches!(effect, Effect::Launch(_)) && self.unsent.has(cached.cluster(step));
                !waits && now.since(record.queued_at.max(record.started_at)) >= patience
            };
            let effects: Vec<Effect> = cached.run.outstanding().filter(is_overdue).collect();
            if !effects.is_empty() {
                let output = Output { effects, ..Output::default() };
                overdue.insert(id, Decision { output, ..Decision::default() });
            }
        }
        self.publish(&overdue, Vec::new()).await
    }
}

/// Acknowledges what was carried out. What a newer program has to read goes back for it.
async fn settle(deliveries: Vec<Delivery>, newer: Vec<bool>) -> Result<(), BusError> {
    let settled = deliveries.into_iter().zip(newer).map(async |(delivery, newer)| {
        if newer {
            warn!("an event is of a kind that this version does not know: it waits for a newer scheduler");
            delivery.receipt.nak(WAIT_FOR_NEWER).await
        } else {
            delivery.receipt.ack().await
        }
    });
    future::try_join_all(settled).await?;
    Ok(())
}
