//! What a turn decides, and how that is carried out: the engine is asked, its answer is committed, and only then told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::future;
use tokio::time::Instant;
use tracing::{debug, error};
use uuid::Uuid;
use windlass_bus::Message;
use windlass_engine::{
    event::{Event, Order},
    output::{AttemptRef, Effect, Output},
    record::{RunRecord, StepIndex},
    run::Run,
    time::Timestamp,
};
use windlass_proto::{
    id::RunId,
    subject::{ClusterToken, Subject},
};
use windlass_service::{
    fail_point,
    revive::{Compiled, ReviveError},
};
use windlass_store::{
    Amendment, Commit, Committed, PlacedOrder, RunView, StoreError, StoredRun, Version,
};

use crate::{
    cache::Home,
    clock::Clock,
    inbox::{self, RunWork, Work},
    outbox,
    partition::{Partition, TurnError},
};

/// What a turn decided about one run.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    pub(crate) output: Output,
    pub(crate) orders_taken: Option<u64>,
    /// What a retry changes of the run.
    pub(crate) amendment: Option<Arc<Amendment>>,
}

impl Partition {
    /// Asks the engine what the events mean, and which of the steps that are ready may start.
    pub(crate) async fn decide(
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
        self.dispatch(&mut decisions, clock.now());
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
        let orders = if self.cache.contains(id) {
            match self.store.read_orders(id).await {
                _ if !work.orders => Vec::new(),
                Err(StoreError::Damaged(why)) => {
                    return self.give_up_damaged(id, why).await.map(|()| None);
                }
                orders => orders?,
            }
        } else {
            match self.load(id, clock, &mut decision).await? {
                Some(orders) => orders,
                None => return Ok(None),
            }
        };
        decision.orders_taken = orders.last().map(|order| order.sequence);
        let cached = self.cache.get_mut(id).expect("was there or has just been loaded");
        if work.lines {
            self.lines.look_at(cached.home.namespace.clone());
        }
        // The news that the run exists may be lost; the engine ignores it where it is none.
        let events = [Event::Submitted].into_iter().chain(work.events);
        let orders = orders.into_iter().map(|placed| Event::Order(placed.order));
        // Two readings of the store's clock may differ by a millisecond: nothing begins before it was accepted.
        let now = clock.now().max(cached.created_at);
        for event in events.chain(orders) {
            if let Event::Order(Order::Retry { from, changes: Some(changes) }) = &event {
                match self.amend(id, *from, changes, &mut decision).await {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(StoreError::Damaged(why)) => {
                        return self.give_up_damaged(id, why).await.map(|()| None);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            let cached = self.cache.get_mut(id).expect("was there or has just been loaded");
            if let Err(error) = cached.run.apply(&event, now, &mut decision.output)
                && let Some(refused) = inbox::refused_by_engine(id, &event, &error)
            {
                let defect = Event::Defect(inbox::defect(&refused));
                cached
                    .run
                    .apply(&defect, now, &mut decision.output)
                    .expect("a defect is never refused");
                self.refused.push(refused);
            }
        }
        Ok(Some(decision))
    }

    /// Loads a run into the cache, and tells the orders in its inbox; none where there is no such run, or where it cannot be
    /// read: then it has been failed.
    async fn load(
        &mut self,
        id: RunId,
        clock: &Clock,
        decision: &mut Decision,
    ) -> Result<Option<Vec<PlacedOrder>>, TurnError> {
        let mut stored = match self.store.load(id).await {
            Ok(Some(stored)) => stored,
            Ok(None) => {
                debug!(run = %id, "events of a run that is gone");
                return Ok(None);
            }
            Err(error @ StoreError::Damaged(_)) => {
                return self.fail_unreadable(id, &[], &error, clock.now()).await.map(|()| None);
            }
            Err(error) => return Err(error.into()),
        };
        let orders = std::mem::take(&mut stored.orders);
        let (version, created_at) = (stored.view.version, stored.view.created_at);
        match self.revive(id, &stored).await? {
            // Nobody knows which of its effects were carried out.
            Ok(run) => {
                // One that was failed since it was damaged may have attempts that nobody will decide about any more.
                if !run.record().state.is_final() {
                    decision.output.effects.extend(run.outstanding());
                }
                let home = Home::of(&stored.view.submission);
                if run.graph().has_limits() {
                    self.lines.loaded.insert(id);
                }
                self.cache.insert(id, home, run, version, created_at);
                Ok(Some(orders))
            }
            Err(error) => {
                let in_flight: Vec<Effect> = (0..)
                    .map(StepIndex)
                    .zip(&stored.steps)
                    .filter(|(_, record)| record.state.is_in_flight())
                    .map(|(step, record)| {
                        Effect::Stop(AttemptRef { step, attempt: record.attempt })
                    })
                    .collect();
                let RunView { version, record, .. } = stored.view;
                let condemned =
                    self.condemn(id, version, record, &in_flight, &error, clock.now()).await;
                self.unless_damaged(id, condemned).map(|()| None)
            }
        }
    }

    /// Brings a stored run to life.
    async fn revive(
        &self,
        id: RunId,
        stored: &StoredRun,
    ) -> Result<Result<Run, ReviveError>, StoreError> {
        let compiled = match Compiled::of(stored) {
            Ok(compiled) => compiled,
            Err(error) => return Ok(Err(error)),
        };
        // Outputs never change without the version, which is checked when this is committed to.
        let outputs = match compiled.kept(stored).as_slice() {
            [] => BTreeMap::new(),
            kept => self.store.read_outputs(id, kept).await?,
        };
        Ok(compiled.load(stored, outputs))
    }

    /// Fails a run of which something is damaged: its own state may be readable where the rest is not.
    async fn fail_unreadable(
        &mut self,
        id: RunId,
        stops: &[Effect],
        error: &StoreError,
        now: Timestamp,
    ) -> Result<(), TurnError> {
        let condemned = match self.store.read_record(id).await {
            Ok(Some((version, record))) => {
                self.condemn(id, version, record, stops, error, now).await
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error.into()),
        };
        self.unless_damaged(id, condemned)
    }

    /// Fails a run to which nothing more can be committed, and has all of its attempts stopped.
    async fn give_up_damaged(&mut self, id: RunId, why: String) -> Result<(), TurnError> {
        let stop = |effect: Effect| Effect::Stop(effect.attempt());
        let cached = self.cache.get_mut(id).map(|cached| cached.run.outstanding());
        let stops: Vec<Effect> = cached.into_iter().flatten().map(stop).collect();
        self.cache.remove(id);
        let now = self.store.now().await?;
        self.fail_unreadable(id, &stops, &StoreError::Damaged(why), now).await
    }

    /// Passes over a run that cannot even be failed: the others of the partition must not wait for it.
    fn unless_damaged(
        &mut self,
        id: RunId,
        condemned: Result<(), TurnError>,
    ) -> Result<(), TurnError> {
        let Err(TurnError::Store(error @ StoreError::Damaged(_))) = condemned else {
            return condemned;
        };
        let cause = format!("{id}: {error}");
        if let Some(untold) = self.troubles.came(&cause, Instant::now()) {
            error!(run = %id, %error, untold, "the run can neither be read nor failed: restore its keys in the store from a copy, or delete the run");
        }
        Ok(())
    }

    /// Fails a run of which nothing can be decided any more, and has its attempts stopped.
    async fn condemn(
        &mut self,
        id: RunId,
        version: Version,
        mut record: RunRecord,
        stops: &[Effect],
        error: &impl ToString,
        now: Timestamp,
    ) -> Result<(), TurnError> {
        let orders_taken = match self.store.read_orders(id).await {
            Ok(orders) => orders.last().map(|order| order.sequence),
            // One that cannot be understood is followed by nobody, and would be there for ever.
            Err(StoreError::Damaged(_)) => Some(u64::MAX),
            Err(_) => None,
        };
        let newly = record.condemn(inbox::unreadable(error), now);
        if !newly && orders_taken.is_none() {
            return Ok(());
        }
        let generation = record.launch_generation;
        let commit = Commit {
            run: id,
            expected: version,
            commit: Uuid::new_v4().as_u64_pair().0,
            record,
            steps: Vec::new(),
            attempts: Vec::new(),
            outputs: Vec::new(),
            expansions: Vec::new(),
            // It has as many as before, whatever that is.
            step_count: 0,
            orders_taken,
            amendment: None,
        };
        // Who was faster has found the same, or will.
        match self.store.commit(vec![commit]).await?.pop() {
            Some(Committed::Done(after)) => {
                let size = self.config.command_size.get();
                // Launches are none of them.
                let cluster = |_| ClusterToken::DEFAULT;
                let mut messages = outbox::commands(id, generation, stops, size, cluster);
                let change = outbox::change(id, version, after, &[]);
                messages.push((Subject::Change { run: id }, change));
                self.send(messages).await?;
                error!(run = %id, error = error.to_string(), "the run has failed: what is stored of it cannot be read");
            }
            Some(Committed::Damaged(why)) => return Err(StoreError::Damaged(why).into()),
            Some(Committed::Conflict) | None => {}
        }
        Ok(())
    }

    /// Commits decisions, then publishes what follows. Tells which runs somebody else committed first.
    pub(crate) async fn carry_out(
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
        fail_point::reach("scheduler.committed");
        let mut conflicts = BTreeSet::new();
        let mut damaged = BTreeMap::new();
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
                Committed::Damaged(why) => {
                    damaged.insert(id, why);
                }
            }
        }
        decisions.retain(|id, _| !conflicts.contains(id) && !damaged.contains_key(id));
        for (id, why) in damaged {
            self.give_up_damaged(id, why).await?;
        }
        self.keep_results(&decisions, &conflicts).await;
        self.follow_limits(&decisions).await?;
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
            expansions: std::mem::take(&mut delta.expansions),
            step_count: u32::try_from(cached.run.steps().len()).unwrap_or(u32::MAX),
            orders_taken: decision.orders_taken,
            amendment: decision.amendment.clone(),
        }
    }

