//! Results of steps that are to be kept beyond their runs, so that later ones take them.
//!
//! **Invariant:** a result is kept by who commits the success, after the commit and before anybody is told of it, and at no other
//! time. A report that comes again keeps nothing: launchers tell all they have when they begin, and would bring back what
//! was forgotten on request. So a scheduler that dies between the commit and this loses the result, and a later run does the
//! step again.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use tokio::time::Instant;
use tracing::warn;
use windlass_engine::{
    event::{AttemptPhase, AttemptReport},
    reason::Reason,
    record::{StepIndex, StepState},
};
use windlass_proto::{cache_key::CacheKey, id::RunId, v1};
use windlass_service::fail_point;
use windlass_store::CacheEntry;

use crate::{cache::Home, partition::Partition, turn::Decision};

/// What an attempt came to that is reported to have succeeded, and under which key that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportedResult {
    run: RunId,
    step: StepIndex,
    attempt: u32,
    key: CacheKey,
    path: String,
    outputs: Option<Arc<str>>,
}

impl ReportedResult {
    /// Of a report of a run; none where it tells no success, or has a key of another kind, such as a newer program's.
    pub(crate) fn of(run: RunId, report: &AttemptReport, keep: v1::KeepResult) -> Option<Self> {
        let AttemptPhase::Succeeded(outputs) = &report.phase else { return None };
        Some(Self {
            run,
            step: report.step,
            attempt: report.attempt,
            key: CacheKey::from_slice(&keep.key)?,
            path: keep.step,
            outputs: outputs.clone(),
        })
    }
}

impl Partition {
    /// Keeps the results of steps that have succeeded by these decisions, which are committed. Those of runs in conflict
    /// wait until these are decided upon anew. Where keeping fails, the next runs do without.
    pub(crate) async fn keep_results(
        &mut self,
        committed: &BTreeMap<RunId, Decision>,
        conflicts: &BTreeSet<RunId>,
    ) {
        let mut kept: BTreeMap<Arc<str>, Vec<CacheEntry>> = BTreeMap::new();
        for result in mem::take(&mut self.results) {
            if conflicts.contains(&result.run) {
                self.results.push(result);
            } else if let Some(decision) = committed.get(&result.run)
                && let Some((namespace, entry)) = self.entry(result, decision)
            {
                kept.entry(namespace).or_default().push(entry);
            }
        }
        if !kept.is_empty() {
            fail_point::reach("scheduler.keeping");
        }
        for (namespace, entries) in kept {
            let Err(error) = self.store.write_cache(&namespace, &entries).await else { continue };
            let cause = format!("results are not kept: {error}");
            if let Some(untold) = self.troubles.came(&cause, Instant::now()) {
                warn!(%namespace, results = entries.len(), %error, untold, "results are not kept, and their steps will run again");
            }
        }
    }

    /// What is to be kept, and in which namespace; none where the attempt has not succeeded by this decision.
    fn entry(
        &mut self,
        result: ReportedResult,
        decision: &Decision,
    ) -> Option<(Arc<str>, CacheEntry)> {
        let ReportedResult { run, step, attempt, key, path, outputs } = result;
        let cached = self.cache.get_mut(run)?;
        let record = *cached.run.steps().get(step.0 as usize)?;
        let has_succeeded = record.state == StepState::Succeeded && record.reason == Reason::None;
        let is_new = decision.output.delta.steps.binary_search(&step).is_ok();
        let Home { namespace, pipeline } = cached.home.clone();
        (is_new && has_succeeded && record.attempt == attempt).then(|| {
            let (pipeline, ended_at) = (pipeline.to_string(), record.until);
            (namespace, CacheEntry { key, outputs, run, pipeline, step: path, ended_at })
        })
    }
}

#[cfg(test)]
mod tests {

    use prost::Message as _;

    use windlass_engine::reason::{Failure, FailureReason};
    use windlass_proto::convert;

    use windlass_store::{CacheScope, Store};

    use super::*;
    use crate::{
        clock::Clock,
        fixture::{self, run_id, step},
        inbox::Inbox,
    };

    const KEY: [u8; 32] = [9; 32];

