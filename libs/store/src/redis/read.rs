//! What is read of runs. What has to be of one version is read between two looks at the run's head: not by a script, which
//! would copy what is large twice; and not by a transaction, which a server whose memory is full refuses, and whose keys the
//! client library does not follow when they move.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::future::{join_all, try_join_all};
use redis::{Pipeline, RedisResult, Value, from_redis_value};
use windlass_engine::{
    layout::Expansion,
    record::{AttemptRecord, StepIndex, StepRecord},
};
use windlass_proto::id::RunId;

use super::{
    RedisStore,
    amendment::retried_at,
    decode::{cut_off, decode_attempts, decode_expansions, decode_head, decode_steps, view},
    fault::Fault,
    head::Head,
    keys::Partition,
    link::{Link, Text},
};
use crate::{
    Amendment, RunView, StoreError, StoredRun,
    codec::{EXPANSION_SIZE, STEP_SIZE},
};

/// In bytes: a run of a million steps, its pipeline, and some more. A larger one has as long to come.
pub(super) const LARGEST_ANSWER: usize = 128 << 20;

/// In bytes: most submissions are shorter, and need not be asked for twice.
pub(super) const SHORT_SUBMISSION: usize = 1024;

/// How often to read what has to be of one version: servers nearly always do in one go what is sent in one.
const READS: usize = 10;

/// What there is of a run, or that it cannot be understood.
type Found<T> = Result<Option<T>, StoreError>;

impl RedisStore {
    pub(super) async fn head(&self, run: RunId) -> Result<Option<Head>, StoreError> {
        let add = |commands: &mut Pipeline, partition: &Partition, run| {
            commands.get(partition.head(run));
        };
        let texts = self.of_runs(&[run], 1, add).await?.pop().unwrap_or(Ok(Vec::new()))?;
        decode_head(texts.into_iter().next().flatten())
    }

    pub(super) async fn view(&self, run: RunId) -> Result<Option<RunView>, StoreError> {
        self.views(&[run]).await?.pop().unwrap_or(Ok(None))
    }

    /// In the order asked, each for itself.
    pub(super) async fn views(&self, runs: &[RunId]) -> Result<Vec<Found<RunView>>, StoreError> {
        let whole = self.views_and_heads(runs).await?;
        Ok(whole.into_iter().map(|found| Ok(found?.map(|(view, _)| view))).collect())
    }

    /// In the order asked, each for itself and of its own version.
    pub(super) async fn views_and_heads(
        &self,
        runs: &[RunId],
    ) -> Result<Vec<Found<(RunView, Head)>>, StoreError> {
        let texts = self.of_runs(runs, 2, add_view).await?;
        let views = runs.iter().zip(texts).map(|(run, texts)| async {
            let [head, submission] = exactly(texts?)?;
            let (head, amendment) = self.amended(*run, head).await?;
            self.decode_view(*run, head, submission, amendment).await
        });
        Ok(join_all(views).await)
    }

    /// Asks so many things of each of these runs, those of a partition together.
    async fn of_runs(
        &self,
        runs: &[RunId],
        answers: usize,
        add: impl Fn(&mut Pipeline, &Partition, RunId),
    ) -> Result<Vec<Result<Vec<Text>, StoreError>>, StoreError> {
        let mut groups: BTreeMap<u32, (Pipeline, Vec<usize>)> = BTreeMap::new();
        for (index, run) in runs.iter().enumerate() {
            let partition = self.keys.of(*run);
            let (commands, indices) = groups.entry(partition.number).or_default();
            add(commands, &partition, *run);
            indices.push(index);
        }
        let limit = self.quick.limit(runs.len() * SHORT_SUBMISSION * 2);
        let answered =
            try_join_all(groups.into_values().map(|(mut commands, indices)| async move {
                Ok::<_, Fault>((indices, self.quick.ask_texts(&mut commands, limit).await?))
            }));
        let mut all = vec![Ok(Vec::new()); runs.len()];
        for (indices, texts) in answered.await.map_err(Fault::while_reading)? {
            let mut texts = texts.into_iter();
            for index in indices {
                // Taken together first: a refusal among them does not move those of the next run.
                let of_run: Vec<RedisResult<Text>> = texts.by_ref().take(answers).collect();
                let of_run: RedisResult<Vec<Text>> = of_run.into_iter().collect();
                all[index] = of_run.map_err(|error| Fault::Refused(error).while_reading());
            }
        }
        Ok(all)
    }

