//! Finding runs: those that are active, those that have finished, and pages of the list.

use futures::future::try_join_all;
use windlass_engine::time::Timestamp;
use windlass_proto::{id::RunId, v1};

use super::{
    RedisStore,
    fault::Fault,
    keys::{self, PLACE_SIZE, Partition, STATES, inverted, long, place},
};
use crate::{FinishedRun, FinishedRuns, RunQuery, RunView, StoreError};

/// How many places are read of an index at a time: at least, and at most.
const SMALLEST_PAGE: usize = 16;
const LARGEST_PAGE: usize = 1000;

/// Behind a place, sorts behind all that begins with that place: no name of a pipeline has such a byte.
const BEHIND: u8 = 0xff;

impl RedisStore {
    pub(super) async fn active(
        &self,
        partition: u32,
        partitions: u32,
    ) -> Result<Vec<RunId>, StoreError> {
        // Asked about as they are kept, one set has them all.
        let sets: Vec<Partition> = if partitions == self.keys.partitions {
            vec![self.keys.partition(partition)]
        } else {
            self.keys.all().collect()
        };
        let sets = try_join_all(sets.iter().map(|set| self.members_of(set.active()))).await?;
        let mut active = Vec::new();
        for member in sets.into_iter().flatten() {
            active.extend(self.named(long(&member), &member));
        }
        active.retain(|run| run.partition(partitions) == partition);
        Ok(active)
    }

    async fn members_of(&self, set: String) -> Result<Vec<Vec<u8>>, StoreError> {
        let limit = self.bulk.limit(super::read::LARGEST_ANSWER);
        let answer = self.bulk.ask(redis::cmd("SMEMBERS").arg(set), limit).await;
        redis::from_redis_value(answer.map_err(Fault::while_reading)?)
            .map_err(super::write::unexpected)
    }

    /// The run that a member of an index names. One that names none is nobody's, and passed over.
    fn named(&self, run: Option<RunId>, member: &[u8]) -> Option<RunId> {
        if run.is_none() {
            let what = format!("a member {} of an index", member.escape_ascii());
            self.passed_over.tell(&what, "it names no run");
        }
        run
    }

    pub(super) async fn finished(&self, limit: usize) -> Result<FinishedRuns, StoreError> {
        let mut looked_at = limit;
        loop {
            let (total, members) = self.ended_first(looked_at).await?;
            let oldest = self.ended(&members).await?;
            let wanting = limit.saturating_sub(oldest.len());
            if wanting == 0 || members.len() < looked_at {
                let passed_over = (members.len() - oldest.len()) as u64;
                return Ok(FinishedRuns { total: total.saturating_sub(passed_over), oldest });
            }
            looked_at += wanting;
        }
    }

    /// How many members the indices of finished runs have, and those of them that ended first.
    async fn ended_first(&self, limit: usize) -> Result<(u64, Vec<Vec<u8>>), StoreError> {
        let oldest = try_join_all(self.keys.all().map(|partition| async move {
            let mut commands = redis::pipe();
            commands.zcard(partition.finished());
            // From 0 to -1 would be all.
            let last = i64::try_from(limit).unwrap_or(i64::MAX) - 1;
            let first = i64::from(limit == 0);
            commands.cmd("ZRANGE").arg(partition.finished()).arg(first).arg(last.max(0));
            commands.arg("WITHSCORES");
            let time = self.quick.limit(limit.saturating_mul(64).min(super::read::LARGEST_ANSWER));
            self.quick.ask_all::<(u64, Vec<(Vec<u8>, f64)>)>(&commands, time).await
        }));
        let oldest = oldest.await.map_err(Fault::while_reading)?;
        let total = oldest.iter().map(|(total, _)| total).sum();
        let mut members: Vec<_> = oldest.into_iter().flat_map(|(_, members)| members).collect();
        members.sort_by(|(one, at), (next, later)| at.total_cmp(later).then(one.cmp(next)));
        members.truncate(limit);
        Ok((total, members.into_iter().map(|(member, _)| member).collect()))
    }

    /// The runs among these members that have ended.
    async fn ended(&self, members: &[Vec<u8>]) -> Result<Vec<FinishedRun>, StoreError> {
        let named = |member: &Vec<u8>| self.named(long(member), member);
        let runs: Vec<RunId> = members.iter().filter_map(named).collect();
        let mut ended = Vec::with_capacity(runs.len());
        for (run, found) in runs.iter().zip(self.views_and_heads(&runs).await?) {
            let head = self.passed_over.unless_damaged(run, found)?.map(|(_, head)| head);
            // It may have been taken up again meanwhile.
            let head = head.filter(|it| it.record.state.is_final() && !it.has_orders());
            ended.extend(head.map(|it| FinishedRun {
                run: *run,
                version: it.version,
                ended_at: it.record.ended_at,
            }));
        }
        Ok(ended)
    }

