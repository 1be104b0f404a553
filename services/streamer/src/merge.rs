//! Many logs as one, by time.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    io,
    path::PathBuf,
    sync::Arc,
};

use windlass_engine::time::Timestamp;
use windlass_launcher::{
    log_file::{LogError, LogReader, LogRecord},
    runtime::AttemptKey,
};

use crate::places::LogPlaces;

/// How much is read of one log at a time; what is read and not yet due waits in memory, for every log.
const READ_BYTES: usize = 16 << 10;

/// One attempt's log, and how far it is read. No file stays open between two reads, so that a run of ten thousand steps
/// needs no ten thousand open files.
#[derive(Debug)]
struct Source {
    key: AttemptKey,
    places: Arc<LogPlaces>,
    /// Once it is found.
    path: Option<PathBuf>,
    offset: u64,
    read: VecDeque<LogRecord>,
    /// The attempt has run, as far as is known.
    began: bool,
    /// Nothing will be written to it any more.
    complete: bool,
    /// It cannot be read any further.
    exhausted: bool,
}

/// The logs of some attempts.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    sources: BTreeMap<AttemptKey, Source>,
}

/// An attempt of which no log was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unseen {
    pub(crate) key: AttemptKey,
    /// The attempt has run, as far as is known.
    pub(crate) began: bool,
}

/// A record and the attempt that wrote it.
pub(crate) type Line = (AttemptKey, LogRecord);

impl Merge {
    /// Adds an attempt, or tells that one has begun, or that nothing will be written by it any more.
    pub(crate) fn add(
        &mut self,
        key: AttemptKey,
        places: &Arc<LogPlaces>,
        began: bool,
        complete: bool,
    ) {
        let source = self.sources.entry(key).or_insert_with(|| Source {
            key,
            places: places.clone(),
            path: None,
            offset: 0,
            read: VecDeque::new(),
            began: false,
            complete: false,
            exhausted: false,
        });
        source.began |= began;
        source.complete |= complete;
    }

    /// The attempts of which no log was found, in order.
    pub(crate) fn unseen(&self) -> Vec<Unseen> {
        let unseen = self.sources.values().filter(|source| source.path.is_none());
        unseen.map(|source| Unseen { key: source.key, began: source.began }).collect()
    }

    /// Whether an attempt has begun, and no log was found of any.
    pub(crate) fn is_blind(&self) -> bool {
        self.sources.values().any(|source| source.began)
            && self.sources.values().all(|source| source.path.is_none())
    }

    /// Leaves out all but the last `count` records of each log.
    pub(crate) fn skip_to_last(&mut self, count: usize) -> Result<(), LogError> {
        for source in self.sources.values_mut() {
            if let Some(mut reader) = source.open()? {
                reader.skip_to_last(count)?;
                source.offset = reader.offset();
            }
        }
        Ok(())
    }

    /// The next records, by time: at most some `bytes` of them. None where there are none for now. A log that cannot be
    /// read to its end is given as far as it can, and the error only when nothing else is left.
    pub(crate) fn next(&mut self, bytes: usize) -> Result<Vec<Line>, LogError> {
        let mut heads = BinaryHeap::new();
        let mut broken = None;
        for (key, source) in &mut self.sources {
            match source.head() {
                Ok(Some(time)) => heads.push(Reverse((time, *key))),
                Ok(None) => {}
                Err(error) => broken = Some(error),
            }
        }
        let mut lines = Vec::new();
        let mut taken = 0;
        while taken < bytes
            && let Some(Reverse((_, key))) = heads.pop()
        {
            let source = self.sources.get_mut(&key).expect("heads are of sources");
            let Some(record) = source.read.pop_front() else {
                continue;
            };
            taken += record.content.len() + size_of::<LogRecord>();
            lines.push((key, record));
            match source.head() {
                Ok(Some(time)) => heads.push(Reverse((time, key))),
                Ok(None) => {}
                Err(error) => broken = Some(error),
            }
        }
        match broken {
            Some(error) if lines.is_empty() => Err(error),
            _ => Ok(lines),
        }
    }
}

impl Source {
    /// The time of the next record, where there is one.
    fn head(&mut self) -> Result<Option<Timestamp>, LogError> {
        if self.read.is_empty() && !self.exhausted {
            // What is complete now is complete before it is read.
            let complete = self.complete;
            let records = match self.open() {
                Ok(Some(mut reader)) => {
                    let records = reader.read_batch(READ_BYTES);
                    self.offset = reader.offset();
                    records
                }
                Ok(None) => Ok(Vec::new()),
                Err(error) => Err(error),
            };
            self.exhausted = match &records {
                Ok(records) => complete && records.is_empty(),
                Err(_) => true,
            };
            self.read.extend(records?);
        }
        Ok(self.read.front().map(|record| record.time))
    }

    /// The log where it was left; none where there is none, since the attempt has not begun or never did.
    fn open(&mut self) -> Result<Option<LogReader>, LogError> {
        if self.path.is_none() {
            self.path = self.places.find(self.key).map_err(|source| {
                let path = self.places.dir().to_owned();
                LogError::Io { path, source }
            })?;
        }
        let Some(path) = &self.path else {
            return Ok(None);
        };
        match LogReader::resume(path, self.offset) {
            Ok(reader) => Ok(Some(reader)),
            Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
