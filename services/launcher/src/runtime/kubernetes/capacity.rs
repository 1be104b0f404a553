//! How many pods may live at once, as a pure function: the limit of a cluster is cut into as many parts as there are shards, and a
//! launcher has the parts of the shards that it holds.
//!
//! So all launchers of a cluster together keep one limit, without asking each other: who takes over a shard takes over its part
//! with the pods that live in it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// The part of a limit that one shard has: parts add up to the limit, and differ by one at most.
pub(super) fn part(limit: u32, shard: u32, shards: u32) -> u32 {
    limit / shards + u32::from(shard < limit % shards)
}

/// What a cluster allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// The most pods that live at once.
    pub(super) pods: u32,
    /// The most of one namespace.
    pub(super) pods_per_namespace: Option<u32>,
    /// Into how many shards pods are divided.
    pub(super) shards: u32,
}

/// How many pods live, by shard and namespace.
#[derive(Debug, Default)]
pub(super) struct Living {
    by_shard: BTreeMap<u32, BTreeMap<Box<str>, u32>>,
}

impl Living {
    /// Counts one more.
    pub(super) fn add(&mut self, shard: u32, namespace: &str) {
        let namespaces = self.by_shard.entry(shard).or_default();
        *namespaces.entry(namespace.into()).or_default() += 1;
    }

    /// Counts one less.
    pub(super) fn remove(&mut self, shard: u32, namespace: &str) {
        let Some(namespaces) = self.by_shard.get_mut(&shard) else { return };
        if let Some(count) = namespaces.get_mut(namespace) {
            *count = count.saturating_sub(1);
        }
        namespaces.retain(|_, count| *count > 0);
    }

    /// Forgets a shard.
    pub(super) fn forget(&mut self, shard: u32) {
        self.by_shard.remove(&shard);
    }

    /// How many live in all shards that are counted here.
    #[cfg(test)]
    pub(super) fn total(&self) -> u32 {
        self.by_shard.keys().map(|shard| self.of_shard(*shard)).sum()
    }

    fn of_shard(&self, shard: u32) -> u32 {
        self.by_shard.get(&shard).map_or(0, |namespaces| namespaces.values().sum())
    }

    fn of_namespace(&self, shard: u32, namespace: &str) -> u32 {
        let namespaces = self.by_shard.get(&shard);
        namespaces.and_then(|counts| counts.get(namespace)).copied().unwrap_or(0)
    }

    /// How many live in these shards, those of one namespace or all, and how many may by a limit of them.
    pub(super) fn used(
        &self,
        held: &BTreeSet<u32>,
        namespace: Option<&str>,
        limit: u32,
        shards: u32,
    ) -> (u32, u32) {
        let live = |shard: u32| match namespace {
            Some(namespace) => self.of_namespace(shard, namespace),
            None => self.of_shard(shard),
        };
        let live = held.iter().map(|shard| live(*shard)).sum();
        (live, held.iter().map(|shard| part(limit, *shard, shards)).sum())
    }

    /// How many pods may be created in these shards, if their namespaces allow it.
    pub(super) fn free(&self, held: &BTreeSet<u32>, limits: &Limits) -> u32 {
        held.iter().map(|shard| self.free_in(*shard, limits)).sum()
    }

    fn free_in(&self, shard: u32, limits: &Limits) -> u32 {
        part(limits.pods, shard, limits.shards).saturating_sub(self.of_shard(shard))
    }

    /// Whether no more pods live in a shard, and there of a namespace, than these limits allow.
    pub(super) fn is_within(&self, shard: u32, namespace: &str, limits: &Limits) -> bool {
        let is_within = |limit: u32, count: u32| count <= part(limit, shard, limits.shards);
        let of_namespace = self.of_namespace(shard, namespace);
        is_within(limits.pods, self.of_shard(shard))
            && limits.pods_per_namespace.is_none_or(|limit| is_within(limit, of_namespace))
    }

