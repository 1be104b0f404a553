//! The named limits of a world: who holds them, and who stands in line.

use std::collections::BTreeSet;

use windlass_engine::{
    event::Event,
    output::{AttemptRef, Effect},
    run::Run,
};

use super::World;

/// All limits: each holds as many attempts as its name says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Lines {
    held: BTreeSet<AttemptRef>,
    waiting: Vec<AttemptRef>,
}

impl Lines {
    /// Everyone who holds anything or stands in line.
    pub(super) fn known(&self) -> Vec<AttemptRef> {
        self.held.iter().chain(&self.waiting).copied().collect()
    }

    /// Whether an attempt may exist.
    pub(super) fn allow(&self, run: &Run, it: AttemptRef) -> bool {
        run.limits(it.step).is_none() || self.held.contains(&it)
    }

    /// Grants what may be granted: the first in all lines goes first.
    fn grant(&mut self, run: &Run) -> Vec<AttemptRef> {
        let mut passed_over = BTreeSet::new();
        let mut granted = Vec::new();
        self.waiting.retain(|it| {
            let limits = run.limits(it.step).expect("it asked for some");
            let holders = |limit| {
                let of_limit = |it: &&AttemptRef| {
                    run.limits(it.step).is_some_and(|limits| limits.contains(limit))
                };
                self.held.iter().filter(of_limit).count()
            };
            let free = limits.iter().all(|limit| {
                let size: usize = limit.parse().expect("its name is its size");
                holders(limit) < size && !passed_over.contains(limit)
            });
            if free {
                self.held.insert(*it);
                granted.push(*it);
            } else {
                passed_over.extend(limits.iter().cloned());
            }
            !free
        });
        granted
    }
}

impl World<'_> {
    pub(super) fn deliver_to_limits(&mut self, effect: Effect) {
        let Lines { held, waiting } = &mut self.lines;
        let it = effect.attempt();
        match effect {
            Effect::Acquire(_) if held.contains(&it) => self.words.push(Event::Granted(it)),
            Effect::Acquire(_) if !waiting.contains(&it) => waiting.push(it),
            Effect::Hold(_) => {
                waiting.retain(|other| *other != it);
                held.insert(it);
            }
            Effect::Release(_) => {
                waiting.retain(|other| *other != it);
                held.remove(&it);
            }
            _ => {}
        }
        self.words.extend(self.lines.grant(&self.run).into_iter().map(Event::Granted));
        let live = self.live();
        for size in [1, 2_usize].into_iter().filter(|_| self.book.is_some()) {
            let name = size.to_string();
            let holds = |it: &&AttemptRef| {
                let limits = self.run.limits(it.step);
                limits.is_some_and(|limits| limits.iter().any(|limit| **limit == *name))
            };
            assert!(live.iter().filter(holds).count() <= size, "limit {size}: {live:?}");
        }
    }
}
