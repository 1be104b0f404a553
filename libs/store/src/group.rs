//! Groups: who is there, and who of them holds which lease, for a time.
//!
//! A lease is for speed: it tells whom to leave a partition to. Nothing is wrong if two act on one; see
//! [`Store::commit`](crate::Store::commit) for what keeps runs right.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use windlass_engine::time::Timestamp;

/// What a member of a group asks for. The store does all of it in one step, in this order:
///
/// 1. Members and leases whose time is over leave the group.
/// 2. The member enters the group or stays in it for `ttl` from now; so do all leases that it holds. One that is leaving
///    is taken out of the group, and its leases keep the time that they have.
/// 3. The member's leases in `release` are free.
/// 4. The leases in `acquire` that are free are the member's, for `ttl` from now. One that is leaving gets none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareRequest {
    /// The group.
    pub group: String,
    /// Who asks: unique within the group, and never used again after a restart.
    pub member: String,
    /// Whether it is about to go: it does not count as a member any more, and gives its leases up one call after the other.
    pub leaving: bool,
    /// How long the member and its leases stay without being heard of. Whole milliseconds.
    pub ttl: Duration,
    /// Leases that it wants.
    pub acquire: Vec<u32>,
    /// Leases that it has done with. Those that it does not hold are passed over.
    pub release: Vec<u32>,
}

/// A group after a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shares {
    /// Its members, those left out that are leaving.
    pub members: BTreeSet<String>,
    /// Who holds which lease.
    pub leases: BTreeMap<u32, String>,
}

/// All groups of a store that one process has to itself. They end with the process, as all their members do.
#[derive(Debug, Default)]
pub(crate) struct Groups(HashMap<String, Group>);

#[derive(Debug, Default)]
struct Group {
    /// Until when.
    members: BTreeMap<String, Timestamp>,
    /// Whose, and until when.
    leases: BTreeMap<u32, (String, Timestamp)>,
}

impl Groups {
    pub(crate) fn share(&mut self, request: &ShareRequest, now: Timestamp) -> Shares {
        let group = self.0.entry(request.group.clone()).or_default();
        group.share(request, now);
        Shares {
            members: group.members.keys().cloned().collect(),
            leases: group
                .leases
                .iter()
                .map(|(lease, (owner, _))| (*lease, owner.clone()))
                .collect(),
        }
    }

    /// Who is in a group now.
    pub(crate) fn members(&self, group: &str, now: Timestamp) -> BTreeSet<String> {
        let members = self.0.get(group).into_iter().flat_map(|group| &group.members);
        members.filter(|(_, until)| **until > now).map(|(member, _)| member.clone()).collect()
    }
}

impl Group {
    fn share(&mut self, request: &ShareRequest, now: Timestamp) {
        let ShareRequest { member, leaving, ttl, acquire, release, .. } = request;
        let until = now.plus(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        self.members.retain(|_, until| *until > now);
        self.leases.retain(|_, (_, until)| *until > now);
        if *leaving {
            self.members.remove(member);
        } else {
            self.members.insert(member.clone(), until);
            self.renew(member, until);
        }
        for lease in release {
            if self.leases.get(lease).is_some_and(|(owner, _)| owner == member) {
                self.leases.remove(lease);
            }
        }
        if !leaving {
            for lease in acquire {
                self.leases.entry(*lease).or_insert_with(|| (member.clone(), until));
            }
        }
    }

    fn renew(&mut self, member: &str, until: Timestamp) {
        let own = self.leases.values_mut().filter(|(owner, _)| owner == member);
        own.for_each(|lease| lease.1 = until);
    }
}
