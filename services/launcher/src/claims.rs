//! Who holds an attempt, where attempts have no names that all launchers share: processes exist on one host and nowhere else.
//!
//! An attempt is claimed in the store before it is created. Who claims it first, has it for ever; so that it is created by one
//! launcher at most, and a command that comes again finds the host to which it has to go. To claim it for [`NOBODY`] sees to it
//! that it never is created.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use prost::Message as _;
use windlass_bus::{Bus, BusError};
use windlass_engine::record::StepIndex;
use windlass_proto::{
    holder::NOBODY,
    id::RunId,
    subject::{HostToken, Subject},
    v1,
};
use windlass_store::{Store, StoreError};

use crate::runtime::AttemptKey;

/// Where an attempt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// On this host, or to be created there.
    Here,
    /// On another one.
    There(Arc<str>),
    /// Nowhere, for ever.
    Nowhere,
    /// Nobody has claimed it.
    Unclaimed,
}

/// The claims of this host's launcher.
#[derive(Debug)]
pub(crate) struct Claims {
    holder: Arc<str>,
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    /// Claimed for this host and not yet handed to the runtime.
    under_way: Mutex<BTreeSet<AttemptKey>>,
}

/// Attempts of one run and where each of them is.
pub(crate) type Places = Vec<(AttemptKey, Place)>;

impl Claims {
    pub(crate) fn new(holder: &str, store: Arc<dyn Store>, bus: Arc<dyn Bus>) -> Self {
        Self { holder: holder.into(), store, bus, under_way: Mutex::default() }
    }

    /// Claims attempts of a run for this host. Until they are [handed over](Self::handed_over), those that are here count as
    /// under way. None where the run is gone.
    pub(crate) async fn claim(
        &self,
        run: RunId,
        attempts: &[AttemptKey],
    ) -> Result<Option<Places>, StoreError> {
        self.under_way().extend(attempts);
        let claimed = self.store.claim(run, &self.holder, &names(attempts)).await;
        let places = claimed.map(|holders| holders.map(|holders| self.places(attempts, holders)));
        let here = |key: &AttemptKey| match &places {
            Ok(Some(places)) => places.iter().any(|(it, place)| it == key && *place == Place::Here),
            Ok(None) | Err(_) => false,
        };
        let others: Vec<_> = attempts.iter().filter(|key| !here(key)).collect();
        self.handed_over(others);
        places
    }

    /// Sees to it that attempts which nobody has claimed are never created.
    pub(crate) async fn preclude(
        &self,
        run: RunId,
        attempts: &[AttemptKey],
    ) -> Result<Option<Places>, StoreError> {
        let holders = self.store.claim(run, NOBODY, &names(attempts)).await?;
        Ok(holders.map(|holders| self.places(attempts, holders)))
    }

    /// Where attempts are.
    pub(crate) async fn find(
        &self,
        run: RunId,
        attempts: &[AttemptKey],
    ) -> Result<Places, StoreError> {
        let holders = self.store.read_claims(run, &names(attempts)).await?;
        let place = |holder: Option<Arc<str>>| holder.map_or(Place::Unclaimed, |it| self.place(it));
        Ok(attempts.iter().copied().zip(holders.into_iter().map(place)).collect())
    }

    /// The runtime knows these attempts now, or they are not for it.
    pub(crate) fn handed_over<'a>(&self, attempts: impl IntoIterator<Item = &'a AttemptKey>) {
        let mut under_way = self.under_way();
        for key in attempts {
            under_way.remove(key);
        }
    }

    /// Whether the attempt is this host's and the runtime need not know it yet.
    pub(crate) fn is_under_way(&self, key: AttemptKey) -> bool {
        self.under_way().contains(&key)
    }

    /// Sends a command about attempts to the hosts that hold them. Never waits for room on the bus: what a launcher has in
    /// hand is part of what takes it up.
    pub(crate) async fn pass_on(
        &self,
        run: RunId,
        places: &[(AttemptKey, Arc<str>)],
        command: impl Fn(Vec<v1::AttemptRef>) -> v1::command::Command,
    ) -> Result<(), BusError> {
        let mut hosts: BTreeMap<&str, Vec<v1::AttemptRef>> = BTreeMap::new();
        for (key, host) in places {
            let attempt = v1::AttemptRef { step: key.step, attempt: key.attempt };
            hosts.entry(host).or_default().push(attempt);
        }
        for (host, attempts) in hosts {
            let command = v1::Command { run_id: run.to_string(), command: Some(command(attempts)) };
            let subject = Subject::Host { host: HostToken::of(host) };
            self.bus.offer(subject, Bytes::from(command.encode_to_vec()).into()).await?;
        }
        Ok(())
    }

    fn places(&self, attempts: &[AttemptKey], holders: Vec<Arc<str>>) -> Places {
        attempts.iter().copied().zip(holders.into_iter().map(|holder| self.place(holder))).collect()
    }

    fn place(&self, holder: Arc<str>) -> Place {
        match &*holder {
            NOBODY => Place::Nowhere,
            here if *here == *self.holder => Place::Here,
            _ => Place::There(holder),
        }
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeSet<AttemptKey>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names(attempts: &[AttemptKey]) -> Vec<(StepIndex, u32)> {
    attempts.iter().map(|key| (StepIndex(key.step), key.attempt)).collect()
}
