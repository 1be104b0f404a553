//! Which namespaces have used up what they may have: a pure function of what their API server has said.
//!
//! Where a quota is used up, one attempt at a time tries whether there is room again, and the others need not ask.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long to wait before the next try, at first and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// The namespaces that are full.
#[derive(Debug, Default)]
pub(super) struct Quotas(BTreeMap<Box<str>, Full>);

/// A namespace without room.
#[derive(Debug)]
struct Full {
    try_at: Instant,
    wait: Duration,
}

impl Quotas {
    /// Whether an attempt may be tried in the namespace; otherwise, when the next one may. Who may is the only one until it is
    /// known what came of it, or time has passed.
    pub(super) fn may_try(&mut self, namespace: &str, now: Instant) -> Result<(), Instant> {
        let Some(full) = self.0.get_mut(namespace) else { return Ok(()) };
        if now < full.try_at {
            return Err(full.try_at);
        }
        full.try_at = now + full.wait;
        Ok(())
    }

    /// The server says that the namespace is full. True where that is news.
    pub(super) fn is_full(&mut self, namespace: &str, now: Instant) -> bool {
        let known = self.0.get(namespace).map(|full| full.wait);
        let wait = known.map_or(WAIT.0, |wait| (wait * 2).min(WAIT.1));
        let full = Full { try_at: now + wait, wait };
        self.0.insert(namespace.into(), full);
        known.is_none()
    }

    /// A pod was created in the namespace.
    pub(super) fn has_room(&mut self, namespace: &str) {
        self.0.remove(namespace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_namespace_is_tried_by_one_at_a_time_and_no_other_waits_for_it() {
        let mut quotas = Quotas::default();
        let now = Instant::now();
        assert_eq!(quotas.may_try("a", now), Ok(()));
        assert!(quotas.is_full("a", now));
        assert_eq!(quotas.may_try("a", now), Err(now + WAIT.0));
        assert_eq!(quotas.may_try("b", now), Ok(()));
        let later = now + WAIT.0;
        assert_eq!(quotas.may_try("a", later), Ok(()));
        assert_eq!(quotas.may_try("a", later), Err(later + WAIT.0));
        assert!(!quotas.is_full("a", later));
        assert_eq!(quotas.may_try("a", later), Err(later + 2 * WAIT.0));
        quotas.has_room("a");
        assert_eq!(quotas.may_try("a", later), Ok(()));
    }
}
