//! What attempts of a step may take: how often the step is retried, and how much memory each attempt may use.
//!
//! Launchers create attempts by it, and servers show it: one function for both, so that what is shown is what is done.

use windlass_engine::{
    policy::{RetryPolicy, grown},
    reason::FailureReason,
    record::{AttemptEnd, AttemptRecord},
};
use windlass_proto::v1::{self, step::Work};

use crate::compile;

/// What attempts of a step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Allowance {
    /// How many failures of its own are retried.
    pub retry_limit: u16,
    /// How many failures that are not its own are retried.
    pub system_retry_limit: u16,
    /// In bytes; 0 means no limit.
    memory: u64,
    /// By which that grows, in thousandths.
    memory_factor_permille: u32,
    /// Up to this.
    max_memory: u64,
}

impl Allowance {
    /// That of a step; none where no attempts are made of it.
    pub fn of(step: &v1::Step) -> Option<Self> {
        let Some(Work::Task(task)) = &step.work else { return None };
        if step.for_each.is_some() {
            return None;
        }
        let policy = step.retry.as_deref().map_or_else(RetryPolicy::default, compile::retry_policy);
        let (factor, most) = match step.retry.as_deref() {
            Some(retry) => (retry.memory_factor, retry.max_memory_bytes),
            None => (0.0, 0),
        };
        Some(Self {
            retry_limit: policy.limit,
            system_retry_limit: policy.system_limit,
            memory: task.resources.map_or(0, |resources| resources.memory_bytes),
            memory_factor_permille: compile::factor_permille(factor),
            max_memory: if most == 0 { u64::MAX } else { most },
        })
    }

    /// Whether attempts may use more memory once others ran out of it.
    pub fn memory_grows(&self) -> bool {
        self.memory > 0 && self.memory_factor_permille > 1000
    }

    /// How much memory the processes of an attempt may use together, in bytes, where so many attempts before it ran out:
    /// `min(max_memory, memory * memory_factor^ran_out)`. None where there is no limit.
    pub fn memory_bytes(&self, ran_out: u32) -> Option<u64> {
        // What the step asks for itself is never lowered.
        let most = self.max_memory.max(self.memory);
        (self.memory > 0).then(|| grown(self.memory, self.memory_factor_permille, ran_out, most))
    }
}

/// How many attempts of a step ran out of memory before this one, in all rounds of its run; `attempts` are all that are over.
pub fn ran_out(attempts: &[AttemptRecord], before: u32) -> u32 {
    let ran_out = attempts.iter().filter(|attempt| {
        attempt.attempt < before
            && matches!(&attempt.end, AttemptEnd::Failed(failure)
                if failure.reason == FailureReason::OutOfMemory)
    });
    u32::try_from(ran_out.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use windlass_engine::{reason::Failure, record::StepIndex, time::Timestamp};

    fn allowance(memory_bytes: u64, memory_factor: f64, max_memory_bytes: u64) -> Allowance {
        let resources = Some(v1::Resources { memory_bytes });
        let task = v1::Task { resources, ..v1::Task::default() };
        let retry =
            v1::RetryPolicy { memory_factor, max_memory_bytes, ..v1::RetryPolicy::default() };
        let step = v1::Step {
            retry: Some(Box::new(retry)),
            work: Some(Work::Task(Box::new(task))),
            ..v1::Step::default()
        };
        Allowance::of(&step).expect("it is a task")
    }

    #[test]
    fn memory_grows_by_the_factor_up_to_the_cap() {
        let grown =
            |allowance: Allowance| [0, 1, 2, 3, 9].map(|ran_out| allowance.memory_bytes(ran_out));
        let gib = |gib: u64| Some(gib << 30);
        assert_eq!(grown(allowance(1 << 30, 2.0, 6 << 30)), [1, 2, 4, 6, 6].map(gib));
        assert_eq!(grown(allowance(1 << 30, 0.0, 0)), [gib(1); 5]);
        assert_eq!(grown(allowance(0, 2.0, 1 << 30)), [None; 5]);
        assert_eq!(allowance(1 << 62, 100.0, 0).memory_bytes(9), Some(u64::MAX));
    }

    #[test]
    fn attempts_before_one_are_counted_that_ran_out_of_memory() {
        let failed = |attempt, reason| AttemptRecord {
            step: StepIndex(0),
            attempt,
            queued_at: Timestamp(1),
            started_at: Timestamp(1),
            ended_at: Timestamp(1),
            end: AttemptEnd::Failed(Failure {
                reason,
                message: String::new(),
                exit_code: None,
                signal: None,
            }),
        };
        let attempts = [
            failed(1, FailureReason::OutOfMemory),
            failed(2, FailureReason::ExitCode),
            failed(4, FailureReason::OutOfMemory),
        ];
        assert_eq!([1, 2, 3, 4, 5, 9].map(|before| ran_out(&attempts, before)), [0, 1, 1, 1, 2, 2]);
    }

    proptest! {
        #[test]
        fn memory_never_falls_nor_leaves_its_bounds(
            memory in 1_u64..1 << 50,
            permille in 1000_u32..=100_000,
            above in 0_u64..1 << 50,
            ran_out in 0_u32..1000,
        ) {
            let most = memory + above;
            let allowance = allowance(memory, f64::from(permille) / 1000.0, most);
            let [now, next] = [ran_out, ran_out + 1].map(|it| allowance.memory_bytes(it).unwrap());
            prop_assert!(memory <= now && now <= next && next <= most);
            prop_assert_eq!(allowance.memory_bytes(0), Some(memory));
            // It grows by the factor, to what is lost where fractions are left out.
            let [from, to] = [now, now + 1].map(|it| u128::from(it) * u128::from(permille) / 1000);
            prop_assert!((from..=to + 1).contains(&u128::from(next)) || next == most);
        }
    }
}
