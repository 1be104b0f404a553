//! Runs that cannot be read: what is left of one is found by its id alone, and removed.

use redis::{Value, from_redis_value};
use windlass_engine::layout::STEPS_MAX;
use windlass_proto::id::RunId;

use super::{
    RedisStore,
    fault::{Fault, is_of_another_kind},
    keys::{PLACE_SIZE, Partition, TIME_SIZE, short},
    write::{DONE, unexpected},
};
use crate::{StoreError, codec, codec::STEP_SIZE};

/// What the script answers where the head is not any more as it was read.
const CHANGED: i64 = -1;

/// How many places are read of an index at a time.
const PAGE: usize = 1000;

/// Where a head has the number of steps, and the submission's size; see [`super::head`].
const STEPS_AT: usize = 22;
const SUBMISSION_SIZE_AT: usize = 26;

/// A place in an index: the index, and the member.
type Placed = (String, Vec<u8>);

impl RedisStore {
    /// Removes what is left of a run that cannot be read. Only what is still as it was when that was found out.
    pub(super) async fn remove_remains(&self, run: RunId) -> Result<bool, StoreError> {
        loop {
            let head = self.text(redis::cmd("GET").arg(self.keys.of(run).head(run))).await?;
            match self.view(run).await {
                Ok(Some(_)) => return Ok(false),
                Ok(None) if !self.has_remains(run).await? => return Ok(false),
                Ok(None) | Err(StoreError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
            match self.remove_found(run, head).await? {
                Value::Int(CHANGED) => {}
                answer => return Ok(answer == Value::Int(DONE)),
            }
        }
    }

    async fn remove_found(&self, run: RunId, head: Option<Vec<u8>>) -> Result<Value, StoreError> {
        let partition = self.keys.of(run);
        let bytes = head.as_deref().unwrap_or_default();
        let places = self.places_of(run, self.indices(run, &partition, bytes).await?).await?;
        let steps = self.steps_of(run, bytes).await?;
        let (indices, members): (Vec<_>, Vec<_>) = places.into_iter().unzip();
        let mut call = self
            .scripts
            .remove_damaged
            .call()
            .keys([partition.tombstone(run), partition.head(run), partition.active()])
            .key(partition.finished())
            .keys(indices)
            .keys([partition.submission(run), partition.steps(run), partition.details(run)])
            .key(partition.expansions(run))
            .keys(partition.all_claims(run, steps))
            .arg(u8::from(head.is_some()))
            .arg(bytes)
            .arg(short(&run))
            .arg(self.tombstones.as_millis().max(1) as u64)
            .arg(members.len());
        for member in members {
            call.push(member);
        }
        call.run(self.link_for(call.size())).await.map_err(Fault::while_writing)
    }

    /// Whether anything is kept of a run that has no head.
    async fn has_remains(&self, run: RunId) -> Result<bool, StoreError> {
        let partition = self.keys.of(run);
        let mut command = redis::cmd("EXISTS");
        command.arg(&[partition.submission(run), partition.steps(run), partition.details(run)]);
        command.arg(partition.expansions(run));
        let answer = self.quick.ask(&command, self.quick.limit(0)).await;
        Ok(answer.map_err(Fault::while_reading)? != Value::Int(0))
    }

    /// The indices that may have the run: those of all states, and its namespace's where that is known.
    async fn indices(
        &self,
        run: RunId,
        partition: &Partition,
        head: &[u8],
    ) -> Result<Vec<String>, StoreError> {
        let mut indices: Vec<String> = partition.states().collect();
        if let Some(size) = number(head, SUBMISSION_SIZE_AT) {
            let mut command = redis::cmd("GETRANGE");
            command.arg(partition.submission(run)).arg(0).arg(i64::from(size) - 1);
            let text = self.text(&command).await?.unwrap_or_default();
            let submission = codec::decode_submission(run, &text).ok();
            indices.extend(submission.map(|it| partition.of_namespace(&it.namespace)));
        }
        Ok(indices)
    }

    /// Where these indices have the run. When it was created cannot be trusted, so that all is looked through.
    async fn places_of(&self, run: RunId, indices: Vec<String>) -> Result<Vec<Placed>, StoreError> {
        let mut found = Vec::new();
        for index in indices {
            let mut from = b"-".to_vec();
            loop {
                let call = self.scripts.list.call().key(index.clone());
                let call = call.arg(from).arg("+").arg(PAGE);
                let answer = call.run(&self.quick).await.map_err(Fault::while_reading)?;
                let [page]: [Vec<Vec<u8>>; 1] = from_redis_value(answer).map_err(unexpected)?;
                let of_run = |member: &&Vec<u8>| {
                    member.get(TIME_SIZE..PLACE_SIZE) == Some(short(&run).as_bytes())
                };
                found.extend(page.iter().filter(of_run).map(|it| (index.clone(), it.clone())));
                match page.last() {
                    Some(last) if page.len() == PAGE => from = [b"(", &last[..]].concat(),
                    _ => break,
                }
            }
        }
        Ok(found)
    }

    /// How many steps the run may have: what its head says, or what their records take up.
    async fn steps_of(&self, run: RunId, head: &[u8]) -> Result<u32, StoreError> {
        let said = number(head, STEPS_AT).unwrap_or(0).min(STEPS_MAX);
        let mut command = redis::cmd("STRLEN");
        command.arg(self.keys.of(run).steps(run));
        let size = match self.quick.ask(&command, self.quick.limit(0)).await {
            Err(fault) if is_of_another_kind(fault.error()) => 0,
            answer => {
                from_redis_value(answer.map_err(Fault::while_reading)?).map_err(unexpected)?
            }
        };
        let stored: usize = size / STEP_SIZE;
        Ok(said.max(u32::try_from(stored).unwrap_or(u32::MAX)))
    }

    /// What a command answers that reads a text; none where there is no text.
    async fn text(&self, command: &redis::Cmd) -> Result<Option<Vec<u8>>, StoreError> {
        match self.quick.ask(command, self.quick.limit(0)).await {
            Err(fault) if is_of_another_kind(fault.error()) => Ok(None),
            answer => from_redis_value(answer.map_err(Fault::while_reading)?).map_err(unexpected),
        }
    }
}

/// The number that a head has there.
fn number(head: &[u8], at: usize) -> Option<u32> {
    head.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}
