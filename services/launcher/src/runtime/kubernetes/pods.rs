//! The pods that a launcher looks after: what was seen of each, what was told, and what follows from what is seen next. No I/O.
//!
//! A pod is its attempt's by its name. Labels are only believed where they fit it: people copy pods, labels and all, and change
//! labels by hand.
//!
//! **Invariant:** of each pod at most one end is told, and the first that is told is the true one: what a status says later, once a
//! pod was asked to go, may be the consequence of that.

mod stage;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use windlass_engine::{event::AttemptPhase, time::Timestamp};
use windlass_pod::{
    judge::judge,
    observed::{ObservedPod, PodKey},
};
use windlass_proto::id::RunId;

pub(super) use self::stage::{Act, Vanished, is_dead_now};
use self::stage::{
    DELETED_UNSEEN, Pod, RELABELLED, Stage, advance, end_of_gone, found, is_ending, lost, report,
};
use super::{NEVER_AFTER, api::Found, capacity::Living};
use crate::runtime::{AttemptKey, Report};

/// Where a pod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) shard: u32,
}

/// A pod that does not run yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unstarted {
    /// It is being created.
    Creating {
        /// Since when.
        since: Instant,
    },
    /// It is there.
    Exists {
        namespace: String,
        name: String,
        /// What it waits for, or how it has failed, as far as was seen.
        words: Option<String>,
        /// Whether it has failed and is being removed.
        is_going: bool,
    },
}

/// The pods of a launcher's shards.
#[derive(Debug, Default)]
pub(super) struct Pods {
    installation: String,
    pods: HashMap<AttemptKey, Pod>,
    living: Living,
    /// Pods that are gone, and since when: none of them is created again by a create that is late.
    gone: HashMap<AttemptKey, Instant>,
}

/// What became of a pod whose end nobody has seen.
#[derive(Debug)]
pub(super) enum Unseen {
    /// It is gone. This was seen of it last, where it was seen to leave.
    Gone(Option<Box<ObservedPod>>),
    /// It was there still and had not ended, but with other labels, by which nobody watches it. It was ended, and is gone now.
    Relabelled,
}

impl Pods {
    /// No pods yet, of an installation.
    pub(super) fn of(installation: &str) -> Self {
        Self { installation: installation.to_owned(), ..Self::default() }
    }

    /// How many live.
    pub(super) fn living(&self) -> &Living {
        &self.living
    }

    /// Notes that a pod is about to be created, which counts from now on. False where it is known already, or was.
    pub(super) fn begin(&mut self, key: AttemptKey, place: Place, at: Instant) -> bool {
        if self.pods.contains_key(&key) || self.is_gone(key) {
            return false;
        }
        let Place { namespace, name, shard } = place;
        self.living.add(shard, &namespace);
        let pod = Pod::new(namespace, name, shard, at);
        self.pods.insert(key, pod);
        true
    }

    /// Whether there was a pod that is gone.
    pub(super) fn is_gone(&self, key: AttemptKey) -> bool {
        self.gone.contains_key(&key)
    }

    /// Whether pods are being created in one of these shards.
    pub(super) fn are_created_in(&self, shards: &BTreeSet<u32>) -> bool {
        let creating = |pod: &Pod| pod.stage == Stage::Creating && shards.contains(&pod.shard);
        self.pods.values().any(creating)
    }

    /// The pod was created.
    pub(super) fn created(&mut self, key: AttemptKey, now: Timestamp) -> Option<Report> {
        let pod = self.pods.get_mut(&key)?;
        pod.created_at.get_or_insert(now);
        // The watch may have been faster.
        if pod.stage != Stage::Creating {
            return None;
        }
        pod.stage = Stage::Waiting(None);
        Some(report(key, AttemptPhase::Starting, pod, None))
    }

    /// The pod was not created, or not here; what was seen of it meanwhile stays.
    pub(super) fn not_created(&mut self, key: AttemptKey) {
        if self.pods.get(&key).is_some_and(|pod| pod.stage == Stage::Creating) {
            self.forget(key);
        }
    }

