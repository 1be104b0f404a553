//! Named limits. Those of a namespace lie in one place, so that one script arbitrates among all who want several of them; it
//! does what [`windlass_engine::limits`] does, and the conformance suite holds the one against the other. What is stored is
//! described in `lua/limits.lua`.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use redis::{Pipeline, from_redis_value};
use windlass_engine::{
    limits::{LimitConfig, Rate},
    record::StepIndex,
    time::Timestamp,
};
use windlass_proto::id::RunId;

use super::{
    RedisStore,
    fault::Fault,
    keys::{LimitKeys, long, short},
    script::Call,
    write::unexpected,
};
use crate::{GRANTS_AT_ONCE, Holder, LimitAnswer, LimitAsk, LimitRequest, LimitView, StoreError};

/// The most parts of a request, and the most entries of an answer, of one call.
const AT_ONCE: usize = 1000;

/// What an entry takes up at most in an answer, in bytes: a holder, and as many limits as a step may have.
const LARGEST_ENTRY: usize = 4 << 10;

/// How long a holder is: a run's id without its prefix, a step, an attempt.
const HOLDER_SIZE: usize = RUN_SIZE + 8;
const RUN_SIZE: usize = 26;

/// Beyond the limits of an entry: the holder, what it is, its sequence number.
const ENTRY_SIZE: usize = HOLDER_SIZE + 9;

/// For how long it is believed that a namespace is on the list of those with limits.
const LISTED_FOR: Duration = Duration::from_mins(1);

/// What an entry says of one who holds, and of one who waits.
const HOLDS: u8 = b'h';
const WAITS: u8 = b'w';