    /// Puts together what [`add_view`] has asked for; asks again for a long submission, which never changes.
    async fn decode_view(
        &self,
        run: RunId,
        head: Text,
        submission: Text,
        amendment: Option<Arc<Amendment>>,
    ) -> Result<Option<(RunView, Head)>, StoreError> {
        let Some(head) = decode_head(head)? else { return Ok(None) };
        let size = head.submission_size as usize;
        let mut submission = submission.unwrap_or_default();
        if submission.len() < size {
            let mut command = redis::cmd("GETRANGE");
            command.arg(self.keys.of(run).submission(run)).arg(0).arg(size - 1);
            let whole = self.quick.ask(&command, self.quick.limit(size)).await;
            submission = from_redis_value(whole.map_err(Fault::while_reading)?)
                .map_err(super::write::unexpected)?;
            if submission.is_empty() {
                // It was removed meanwhile, or half of it.
                return if self.has_head(run).await? { Err(cut_off(run)) } else { Ok(None) };
            }
        }
        let bytes = submission.get(..size).ok_or_else(|| cut_off(run))?;
        Ok(Some((view(run, &head, bytes, amendment)?, head)))
    }

    async fn has_head(&self, run: RunId) -> Result<bool, StoreError> {
        let mut command = redis::cmd("EXISTS");
        command.arg(self.keys.of(run).head(run));
        let answer = self.quick.ask(&command, self.quick.limit(0)).await;
        Ok(answer.map_err(Fault::while_reading)? != Value::Int(0))
    }

    pub(super) async fn load(&self, run: RunId) -> Result<Option<StoredRun>, StoreError> {
        let partition = self.keys.of(run);
        let limit = self.bulk.limit(LARGEST_ANSWER);
        let texts = self.of_one_version(&self.bulk, run, limit, |commands| {
            commands.get(partition.submission(run));
            commands.get(partition.steps(run));
            commands.get(partition.expansions(run));
        });
        let (texts, amendment) = texts.await?;
        let [head, submission, steps, expansions] = exactly(texts)?;
        let Some(head) = decode_head(head)? else { return Ok(None) };
        let submission = Bytes::from(submission.unwrap_or_default());
        let size = head.submission_size as usize;
        let submitted = submission.get(..size).ok_or_else(|| cut_off(run))?;
        let view = view(run, &head, submitted, amendment)?;
        let steps = decode_steps(run, &steps.unwrap_or_default(), head.steps as usize)?;
        let expansions = decode_expansions(&view, 0, expansions)?;
        let (pipeline, orders) = (submission.slice(size..), head.orders()?);
        Ok(Some(StoredRun { view, steps, expansions, pipeline, orders }))
    }

    pub(super) async fn expansions(
        &self,
        run: RunId,
        from: usize,
    ) -> Result<Option<Vec<Expansion>>, StoreError> {
        let partition = self.keys.of(run);
        let limit = self.bulk.limit(LARGEST_ANSWER);
        let texts = self.of_one_version(&self.bulk, run, limit, |commands| {
            add_submission(commands, &partition, run);
            let first = i64::try_from(from.saturating_mul(EXPANSION_SIZE)).unwrap_or(i64::MAX);
            commands.cmd("GETRANGE").arg(partition.expansions(run)).arg(first).arg(-1);
        });
        let (texts, amendment) = texts.await?;
        let [head, submission, expansions] = exactly(texts)?;
        let Some((view, _)) = self.decode_view(run, head, submission, amendment).await? else {
            return Ok(None);
        };
        decode_expansions(&view, from, expansions).map(Some)
    }