    /// A pod was seen as it is now. None where it is no attempt's, whatever its labels say.
    pub(super) fn seen(
        &mut self,
        observed: &ObservedPod,
        now: Timestamp,
        at: Instant,
    ) -> Option<(AttemptKey, Vec<Act>)> {
        let (key, shard) = self.whose(observed)?;
        let judgement = judge(observed);
        let pod = self.pods.entry(key).or_insert_with(|| {
            let namespace = observed.metadata.namespace.clone().unwrap_or_default();
            self.living.add(shard, &namespace);
            let name = observed.metadata.name.clone().unwrap_or_default();
            Pod::new(namespace, name, shard, at)
        });
        if pod.uid.is_empty() {
            pod.uid = observed.metadata.uid.clone().unwrap_or_default().into();
        }
        pod.created_at = pod.created_at.or_else(|| observed.created_at());
        (pod.is_ending, pod.is_settling) = (is_ending(observed), false);
        let was_living = pod.is_living();
        if pod.shard != shard {
            // It was there already, made by another launcher, when it was to be created here.
            if was_living {
                self.living.remove(pod.shard, &pod.namespace);
                self.living.add(shard, &pod.namespace);
            }
            pod.shard = shard;
        }
        let acts = advance(key, pod, judgement, observed, now, at);
        if let Stage::Over { is_dead, .. } = &mut pod.stage {
            *is_dead |= is_dead_now(observed);
        }
        if was_living && !pod.is_living() {
            self.living.remove(pod.shard, &pod.namespace);
        }
        Some((key, acts))
    }

    /// A pod is watched no more; this was seen of it last. It is gone, unless nothing says that it was to end: then somebody may
    /// have changed its labels, and it is to be found out.
    pub(super) fn gone(&mut self, last: &ObservedPod, now: Timestamp, at: Instant) -> Vec<Act> {
        let Some((key, _)) = self.whose(last) else { return Vec::new() };
        let uid = last.metadata.uid.as_deref().unwrap_or_default();
        let known = self.pods.get_mut(&key);
        let Some(pod) = known.filter(|pod| pod.uid.is_empty() || *pod.uid == *uid) else {
            return Vec::new();
        };
        let act = match &pod.stage {
            Stage::Over { .. } => None,
            _ if !is_ending(last) => {
                pod.uid = uid.into();
                return pod.vanished(key, Some(last)).into_iter().collect();
            }
            Stage::Going(report) => Some(Act::Tell((**report).clone())),
            Stage::Creating | Stage::Waiting(_) | Stage::Running => {
                Some(Act::Tell(end_of_gone(key, pod, last, now)))
            }
        };
        self.bury(key, at);
        act.into_iter().collect()
    }

    /// Whether it is still to be found out what became of a pod.
    pub(super) fn is_settling(&self, vanished: &Vanished) -> bool {
        let pod = self.pods.get(&vanished.key);
        pod.is_some_and(|pod| pod.is_settling && *pod.uid == *vanished.found.uid)
    }

    /// The pod is watched again, and what becomes of it will be seen.
    pub(super) fn is_back(&mut self, key: AttemptKey) {
        if let Some(pod) = self.pods.get_mut(&key) {
            pod.is_settling = false;
        }
    }

    /// It was found out what became of a pod.
    pub(super) fn settled(
        &mut self,
        key: AttemptKey,
        unseen: Unseen,
        now: Timestamp,
        at: Instant,
    ) -> Vec<Act> {
        let Some(pod) = self.pods.get_mut(&key) else { return Vec::new() };
        let act = match (&pod.stage, unseen) {
            (Stage::Over { .. }, _) => None,
            (Stage::Going(report), _) => Some(Act::Tell((**report).clone())),
            (_, Unseen::Gone(Some(last))) => Some(Act::Tell(end_of_gone(key, pod, &last, now))),
            (_, Unseen::Gone(None)) => Some(Act::Tell(lost(key, pod, DELETED_UNSEEN, now))),
            (_, Unseen::Relabelled) => Some(Act::Tell(lost(key, pod, RELABELLED, now))),
        };
        self.bury(key, at);
        act.into_iter().collect()
    }

