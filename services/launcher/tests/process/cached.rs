//! Results that are kept, and taken instead of running anything.

use std::{sync::Arc, time::Duration};

use windlass_engine::{event::AttemptPhase, record::CacheSource, time::Timestamp};
use windlass_launcher::{
    log_file::LogStream,
    runtime::{AttemptSpec, CacheUse, CachedResult, KeepResult, Runtime as _},
};
use windlass_proto::cache_key::CacheKey;

use crate::host::{Host, key, script};

/// An attempt that must not run, and the result that is taken for it.
fn taken(step: u32, outputs: Option<&str>) -> (AttemptSpec, AttemptPhase) {
    let source = CacheSource {
        run: "run_ponmlkjihgfedcba9876543210".to_owned(),
        step: "prepare.load".to_owned(),
        ended_at: Timestamp(1_700_000_000_500),
    };
    let outputs: Option<Arc<str>> = outputs.map(Into::into);
    let cached = CachedResult { outputs: outputs.clone(), source: source.clone() };
    let spec = script(step, "touch \"$WINDLASS_RUN_DIR/ran\"");
    (AttemptSpec { cached: Some(cached), ..spec }, AttemptPhase::Cached(outputs, source))
}

#[tokio::test]
async fn an_attempt_with_a_result_is_over_without_a_process_and_its_log_says_why() {
    let mut host = Host::new();
    for (step, outputs) in [(1, Some("{\"rows\": 3}")), (2, None)] {
        let (spec, expected) = taken(step, outputs);
        let report = host.run(spec).await;
        assert_eq!(report.phase, expected);
        assert_eq!((report.started_at, report.created_at), (None, report.ended_at));
        let [line] = &host.log(key(step))[..] else { panic!("one line") };
        assert_eq!(line.stream, LogStream::System);
        assert_eq!(
            String::from_utf8_lossy(&line.content),
            "nothing was run: the result is that of step `prepare.load` of run_ponmlkjihgfedcba9876543210, of \
             2023-11-14T22:13:20.500Z"
        );
    }
    assert!(!host.run_dir().join("ran").exists());
}

#[tokio::test]
async fn what_was_taken_stays_so_whoever_asks_and_whatever_is_ordered_later() {
    let mut host = Host::new();
    let (spec, expected) = taken(1, Some("{}"));
    assert_eq!(host.run(spec.clone()).await.phase, expected);
    // The order comes again, and there is no result any more.
    let again = host.run(AttemptSpec { cached: None, ..spec }).await;
    assert_eq!(again.phase, expected);
    host.runtime().stop(key(1)).await;
    assert_eq!(host.end_of(key(1)).await.phase, expected);
    host.restart_launcher();
    assert_eq!(host.end_of(key(1)).await.phase, expected);
    assert!(host.runtime().probe(key(1)).await);
    assert_eq!(host.end_of(key(1)).await.phase, expected);
    assert!(!host.run_dir().join("ran").exists());
}

#[tokio::test]
async fn an_attempt_that_runs_goes_on_though_there_is_a_result_by_now() {
    let mut host = Host::new();
    let (spec, _) = taken(1, None);
    let waits = script(1, crate::host::WAIT);
    host.start(waits).await;
    host.running(key(1)).await;
    host.start(spec).await;
    assert_eq!(host.report_of(key(1)).await.phase, AttemptPhase::Running);
    host.release();
    assert_eq!(host.end_of(key(1)).await.phase, AttemptPhase::Succeeded(None));
}

#[tokio::test]
async fn a_success_tells_how_it_is_kept_to_every_launcher_and_nothing_else_does() {
    let mut host = Host::new();
    let cache = Some(CacheUse { key: CacheKey([7; 32]), max_age: Duration::from_secs(1) });
    let cached = |step, body| AttemptSpec { cache, ..script(step, body) };
    host.start(cached(1, "printf '{}' > \"$WINDLASS_OUTPUT\"")).await;
    let kept = Some(KeepResult { key: [7; 32], step: "step-1".to_owned() });
    assert_eq!(host.kept_of(key(1)).await, kept);
    host.start(cached(2, "exit 3")).await;
    assert_eq!(host.kept_of(key(2)).await, None);
    host.start(script(3, ":")).await;
    assert_eq!(host.kept_of(key(3)).await, None);
    host.restart_launcher();
    assert_eq!(host.kept_of(key(1)).await, kept);
}
