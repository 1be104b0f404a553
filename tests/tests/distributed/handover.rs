//! Partitions that pass from one scheduler to another.

use std::time::{Duration, Instant};

use windlass_proto::v1::RunState;

use crate::{
    deployment::{Deployment, Kind, Program, submit, until_ended},
    work::Ledger,
};

/// How many runs there are: some in most of the partitions.
const RUNS: usize = 12;

/// Two schedulers, of which the first has begun to serve all partitions, and runs under way in the partitions of both.
struct Stand {
    deployment: Deployment,
    ledger: Ledger,
    submitter: Program,
    _launcher: Program,
    first: Program,
    _second: Program,
    runs: Vec<String>,
}

impl Stand {
    async fn start(lease_time: &str) -> Self {
        let deployment = Deployment::start().await;
        let ledger = Ledger::new(deployment.file("ledger"));
        let lease_time = format!("scheduler.lease_time={lease_time}");
        let settings = [&*lease_time];
        let (submitter, launcher, first, second) = tokio::join!(
            deployment.program(Kind::Submitter),
            deployment.launcher("north", 4),
            deployment.program_with(Kind::Scheduler, &settings, &[]),
            deployment.program_with(Kind::Scheduler, &settings, &[]),
        );
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(submit(&submitter, &ledger.diamond(2)).await);
        }
        ledger.until_started(RUNS).await;
        Self { deployment, ledger, submitter, _launcher: launcher, first, _second: second, runs }
    }

    /// Asserts that the runs under way end, and new ones do; says how long the slowest of the new ones took.
    #[expect(clippy::print_stderr, reason = "a figure to look at, which nothing is asserted of")]
    async fn goes_on(mut self, after: &str) {
        let begin = Instant::now();
        let new = Ledger::new(self.deployment.file("new"));
        let mut ids = Vec::new();
        for _ in 0..RUNS {
            ids.push(submit(&self.submitter, &new.wide(1)).await);
        }
        let mut slowest = Duration::ZERO;
        for run_id in &ids {
            let run = until_ended(&self.submitter, run_id).await;
            assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
            assert_eq!(new.starts(run_id), [(("s0".to_owned(), 1), 1)].into());
            slowest = slowest.max(begin.elapsed());
        }
        eprintln!("after {after}, {RUNS} runs of one step took {slowest:.2?}");
        for run_id in std::mem::take(&mut self.runs) {
            let run = until_ended(&self.submitter, &run_id).await;
            assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
            self.ledger.assert_undisturbed(&run_id, 2);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_partitions_of_a_scheduler_that_was_killed_are_served_by_the_other_one() {
    let stand = Stand::start("3s").await;
    stand.first.kill();
    stand.goes_on("a scheduler was killed whose leases last 3 s").await;
}

/// Were partitions not given up in order, all would stand still for an hour.
#[tokio::test(flavor = "multi_thread")]
async fn the_partitions_of_a_scheduler_that_ends_in_order_wait_for_no_lease() {
    let stand = Stand::start("1h").await;
    assert_eq!(stand.first.end().await, Some(0), "{}", stand.first.log());
    stand.goes_on("a scheduler ended in order whose leases last an hour").await;
}