    /// Reads pages of the indices of all partitions, merges them, and reads the runs that come first, until there are
    /// enough.
    pub(super) async fn list(
        &self,
        query: &RunQuery,
        limit: usize,
    ) -> Result<Vec<RunView>, StoreError> {
        let mut bounds = Bounds::of(query);
        let size = limit.clamp(SMALLEST_PAGE, LARGEST_PAGE);
        let mut found = Vec::new();
        while found.len() < limit {
            let (places, seen_to) = self.places(query, &bounds, size).await?;
            for places in places.chunks(size) {
                for (run, view) in places.iter().zip(self.views(places).await?) {
                    let view = self.passed_over.unless_damaged(run, view)?;
                    found.extend(view.filter(|view| query.matches(view)));
                }
                if found.len() >= limit {
                    break;
                }
            }
            match seen_to {
                Some(place) => bounds.first = Some(place),
                None => break,
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The runs that come next in the list, by an index that the query allows, and the place up to which there are no
    /// others; none if these are all.
    async fn places(
        &self,
        query: &RunQuery,
        bounds: &Bounds,
        size: usize,
    ) -> Result<(Vec<RunId>, Option<Vec<u8>>), StoreError> {
        let pages = try_join_all(self.keys.all().map(|partition| async move {
            // In one step: a run that goes from one state to another is in one of them.
            let call = self.scripts.list.call().keys(indices(query, &partition));
            let call = call.arg(bounds.lower()).arg(bounds.upper()).arg(size);
            Ok::<Vec<Vec<Vec<u8>>>, Fault>(redis::from_redis_value(call.run(&self.quick).await?)?)
        }));
        let pages: Vec<_> =
            pages.await.map_err(Fault::while_reading)?.into_iter().flatten().collect();
        // Behind the last place of a full page there may be others that the next pages of other indices come after.
        let full = pages.iter().filter(|page| page.len() == size).filter_map(|page| page.last());
        let seen_to = full.min().cloned();
        let mut members: Vec<Vec<u8>> = pages.into_iter().flatten().collect();
        members.retain(|member| seen_to.as_ref().is_none_or(|last| member <= last));
        members.sort_unstable();
        let mut runs = Vec::with_capacity(members.len());
        for member in &members {
            let pipeline = member.get(PLACE_SIZE..).unwrap_or_default();
            if has_pipeline(query, pipeline) {
                let id = member.get(keys::TIME_SIZE..PLACE_SIZE).and_then(long);
                runs.extend(self.named(id, member));
            }
        }
        let seen_to = seen_to.map(|mut place| {
            place.truncate(PLACE_SIZE);
            place.push(BEHIND);
            place
        });
        Ok((runs, seen_to))
    }
}

/// Which index has all runs that are asked for, and few others: those that have not ended are few; else the namespace's.
fn indices(query: &RunQuery, partition: &Partition) -> Vec<String> {
    use v1::RunState::{Paused, Pending, Running, Stopping};
    let is_open = |state: &v1::RunState| matches!(state, Pending | Running | Paused | Stopping);
    let only_open = !query.states.is_empty() && query.states.iter().all(is_open);
    match &query.namespace {
        Some(namespace) if !only_open => vec![partition.of_namespace(namespace)],
        _ if query.states.is_empty() => partition.states().collect(),
        _ => {
            let asked = STATES.iter().filter(|state| query.states.contains(state));
            asked.map(|state| partition.of_state((*state).into())).collect()
        }
    }
}

/// Whether the name behind a place, where there is one, is that of a pipeline that is asked for.
fn has_pipeline(query: &RunQuery, name: &[u8]) -> bool {
    let asked = query.pipeline.as_ref();
    asked.is_none_or(|pipeline| name.is_empty() || name == pipeline.as_bytes())
}

/// Between which places to look.
#[derive(Debug, Clone)]
struct Bounds {
    /// Not before this.
    first: Option<Vec<u8>>,
    /// Before this.
    beyond: Option<Vec<u8>>,
}

impl Bounds {
    fn of(query: &RunQuery) -> Self {
        let behind = query.after.map(|after| {
            let mut place = place(after.created_at, after.run);
            place.push(BEHIND);
            place
        });
        let earlier = |time: Timestamp| inverted(Timestamp(time.0.saturating_sub(1))).to_vec();
        let before = query.created_before.map(earlier);
        // All that was accepted a moment earlier comes behind.
        let beyond = query.created_after.filter(|time| time.0 > 0).map(earlier);
        Self { first: behind.max(before), beyond }
    }

    fn lower(&self) -> Vec<u8> {
        self.first.as_ref().map_or_else(|| b"-".to_vec(), |place| [b"[", &place[..]].concat())
    }

    fn upper(&self) -> Vec<u8> {
        self.beyond.as_ref().map_or_else(|| b"+".to_vec(), |place| [b"(", &place[..]].concat())
    }
}
