//! What changes runs: created, committed to, ordered about, removed.

use std::collections::BTreeMap;

use futures::future::join_all;
use redis::{Value, from_redis_value};
use windlass_engine::{event::Order, layout::STEPS_MAX, time::Timestamp};
use windlass_proto::{convert, id::RunId};

use super::{
    RedisStore,
    amendment::encode_amendment,
    fault::Fault,
    head::{encode_end, encode_version},
    keys::{AMENDMENT, Partition, short},
    script::Call,
};
use crate::{
    Commit, Committed, Created, INBOX_BYTES_MAX, NewRun, ORDER_BYTES_MAX, Placed, StoreError,
    Version,
    codec::{self, EXPANSION_SIZE, STEP_SIZE},
};

/// What the script answers where a run was removed; and to all that was done.
const REMOVED: i64 = 0;
pub(super) const DONE: i64 = 1;

/// What it answers where the head of a run is gone, and the rest of it is not.
const HEADLESS: i64 = -1;

/// What it answers where a run's inbox has no room.
const FULL: i64 = -1;

pub(super) async fn create(store: &RedisStore, run: &NewRun) -> Result<Created, StoreError> {
    let (submission, record) = (&run.submission, &run.record);
    let (id, partition) = (submission.id, store.keys.of(submission.id));
    let mut text = codec::encode_submission(submission);
    let size = text.len();
    text.extend_from_slice(&run.pipeline);
    let call = store
        .scripts
        .create
        .call()
        .keys([partition.head(id), partition.steps(id), partition.submission(id)])
        .keys([partition.tombstone(id), partition.active(), partition.finished()])
        .key(partition.of_state(convert::run_state(record).into()))
        .keys([partition.of_namespace(&submission.namespace), partition.server()])
        .arg(text)
        .arg(size)
        .arg(submission.steps)
        .arg(STEP_SIZE)
        .arg(short(&id))
        .arg(&submission.pipeline)
        .arg(encode_end(record))
        .arg(u8::from(record.state.is_final()))
        .arg(record.ended_at.0);
    let link = store.link_for(call.size());
    match call.run(link).await.map_err(Fault::while_writing)? {
        Value::Int(DONE) => Ok(Created::New),
        Value::Int(REMOVED) => Ok(Created::Removed),
        Value::Int(HEADLESS) => {
            Err(StoreError::Damaged(format!("run {id} has lost its head, and the rest is there")))
        }
        other => {
            let digest: Vec<u8> = from_redis_value(other).map_err(unexpected)?;
            let digest = digest.try_into().map_err(|_| {
                StoreError::Damaged(format!("what was submitted as {id} has no digest"))
            })?;
            Ok(Created::Existed { digest })
        }
    }
}

pub(super) async fn commit(
    store: &RedisStore,
    commits: &[Commit],
) -> Result<Vec<Committed>, StoreError> {
    let mut groups: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, commit) in commits.iter().enumerate() {
        groups.entry(commit.run.partition(store.keys.partitions)).or_default().push(index);
    }
    let done = join_all(groups.iter().map(|(partition, indices)| {
        let group: Vec<&Commit> = indices.iter().filter_map(|index| commits.get(*index)).collect();
        async move { commit_group(store, &store.keys.partition(*partition), &group).await }
    }))
    .await;
    let mut outcomes = vec![Committed::Conflict; commits.len()];
    let mut failed = Vec::new();
    for (indices, done) in groups.values().zip(done) {
        match done {
            Ok(group) => {
                for (index, outcome) in indices.iter().zip(group) {
                    outcomes[*index] = outcome;
                }
            }
            Err(error) => failed.push(error),
        }
    }
    match failed.first() {
        None => Ok(outcomes),
        // One server of a cluster has done its part, and another one has not.
        Some(error) if failed.len() < groups.len() && error.is_retryable() => {
            Err(StoreError::Unknown(error.to_string()))
        }
        Some(error) => Err(failed
            .iter()
            .find(|error| matches!(error, StoreError::Unknown(_)))
            .unwrap_or(error)
            .clone()),
    }
}

async fn commit_group(
    store: &RedisStore,
    partition: &Partition,
    commits: &[&Commit],
) -> Result<Vec<Committed>, StoreError> {
    let mut call = commit_call(store, partition, commits);
    let link = store.link_for(call.size());
    let answer = match call.run(link).await {
        Err(fault @ Fault::NoAnswer(_)) => {
            call.set_repeated();
            call.run(link).await.map_err(|_| fault.while_writing())?
        }
        answer => answer.map_err(Fault::while_writing)?,
    };
    let answers: Vec<Value> = from_redis_value(answer).map_err(unexpected)?;
    if answers.len() != commits.len() {
        return Err(unexpected("another number of outcomes than of commits"));
    }
    commits.iter().zip(answers).map(|(commit, answer)| outcome(commit, answer)).collect()
}

fn outcome(commit: &Commit, answer: Value) -> Result<Committed, StoreError> {
    match answer {
        Value::Int(DONE) => Ok(Committed::Done(commit.expected.next(commit.commit))),
        Value::Int(_) => Ok(Committed::Conflict),
        why => {
            let why: String = from_redis_value(why).map_err(unexpected)?;
            Ok(Committed::Damaged(format!("run {}: {why}", commit.run)))
        }
    }
}

