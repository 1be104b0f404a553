//! What a run and its steps were asked to obey. Checked when it is made; the rest of the engine only relies on it.

use std::{num::NonZeroU32, ops::RangeInclusive};

use crate::reason::{Failure, FailureReason};

/// What the rest of a run does once a step has failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FailureMode {
    /// Running attempts are stopped, and nothing new starts.
    FailFast,
    /// Running attempts end by themselves, and nothing new starts.
    StopOnFailure,
    /// Steps that do not depend on the failed one go on.
    #[default]
    ContinueOnFailure,
}

/// When a step whose dependencies have all ended runs; otherwise it is skipped.
///
/// A rule is looked at only when all dependencies have ended, so that the outcome does not depend on their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TriggerRule {
    /// Every dependency succeeded.
    #[default]
    AllSucceeded,
    /// In any case.
    AllDone,
    /// At least one dependency failed.
    AnyFailed,
    /// At least one dependency succeeded.
    AnySucceeded,
}

/// What a whole run obeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunPolicy {
    /// What a failure does to the rest.
    pub failure_mode: FailureMode,
    /// The most attempts in flight at once.
    pub max_parallelism: Option<NonZeroU32>,
    /// The least time between two orders to start an attempt.
    pub start_gap_ms: u64,
    /// From the run's start (or latest retry) to its end, pauses left out.
    pub timeout_ms: Option<u64>,
    /// Where room is short, steps of runs with a higher one start first: see [`share`](crate::share).
    pub priority: i32,
    /// What makes this run's jitter differ from that of other runs.
    pub jitter_seed: u64,
}

impl RunPolicy {
    /// The policy with some limits changed.
    #[must_use]
    pub fn changed_by(self, changes: LimitChanges) -> Self {
        let LimitChanges { max_parallelism, timeout_ms } = changes;
        Self {
            max_parallelism: max_parallelism.map_or(self.max_parallelism, NonZeroU32::new),
            timeout_ms: timeout_ms.map_or(self.timeout_ms, |ms| (ms > 0).then_some(ms)),
            ..self
        }
    }
}

/// Limits of a run that are other than its pipeline says; what is none of them stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LimitChanges {
    /// The most attempts in flight at once; 0 lifts the limit.
    pub max_parallelism: Option<u32>,
    /// From the run's start (or latest retry) to its end, pauses left out; 0 lifts the limit.
    pub timeout_ms: Option<u64>,
}

impl LimitChanges {
    /// These, and later ones.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self {
            max_parallelism: later.max_parallelism.or(self.max_parallelism),
            timeout_ms: later.timeout_ms.or(self.timeout_ms),
        }
    }
}

/// What one step obeys. Many steps share one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StepPolicy {
    /// When the step runs.
    pub trigger_rule: TriggerRule,
    /// Whether it runs only where its condition holds: the [`Logic`](crate::logic::Logic) knows.
    pub has_condition: bool,
    /// How a failed attempt is followed by another.
    pub retry: RetryPolicy,
    /// Which failures are treated otherwise; by default none.
    pub rules: Option<RulesIndex>,
    /// Which named limits its attempts hold while they may exist; by default none.
    pub limits: Option<LimitsIndex>,
    /// Whose launchers create its attempts; by default the graph's first cluster.
    pub cluster: ClusterIndex,
    /// From an attempt's creation until it runs.
    pub startup_timeout_ms: Option<u64>,
    /// From an attempt's running to its end.
    pub timeout_ms: Option<u64>,
}

/// How often, and after which delay, a failed attempt is followed by another.
///
/// Fractions are whole thousandths, so that every machine computes the same delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RetryPolicy {
    /// Retries of failures that are the step's own.
    pub limit: u16,
    /// Retries of failures that are not.
    pub system_limit: u16,
    /// Before the first retry.
    pub delay_ms: u64,
    /// By which each further delay is longer than the one before, in thousandths; at least 1,000.
    pub factor_permille: u32,
    /// The longest delay.
    pub max_delay_ms: u64,
    /// The part of a delay that may be taken away, in thousandths; at most 1,000.
    pub jitter_permille: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            limit: 0,
            system_limit: 3,
            delay_ms: 0,
            factor_permille: 1000,
            max_delay_ms: 3_600_000,
            jitter_permille: 0,
        }
    }
}

impl RetryPolicy {
    /// The delay before retry number `retry` (from 1): `min(max_delay, delay * factor^(retry-1))`, less up to the
    /// jitter's part of it. The part taken is a function of `seed` alone.
    pub fn delay_ms(&self, retry: u32, seed: u64) -> u64 {
        let times = retry.saturating_sub(1);
        let delay = grown(self.delay_ms, self.factor_permille, times, self.max_delay_ms);
        let jitter = u128::from(delay) * u128::from(self.jitter_permille.min(1000)) / 1000;
        // A draw from 0 to 2^32 - 1, scaled to the jitter.
        let taken = (jitter * u128::from(mix(seed) >> 32)) >> 32;
        u64::try_from(taken).map_or(0, |taken| delay - taken)
    }
}

