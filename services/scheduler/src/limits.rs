//! Named limits: asked for and given back in the store, behind the commits that say so; and who was granted some is told.
//!
//! What goes wrong on the way is put right by a look at what the store has of a run: when the run is loaded, and with every
//! sweep. A run that has ended is looked at by who serves the first partition ([`release_ended`]).
//!
//! **Invariant:** nothing is given back but what a committed state says nobody claims any more. Who may start is decided by
//! the engine's rules for limits, in the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use tokio::time::Instant;
use tracing::warn;
use windlass_engine::{
    output::{AttemptRef, Effect},
    record::StepState,
    run::Run,
    time::Timestamp,
};
use windlass_proto::id::RunId;
use windlass_service::{fail_point, grants};
use windlass_store::{Holder, LimitAnswer, LimitAsk, LimitRequest, Store, StoreError};

use crate::{
    partition::{Partition, TurnError},
    turn::Decision,
};

/// What a partition's loop knows of the lines in which its runs stand.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Runs that were loaded, and of which the store may have what they do not claim.
    pub(crate) loaded: BTreeSet<RunId>,
    /// Grants of which the engine has not been told.
    news: Vec<Holder>,
    /// When to see what has become possible in a namespace.
    looks: BTreeMap<Arc<str>, Timestamp>,
}

impl Lines {
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    pub(crate) fn take_news(&mut self) -> Vec<Holder> {
        mem::take(&mut self.news)
    }

    /// Has a namespace looked at in the next turn.
    pub(crate) fn look_at(&mut self, namespace: Arc<str>) {
        self.looks.insert(namespace, Timestamp(0));
    }

    pub(crate) fn next_look(&self) -> Option<Timestamp> {
        self.looks.values().min().copied()
    }
}

impl Partition {
    /// Carries out what committed decisions say about limits.
    pub(crate) async fn follow_limits(
        &mut self,
        decisions: &BTreeMap<RunId, Decision>,
    ) -> Result<(), TurnError> {
        let mut requests: BTreeMap<Arc<str>, LimitRequest> = BTreeMap::new();
        for (id, decision) in decisions {
            let Some(cached) = self.cache.get_mut(*id) else { continue };
            for effect in &decision.output.effects {
                if matches!(effect, Effect::Acquire(_) | Effect::Hold(_) | Effect::Release(_)) {
                    let request = requests.entry(cached.home.namespace.clone()).or_default();
                    add(request, *id, &cached.run, *effect);
                }
            }
        }
        if !requests.is_empty() {
            fail_point::reach("scheduler.limits");
        }
        for (namespace, request) in requests {
            self.ask(namespace, &request).await?;
        }
        for run in mem::take(&mut self.lines.loaded) {
            self.reconcile(run).await?;
        }
        Ok(())
    }

    /// Compares what the store has of all runs in memory with what they claim.
    pub(crate) async fn reconcile_all(&mut self) -> Result<(), TurnError> {
        for run in self.cache.ids() {
            self.reconcile(run).await?;
        }
        Ok(())
    }

    /// Sees what has become possible where only time was missing.
    pub(crate) async fn look_at_lines(&mut self, now: Timestamp) -> Result<(), TurnError> {
        let due: Vec<_> = self.lines.looks.extract_if(.., |_, time| *time <= now).collect();
        for (namespace, _) in due {
            self.ask(namespace, &LimitRequest::default()).await?;
        }
        Ok(())
    }

