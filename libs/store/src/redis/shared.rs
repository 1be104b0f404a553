//! What replicas share: claims of attempts, leases, the number of partitions, and whether the servers are still the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use redis::{Value, from_redis_value};
use windlass_engine::record::StepIndex;
use windlass_proto::id::RunId;

use super::{
    RedisStore,
    fault::Fault,
    keys::{Partition, claim},
    script::Call,
    write::unexpected,
};
use crate::{Incarnation, Installation, ShareRequest, Shares, StoreError};

impl RedisStore {
    pub(super) async fn claims(
        &self,
        run: RunId,
        holder: &str,
        asserted: bool,
        attempts: &[(StepIndex, u32)],
    ) -> Result<Option<Vec<Arc<str>>>, StoreError> {
        let partition = self.keys.of(run);
        let call = self
            .scripts
            .claim
            .call()
            .keys([partition.head(run), partition.server(), partition.holders()])
            .arg(holder)
            .arg(u8::from(asserted))
            .arg(self.settle_time.as_millis() as u64);
        let call = add_claims(call, 4, &partition, run, attempts);
        match call.run(&self.quick).await.map_err(Fault::while_writing)? {
            Value::Int(0) => Ok(None),
            Value::Int(left) => Err(StoreError::Unavailable(format!(
                "it is settling after a restart, for another {} s at most, so that claims that it may have lost are asserted first",
                left.unsigned_abs().div_ceil(1000)
            ))),
            holders => {
                let holders: Vec<String> = from_redis_value(holders).map_err(unexpected)?;
                let named =
                    attempts.iter().zip(holders).map(|(attempt, it)| named(run, *attempt, it));
                named.collect::<Result<_, _>>().map(Some)
            }
        }
    }

    pub(super) async fn holders(
        &self,
        run: RunId,
        attempts: &[(StepIndex, u32)],
    ) -> Result<Vec<Option<Arc<str>>>, StoreError> {
        let partition = self.keys.of(run);
        let call = self.scripts.read_claims.call().key(partition.holders());
        let call = add_claims(call, 2, &partition, run, attempts);
        let holders = call.run(&self.quick).await.map_err(Fault::while_reading)?;
        let holders: Vec<Option<String>> = from_redis_value(holders).map_err(unexpected)?;
        let holder = |(attempt, holder): (&_, Option<String>)| {
            holder.map(|holder| named(run, *attempt, holder)).transpose()
        };
        attempts.iter().zip(holders).map(holder).collect()
    }

    pub(super) async fn shares(&self, request: &ShareRequest) -> Result<Shares, StoreError> {
        let call = self
            .scripts
            .share
            .call()
            .key(self.keys.group(&request.group))
            .arg(&request.member)
            .arg(u8::from(request.leaving))
            .arg(request.ttl.as_millis() as u64)
            .arg(request.acquire.len());
        let mut call = call;
        for lease in request.acquire.iter().chain(&request.release) {
            call.push(*lease);
        }
        let answer = call.run(&self.quick).await.map_err(Fault::while_writing)?;
        decode_shares(from_redis_value(answer).map_err(unexpected)?)
    }

    pub(super) async fn group_members(&self, group: &str) -> Result<BTreeSet<String>, StoreError> {
        let call = self.scripts.read_members.call().key(self.keys.group(group));
        let answer = call.run(&self.quick).await.map_err(Fault::while_reading)?;
        from_redis_value(answer).map_err(unexpected)
    }

    pub(super) async fn installed(&self, offer: &Installation) -> Result<Installation, StoreError> {
        let key = self.keys.installation();
        let mut commands = redis::pipe();
        commands.set_nx(&key, spell_installation(offer)).ignore().get(&key);
        let limit = self.quick.limit(0);
        let [installed] = self
            .quick
            .ask_all::<[String; 1]>(&commands, limit)
            .await
            .map_err(Fault::while_writing)?;
        parse_installation(&installed)
            .ok_or_else(|| StoreError::Damaged(format!("{key} is `{installed}`")))
    }

    /// The lives of all servers that may be written to.
    pub(super) async fn servers(&self) -> Result<Incarnation, StoreError> {
        let answers = self.quick.ask_each(redis::cmd("INFO").arg("server")).await;
        let mut lives = BTreeSet::new();
        for answer in answers.map_err(Fault::while_reading)? {
            let text: String = from_redis_value(answer).map_err(unexpected)?;
            let life = text.lines().find_map(|line| line.strip_prefix("run_id:"));
            lives.insert(
                life.ok_or_else(|| unexpected("a server without an id"))?.trim().to_owned(),
            );
        }
        Ok(Incarnation(lives.into_iter().collect::<Vec<_>>().join(" ")))
    }
}

/// The holder that a claim names. All have a name.
fn named(
    run: RunId,
    (step, attempt): (StepIndex, u32),
    holder: String,
) -> Result<Arc<str>, StoreError> {
    if holder.is_empty() {
        let step = step.0;
        return Err(StoreError::Damaged(format!(
            "the claim of attempt {attempt} of step {step} of run {run} names no holder"
        )));
    }
    Ok(holder.into())
}

fn spell_installation(it: &Installation) -> String {
    format!("{} {}", it.partitions, it.id)
}

/// What a store is, as it is recorded; none if that is nothing of this kind.
pub(super) fn parse_installation(text: &str) -> Option<Installation> {
    let (partitions, id) = text.split_once(' ')?;
    Some(Installation { partitions: partitions.parse().ok()?, id: id.to_owned() })
}

/// Adds the buckets of these attempts, and for each attempt which key its bucket is (`first` is the number of the first one)
/// and its field.
fn add_claims<'a>(
    mut call: Call<'a>,
    first: usize,
    partition: &Partition,
    run: RunId,
    attempts: &[(StepIndex, u32)],
) -> Call<'a> {
    let mut buckets = BTreeMap::new();
    for (step, attempt) in attempts {
        let (bucket, field) = claim(*step, *attempt);
        let next = first + buckets.len();
        let number = *buckets.entry(bucket).or_insert_with(|| {
            call.push_key(partition.claims(run, bucket));
            next
        });
        call.push(number);
        call.push(field);
    }
    call
}

fn decode_shares(words: Vec<String>) -> Result<Shares, StoreError> {
    let mut shares = Shares::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if let Some(member) = word.strip_prefix('m') {
            shares.members.insert(member.to_owned());
        } else {
            let lease =
                word.strip_prefix('l').and_then(|lease| lease.parse().ok()).zip(words.next());
            let (lease, holder) = lease.ok_or_else(|| unexpected("a lease without a holder"))?;
            shares.leases.insert(lease, holder);
        }
    }
    Ok(shares)
}
