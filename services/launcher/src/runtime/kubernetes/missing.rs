//! What pods need and has not got: a namespace, a service account, the right to create them. A pure function of what their API
//! server has said.
//!
//! Somebody may be about to make it, so attempts wait for it; but not each of them anew.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// For how long it is waited for, from the first refusal on.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long after the last refusal it is forgotten.
const REMEMBERED: Duration = Duration::from_mins(1);

/// What is missing, by namespace and service account.
#[derive(Debug, Default)]
pub(super) struct Missing(BTreeMap<(Box<str>, Box<str>), Seen>);

/// When it was missed, first and last.
#[derive(Debug, Clone, Copy)]
struct Seen {
    first: Instant,
    last: Instant,
}

impl Missing {
    /// A pod was refused for what is missing there. Whether that is worth waiting for.
    pub(super) fn is_awaited(&mut self, namespace: &str, account: &str, now: Instant) -> bool {
        self.0.retain(|_, seen| now.duration_since(seen.last) < REMEMBERED);
        let key = (namespace.into(), account.into());
        let seen = self.0.entry(key).or_insert(Seen { first: now, last: now });
        seen.last = now;
        now.duration_since(seen.first) < PATIENCE
    }

    /// A pod was created there.
    pub(super) fn is_there(&mut self, namespace: &str, account: &str) {
        if !self.0.is_empty() {
            self.0.remove(&(namespace.into(), account.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_waited_for_once_and_not_by_each_attempt_anew() {
        let (mut missing, start) = (Missing::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(missing.is_awaited("a", "x", at(0)));
        assert!(missing.is_awaited("a", "x", at(9)));
        assert!(!missing.is_awaited("a", "x", at(10)));
        assert!(missing.is_awaited("a", "y", at(10)), "another account");
        assert!(missing.is_awaited("b", "x", at(10)), "another namespace");
        assert!(!missing.is_awaited("a", "x", at(69)), "refusals keep it known");
        missing.is_there("a", "x");
        assert!(missing.is_awaited("a", "x", at(70)));
        assert!(missing.is_awaited("a", "x", at(130)), "forgotten when nobody asks for long");
    }
}
