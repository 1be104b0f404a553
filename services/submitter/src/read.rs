//! Lists: runs, steps, attempts.

use windlass_engine::{record::StepIndex, time::Timestamp};
use windlass_pipeline::allowance;
use windlass_proto::{convert, holder, v1};
use windlass_service::error::ApiError;
use windlass_store::{RunPosition, RunQuery};

use crate::{Submitter, page, view};

/// How many steps one page looks at where only some states are asked for.
const STEPS_LOOKED_AT: u32 = 100_000;

impl Submitter {
    pub(crate) async fn runs(
        &self,
        request: v1::ListRunsRequest,
    ) -> Result<v1::ListRunsResponse, ApiError> {
        let size = page::size(request.page_size, 100, 1000)? as usize;
        let query = query(request)?;
        // One more than asked for tells whether there is another page.
        let mut views = self.store.list_runs(&query, size + 1).await?;
        let more = views.len() > size;
        views.truncate(size);
        let last = views.last().filter(|_| more);
        let next_page_token = last
            .map(|view| {
                page::run_token(RunPosition {
                    created_at: view.created_at,
                    run: view.submission.id,
                })
            })
            .unwrap_or_default();
        let mut runs = Vec::with_capacity(views.len());
        for view in &views {
            runs.push(self.show(view).await?);
        }
        Ok(v1::ListRunsResponse { runs, next_page_token })
    }

    pub(crate) async fn steps(
        &self,
        request: v1::ListStepsRequest,
    ) -> Result<v1::ListStepsResponse, ApiError> {
        let run = page::run_id(&request.run_id)?;
        let size = page::size(request.page_size, 1000, 10_000)?;
        let from = page::parse_number_token(&request.page_token)?;
        let states = known_states(&request.states)?;
        let looked_at = if states.is_empty() { size } else { STEPS_LOOKED_AT };
        let until = from.saturating_add(looked_at);
        let (view, records) = self
            .store
            .read_step_range(run, from..until)
            .await?
            .ok_or_else(|| ApiError::run_not_found(run))?;
        let mut next = until;
        let mut steps = Vec::new();
        for (step, record) in (from..).map(StepIndex).zip(records) {
            if steps.len() == size as usize {
                next = step.0;
                break;
            }
            if states.is_empty() || states.contains(&convert::step_state(record.state)) {
                steps.push((step, record));
            }
        }
        let steps = self.show_steps(&view, steps).await?;
        let more = next < view.step_count;
        let next_page_token = if more { page::number_token(next) } else { String::new() };
        Ok(v1::ListStepsResponse { steps, next_page_token })
    }

    pub(crate) async fn attempts(
        &self,
        request: v1::ListAttemptsRequest,
    ) -> Result<v1::ListAttemptsResponse, ApiError> {
        let run = page::run_id(&request.run_id)?;
        let size = page::size(request.page_size, 100, 1000)? as usize;
        let after = page::parse_number_token(&request.page_token)?;
        let step = self.names.find(&*self.store, run, &request.step).await?;
        let names = self.names.of(&*self.store, run, Some(step)).await?;
        let (_, records) = self
            .store
            .read_steps(run, &[step])
            .await?
            .ok_or_else(|| ApiError::run_not_found(run))?;
        let stored = self.store.read_attempts(run, step).await?;
        let latest = records.first().and_then(view::latest_attempt);
        let mut attempts: Vec<_> = stored
            .iter()
            .map(view::ended_attempt)
            .filter(|attempt| latest.as_ref().is_none_or(|latest| attempt.number < latest.number))
            .collect();
        attempts.extend(latest);
        attempts.retain(|attempt| attempt.number > after);
        let more = attempts.len() > size;
        attempts.truncate(size);
        let last = attempts.last().filter(|_| more);
        let next_page_token =
            last.map(|attempt| page::number_token(attempt.number)).unwrap_or_default();
        let claimed: Vec<_> = attempts.iter().map(|attempt| (step, attempt.number)).collect();
        let holders = self.store.read_claims(run, &claimed).await?;
        for (attempt, holder) in attempts.iter_mut().zip(holders) {
            let is_placed = attempt.cached_from.is_none();
            let host = holder.as_deref().filter(|_| is_placed).and_then(holder::host);
            let host = host.unwrap_or_default();
            host.clone_into(&mut attempt.host);
        }
        let allowance = names.outline().allowance(names.layout().node(step));
        for attempt in &mut attempts {
            let ran_out = allowance::ran_out(&stored, attempt.number);
            let memory = allowance.and_then(|allowance| allowance.memory_bytes(ran_out));
            attempt.memory_bytes = memory.unwrap_or(0);
        }
        Ok(v1::ListAttemptsResponse { attempts, next_page_token })
    }
}

fn query(request: v1::ListRunsRequest) -> Result<RunQuery, ApiError> {
    let filter = request.filter.unwrap_or_default();
    let set = |text: String| (!text.is_empty()).then_some(text);
    let states = filter.states.iter().map(|state| {
        v1::RunState::try_from(*state)
            .ok()
            .filter(|state| *state != v1::RunState::Unspecified)
            .ok_or_else(|| {
                ApiError::invalid("filter.states", format!("{state} is not a state of a run"))
            })
    });
    Ok(RunQuery {
        namespace: set(request.namespace),
        pipeline: set(filter.pipeline),
        labels: filter.labels,
        states: states.collect::<Result<_, _>>()?,
        created_after: filter
            .created_after
            .map(|time| timestamp("filter.created_after", time))
            .transpose()?,
        created_before: filter
            .created_before
            .map(|time| timestamp("filter.created_before", time))
            .transpose()?,
        after: page::parse_run_token(&request.page_token)?,
    })
}

fn timestamp(field: &str, time: prost_types::Timestamp) -> Result<Timestamp, ApiError> {
    let ms = i128::from(time.seconds) * 1000 + i128::from(time.nanos) / 1_000_000;
    u64::try_from(ms)
        .map(Timestamp)
        .map_err(|_| ApiError::invalid(field, "is before 1970, when there were no runs"))
}

fn known_states(states: &[i32]) -> Result<Vec<v1::StepState>, ApiError> {
    let known = |state: &i32| {
        v1::StepState::try_from(*state)
            .ok()
            .filter(|state| *state != v1::StepState::Unspecified)
            .ok_or_else(|| ApiError::invalid("states", format!("{state} is not a state of a step")))
    };
    states.iter().map(known).collect()
}