    pub(super) async fn pipeline(&self, run: RunId) -> Result<Option<Bytes>, StoreError> {
        let partition = self.keys.of(run);
        let limit = self.bulk.limit(LARGEST_ANSWER);
        let texts = self.of_one_version(&self.bulk, run, limit, |commands| {
            commands.get(partition.submission(run));
        });
        let [head, submission] = exactly(texts.await?.0)?;
        let Some(head) = decode_head(head)? else { return Ok(None) };
        let mut pipeline = Bytes::from(submission.unwrap_or_default());
        let size = head.submission_size as usize;
        if pipeline.len() < size {
            return Err(cut_off(run));
        }
        Ok(Some(pipeline.split_off(size)))
    }

    pub(super) async fn step_range(
        &self,
        run: RunId,
        range: Range<u32>,
    ) -> Result<Option<(RunView, Vec<StepRecord>)>, StoreError> {
        let read = self.pieces(run, std::slice::from_ref(&range)).await?;
        let Some((view, mut pieces)) = read else { return Ok(None) };
        let count = range.end.min(view.step_count).saturating_sub(range.start);
        let steps = decode_steps(run, &pieces.pop().unwrap_or_default(), count as usize)?;
        Ok(Some((view, steps)))
    }

    pub(super) async fn steps(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<Option<(RunView, Vec<StepRecord>)>, StoreError> {
        let names: Vec<u32> =
            steps.iter().map(|step| step.0).collect::<BTreeSet<_>>().into_iter().collect();
        let ranges: Vec<Range<u32>> = names
            .chunk_by(|one, next| one.checked_add(1) == Some(*next))
            .filter_map(|piece| Some(*piece.first()?..piece.last()?.saturating_add(1)))
            .collect();
        let Some((view, pieces)) = self.pieces(run, &ranges).await? else { return Ok(None) };
        let total = view.step_count;
        if let Some(step) = steps.iter().find(|step| step.0 >= total) {
            return Err(StoreError::no_such_step(run, total, *step));
        }
        let mut records = BTreeMap::new();
        for (range, bytes) in ranges.into_iter().zip(pieces) {
            let decoded = decode_steps(run, &bytes, range.len())?;
            records.extend(range.zip(decoded));
        }
        let found = steps.iter().filter_map(|step| records.get(&step.0).copied()).collect();
        Ok(Some((view, found)))
    }

    /// The run, and the bytes of ranges of its steps, all of one version.
    async fn pieces(
        &self,
        run: RunId,
        ranges: &[Range<u32>],
    ) -> Result<Option<(RunView, Vec<Vec<u8>>)>, StoreError> {
        let partition = self.keys.of(run);
        let size: usize = ranges.iter().map(|range| range.len().saturating_mul(STEP_SIZE)).sum();
        let link = self.link_for(size);
        let limit = link.limit(size.min(LARGEST_ANSWER));
        let texts = self.of_one_version(link, run, limit, |commands| {
            add_submission(commands, &partition, run);
            for range in ranges {
                let place = |step: u32| step as usize * STEP_SIZE;
                // An empty one is spelled so that it does not mean the whole.
                let (first, last) = if range.is_empty() {
                    (1, 0)
                } else {
                    (place(range.start), place(range.end) - 1)
                };
                commands.cmd("GETRANGE").arg(partition.steps(run)).arg(first).arg(last);
            }
        });
        let (texts, amendment) = texts.await?;
        let mut texts = texts.into_iter();
        let (head, submission) = (texts.next().flatten(), texts.next().flatten());
        let Some((view, _)) = self.decode_view(run, head, submission, amendment).await? else {
            return Ok(None);
        };
        Ok(Some((view, texts.map(Option::unwrap_or_default).collect())))
    }

    /// A run's head, and what else is asked for, and what retries have changed of the run, all of one version.
    pub(super) async fn of_one_version(
        &self,
        link: &Link,
        run: RunId,
        limit: Duration,
        add: impl Fn(&mut Pipeline),
    ) -> Result<(Vec<Text>, Option<Arc<Amendment>>), StoreError> {
        let head = self.keys.of(run).head(run);
        let mut commands = redis::pipe();
        commands.get(&head);
        add(&mut commands);
        commands.get(&head);
        for _ in 0..READS {
            let mut texts: Vec<Text> =
                link.ask_all(&commands, limit).await.map_err(Fault::while_reading)?;
            // A version is never made twice.
            if texts.pop().as_ref() != texts.first() {
                continue;
            }
            let Some(version) = retried_at(texts.first().and_then(Option::as_deref))? else {
                return Ok((texts, None));
            };
            match self.latest_amendment(link, run).await? {
                // The run was retried once more since its head was read.
                Some((amended_at, _)) if amended_at > version => {}
                amendment => return Ok((texts, amendment.map(|(_, it)| Arc::new(it)))),
            }
        }
        Err(StoreError::Unavailable(format!("{run} was changed in the midst of {READS} reads")))
    }

    pub(super) async fn attempts(
        &self,
        run: RunId,
        step: StepIndex,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        let mut attempts = Vec::new();
        for (step, bytes) in self.details(run, 'a', &[step]).await? {
            attempts = decode_attempts(step, &bytes)?;
        }
        attempts.sort_unstable_by_key(|attempt| attempt.attempt);
        Ok(attempts)
    }

    pub(super) async fn latest_attempts(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<BTreeMap<StepIndex, AttemptRecord>, StoreError> {
        let mut latest = BTreeMap::new();
        for (step, bytes) in self.details(run, 'a', steps).await? {
            let attempts = decode_attempts(step, &bytes)?;
            let last = attempts.into_iter().max_by_key(|attempt| attempt.attempt);
            latest.extend(last.map(|attempt| (step, attempt)));
        }
        Ok(latest)
    }

    pub(super) async fn outputs(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<BTreeMap<StepIndex, Arc<str>>, StoreError> {
        let text = |(step, bytes)| {
            let json = String::from_utf8(bytes)
                .map_err(|_| StoreError::Damaged(format!("outputs of run {run} are not UTF-8")))?;
            Ok((step, json.into()))
        };
        self.details(run, 'o', steps).await?.into_iter().map(text).collect()
    }

    /// What is kept of one kind for each of these steps, those left out that have nothing.
    async fn details(
        &self,
        run: RunId,
        kind: char,
        steps: &[StepIndex],
    ) -> Result<Vec<(StepIndex, Vec<u8>)>, StoreError> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("HMGET");
        command.arg(self.keys.of(run).details(run));
        for step in steps {
            command.arg(format!("{kind}{}", step.0));
        }
        let limit = self.quick.limit(steps.len() * SHORT_SUBMISSION);
        let answer = self.quick.ask(&command, limit).await.map_err(Fault::while_reading)?;
        let texts: Vec<Text> = from_redis_value(answer).map_err(super::write::unexpected)?;
        let found = steps.iter().zip(texts).filter_map(|(step, text)| Some((*step, text?)));
        Ok(found.collect())
    }
}

/// Asks for what [`RedisStore::decode_view`] takes.
fn add_view(commands: &mut Pipeline, partition: &Partition, run: RunId) {
    commands.get(partition.head(run));
    add_submission(commands, partition, run);
}

/// Asks for the beginning of what was submitted.
fn add_submission(commands: &mut Pipeline, partition: &Partition, run: RunId) {
    commands.cmd("GETRANGE").arg(partition.submission(run)).arg(0).arg(SHORT_SUBMISSION - 1);
}

fn exactly<const N: usize>(texts: Vec<Text>) -> Result<[Text; N], StoreError> {
    texts.try_into().map_err(|_| super::write::unexpected("another number of answers"))
}
