//! Brings what the program writes into its log.

use std::{
    io::{self, Read},
    sync::{Arc, Mutex, PoisonError},
};

use windlass_engine::time::Timestamp;

use crate::{
    clock,
    log_file::{Block, LineSplitter, LogStream, LogWriter},
};

/// As much as a pipe holds.
const READ_BYTES: usize = 64 * 1024;

/// A log that several threads write to, until it is finished.
#[derive(Debug, Clone)]
pub(super) struct SharedLog(Arc<Mutex<Option<LogWriter>>>);

impl SharedLog {
    pub(super) fn new(log: LogWriter) -> Self {
        Self(Arc::new(Mutex::new(Some(log))))
    }

    /// Completes the log; what comes later is dropped.
    pub(super) fn finish(&self, time: Timestamp) {
        if let Some(log) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            log.finish(time);
        }
    }

    fn append(&self, stream: LogStream, time: Timestamp, block: Block<'_>) {
        if let Some(log) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            log.append(stream, time, block);
        }
    }
}

/// Captures a stream until nobody can write to it any more.
pub(super) fn capture(stream: LogStream, mut pipe: impl Read, log: &SharedLog) {
    let mut buffer = vec![0; READ_BYTES];
    let mut lines = LineSplitter::default();
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                let time = clock::now();
                lines.feed(&buffer[..read], |block| log.append(stream, time, block));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let time = clock::now();
    lines.finish(|block| log.append(stream, time, block));
}