pub(super) fn commit_call<'a>(
    store: &'a RedisStore,
    partition: &Partition,
    commits: &[&Commit],
) -> Call<'a> {
    let mut call = store
        .scripts
        .commit
        .call()
        .keys([partition.active(), partition.finished()])
        .keys(partition.states())
        .arg("0")
        .arg(STEP_SIZE)
        .arg(STEPS_MAX)
        .arg(EXPANSION_SIZE);
    for commit in commits {
        let run = commit.run;
        call = call.keys([partition.head(run), partition.steps(run), partition.details(run)]);
        if !commit.expansions.is_empty() {
            call.push_key(partition.expansions(run));
        }
        add_commit(&mut call, commit);
    }
    call
}

/// Adds a commit's arguments, as the script takes them.
fn add_commit(call: &mut Call<'_>, commit: &Commit) {
    let pieces: Vec<_> =
        commit.steps.chunk_by(|(one, _), (next, _)| one.0.checked_add(1) == Some(next.0)).collect();
    let beyond = commit.steps.iter().map(|(step, _)| step.0.saturating_add(1)).max().unwrap_or(0);
    let taken = commit.orders_taken.map_or(0, |taken| u32::try_from(taken).unwrap_or(u32::MAX));
    call.push(&encode_version(commit.expected)[..]);
    call.push(&encode_version(commit.expected.next(commit.commit))[..]);
    call.push(encode_end(&commit.record));
    let amendments = commit.amendment.iter().count();
    let counts = [
        commit.expansions.len(),
        pieces.len(),
        commit.attempts.len(),
        commit.outputs.len(),
        amendments,
    ];
    let mut numbers = score(commit.record.ended_at).to_le_bytes().to_vec();
    let singles = [taken, beyond, commit.step_count];
    for number in singles.into_iter().chain(counts.map(|count| count as u32)) {
        numbers.extend(number.to_le_bytes());
    }
    call.push(numbers);
    if !commit.expansions.is_empty() {
        call.push(codec::encode_expansions(&commit.expansions));
    }
    for piece in pieces {
        let Some((first, _)) = piece.first() else { continue };
        call.push(u64::from(first.0) * STEP_SIZE as u64);
        let records: Vec<u8> =
            piece.iter().flat_map(|(_, record)| codec::encode_step(record)).collect();
        call.push(records);
    }
    for attempt in &commit.attempts {
        call.push(attempt.step.0);
        call.push(attempt.attempt);
        call.push(codec::encode_attempt(attempt));
    }
    for (step, json) in &commit.outputs {
        call.push(step.0);
        call.push(json.as_bytes());
    }
    if let Some(amendment) = &commit.amendment {
        call.push(AMENDMENT);
        call.push(encode_amendment(commit.expected.next(commit.commit), amendment));
    }
}

/// A time by which a sorted set is ordered: exact for some 285,000 years.
#[expect(clippy::cast_precision_loss, reason = "times of that size do not come")]
fn score(time: Timestamp) -> f64 {
    time.0 as f64
}

pub(super) async fn place_order(
    store: &RedisStore,
    run: RunId,
    order: &Order,
) -> Result<Placed, StoreError> {
    let order = codec::encode_order(order);
    if order.len() > ORDER_BYTES_MAX {
        return Ok(Placed::TooLarge);
    }
    let partition = store.keys.of(run);
    let call = store
        .scripts
        .order
        .call()
        .keys([partition.head(run), partition.active(), partition.finished()])
        .arg(order)
        .arg(short(&run))
        .arg(INBOX_BYTES_MAX);
    match call.run(&store.quick).await.map_err(Fault::while_writing)? {
        Value::Int(DONE) => Ok(Placed::Waiting),
        Value::Int(FULL) => Ok(Placed::Full),
        _ => Ok(Placed::NoRun),
    }
}

pub(super) async fn remove(
    store: &RedisStore,
    run: RunId,
    expected: Version,
) -> Result<Committed, StoreError> {
    let Some(view) = store.view(run).await? else {
        return Ok(Committed::Conflict);
    };
    let (partition, submission) = (store.keys.of(run), &view.submission);
    let call = store
        .scripts
        .remove
        .call()
        .keys([partition.tombstone(run), partition.head(run), partition.active()])
        .keys([partition.finished(), partition.of_namespace(&submission.namespace)])
        .keys(partition.states())
        .keys([partition.submission(run), partition.steps(run), partition.details(run)])
        .key(partition.expansions(run))
        .keys(partition.all_claims(run, view.step_count))
        .arg(&encode_version(expected)[..])
        .arg(short(&run))
        .arg(&submission.pipeline)
        .arg(store.tombstones.as_millis().max(1) as u64);
    let link = store.link_for(call.size());
    let answer = call.run(link).await.map_err(Fault::while_writing)?;
    Ok(if answer == Value::Int(DONE) { Committed::Done(expected) } else { Committed::Conflict })
}

/// An answer that no server gives to what was asked.
pub(super) fn unexpected(why: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("a server's answer makes no sense: {why}"))
}