    /// A partition, and a store that has a run of one step.
    async fn partition() -> (Partition, Arc<dyn Store>) {
        let steps = vec![step("load", "true")];
        let pipeline = v1::Pipeline { name: "p".into(), steps, ..v1::Pipeline::default() };
        let store = fixture::store(pipeline, "{}").await;
        (fixture::partition(&store), store)
    }

    /// A turn about the run, with these reports.
    async fn turn(partition: &mut Partition, reports: Vec<v1::AttemptReport>) {
        let event = |it| v1::Event { event: Some(v1::event::Event::Report(it)) };
        let events = reports.into_iter().map(event).collect();
        let runs = vec![v1::RunEvents { run_id: run_id().to_string(), events }];
        let inbox = Inbox::read(&v1::EventBatch { runs }.encode_to_vec().into());
        partition.results.extend(inbox.results);
        let clock = Clock::read(&*partition.store).await.unwrap();
        let decisions = partition.decide(inbox.work, &clock).await.unwrap();
        assert!(partition.carry_out(decisions).await.unwrap().is_empty());
        assert_eq!(partition.results, []);
    }

    fn report(attempt: u32, phase: AttemptPhase) -> v1::AttemptReport {
        let (step, times) = (StepIndex(0), None);
        let (created_at, started_at, ended_at) = (times, times, times);
        let report = AttemptReport { step, attempt, phase, created_at, started_at, ended_at };
        let keep = Some(v1::KeepResult { key: KEY.to_vec(), step: "load".into() });
        v1::AttemptReport { keep, ..convert::report_to_proto(&report) }
    }

    fn succeeded(attempt: u32) -> v1::AttemptReport {
        report(attempt, AttemptPhase::Succeeded(Some("{\"rows\":3}".into())))
    }

    async fn kept(store: &dyn Store) -> Option<CacheEntry> {
        store.read_cache("team", &[CacheKey(KEY)]).await.unwrap().remove(0)
    }

    #[tokio::test]
    async fn a_result_is_kept_with_the_commit_of_its_success() {
        let (mut partition, store) = partition().await;
        turn(&mut partition, vec![]).await;
        assert_eq!(kept(&*store).await, None);
        turn(&mut partition, vec![succeeded(1)]).await;
        let entry = kept(&*store).await.unwrap();
        let (_, steps) = store.read_steps(run_id(), &[StepIndex(0)]).await.unwrap().unwrap();
        let expected = CacheEntry {
            key: CacheKey(KEY),
            outputs: Some("{\"rows\":3}".into()),
            run: run_id(),
            pipeline: "p".into(),
            step: "load".into(),
            ended_at: steps[0].until,
        };
        assert_eq!(entry, expected);
    }

    #[tokio::test]
    async fn what_was_forgotten_is_not_brought_back_by_a_report_that_comes_again() {
        let (mut partition, store) = partition().await;
        turn(&mut partition, vec![]).await;
        turn(&mut partition, vec![succeeded(1), succeeded(1)]).await;
        assert_eq!(store.clear_cache("team", &CacheScope::default()).await, Ok(1));
        turn(&mut partition, vec![succeeded(1)]).await;
        assert_eq!(kept(&*store).await, None);
    }

    #[tokio::test]
    async fn what_is_reported_of_an_attempt_that_has_not_succeeded_is_not_kept() {
        let (mut partition, store) = partition().await;
        turn(&mut partition, vec![]).await;
        let (reason, message) = (FailureReason::ExitCode, String::new());
        let failure = Failure { reason, message, exit_code: Some(1), signal: None };
        let failed = report(1, AttemptPhase::Failed(failure));
        // The first one decides, whatever else is told of the attempt.
        turn(&mut partition, vec![failed, succeeded(1)]).await;
        assert_eq!(kept(&*store).await, None);
    }

    #[test]
    fn a_key_of_another_kind_is_left_to_those_who_know_it() {
        let mut told = succeeded(1);
        let keep = told.keep.take().unwrap();
        let told = convert::report_from_proto(told).unwrap();
        let longer = v1::KeepResult { key: vec![0; 64], ..keep.clone() };
        assert!(ReportedResult::of(run_id(), &told, keep).is_some());
        assert_eq!(ReportedResult::of(run_id(), &told, longer), None);
    }
}
