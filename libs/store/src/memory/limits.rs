//! Named limits.

use std::collections::HashMap;

use windlass_engine::{
    limits::{LimitConfig, Limits},
    time::Timestamp,
};

use crate::{
    Holder, LimitAnswer, LimitRequest,
    limit::{configure, take},
};

/// By namespace.
#[derive(Debug, Default)]
pub(super) struct Namespaces(HashMap<String, Limits<Holder>>);

impl Namespaces {
    pub(super) fn take(
        &mut self,
        namespace: &str,
        request: &LimitRequest,
        now: Timestamp,
    ) -> LimitAnswer {
        self.change(namespace, |limits| take(limits, request, now).0)
    }

    pub(super) fn configure(
        &mut self,
        namespace: &str,
        name: &str,
        config: Option<LimitConfig>,
        now: Timestamp,
    ) -> LimitAnswer {
        self.change(namespace, |limits| configure(limits, name, config, now).0)
    }

    pub(super) fn namespaces(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// What there is to read of a namespace: nothing where there is none.
    pub(super) fn read<T: Default>(
        &self,
        namespace: &str,
        read: impl FnOnce(&Limits<Holder>) -> T,
    ) -> T {
        self.0.get(namespace).map(read).unwrap_or_default()
    }

    /// Forgets a namespace that nothing is left of.
    fn change(
        &mut self,
        namespace: &str,
        change: impl FnOnce(&mut Limits<Holder>) -> LimitAnswer,
    ) -> LimitAnswer {
        let limits = self.0.entry(namespace.to_owned()).or_default();
        let answer = change(limits);
        if limits.is_empty() {
            self.0.remove(namespace);
        }
        answer
    }
}