/// `min(most, from * factor^times)`, the factor in thousandths; one of less than 1,000 counts as 1,000. Every machine computes
/// the same.
pub fn grown(from: u64, factor_permille: u32, times: u32, most: u64) -> u64 {
    // Fractions count on, or what is small would never grow.
    let mut value = u128::from(from) << FRACTION_BITS;
    let most = u128::from(most) << FRACTION_BITS;
    for _ in 0..times {
        if value >= most || factor_permille <= 1000 {
            break;
        }
        value = value * u128::from(factor_permille) / 1000;
    }
    u64::try_from(value.min(most) >> FRACTION_BITS).unwrap_or(u64::MAX)
}

/// How finely values grow: by 2^-24. A value, its fraction and a factor together fit 128 bits.
const FRACTION_BITS: u32 = 24;

/// A list of rules of a graph: see [`GraphBuilder::add_rules`](crate::graph::GraphBuilder::add_rules).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RulesIndex(pub(crate) u32);

/// A list of named limits of a graph: see [`GraphBuilder::add_limits`](crate::graph::GraphBuilder::add_limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitsIndex(pub(crate) u32);

/// A cluster of a graph: see [`GraphBuilder::add_cluster`](crate::graph::GraphBuilder::add_cluster). By default the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClusterIndex(pub u32);

impl ClusterIndex {
    /// Its place in [`Graph::clusters`](crate::graph::Graph::clusters).
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// The cluster of steps that name none.
pub const DEFAULT_CLUSTER: &str = "default";

/// What is done about some failures. The first rule of a list that lists a failure decides; where none does, the step is tried
/// again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RetryRule {
    /// It lists failures of these reasons,
    pub reasons: Vec<FailureReason>,
    /// those by an exit code in one of these ranges,
    pub exit_codes: Vec<RangeInclusive<i32>>,
    /// and those by one of these signals.
    pub signals: Vec<i32>,
    /// What is done about them.
    pub action: RetryAction,
}

impl RetryRule {
    /// Whether it lists a failure. Exit codes and signals are looked at where they are what the attempt failed by: want of
    /// memory, which ends programs by a signal too, is a reason of its own.
    pub fn lists(&self, failure: &Failure) -> bool {
        let by_number = match failure.reason {
            FailureReason::ExitCode => failure
                .exit_code
                .is_some_and(|code| self.exit_codes.iter().any(|codes| codes.contains(&code))),
            FailureReason::Signal => {
                failure.signal.is_some_and(|signal| self.signals.contains(&signal))
            }
            _ => false,
        };
        by_number || self.reasons.contains(&failure.reason)
    }

    /// Bytes that the rule takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(self.reasons.as_slice())
            + size_of_val(self.exit_codes.as_slice())
            + size_of_val(self.signals.as_slice())
    }
}

/// What is done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RetryAction {
    /// The step is tried again, as long as the budget holds.
    #[default]
    Retry,
    /// The step has failed, whatever the budget holds.
    Fail,
    /// The step counts as succeeded. It has put out nothing.
    Ignore,
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
pub(crate) fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_by_the_factor_up_to_the_cap() {
        let policy = RetryPolicy {
            delay_ms: 1000,
            factor_permille: 2500,
            max_delay_ms: 10_000,
            ..RetryPolicy::default()
        };
        let delays = [1, 2, 3, 4, 5, u32::MAX].map(|retry| policy.delay_ms(retry, 7));
        assert_eq!(delays, [1000, 2500, 6250, 10_000, 10_000, 10_000]);
    }

    #[test]
    fn a_delay_of_a_millisecond_grows_too() {
        let policy = RetryPolicy { delay_ms: 1, factor_permille: 1500, ..RetryPolicy::default() };
        let delays = [1, 2, 3, 4, 5].map(|retry| policy.delay_ms(retry, 7));
        assert_eq!(delays, [1, 1, 2, 3, 5]);
    }

    #[test]
    fn jitter_takes_away_at_most_its_part_and_always_the_same() {
        let policy = RetryPolicy { delay_ms: 1000, jitter_permille: 400, ..RetryPolicy::default() };
        let delays: Vec<u64> = (0..1000).map(|seed| policy.delay_ms(1, seed)).collect();
        assert!(delays.iter().all(|delay| (600..=1000).contains(delay)));
        let mean = delays.iter().sum::<u64>() / 1000;
        assert!((780..820).contains(&mean), "{mean}");
        assert_eq!(policy.delay_ms(1, 42), policy.delay_ms(1, 42));
    }
}