    /// In which of these shards a pod of the namespace is to be created: the one with the most room; none where there is none.
    pub(super) fn place(
        &self,
        held: &BTreeSet<u32>,
        namespace: &str,
        limits: &Limits,
    ) -> Option<u32> {
        let free = |shard: u32| {
            let of_namespace = limits.pods_per_namespace.map_or(u32::MAX, |limit| {
                part(limit, shard, limits.shards)
                    .saturating_sub(self.of_namespace(shard, namespace))
            });
            self.free_in(shard, limits).min(of_namespace)
        };
        let with_room = held.iter().map(|shard| (free(*shard), Reverse(*shard)));
        with_room.filter(|(free, _)| *free > 0).max().map(|(_, Reverse(shard))| shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Launchers that divide shards among themselves in whatever way never have more pods together than the limits say, and
        /// use all that they allow.
        #[test]
        fn launchers_together_keep_the_limits_and_use_them_up(
            shards in 1..40_u32,
            pods in 0..300_u32,
            pods_per_namespace in prop::option::of(0..200_u32),
            launchers in 1..6_u32,
            wanted in prop::collection::vec(0..3_usize, 0..400),
        ) {
            let limits = Limits { pods, pods_per_namespace, shards };
            let held: Vec<BTreeSet<u32>> = (0..launchers)
                .map(|launcher| (0..shards).filter(|shard| shard % launchers == launcher).collect())
                .collect();
            let mut living: Vec<Living> = held.iter().map(|_| Living::default()).collect();
            let namespaces = ["a", "b", "c"];
            let mut counts = BTreeMap::<&str, u32>::new();
            for number in wanted {
                let namespace = namespaces[number];
                let places = held.iter().zip(&living).map(|(held, living)| living.place(held, namespace, &limits));
                let place = places.enumerate().find_map(|(launcher, shard)| Some((launcher, shard?)));
                let of_namespace = *counts.get(namespace).unwrap_or(&0);
                match place {
                    Some((launcher, shard)) => {
                        living[launcher].add(shard, namespace);
                        *counts.entry(namespace).or_default() += 1;
                        prop_assert!(pods_per_namespace.is_none_or(|limit| of_namespace < limit));
                    }
                    // Shards are cut for all namespaces alike: one that is alone may find its parts used up only where the
                    // others have taken the room of its shards.
                    None => prop_assert!(
                        living.iter().map(Living::total).sum::<u32>() == pods
                            || pods_per_namespace.is_some()
                    ),
                }
                prop_assert!(living.iter().map(Living::total).sum::<u32>() <= pods);
            }
        }
    }

    #[test]
    fn what_ends_makes_room_where_it_was() {
        let limits = Limits { pods: 3, pods_per_namespace: Some(2), shards: 2 };
        let held = BTreeSet::from([0, 1]);
        let mut living = Living::default();
        assert_eq!(living.free(&held, &limits), 3);
        for shard in [0, 1] {
            assert_eq!(living.place(&held, "a", &limits), Some(shard));
            living.add(shard, "a");
        }
        assert_eq!(living.place(&held, "a", &limits), None);
        assert_eq!(living.used(&held, Some("a"), 2, 2), (2, 2));
        assert_eq!(living.used(&held, None, 3, 2), (2, 3));
        assert_eq!(living.used(&BTreeSet::from([1]), None, 3, 2), (1, 1));
        assert_eq!(living.place(&held, "b", &limits), Some(0));
        living.remove(1, "a");
        assert_eq!(living.place(&held, "a", &limits), Some(1));
        assert!(living.is_within(0, "a", &limits));
        let lowered =
            [Limits { pods: 0, ..limits }, Limits { pods_per_namespace: Some(0), ..limits }];
        assert_eq!(lowered.map(|limits| living.is_within(0, "a", &limits)), [false; 2]);
        assert_eq!(lowered.map(|limits| living.is_within(0, "b", &limits)), [false, true]);
        living.forget(0);
        assert_eq!((living.total(), living.free(&held, &limits)), (0, 3));
    }
}
