//! Room for launches: how much there is, and who gets it. The rules are the engine's.

use std::collections::BTreeMap;

use windlass_engine::{output::Effect, share::Sharing, time::Timestamp};
use windlass_proto::id::RunId;
use windlass_store::StoreError;

use crate::{
    partition::{Partition, TurnError},
    turn::Decision,
};

/// How long a loop waits for launchers to take what was ordered before it makes sure that they have not, in milliseconds: another
/// scheduler may have been told instead, which takes itself for the one who serves the partition.
const DOUBTS_MS: u64 = 2000;

/// How many runs are looked at then.
const DOUBTED: usize = 16;

/// After which time a loop looks again whose runs are held back by what waits elsewhere, in milliseconds.
const LOOK_AGAIN_MS: u64 = 200;

impl Partition {
    /// Shares the room for launches among the runs that could use it.
    pub(crate) fn dispatch(&mut self, decisions: &mut BTreeMap<RunId, Decision>, now: Timestamp) {
        let room = self.window.room(self.cache.unconfirmed(), now);
        let hungry = if room > 0 { self.cache.hungry() } else { Vec::new() };
        let mut left = room;
        self.looks_again = None;
        if !hungry.is_empty() {
            let elsewhere = self.board.elsewhere(self.number);
            let comes_first = |waits| hungry.iter().any(|contender| contender.priority < waits);
            if elsewhere.waits.is_some_and(comes_first) {
                self.looks_again = Some(now.plus(LOOK_AGAIN_MS));
            }
            let mut in_flight = elsewhere.in_flight;
            for (namespace, count) in self.cache.in_flight() {
                *in_flight.entry(namespace.clone()).or_default() += count;
            }
            let sharing =
                Sharing { room, contenders: &hungry, in_flight, elsewhere: elsewhere.waits };
            let Self { cache, waits, .. } = self;
            left = sharing.share(waits, now, |id, room| {
                let cached = cache.get_mut(*id).expect("the index names runs that are there");
                let decision = decisions.entry(*id).or_default();
                let taken = cached.run.dispatch(room, now, &mut decision.output);
                cache.refresh(*id, now);
                taken
            });
        }
        let (mut ordered, mut asks) = (0, false);
        for effect in decisions.values().flat_map(|decision| &decision.output.effects) {
            match effect {
                // Those of limits that were granted, and of runs that were loaded, are among them.
                Effect::Launch(_) => ordered += 1,
                Effect::Acquire(_) => asks = true,
                Effect::Stop(_) | Effect::Probe(_) | Effect::Hold(_) | Effect::Release(_) => {}
            }
        }
        // Those that have to wait in line leave the room that was kept for them.
        if asks && self.cache.is_hungry() {
            self.looks_again = Some(now);
        }
        let is_full = left == 0 && self.cache.is_hungry();
        self.window.order(ordered, is_full, now);
        let waits = if is_full || room == 0 { self.cache.waits() } else { None };
        self.board.tell(self.number, self.cache.in_flight(), waits);
        self.doubts = match self.doubts {
            _ if room > 0 || !self.cache.is_hungry() => None,
            None => Some(now.plus(DOUBTS_MS)),
            since => since,
        };
    }

    /// Where nothing was taken for long that was ordered, sees whether these runs have gone on elsewhere, and reads them anew.
    pub(crate) async fn make_sure(&mut self, now: Timestamp) -> Result<(), TurnError> {
        if self.doubts.take_if(|due| *due <= now).is_none() {
            return Ok(());
        }
        for (id, version) in self.cache.waiting_for_launchers(DOUBTED) {
            match self.store.read_record(id).await {
                Ok(Some((present, _))) if present == version => {}
                Err(StoreError::Damaged(_)) => {}
                Ok(_) => {
                    self.cache.remove(id);
                    self.owing.insert(id);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