/// A part of a request.
enum Part<'a> {
    Hold(&'a LimitAsk),
    Release(&'a Holder),
    Ask(&'a LimitAsk),
}

impl RedisStore {
    pub(super) async fn take(
        &self,
        namespace: &str,
        request: &LimitRequest,
    ) -> Result<LimitAnswer, StoreError> {
        let holds = request.holds.iter().map(Part::Hold);
        let releases = request.releases.iter().map(Part::Release);
        let parts: Vec<_> =
            holds.chain(releases).chain(request.asks.iter().map(Part::Ask)).collect();
        if !parts.is_empty() {
            self.list_namespace(namespace).await?;
        }
        let mut rest = parts.as_slice();
        let mut granted = Vec::new();
        loop {
            let (now, later) = rest.split_at(rest.len().min(AT_ONCE));
            // Nobody is granted what the rest of the request gives back or takes before.
            let most = if later.is_empty() { GRANTS_AT_ONCE } else { 0 };
            let answer = self.call_limits(namespace, most, ["", ""], now).await?;
            granted.extend(answer.granted);
            if later.is_empty() {
                return Ok(LimitAnswer { granted, next_at: answer.next_at });
            }
            rest = later;
        }
    }

    /// Puts a namespace on the list of those with limits, before it has any. A list that is lost is soon there again.
    async fn list_namespace(&self, namespace: &str) -> Result<(), StoreError> {
        let listed = |limited: &HashMap<String, Instant>| {
            limited.get(namespace).is_some_and(|at| at.elapsed() < LISTED_FOR)
        };
        if listed(&self.limited.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        let mut command = redis::cmd("SADD");
        command.arg(self.keys.limited()).arg(namespace);
        let answer = self.quick.ask(&command, self.quick.limit(0)).await;
        answer.map_err(|fault| of_limits(namespace, fault.while_writing()))?;
        let mut limited = self.limited.lock().unwrap_or_else(PoisonError::into_inner);
        limited.insert(namespace.to_owned(), Instant::now());
        Ok(())
    }

    pub(super) async fn namespaces_with_limits(&self) -> Result<Vec<String>, StoreError> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(self.keys.limited());
        let limit = self.bulk.limit(super::read::LARGEST_ANSWER);
        let answer = self.bulk.ask(&command, limit).await.map_err(Fault::while_reading)?;
        from_redis_value(answer).map_err(unexpected)
    }

    pub(super) async fn configure(
        &self,
        namespace: &str,
        name: &str,
        config: Option<LimitConfig>,
    ) -> Result<LimitAnswer, StoreError> {
        let config = config.map_or(String::new(), spell_config);
        self.call_limits(namespace, GRANTS_AT_ONCE, [name, &config], &[]).await
    }

    async fn call_limits(
        &self,
        namespace: &str,
        most: usize,
        config: [&str; 2],
        parts: &[Part<'_>],
    ) -> Result<LimitAnswer, StoreError> {
        let count = |is: fn(&Part<'_>) -> bool| parts.iter().filter(|part| is(part)).count();
        let mut call = self
            .scripts
            .limits
            .call()
            .keys(self.keys.limits(namespace).all())
            .arg(self.settle_time.as_millis() as u64)
            .arg(most)
            .arg(&config)
            .arg(count(|part| matches!(part, Part::Hold(_))))
            .arg(count(|part| matches!(part, Part::Release(_))));
        for part in parts {
            add_part(&mut call, part);
        }
        let answer = call.run(self.link_for(call.size())).await;
        let answer = answer.map_err(|fault| of_limits(namespace, fault.while_writing()))?;
        let words: Vec<Vec<u8>> = from_redis_value(answer).map_err(unexpected)?;
        let (next_at, holders) = words.split_first().ok_or_else(|| unexpected("no time"))?;
        let next_at = match str::from_utf8(next_at).ok() {
            Some("") => None,
            Some(time) => Some(Timestamp(time.parse().map_err(unexpected)?)),
            None => return Err(unexpected("a time that is no text")),
        };
        let granted = holders.iter().map(|bytes| decode_holder(namespace, bytes));
        Ok(LimitAnswer { granted: granted.collect::<Result<_, _>>()?, next_at })
    }

    pub(super) async fn limits(&self, namespace: &str) -> Result<Vec<LimitView>, StoreError> {
        let keys = self.keys.limits(namespace);
        let mut views = BTreeMap::new();
        for (name, config) in self.limit_configs(namespace, &keys).await? {
            view_of(&mut views, &name).config = Some(config);
        }
        for (name, held) in self.limit_counts(namespace, &keys.held).await? {
            view_of(&mut views, &name).held = held;
        }
        for (name, waiting) in self.limit_counts(namespace, &keys.queue).await? {
            view_of(&mut views, &name).waiting = waiting;
        }
        Ok(views.into_values().collect())
    }

    async fn limit_configs(
        &self,
        namespace: &str,
        keys: &LimitKeys,
    ) -> Result<Vec<(String, LimitConfig)>, StoreError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(&keys.config);
        let answer = self.bulk.ask(&command, self.bulk.limit(super::read::LARGEST_ANSWER)).await;
        let answer = answer.map_err(|fault| of_limits(namespace, fault.while_reading()))?;
        let configs: Vec<(String, String)> = from_redis_value(answer)
            .map_err(|_| damaged(namespace, "a configuration is no text"))?;
        let parse = |(name, text): (String, String)| {
            let config = parse_config(&text)
                .ok_or_else(|| damaged(namespace, "a configuration is no three numbers"))?;
            Ok((name, config))
        };
        configs.into_iter().map(parse).collect()
    }

    /// How many hold or wait for each limit, by the set of those.
    async fn limit_counts(
        &self,
        namespace: &str,
        set: &str,
    ) -> Result<Vec<(String, u32)>, StoreError> {
        let counts = self.prefixes(namespace, set, 0).await?;
        let named = |(limit, count): (Vec<u8>, u32)| {
            let name = limit.get(2..).and_then(|name| str::from_utf8(name).ok());
            let name = name.ok_or_else(|| damaged(namespace, "a limit's name is no text"))?;
            Ok((name.to_owned(), count))
        };
        counts.into_iter().map(named).collect()
    }

    pub(super) async fn limit_holders(
        &self,
        namespace: &str,
        name: &str,
        most: usize,
    ) -> Result<Vec<Holder>, StoreError> {
        let limit = encode_limit(name);
        let members =
            self.members(namespace, &self.keys.limits(namespace).held, &limit, most).await?;
        let holder = |member: &Vec<u8>| {
            let holder = member.get(limit.len() + 8..).unwrap_or_default();
            decode_holder(namespace, holder)
        };
        members.iter().map(holder).collect()
    }

    pub(super) async fn limit_places(
        &self,
        namespace: &str,
        holder: Holder,
    ) -> Result<Vec<(Arc<str>, u32)>, StoreError> {
        let keys = self.keys.limits(namespace);
        let found = self.members(namespace, &keys.entries, &encode_holder(&holder), 1).await?;
        let Some(entry) = found.first() else { return Ok(Vec::new()) };
        let entry = Entry::decode(namespace, entry)?;
        if entry.holds {
            return Ok(Vec::new());
        }
        let mut commands = Pipeline::new();
        for name in &entry.limits {
            let limit = encode_limit(name);
            let first = [b"[", &limit[..]].concat();
            let own = [b"(", &limit[..], &entry.sequence].concat();
            commands.cmd("ZLEXCOUNT").arg(&keys.queue).arg(first).arg(own);
        }
        let before = self.quick.ask_all::<Vec<u32>>(&commands, self.quick.limit(0)).await;
        let before = before.map_err(|fault| of_limits(namespace, fault.while_reading()))?;
        Ok(entry.limits.into_iter().zip(before).collect())
    }

    pub(super) async fn runs_with_limits(&self, namespace: &str) -> Result<Vec<RunId>, StoreError> {
        let entries = self.keys.limits(namespace).entries;
        let runs = self.prefixes(namespace, &entries, RUN_SIZE).await?;
        let run = |(id, _): &(Vec<u8>, u32)| {
            long(id).ok_or_else(|| damaged(namespace, "an entry names no run"))
        };
        runs.iter().map(run).collect()
    }

    pub(super) async fn limited(
        &self,
        namespace: &str,
        run: RunId,
    ) -> Result<Vec<(Holder, bool)>, StoreError> {
        let entries = self.keys.limits(namespace).entries;
        let members = self.members(namespace, &entries, short(&run).as_bytes(), usize::MAX).await?;
        let entry = |member: &Vec<u8>| {
            let entry = Entry::decode(namespace, member)?;
            Ok((entry.holder, entry.holds))
        };
        members.iter().map(entry).collect()
    }

    /// How the members of a set begin, in order, each with how many there are. What is asked for has that size, or has its
    /// size in front where that is 0.
    async fn prefixes(
        &self,
        namespace: &str,
        set: &str,
        size: usize,
    ) -> Result<Vec<(Vec<u8>, u32)>, StoreError> {
        let mut found: Vec<(Vec<u8>, u32)> = Vec::new();
        loop {
            let last = found.last().map_or(&[][..], |(prefix, _)| prefix);
            let call = self.scripts.prefixes.call().key(set.to_owned());
            let call = call.arg(size).arg(last).arg(AT_ONCE);
            let answer = call.run(&self.bulk).await.map_err(Fault::while_reading);
            let answer = answer.map_err(|error| of_limits(namespace, error))?;
            let page: Vec<(Vec<u8>, u32)> = from_redis_value(answer)
                .map_err(|_| damaged(namespace, "what is kept under a limit is too short"))?;
            let is_last = page.len() < AT_ONCE;
            found.extend(page);
            if is_last {
                return Ok(found);
            }
        }
    }

    /// The first members of a set that begin so, in order.
    async fn members(
        &self,
        namespace: &str,
        set: &str,
        prefix: &[u8],
        most: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut found: Vec<Vec<u8>> = Vec::new();
        let beyond = [b"(", prefix, b"\xff"].concat();
        loop {
            let count = most.saturating_sub(found.len()).min(AT_ONCE);
            let first = match found.last() {
                Some(last) => [b"(", &last[..]].concat(),
                None => [b"[", prefix].concat(),
            };
            let mut command = redis::cmd("ZRANGE");
            command.arg(set).arg(first).arg(&beyond).arg("BYLEX").arg("LIMIT").arg(0).arg(count);
            let answer = self.bulk.ask(&command, self.bulk.limit(count * LARGEST_ENTRY)).await;
            let answer = answer.map_err(|fault| of_limits(namespace, fault.while_reading()))?;
            let page: Vec<Vec<u8>> = from_redis_value(answer).map_err(unexpected)?;
            let is_last = page.len() < count || found.len() + page.len() >= most;
            found.extend(page);
            if is_last {
                return Ok(found);
            }
        }
    }
}

fn add_part(call: &mut Call<'_>, part: &Part<'_>) {
    match part {
        Part::Release(holder) => call.push(encode_holder(holder)),
        Part::Hold(LimitAsk { holder, limits }) | Part::Ask(LimitAsk { holder, limits }) => {
            call.push(encode_holder(holder));
            call.push(limits.iter().flat_map(|name| encode_limit(name)).collect::<Vec<u8>>());
        }
    }
}

fn view_of<'a>(views: &'a mut BTreeMap<Arc<str>, LimitView>, name: &str) -> &'a mut LimitView {
    let name: Arc<str> = name.into();
    let view = LimitView::unset(Arc::clone(&name));
    views.entry(name).or_insert(view)
}

/// An entry of one who holds or waits.
struct Entry {
    holder: Holder,
    holds: bool,
    sequence: [u8; 8],
    limits: Vec<Arc<str>>,
}

impl Entry {
    fn decode(namespace: &str, bytes: &[u8]) -> Result<Self, StoreError> {
        let bad = || damaged(namespace, "an entry cannot be understood");
        let (head, mut list) = bytes.split_first_chunk::<ENTRY_SIZE>().ok_or_else(bad)?;
        let (holder, rest) = head.split_at(HOLDER_SIZE);
        let (kind, sequence) = rest.split_first().ok_or_else(bad)?;
        let holds = match *kind {
            HOLDS => true,
            WAITS => false,
            _ => return Err(bad()),
        };
        let mut limits = Vec::new();
        while !list.is_empty() {
            let (size, rest) = list.split_first_chunk().ok_or_else(bad)?;
            let size = usize::from(u16::from_be_bytes(*size));
            let (name, rest) = rest.split_at_checked(size).ok_or_else(bad)?;
            limits.push(str::from_utf8(name).map_err(|_| bad())?.into());
            list = rest;
        }
        let sequence = sequence.try_into().map_err(|_| bad())?;
        Ok(Self { holder: decode_holder(namespace, holder)?, holds, sequence, limits })
    }
}

/// A name behind its size, so that none is the beginning of another one.
fn encode_limit(name: &str) -> Vec<u8> {
    let size = u16::try_from(name.len()).unwrap_or(u16::MAX);
    [&size.to_be_bytes()[..], name.as_bytes()].concat()
}

/// Ordered as holders are.
fn encode_holder(Holder { run, step, attempt }: &Holder) -> Vec<u8> {
    [short(run).as_bytes(), &step.0.to_be_bytes(), &attempt.to_be_bytes()].concat()
}

fn decode_holder(namespace: &str, bytes: &[u8]) -> Result<Holder, StoreError> {
    let decode = || {
        let (run, rest) = bytes.split_first_chunk::<RUN_SIZE>()?;
        let (step, rest) = rest.split_first_chunk()?;
        let (attempt, rest) = rest.split_first_chunk()?;
        let step = StepIndex(u32::from_be_bytes(*step));
        let attempt = u32::from_be_bytes(*attempt);
        rest.is_empty().then_some(Holder { run: long(run)?, step, attempt })
    };
    decode().ok_or_else(|| damaged(namespace, "a holder cannot be understood"))
}

fn spell_config(LimitConfig { size, rate }: LimitConfig) -> String {
    let number = |number: Option<NonZeroU32>| number.map_or(0, NonZeroU32::get);
    let period_ms = rate.map_or(0, |rate| rate.period_ms);
    format!("{} {} {period_ms}", number(size), number(rate.map(|rate| rate.starts)))
}

/// The inverse of [`spell_config`].
fn parse_config(text: &str) -> Option<LimitConfig> {
    let mut words = text.split(' ');
    let size = NonZeroU32::new(words.next()?.parse().ok()?);
    let starts = NonZeroU32::new(words.next()?.parse().ok()?);
    let period_ms = words.next()?.parse().ok()?;
    let config = LimitConfig { size, rate: starts.map(|starts| Rate { starts, period_ms }) };
    words.next().is_none().then_some(config)
}

fn damaged(namespace: &str, why: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("limits of the namespace {namespace}: {why}"))
}

/// What a server says, as something about the limits of a namespace.
fn of_limits(namespace: &str, error: StoreError) -> StoreError {
    match error {
        StoreError::Damaged(why) => damaged(namespace, why),
        passing @ (StoreError::Unavailable(_) | StoreError::Unknown(_)) => passing,
    }
}
