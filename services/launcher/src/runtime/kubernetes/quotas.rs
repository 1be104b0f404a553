//! Which namespaces have used up what they may have: a pure function of what their API server has said.
//!
//! Where a quota is used up, one attempt at a time tries whether there is room again, and the others need not ask.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long to wait before the next try, at first and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// For how long after the next try was due it counts that a namespace is full: then nobody tries any more.
const BELIEVED: Duration = Duration::from_secs(15);

/// The namespaces that are full.
#[derive(Debug, Default)]
pub(super) struct Quotas(BTreeMap<Box<str>, Full>);

/// A namespace without room.
#[derive(Debug)]
struct Full {
    since: Instant,
    /// In the server's words, the latest.
    words: Box<str>,
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

    /// The server says that the namespace is full, in these words. True where that is news.
    pub(super) fn is_full(&mut self, namespace: &str, words: &str, now: Instant) -> bool {
        let known = self.0.get(namespace).map(|full| (full.since, full.wait));
        let wait = known.map_or(WAIT.0, |(_, wait)| (wait * 2).min(WAIT.1));
        let since = known.map_or(now, |(since, _)| since);
        let full = Full { since, words: words.into(), try_at: now + wait, wait };
        self.0.insert(namespace.into(), full);
        known.is_none()
    }

    /// Since when a namespace has been full, and the server's words; none where nobody has tried lately.
    pub(super) fn told(&self, namespace: &str, now: Instant) -> Option<(Instant, &str)> {
        let full = self.0.get(namespace).filter(|full| now < full.try_at + BELIEVED)?;
        Some((full.since, &full.words))
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
        assert!(quotas.is_full("a", "used: pods=5", now));
        assert_eq!(quotas.may_try("a", now), Err(now + WAIT.0));
        assert_eq!(quotas.may_try("b", now), Ok(()));
        let later = now + WAIT.0;
        assert_eq!(quotas.may_try("a", later), Ok(()));
        assert_eq!(quotas.may_try("a", later), Err(later + WAIT.0));
        assert!(!quotas.is_full("a", "used: pods=6", later));
        assert_eq!(quotas.may_try("a", later), Err(later + 2 * WAIT.0));
        assert_eq!(quotas.told("a", later), Some((now, "used: pods=6")), "since the first time");
        assert_eq!(quotas.told("a", later + 2 * WAIT.0 + BELIEVED), None, "nobody tries any more");
        quotas.has_room("a");
        assert_eq!(quotas.may_try("a", later), Ok(()));
        assert_eq!(quotas.told("a", later), None);
    }
}
