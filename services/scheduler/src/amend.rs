//! Retries that change something: whether they may is decided here, on the state that the retry is decided upon. What was true
//! when the order was placed may be true no more.

use std::sync::Arc;

use tracing::warn;
use windlass_engine::{event::RunChanges, record::StepIndex};
use windlass_proto::id::RunId;
use windlass_service::amend::{self, Amended};
use windlass_store::StoreError;

use crate::{partition::Partition, turn::Decision};

impl Partition {
    /// Has a run that is about to be retried obey what the order changes. False where that is refused, and the run must not be
    /// retried: then nothing has changed.
    pub(crate) async fn amend(
        &mut self,
        id: RunId,
        from: Option<StepIndex>,
        changes: &RunChanges,
        decision: &mut Decision,
    ) -> Result<bool, StoreError> {
        let Some(cached) = self.cache.get_mut(id).filter(|cached| cached.run.may_retry(from))
        else {
            return Ok(false);
        };
        let (view, pipeline) =
            (self.store.read_run(id).await?, self.store.read_pipeline(id).await?);
        let (Some(mut view), Some(pipeline)) = (view, pipeline) else { return Ok(false) };
        // An order before this one may have changed something that is not committed yet. What another scheduler has committed
        // meanwhile is in conflict with this turn.
        if decision.amendment.is_some() {
            view.amendment.clone_from(&decision.amendment);
        }
        let amended = amend::amend(&cached.run, &view, pipeline, from, changes);
        let refused = match amended {
            Ok(Amended { amendment, graph }) => match cached.run.amend(Arc::new(graph)) {
                Ok(()) => {
                    decision.amendment = Some(Arc::new(amendment));
                    return Ok(true);
                }
                Err(mismatch) => mismatch.to_string(),
            },
            Err(error) => error.to_string(),
        };
        warn!(run = %id, refused, "the run is not retried with these changes, and stays as it is");
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use windlass_engine::{
        event::{AttemptPhase, AttemptReport, Event, Order},
        policy::LimitChanges,
        reason::{Failure, FailureReason},
        record::RunState,
    };
    use windlass_proto::v1::{self};

    use windlass_store::{Placed, RunView, Store};

    use super::*;
    use crate::{
        clock::Clock,
        fixture::{self, partition, run_id, step},
        inbox::{RunWork, Work as Turn},
    };

    /// A store that has a run of two steps: `load`, which refers to the parameter `day`, and `train`, which does not.
    async fn store() -> Arc<dyn Store> {
        let parameter = |name: &str| v1::Parameter {
            name: name.into(),
            r#type: v1::ParameterType::Integer.into(),
            ..v1::Parameter::default()
        };
        let pipeline = v1::Pipeline {
            name: "p".into(),
            steps: vec![step("load", "${{ params.day }}"), step("train", "train")],
            parameters: vec![parameter("day"), parameter("rate")],
            ..v1::Pipeline::default()
        };
        fixture::store(pipeline, r#"{"day":1,"rate":1}"#).await
    }

    /// A turn about the run, with these events, up to its commit.
    async fn decide(partition: &mut Partition, events: Vec<Event>) -> BTreeMap<RunId, Decision> {
        let clock = Clock::read(&*partition.store).await.unwrap();
        let work = Turn::from([(run_id(), RunWork { events, orders: true, lines: false })]);
        partition.decide(work, &clock).await.unwrap()
    }

    /// A turn whose commit nobody comes before.
    async fn turn(partition: &mut Partition, events: Vec<Event>) {
        let decisions = decide(partition, events).await;
        assert!(partition.carry_out(decisions).await.unwrap().is_empty());
    }

    fn ended(step: u32, phase: AttemptPhase) -> Event {
        let (step, times) = (StepIndex(step), None);
        let (created_at, started_at, ended_at) = (times, times, times);
        Event::Report(AttemptReport { step, attempt: 1, phase, created_at, started_at, ended_at })
    }

    /// Has `load` succeed and `train` fail.
    async fn end(partition: &mut Partition) {
        let (reason, message) = (FailureReason::ExitCode, String::new());
        let failure = Failure { reason, message, exit_code: Some(1), signal: None };
        turn(partition, vec![]).await;
        let events =
            [ended(0, AttemptPhase::Succeeded(None)), ended(1, AttemptPhase::Failed(failure))];
        turn(partition, events.into()).await;
    }

    async fn place(store: &dyn Store, from: Option<u32>, arguments: &str, most: Option<u32>) {
        let limits = LimitChanges { max_parallelism: most, timeout_ms: None };
        let changes = Some(Arc::new(RunChanges { arguments_json: arguments.into(), limits }));
        let order = Order::Retry { from: from.map(StepIndex), changes };
        assert_eq!(store.place_order(run_id(), order).await, Ok(Placed::Waiting));
    }

    async fn view(store: &dyn Store) -> RunView {
        assert_eq!(store.read_orders(run_id()).await, Ok(vec![]), "the order was taken");
        store.read_run(run_id()).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn what_kept_steps_have_come_from_is_not_changed_though_the_order_was_placed() {
        let store = store().await;
        let mut partition = partition(&store);
        end(&mut partition).await;
        let before = store.read_run(run_id()).await.unwrap().unwrap();
        for (from, arguments) in [(None, r#"{"day":2}"#), (None, "[]"), (Some(7), r#"{"day":2}"#)] {
            place(&*store, from, arguments, None).await;
            turn(&mut partition, vec![]).await;
            let after = view(&*store).await;
            assert_eq!((&after.record, &after.amendment), (&before.record, &None), "{arguments}");
        }
        place(&*store, Some(0), r#"{"day":2}"#, None).await;
        turn(&mut partition, vec![]).await;
        let after = view(&*store).await;
        assert_eq!((after.record.state, after.record.retries), (RunState::Running, 1));
        assert_eq!(after.arguments_json(), r#"{"day":2,"rate":1}"#);
    }

    #[tokio::test]
    async fn of_two_retries_the_first_is_followed_and_changes_of_the_other_are_none() {
        let store = store().await;
        let mut partition = partition(&store);
        end(&mut partition).await;
        place(&*store, None, r#"{"rate":2}"#, Some(1)).await;
        place(&*store, None, r#"{"rate":3}"#, Some(2)).await;
        turn(&mut partition, vec![]).await;
        let after = view(&*store).await;
        assert_eq!(after.record.retries, 1);
        assert_eq!(after.arguments_json(), r#"{"day":1,"rate":2}"#);
        assert_eq!(after.limit_changes().max_parallelism, Some(1));
    }

    #[tokio::test]
    async fn of_two_schedulers_that_follow_a_retry_one_changes_the_run() {
        let store = store().await;
        let (mut one, mut other) = (partition(&store), partition(&store));
        end(&mut one).await;
        place(&*store, None, r#"{"rate":2}"#, Some(1)).await;
        let late = decide(&mut other, vec![]).await;
        turn(&mut one, vec![]).await;
        let after = view(&*store).await;
        let conflicts = other.carry_out(late).await.unwrap();
        assert_eq!(conflicts.into_iter().collect::<Vec<_>>(), [run_id()]);
        turn(&mut other, vec![]).await;
        assert_eq!(view(&*store).await, after);
        assert_eq!((after.record.retries, after.limit_changes().max_parallelism), (1, Some(1)));
    }
}
