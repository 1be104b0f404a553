//! What users ask of runs that are there: cancel, pause, resume, delete; and how any order is placed. Retries are in
//! [`retry`](crate::retry).

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tracing::warn;
use windlass_bus::{Listener, Message};
use windlass_engine::{event::Order, record::RunState};
use windlass_proto::{id::RunId, removal, subject::Subject, v1};
use windlass_service::{
    error::{ApiError, ErrorReason},
    fail_point,
};
use windlass_store::{Committed, ORDER_BYTES_MAX, Placed, StoreError};

use crate::{Submitter, page};

/// How long an answer waits for the order to have been followed. It stands in the inbox in any case.
const PATIENCE: Duration = Duration::from_secs(2);

/// When to place an order again that a full inbox had no room for.
const INBOX_RETRY: Duration = Duration::from_secs(5);

impl Submitter {
    /// Needs the run's own state alone, so that a run may be ended of which no more can be read.
    pub(crate) async fn cancel(&self, run_id: &str) -> Result<v1::Run, ApiError> {
        let run = page::run_id(run_id)?;
        let (_, record) =
            self.store.read_record(run).await?.ok_or_else(|| ApiError::run_not_found(run))?;
        if record.state.is_final() {
            return Err(run_ended(run, record.state));
        }
        self.place(run, Order::Cancel).await
    }

    pub(crate) async fn pause(&self, run_id: &str) -> Result<v1::Run, ApiError> {
        let view = self.run(run_id).await?;
        match view.record.state {
            RunState::Pending | RunState::Running => {
                self.place(view.submission.id, Order::Pause).await
            }
            RunState::Stopping
            | RunState::Exiting
            | RunState::Succeeded
            | RunState::Failed
            | RunState::Cancelled => Err(run_ended(view.submission.id, view.record.state)),
        }
    }

    pub(crate) async fn resume(&self, run_id: &str) -> Result<v1::Run, ApiError> {
        let view = self.run(run_id).await?;
        let run = view.submission.id;
        if view.record.paused_at.is_none() {
            let message = format!("run {run} is not paused, so there is nothing to resume");
            return Err(ApiError::new(ErrorReason::RunNotPaused, message).with("run_id", &run));
        }
        self.place(run, Order::Resume).await
    }

    pub(crate) async fn delete(&self, run_id: &str) -> Result<(), ApiError> {
        let run = page::run_id(run_id)?;
        // Where it is not removed, somebody has just taken the run up again, deleted it, or restored it: look again.
        while !self.try_delete(run).await? {}
        let told = self.bus.publish(Subject::Removal, removal::encode(run).into()).await;
        if let Err(error) = told {
            warn!(%run, %error, "launchers will notice late that the run was removed");
        }
        Ok(())
    }

    /// Removes a run that has ended; or one that cannot be read, unless its own state can be and says that it has not ended.
    async fn try_delete(&self, run: RunId) -> Result<bool, ApiError> {
        match self.store.read_run(run).await {
            Ok(Some(view)) if view.record.state.is_final() => {
                Ok(matches!(self.store.remove(run, view.version).await?, Committed::Done(_)))
            }
            Ok(Some(_)) => Err(run_not_ended(run, "deleted")),
            // Its head may be gone, and the rest be there.
            Ok(None) if self.store.remove_damaged(run).await? => Ok(true),
            Ok(None) => Err(ApiError::run_not_found(run)),
            Err(StoreError::Damaged(_)) => match self.store.read_record(run).await {
                Ok(Some((_, record))) if !record.state.is_final() => {
                    Err(run_not_ended(run, "deleted"))
                }
                Ok(_) | Err(StoreError::Damaged(_)) => Ok(self.store.remove_damaged(run).await?),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Puts an order into the run's inbox, rings, and waits a while for the order to be followed.
    pub(crate) async fn place(&self, run: RunId, order: Order) -> Result<v1::Run, ApiError> {
        // Before anything is placed, so that an order that is refused is no order.
        self.bus.check().await?;
        let mut changes = self.bus.listen(Subject::Change { run }).await?;
        match self.store.place_order(run, order).await? {
            Placed::Waiting => {}
            refused => return Err(not_placed(run, refused)),
        }
        fail_point::reach("submitter.ordered");
        self.ring(run, v1::event::Event::Order(v1::OrderPlaced {})).await;
        let followed = self.until_followed(run, &mut *changes);
        // Past the limit the answer tells the state as it is.
        let _ = tokio::time::timeout(PATIENCE, followed).await;
        let view = self.store.read_run(run).await?.ok_or_else(|| ApiError::run_not_found(run))?;
        self.show(&view).await
    }

    /// Waits until the run's inbox is empty.
    async fn until_followed(&self, run: RunId, changes: &mut dyn Listener) -> Result<(), ApiError> {
        while !self.store.read_orders(run).await?.is_empty() {
            changes.next().await?;
        }
        Ok(())
    }

    /// Tells the run's scheduler that something has happened. A bell that is not heard is found out by the scheduler's
    /// sweep, so that this must not fail what is in the store already.
    pub(crate) async fn ring(&self, run: RunId, event: v1::event::Event) {
        let events = vec![v1::Event { event: Some(event) }];
        let batch =
            v1::EventBatch { runs: vec![v1::RunEvents { run_id: run.to_string(), events }] };
        let subject = Subject::Event { partition: run.partition(self.config.partitions) };
        self.tell_schedulers(vec![(subject, batch.encode_to_vec().into())]).await;
    }

    /// Sends news to schedulers that they would find out anyway, if late.
    pub(crate) async fn tell_schedulers(&self, messages: Vec<(Subject, Bytes)>) {
        for (subject, payload) in messages {
            let message = Message { payload, headers: self.trace.clone() };
            if let Err(error) = self.bus.publish(subject, message).await {
                warn!(%subject, %error, "the scheduler will notice late");
            }
        }
    }
}

fn not_placed(run: RunId, why: Placed) -> ApiError {
    match why {
        Placed::Waiting | Placed::NoRun => ApiError::run_not_found(run),
        Placed::TooLarge => {
            let message = format!(
                "what was said with the order takes more than {} KiB; shorten the comment, or the values, or pass large data by \
                 file",
                ORDER_BYTES_MAX >> 10
            );
            ApiError::new(ErrorReason::TooLarge, message).with("run_id", &run)
        }
        Placed::Full => {
            let message = format!(
                "so many orders to run {run} wait for a scheduler that there is no room for another one; see that schedulers run, \
                 and try again"
            );
            let error = ApiError::new(ErrorReason::Unavailable, message).with("run_id", &run);
            ApiError { retry_after: Some(INBOX_RETRY), ..error }
        }
    }
}

pub(crate) fn run_ended(run: RunId, state: RunState) -> ApiError {
    let state = match state {
        RunState::Succeeded => "has succeeded",
        RunState::Failed => "has failed",
        RunState::Cancelled => "was cancelled",
        RunState::Stopping | RunState::Exiting => "is ending",
        RunState::Pending | RunState::Running => "is running",
    };
    ApiError::new(
        ErrorReason::RunEnded,
        format!("run {run} {state}, so there is nothing left to do about it"),
    )
    .with("run_id", &run)
}

pub(crate) fn run_not_ended(run: RunId, what: &str) -> ApiError {
    ApiError::new(
        ErrorReason::RunNotEnded,
        format!("run {run} has not ended and cannot be {what}; wait for its end, or `windlass cancel {run}` first"),
    )
    .with("run_id", &run)
}
