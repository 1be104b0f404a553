//! What attempts write.

use windlass_engine::event::AttemptPhase;
use windlass_launcher::log_file::{LogRecord, LogStream, MAX_LINE_BYTES};

use crate::host::{Host, key, script};

fn texts(records: &[LogRecord], stream: LogStream) -> Vec<&[u8]> {
    records.iter().filter(|record| record.stream == stream).map(|record| &*record.content).collect()
}

#[tokio::test]
async fn both_streams_are_kept_byte_for_byte() {
    let mut host = Host::new();
    let end = host.run(script(1, "printf 'a\\n\\n\\377\\376\\r\\nend'; echo oops >&2")).await;
    let records = host.log(key(1));
    let expected: [&[u8]; 4] = [b"a", b"", b"\xff\xfe\r", b"end"];
    assert_eq!(texts(&records, LogStream::Stdout), expected);
    assert_eq!(texts(&records, LogStream::Stderr), [b"oops"]);
    for (sequence, record) in (0..).zip(&records) {
        assert_eq!(record.sequence, sequence);
        assert!(end.started_at.unwrap() <= record.time);
    }
}

#[tokio::test]
async fn a_line_can_be_read_while_its_program_runs() {
    let mut host = Host::new();
    host.start(script(1, &format!("echo early; {} echo late", crate::host::WAIT))).await;
    host.running(key(1)).await;
    let early = crate::host::until(|| Some(host.log(key(1))).filter(|log| !log.is_empty())).await;
    assert_eq!(texts(&early, LogStream::Stdout), [b"early"]);
    host.release();
    host.end_of(key(1)).await;
    assert_eq!(texts(&host.log(key(1)), LogStream::Stdout), [&b"early"[..], b"late"]);
}

#[tokio::test]
async fn a_log_without_bounds_keeps_its_head_and_its_tail_and_says_what_is_missing() {
    let limit = 64 * 1024;
    let mut host = Host::with(2, limit);
    let body = "echo first; yes | head -c 200000000; echo last";
    assert_eq!(host.run(script(1, body)).await.phase, AttemptPhase::Succeeded(None));
    let records = host.log(key(1));
    let lines = texts(&records, LogStream::Stdout);
    assert_eq!((lines[0], *lines.last().unwrap()), (&b"first"[..], &b"last"[..]));
    let left_out = 1 + 100_000_000 + 1 - lines.len();
    let bytes = left_out * 2;
    let said = format!(
        "{bytes} bytes ({left_out} lines) were left out here: the log had reached its limit of {limit} bytes"
    );
    assert_eq!(texts(&records, LogStream::System), [said.as_bytes()]);
    let kept: usize = lines.iter().map(|line| line.len() + 1).sum();
    assert!(kept < 400_000, "{kept}");
    let size = std::fs::metadata(host.attempt_dir(key(1)).join("log")).unwrap().len();
    assert!(size < 8_000_000, "{size}");
}

#[tokio::test]
async fn a_line_that_never_ends_is_cut_into_parts() {
    let mut host = Host::new();
    host.run(script(1, "head -c 1000000 /dev/zero; sleep 0.01; echo; echo next")).await;
    let records = host.log(key(1));
    let (line, next) = records.split_at(records.len() - 1);
    assert_eq!(next[0].content, b"next"[..]);
    let (last, parts) = line.split_last().unwrap();
    assert!(parts.iter().all(|part| part.partial && part.content.len() == MAX_LINE_BYTES));
    assert!(!last.partial);
    assert_eq!(line.iter().map(|part| part.content.len()).sum::<usize>(), 1_000_000);
}