    /// A list of a namespace's pods does not have these, and it was begun after they were seen: they are gone, and how they ended
    /// nobody has seen. Of those that nothing said were to end, that is to be found out.
    pub(super) fn unlisted(
        &mut self,
        namespace: &str,
        known: &BTreeSet<AttemptKey>,
        listed: &BTreeSet<AttemptKey>,
        now: Timestamp,
        at: Instant,
    ) -> Vec<Act> {
        let mut acts = Vec::new();
        for key in known.difference(listed) {
            let known = self.pods.get_mut(key);
            let Some(pod) = known.filter(|pod| *pod.namespace == *namespace) else {
                continue;
            };
            match &pod.stage {
                Stage::Over { .. } => {}
                _ if !pod.is_ending => {
                    acts.extend(pod.vanished(*key, None));
                    continue;
                }
                Stage::Going(report) => acts.push(Act::Tell((**report).clone())),
                Stage::Creating | Stage::Waiting(_) | Stage::Running => {
                    acts.push(Act::Tell(lost(*key, pod, DELETED_UNSEEN, now)));
                }
            }
            self.bury(*key, at);
        }
        acts
    }

    /// The pods of a namespace that were seen, those of some shards: others are not in a list of these.
    pub(super) fn seen_in(&self, namespace: &str, shards: &BTreeSet<u32>) -> BTreeSet<AttemptKey> {
        let seen = |pod: &Pod| {
            *pod.namespace == *namespace && !pod.uid.is_empty() && shards.contains(&pod.shard)
        };
        self.pods.iter().filter(|(_, pod)| seen(pod)).map(|(key, _)| *key).collect()
    }

    /// What was told last of a pod; `Err` where it is known and nothing was told yet.
    pub(super) fn present(&self, key: AttemptKey) -> Option<Result<Report, ()>> {
        let pod = self.pods.get(&key)?;
        Some(match &pod.stage {
            Stage::Creating | Stage::Going(_) => Err(()),
            Stage::Waiting(_) => Ok(report(key, AttemptPhase::Starting, pod, None)),
            Stage::Running => Ok(report(key, AttemptPhase::Running, pod, None)),
            Stage::Over { report, .. } => Ok((**report).clone()),
        })
    }

    /// How far a pod is that does not run yet; none where it runs, is over, or is not known here.
    pub(super) fn unstarted(&self, key: AttemptKey) -> Option<Unstarted> {
        let pod = self.pods.get(&key)?;
        let exists = |is_going, words: Option<&str>| Unstarted::Exists {
            namespace: pod.namespace.to_string(),
            name: pod.name.to_string(),
            words: words.map(str::to_owned),
            is_going,
        };
        match &pod.stage {
            Stage::Creating => Some(Unstarted::Creating { since: pod.known_since }),
            Stage::Waiting(words) => Some(exists(false, words.as_deref())),
            Stage::Going(report) => match &report.report.phase {
                AttemptPhase::Failed(failure) => Some(exists(true, Some(&failure.message))),
                _ => None,
            },
            Stage::Running | Stage::Over { .. } => None,
        }
    }

    /// Where a pod is that was seen.
    pub(super) fn find(&self, key: AttemptKey) -> Option<Found> {
        let pod = self.pods.get(&key).filter(|pod| !pod.uid.is_empty())?;
        Some(found(key, pod))
    }

    /// All pods that are known.
    pub(super) fn keys(&self) -> Vec<AttemptKey> {
        self.pods.keys().copied().collect()
    }

    /// The shards and namespaces in which there are pods of a run.
    pub(super) fn namespaces_of(&self, run: RunId) -> BTreeSet<String> {
        let of_run = self.pods.iter().filter(|(key, _)| key.run == run);
        of_run.map(|(_, pod)| pod.namespace.to_string()).collect()
    }

    /// Looks after the pods of these shards alone.
    pub(super) fn keep_shards(&mut self, held: &BTreeSet<u32>) {
        let mut lost = BTreeSet::new();
        self.pods.retain(|_, pod| {
            let stays = held.contains(&pod.shard);
            if !stays {
                lost.insert(pod.shard);
            }
            stays
        });
        for shard in lost {
            self.living.forget(shard);
        }
    }

