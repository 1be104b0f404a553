//! What is written is read, whatever is written and wherever the writer is stopped.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use proptest::prelude::*;
use tempfile::TempDir;
use windlass_engine::time::Timestamp;

use super::{LineSplitter, LogError, LogReader, LogRecord, LogStream, LogWriter, MAX_LINE_BYTES};

const NO_LIMIT: u64 = u64::MAX;
const NOW: Timestamp = Timestamp(1_700_000_000_000);

struct Scratch {
    dir: TempDir,
}

impl Scratch {
    fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn writer(&self, limit: u64) -> LogWriter {
        LogWriter::create(&self.path(), limit).unwrap()
    }

    fn reader(&self) -> LogReader {
        LogReader::open(&self.path()).unwrap()
    }
}

/// Writes as the supervisor does: one read after the other, and the stream's end.
fn write(log: &mut LogWriter, reads: &[&[u8]]) {
    let mut lines = LineSplitter::default();
    for read in reads {
        lines.feed(read, |block| log.append(LogStream::Stdout, NOW, block));
    }
    lines.finish(|block| log.append(LogStream::Stdout, NOW, block));
}

fn read_all(mut reader: LogReader, max_bytes: usize) -> Result<Vec<LogRecord>, LogError> {
    let mut records = Vec::new();
    loop {
        let batch = reader.read_batch(max_bytes)?;
        if batch.is_empty() {
            return Ok(records);
        }
        records.extend(batch);
    }
}

/// The program's bytes, put together again; a last line feed that it did not write is added.
fn joined(records: &[LogRecord]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        bytes.extend_from_slice(&record.content);
        if !record.partial {
            bytes.push(b'\n');
        }
    }
    bytes
}

fn texts(records: &[LogRecord]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(&record.content).into_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_written_in_whatever_pieces_is_read_as_it_was(
        reads in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 1..200),
                (1_usize..60_000, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
            ],
            0..8,
        ),
        max_bytes in 1_usize..100_000,
        last in 0_usize..20,
    ) {
        let scratch = Scratch::new();
        let mut log = scratch.writer(NO_LIMIT);
        write(&mut log, &reads.iter().map(Vec::as_slice).collect::<Vec<_>>());
        log.finish(NOW);
        let records = read_all(scratch.reader(), max_bytes).unwrap();
        let mut written = reads.concat();
        if written.last().is_some_and(|byte| *byte != b'\n') {
            written.push(b'\n');
        }
        prop_assert_eq!(joined(&records), written);
        for (sequence, record) in (0..).zip(&records) {
            prop_assert_eq!(record.sequence, sequence);
            prop_assert!(record.content.len() <= MAX_LINE_BYTES);
        }
        let mut reader = scratch.reader();
        reader.skip_to_last(last).unwrap();
        let first = records.len().saturating_sub(last);
        let end = if last == 0 { Vec::new() } else { read_all(reader, max_bytes).unwrap() };
        prop_assert_eq!(&end, &records[first..]);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let scratch = Scratch::new();
        let mut log = scratch.writer(NO_LIMIT);
        write(&mut log, &[b"good\n"]);
        let end = fs::metadata(scratch.path()).unwrap().len();
        OpenOptions::new().write(true).open(scratch.path()).unwrap().write_all_at(&bytes, end).unwrap();
        let mut reader = scratch.reader();
        prop_assert_eq!(&reader.read_batch(1).unwrap()[0].content[..], b"good");
        let _ = read_all(reader, 1000);
    }
}

#[test]
fn a_log_cut_off_anywhere_is_read_up_to_its_last_whole_record_and_on_once_there_is_more() {
    let scratch = Scratch::new();
    let mut log = scratch.writer(NO_LIMIT);
    write(&mut log, &[b"one\ntwo\nthree\n"]);
    let whole = fs::read(scratch.path()).unwrap();
    for cut in 0..=whole.len() {
        fs::write(scratch.path(), &whole[..cut]).unwrap();
        let mut reader = scratch.reader();
        let mut seen = texts(&reader.read_batch(1000).unwrap());
        fs::write(scratch.path(), &whole).unwrap();
        let mut resumed = LogReader::resume(&scratch.path(), reader.offset()).unwrap();
        seen.extend(texts(&resumed.read_batch(1000).unwrap()));
        assert_eq!(seen, ["one", "two", "three"], "cut at {cut}");
    }
}

#[test]
fn damage_is_told_with_its_place_after_all_that_is_good() {
    let scratch = Scratch::new();
    let mut log = scratch.writer(NO_LIMIT);
    write(&mut log, &[b"one\n"]);
    let place = fs::metadata(scratch.path()).unwrap().len();
    write(&mut log, &[b"two\n"]);
    let file = OpenOptions::new().write(true).open(scratch.path()).unwrap();
    for (at, bytes, expected) in [
        (place, &[0xff; 4][..], "a record has an impossible length"),
        (place + 4, &[9], "a record is of no known stream"),
        (place + 5, &[7], "a record has another number than the next one"),
    ] {
        let before = fs::read(scratch.path()).unwrap();
        file.write_all_at(bytes, at).unwrap();
        let mut reader = scratch.reader();
        assert_eq!(texts(&reader.read_batch(1000).unwrap()), ["one"]);
        let error = reader.read_batch(1000).unwrap_err();
        assert!(
            matches!(error, LogError::Damaged { offset, what, .. } if (offset, what) == (place, expected)),
            "{error}"
        );
        file.write_all_at(&before, 0).unwrap();
    }
    fs::write(scratch.path(), "some text").unwrap();
    let error = scratch.reader().read_batch(1000).unwrap_err();
    assert!(matches!(error, LogError::NotALog { .. }), "{error}");
}

#[test]
fn what_a_full_disk_swallowed_is_told_once_there_is_room() {
    let scratch = Scratch::new();
    let mut log = scratch.writer(NO_LIMIT);
    write(&mut log, &[b"before\n"]);
    let disk = log.replace_file(File::options().write(true).open("/dev/full").unwrap());
    write(&mut log, &[b"lost\nlost\n"]);
    write(&mut log, &[b"lost too\n"]);
    log.replace_file(disk);
    write(&mut log, &[b"after\n"]);
    log.finish(NOW);
    let records = read_all(scratch.reader(), 1000).unwrap();
    let said = "19 bytes (3 lines) are missing here: the log could not be written; see whether its disk is full";
    assert_eq!(texts(&records), ["before", said, "after"]);
    assert_eq!(records[1].stream, LogStream::System);
}

#[test]
fn a_log_at_its_limit_loses_nothing_while_the_rest_fits_the_tail() {
    let scratch = Scratch::new();
    let mut log = scratch.writer(100);
    let lines: Vec<String> = (0..1000).map(|line| format!("line {line}")).collect();
    for line in &lines {
        write(&mut log, &[line.as_bytes(), b"\n"]);
    }
    log.finish(NOW);
    assert_eq!(texts(&read_all(scratch.reader(), 1000).unwrap()), lines);
}
