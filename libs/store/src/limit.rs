//! Named limits: what is asked of them, and what is answered. Who may start is decided by [`windlass_engine::limits`].

use std::sync::Arc;

use windlass_engine::{
    limits::{LimitConfig, Limits, Standing},
    record::StepIndex,
    time::Timestamp,
};
use windlass_proto::id::RunId;

/// How many holders are granted something by one call at most, so that no call takes long.
pub const GRANTS_AT_ONCE: usize = 1000;

/// Who holds limits: an attempt of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// Its run.
    pub run: RunId,
    /// The step.
    pub step: StepIndex,
    /// The attempt's number.
    pub attempt: u32,
}

/// The limits that somebody holds or wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitAsk {
    /// Who.
    pub holder: Holder,
    /// Their names, sorted, each once: from 1 to [`LIMITS_PER_STEP_MAX`](windlass_engine::limits::LIMITS_PER_STEP_MAX).
    pub limits: Arc<[Arc<str>]>,
}

/// What is asked of the limits of a namespace. It is done in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitRequest {
    /// Those who are known to hold limits: they hold them, whatever the sizes, and did not start just now. Who holds some already
    /// keeps those.
    pub holds: Vec<LimitAsk>,
    /// Those who hold nothing any more and wait for nothing.
    pub releases: Vec<Holder>,
    /// Those who want limits: each gets all that it names or waits for them, behind all who came before. Who waits or holds
    /// already keeps what it has asked for first, and its place.
    pub asks: Vec<LimitAsk>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitAnswer {
    /// Those of the asks who held all they asked for before; behind them all of the namespace, whoever has asked for them,
    /// who were granted theirs by this call, in the order of their arrival: [`GRANTS_AT_ONCE`] at most.
    pub granted: Vec<Holder>,
    /// When to ask again, if nothing else happens before: when a rate lets somebody start who waits for nothing else, or
    /// when a store has settled. A time that has passed where more could be granted; none where no time helps.
    pub next_at: Option<Timestamp>,
}

/// A limit as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitView {
    /// Its name.
    pub name: Arc<str>,
    /// What it was configured to be; none where that was never done, or forgotten.
    pub config: Option<LimitConfig>,
    /// How many hold it.
    pub held: u32,
    /// How many wait for it.
    pub waiting: u32,
}

impl LimitView {
    /// One that nobody has configured, holds or waits for.
    pub fn unset(name: Arc<str>) -> Self {
        Self { name, config: None, held: 0, waiting: 0 }
    }
}

/// All holders that a run may have.
pub(crate) fn of_run(run: RunId) -> std::ops::RangeInclusive<Holder> {
    let holder = |number| Holder { run, step: StepIndex(number), attempt: number };
    holder(0)..=holder(u32::MAX)
}

/// What a request has changed, in the order in which it was.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) asserted: Vec<Holder>,
    pub(crate) released: Vec<Holder>,
    pub(crate) waiting: Vec<Holder>,
    pub(crate) granted: Vec<Holder>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { asserted, released, waiting, granted } = self;
        [asserted, released, waiting, granted].into_iter().all(Vec::is_empty)
    }
}

/// Does what is asked, in a store that holds its limits in memory.
pub(crate) fn take(
    limits: &mut Limits<Holder>,
    request: &LimitRequest,
    now: Timestamp,
) -> (LimitAnswer, Changes) {
    let mut changes = Changes::default();
    for LimitAsk { holder, limits: names } in &request.holds {
        if limits.assert(holder, names) {
            changes.asserted.push(*holder);
        }
    }
    for holder in &request.releases {
        changes.released.extend(limits.release(holder).map(|_| *holder));
    }
    let mut granted = Vec::new();
    for LimitAsk { holder, limits: names } in &request.asks {
        match limits.ask(holder, names) {
            Some(Standing::Holds) => granted.push(*holder),
            Some(Standing::Waits) => {}
            None => changes.waiting.push(*holder),
        }
    }
    changes.granted = limits.grant(now, GRANTS_AT_ONCE);
    granted.extend(&changes.granted);
    (LimitAnswer { granted, next_at: limits.next_at() }, changes)
}

/// Configures a limit there, and grants what that allows.
pub(crate) fn configure(
    limits: &mut Limits<Holder>,
    name: &str,
    config: Option<LimitConfig>,
    now: Timestamp,
) -> (LimitAnswer, Changes) {
    limits.configure(name, config, now);
    take(limits, &LimitRequest::default(), now)
}

/// All limits there.
pub(crate) fn views(limits: &Limits<Holder>) -> Vec<LimitView> {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let view = |state: windlass_engine::limits::LimitState<'_>| LimitView {
        name: Arc::clone(state.name),
        config: state.config,
        held: count(state.held),
        waiting: count(state.waiting),
    };
    limits.states().map(view).collect()
}

/// Where somebody stands there.
pub(crate) fn places(limits: &Limits<Holder>, holder: &Holder) -> Vec<(Arc<str>, u32)> {
    let places = limits.places(holder).into_iter();
    places.map(|(name, before)| (name, u32::try_from(before).unwrap_or(u32::MAX))).collect()
}

/// The runs of those who hold or wait there.
pub(crate) fn runs(limits: &Limits<Holder>) -> Vec<RunId> {
    let mut runs: Vec<RunId> = limits.entries(..).map(|(holder, _)| holder.run).collect();
    runs.dedup();
    runs
}

/// Who of a run holds and who waits there.
pub(crate) fn read_run(limits: &Limits<Holder>, run: RunId) -> Vec<(Holder, bool)> {
    let entries = limits.entries(of_run(run));
    entries.map(|(holder, standing)| (*holder, standing == Standing::Holds)).collect()
}