    /// Compares what the store has of a run with what the run claims.
    async fn reconcile(&mut self, id: RunId) -> Result<(), TurnError> {
        let Some(cached) = self.cache.get_mut(id).filter(|it| it.run.graph().has_limits()) else {
            return Ok(());
        };
        let namespace = cached.home.namespace.clone();
        let known: BTreeMap<AttemptRef, bool> = match self.store.read_limited(&namespace, id).await
        {
            Ok(known) => {
                known.into_iter().map(|(holder, holds)| (attempt(holder), holds)).collect()
            }
            Err(StoreError::Damaged(why)) => {
                self.tell_damage(&namespace, &why);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let cached = self.cache.get_mut(id).expect("looked at above");
        let (run, version) = (&cached.run, cached.version);
        let claims: BTreeSet<AttemptRef> = run.limit_claims().collect();
        let unclaimed: Vec<_> = known.keys().filter(|it| !claims.contains(it)).copied().collect();
        // What this copy of the run knows nothing of, a later commit may: or one that a store that went back has lost.
        let is_latest = if unclaimed.iter().all(|it| run.has_given_back(*it)) {
            false
        } else {
            matches!(self.store.read_record(id).await, Ok(Some((latest, _))) if latest == version)
        };
        let cached = self.cache.get_mut(id).expect("looked at above");
        let (mut request, mut waits) = (LimitRequest::default(), false);
        for it in unclaimed.into_iter().filter(|it| is_latest || cached.run.has_given_back(*it)) {
            add(&mut request, id, &cached.run, Effect::Release(it));
        }
        for claim in claims {
            let is_blocked = cached.run.step(claim.step).state == StepState::Blocked;
            match known.get(&claim) {
                // That it was granted this was not heard.
                Some(true) if is_blocked => self.lines.news.push(holder(id, claim)),
                // Nobody else may know when time lets it start.
                Some(false) if is_blocked => waits = true,
                _ if is_blocked => add(&mut request, id, &cached.run, Effect::Acquire(claim)),
                Some(true) => {}
                _ => add(&mut request, id, &cached.run, Effect::Hold(claim)),
            }
        }
        if request != LimitRequest::default() {
            return self.ask(namespace, &request).await;
        }
        if waits {
            self.lines.look_at(namespace);
        }
        Ok(())
    }

    async fn ask(&mut self, namespace: Arc<str>, request: &LimitRequest) -> Result<(), TurnError> {
        match self.store.take_limits(&namespace, request).await {
            Ok(answer) => self.hear(namespace, answer).await,
            Err(StoreError::Damaged(why)) => {
                self.tell_damage(&namespace, &why);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tells grants to whom they concern.
    async fn hear(&mut self, namespace: Arc<str>, answer: LimitAnswer) -> Result<(), TurnError> {
        let LimitAnswer { granted, next_at } = answer;
        match next_at {
            Some(at) => self.lines.looks.insert(namespace, at),
            None => self.lines.looks.remove(&namespace),
        };
        let partitions = self.config.partitions;
        let is_ours = |holder: &Holder| holder.run.partition(partitions) == self.number;
        let (ours, others): (Vec<_>, Vec<_>) = granted.into_iter().partition(is_ours);
        // A run that is not in memory is told when it is loaded.
        self.lines.news.extend(ours.into_iter().filter(|it| self.cache.contains(it.run)));
        self.send(grants::events(&others, partitions)).await
    }

    fn tell_damage(&mut self, namespace: &str, why: &str) {
        let cause = format!("limits of {namespace}: {why}");
        if let Some(untold) = self.troubles.came(&cause, Instant::now()) {
            warn!(%namespace, why, untold, "the namespace's limits cannot be read, and steps that want some wait: restore them in the store from a copy, or remove them");
        }
    }
}

/// Gives back what ended runs hold, as they do whose scheduler died behind its commit, and runs that are gone.
pub(crate) async fn release_ended(store: &dyn Store) -> Result<(), StoreError> {
    for namespace in store.limited_namespaces().await? {
        for run in store.limited_runs(&namespace).await? {
            // In this order: what a run claims that is taken up again is not among what was read before it had ended.
            let holders = store.read_limited(&namespace, run).await?;
            let has_ended = match store.read_record(run).await {
                Ok(record) => record.is_none_or(|(_, record)| record.state.is_final()),
                Err(StoreError::Damaged(_)) => false,
                Err(error) => return Err(error),
            };
            if has_ended && !holders.is_empty() {
                let releases = holders.into_iter().map(|(holder, _)| holder).collect();
                let request = LimitRequest { releases, ..LimitRequest::default() };
                // Who is granted something by that is told when its scheduler looks.
                store.take_limits(&namespace, &request).await?;
            }
        }
    }
    Ok(())
}

/// Adds what an effect asks for, unless what was decided since then says otherwise.
fn add(request: &mut LimitRequest, id: RunId, run: &Run, effect: Effect) {
    let attempt = effect.attempt();
    let holder = holder(id, attempt);
    if matches!(effect, Effect::Release(_)) {
        request.releases.push(holder);
    } else if !run.has_given_back(attempt)
        && let Some(limits) = run.limits(attempt.step)
    {
        let ask = LimitAsk { holder, limits: limits.clone() };
        if matches!(effect, Effect::Hold(_)) {
            request.holds.push(ask);
        } else {
            request.asks.push(ask);
        }
    }
}

fn holder(run: RunId, AttemptRef { step, attempt }: AttemptRef) -> Holder {
    Holder { run, step, attempt }
}

fn attempt(Holder { step, attempt, .. }: Holder) -> AttemptRef {
    AttemptRef { step, attempt }
}
