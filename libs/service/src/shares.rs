//! Which leases a member of a group should take and give up, from what the store says of all of them: partitions, which schedulers
//! divide among themselves, and shards, which the launchers of a cluster do. Pure.

use std::collections::BTreeSet;

use windlass_store::Shares;

/// What a member should do next, so that every one has its fair share.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Leases that nobody has.
    pub acquire: Vec<u32>,
    /// Leases that somebody else should have.
    pub release: Vec<u32>,
}

impl Plan {
    /// Whether the member has what it should have.
    pub fn is_empty(&self) -> bool {
        self.acquire.is_empty() && self.release.is_empty()
    }
}

/// What `member` should do, where there are `leases` of them, numbered from 0. Shares differ by one at most: where they do not come
/// out even, those whose names come first have one more.
pub fn plan(shares: &Shares, member: &str, leases: u32) -> Plan {
    let Some(rank) = shares.members.iter().position(|other| other == member) else {
        // It is leaving, or was taken for dead and is a member again with its next word.
        return Plan::default();
    };
    let members = shares.members.len();
    let total = leases as usize;
    let share = total / members + usize::from(rank < total % members);
    let holder = |lease: &u32| shares.leases.get(lease).map(String::as_str);
    let mine: Vec<u32> = (0..leases).filter(|it| holder(it) == Some(member)).collect();
    let mut free: Vec<u32> = (0..leases).filter(|it| holder(it).is_none()).collect();
    if !free.is_empty() {
        // Each begins at a place of its own, so that those who look at the same moment do not all ask for the same.
        let begin = free.len() * rank / members;
        free.rotate_left(begin);
    }
    free.truncate(share.saturating_sub(mine.len()));
    Plan { acquire: free, release: mine.get(share..).unwrap_or_default().to_vec() }
}

/// The leases that a member has.
pub fn held_by(shares: &Shares, member: &str) -> BTreeSet<u32> {
    let held = shares.leases.iter().filter(|(_, holder)| *holder == member);
    held.map(|(lease, _)| *lease).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Carries out what one member plans, as the store would.
    fn follow(shares: &mut Shares, member: &str, partitions: u32) -> bool {
        let plan = plan(shares, member, partitions);
        for partition in &plan.release {
            assert_eq!(shares.leases.remove(partition).as_deref(), Some(member));
        }
        for partition in &plan.acquire {
            assert_eq!(shares.leases.insert(*partition, member.to_owned()), None);
        }
        !plan.is_empty()
    }

    proptest! {
        /// Whoever speaks in whatever order, each partition is served in the end, shares are fair, and nobody wants a change.
        #[test]
        fn shares_become_fair_and_then_rest(
            partitions in 1..40_u32,
            members in 1..8_usize,
            held in prop::collection::vec(0..12_usize, 40),
            order in prop::collection::vec(0..8_usize, 64),
        ) {
            let name = |number: usize| format!("member-{number}");
            let mut shares = Shares {
                members: (0..members).map(name).collect(),
                // Some are held by members that are gone, and expire below; some by nobody.
                leases: (0..partitions)
                    .filter(|it| held[*it as usize] < 10)
                    .map(|it| (it, name(held[it as usize])))
                    .collect(),
            };
            for turn in &order {
                follow(&mut shares, &name(turn % members), partitions);
            }
            let Shares { members: live, leases } = &mut shares;
            leases.retain(|_, holder| live.contains(holder));
            let mut rounds = 0;
            while (0..members).any(|number| follow(&mut shares, &name(number), partitions)) {
                rounds += 1;
                prop_assert!(rounds <= 2 * members + 2, "it does not come to rest");
            }
            let counts: Vec<usize> = (0..members)
                .map(|number| shares.leases.values().filter(|holder| **holder == name(number)).count())
                .collect();
            prop_assert_eq!(counts.iter().sum::<usize>(), partitions as usize);
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{:?}", counts);
        }
    }

    #[test]
    fn who_is_no_member_takes_nothing_and_gives_up_nothing() {
        let leases = [(0, "gone".to_owned())].into();
        let shares = Shares { members: ["other".to_owned()].into(), leases };
        assert_eq!(plan(&shares, "gone", 2), Plan::default());
        assert_eq!(plan(&shares, "other", 2), Plan { acquire: vec![1], release: vec![] });
    }
}