    /// Tells launchers what to do, and watchers what has changed.
    pub(crate) async fn publish(
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
            let cached = &*cached;
            let cluster = |step| cached.cluster(step);
            let effects = &decision.output.effects;
            messages.extend(outbox::commands(*id, generation, effects, size, cluster));
        }
        messages.extend(changes);
        self.send(messages).await
    }

    /// Sends messages. Waits until all of them are safe, but for commands to create attempts that their cluster has no room for.
    pub(crate) async fn send(
        &mut self,
        messages: Vec<(Subject, bytes::Bytes)>,
    ) -> Result<(), TurnError> {
        let (mut launches, mut others) = (Vec::new(), Vec::new());
        for (subject, payload) in messages {
            match subject {
                Subject::Launch { cluster } => launches.push((cluster, payload)),
                _ => others.push((subject, payload)),
            }
        }
        let bus = self.bus.clone();
        let sent = others
            .into_iter()
            .map(|(subject, payload)| bus.publish(subject, Message::from(payload)));
        let (sent, offered) = tokio::join!(future::try_join_all(sent), self.offer(launches));
        sent?;
        offered
    }

    fn forget_ended(&mut self, ids: impl Iterator<Item = RunId>) {
        for id in ids {
            if self.cache.get_mut(id).is_some_and(|cached| cached.run.record().state.is_final()) {
                self.cache.remove(id);
            }
        }
    }
}