    /// The pods that have ended and been kept for long enough, and those that are too many: the oldest ones. None goes before
    /// every create has ended that may still be under way: it would be created again.
    pub(super) fn expired(&mut self, retention: &Retention, at: Instant) -> Vec<AttemptKey> {
        self.gone.retain(|_, gone| at.duration_since(*gone) < NEVER_AFTER);
        let mut kept: BTreeMap<bool, Vec<(Instant, AttemptKey)>> = BTreeMap::new();
        let mut expired = Vec::new();
        for (key, pod) in &self.pods {
            if let Stage::Over { at: over, has_succeeded, .. } = pod.stage {
                let (age, _) = retention.of(has_succeeded);
                if at.duration_since(over) >= age.max(NEVER_AFTER) {
                    expired.push(*key);
                } else {
                    kept.entry(has_succeeded).or_default().push((over, *key));
                }
            }
        }
        for (has_succeeded, mut kept) in kept {
            let (_, count) = retention.of(has_succeeded);
            let too_many = count.map_or(0, |count| kept.len().saturating_sub(count as usize));
            kept.sort_unstable();
            let oldest = kept.into_iter().take(too_many);
            let oldest = oldest.filter(|(over, _)| at.duration_since(*over) >= NEVER_AFTER);
            expired.extend(oldest.map(|(_, key)| key));
        }
        expired
    }

    /// The pods that live and were first seen so long ago.
    pub(super) fn living_since(&self, age: Duration, at: Instant) -> Vec<AttemptKey> {
        let is_old = |pod: &Pod| pod.is_living() && at.duration_since(pod.known_since) >= age;
        self.pods.iter().filter(|(_, pod)| is_old(pod)).map(|(key, _)| *key).collect()
    }

    /// How many pods of a run there are in a namespace.
    pub(super) fn count_in(&self, run: RunId, namespace: &str) -> usize {
        let is_meant = |key: &AttemptKey, pod: &Pod| key.run == run && *pod.namespace == *namespace;
        self.pods.iter().filter(|(key, pod)| is_meant(key, pod)).count()
    }

    /// Whether all pods of a run that have ended did so before any create that may still be under way.
    pub(super) fn have_ended_long_ago(&self, run: RunId, now: Instant) -> bool {
        let of_run = self.pods.iter().filter(|(key, _)| key.run == run);
        of_run.map(|(_, pod)| &pod.stage).all(|stage| match stage {
            Stage::Over { at, .. } => now.duration_since(*at) >= NEVER_AFTER,
            Stage::Creating | Stage::Waiting(_) | Stage::Running | Stage::Going(_) => true,
        })
    }

    /// Where these pods are, by run and namespace.
    pub(super) fn places(
        &self,
        keys: impl IntoIterator<Item = AttemptKey>,
    ) -> BTreeMap<(RunId, String), Vec<Found>> {
        let mut places: BTreeMap<_, Vec<Found>> = BTreeMap::new();
        for key in keys {
            if let Some(pod) = self.pods.get(&key) {
                places
                    .entry((key.run, pod.namespace.to_string()))
                    .or_default()
                    .push(found(key, pod));
            }
        }
        places
    }

    /// Which attempt a pod is, and in which shard. One that is known stays what it is when its labels change; another one that
    /// claims to be the same is not.
    fn whose(&self, observed: &ObservedPod) -> Option<(AttemptKey, u32)> {
        let is_here = |pod: &Pod| {
            observed.metadata.name.as_deref() == Some(&*pod.name)
                && observed.metadata.namespace.as_deref() == Some(&*pod.namespace)
        };
        let Some(PodKey { run, attempt, shard }) = observed.key_by_name(&self.installation) else {
            let known = self.pods.iter().find(|(_, pod)| is_here(pod));
            return known.map(|(key, pod)| (*key, pod.shard));
        };
        let key = AttemptKey { run, step: attempt.step.0, attempt: attempt.attempt };
        self.pods.get(&key).is_none_or(is_here).then_some((key, shard))
    }

    /// Remembers that a pod is gone.
    fn bury(&mut self, key: AttemptKey, at: Instant) {
        self.forget(key);
        self.gone.insert(key, at);
    }

    fn forget(&mut self, key: AttemptKey) {
        if let Some(pod) = self.pods.remove(&key)
            && pod.is_living()
        {
            self.living.remove(pod.shard, &pod.namespace);
        }
    }
}

/// How long pods that have ended are kept, and how many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retention {
    pub(super) succeeded: (Duration, Option<u32>),
    pub(super) failed: (Duration, Option<u32>),
}

impl Retention {
    /// Whether all pods are kept alike.
    pub(super) fn is_one_for_all(&self) -> bool {
        self.succeeded == self.failed
    }

    fn of(&self, has_succeeded: bool) -> (Duration, Option<u32>) {
        if has_succeeded { self.succeeded } else { self.failed }
    }
}

#[cfg(test)]
mod tests;
