//! Tells schedulers what a runtime reports: what came in while a partition's message before was on its way goes into its next one.
//!
//! An end is told at once: other steps wait for it. That an attempt exists or runs waits a little for something to travel with:
//! nothing starts because of it, and a message, a turn of a scheduler and a commit cost as much for one report as for
//! many.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, future, stream::FuturesUnordered};
use prost::Message as _;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use windlass_bus::{Bus, BusError};
use windlass_engine::{
    event::{AttemptPhase, AttemptReport},
    reason::{Failure, FailureReason},
};
use windlass_proto::{convert, id::RunId, subject::Subject, v1};
use windlass_service::{fail_point, recurring::Recurring};

use crate::runtime::Report;

/// The most reports taken at once.
const REPORTS: usize = 8192;

/// The size, in bytes, at which a message is full; its last report may be larger. Keeps it below the megabyte that buses take.
const MESSAGE_BYTES: usize = 256 << 10;

/// The most bytes of what is told of a failure: an API server may say much about a pod that it refuses.
const MESSAGE_OF_FAILURE: usize = 16 << 10;

/// The most bytes of a step's outputs. Supervisors allow less; a pod's status may be written by anybody who has the right.
const OUTPUTS: usize = 128 << 10;

/// How long the report of a start may wait for others. Far less than a person sees, or than a timer may be late.
const COMPANY: Duration = Duration::from_millis(50);

/// How long to wait after the bus has failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(250);

/// How long a launcher that ends tries to tell what it still knows.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Publishes reports until nobody can report any more, or until `stop`: then what is there is told, and no more.
pub(crate) async fn run(
    mut reports: mpsc::UnboundedReceiver<Report>,
    partitions: u32,
    bus: Arc<dyn Bus>,
    stop: CancellationToken,
) {
    let mut batch = Vec::new();
    let mut waiting: BTreeMap<u32, Draft> = BTreeMap::new();
    let (mut under_way, mut busy) = (FuturesUnordered::new(), BTreeSet::new());
    loop {
        let ready = waiting.iter().filter(|waiting| !busy.contains(waiting.0));
        let due = ready.map(|(_, draft)| draft.due).min();
        tokio::select! {
            received = reports.recv_many(&mut batch, REPORTS) => if received == 0 { break },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            Some(partition) = under_way.next() => { busy.remove(&partition); }
            () = stop.cancelled() => break,
        }
        let now = Instant::now();
        sort_in(batch.drain(..), partitions, now, &mut waiting);
        // The messages of a partition go one after the other, and no partition waits for another one.
        let may_go =
            |partition: &u32, draft: &mut Draft| draft.due <= now && busy.insert(*partition);
        for (partition, draft) in waiting.extract_if(.., may_go) {
            under_way.push(tell(partition, draft, &bus, &stop));
        }
    }
    while let Ok(report) = reports.try_recv() {
        batch.push(report);
    }
    sort_in(batch.drain(..), partitions, Instant::now(), &mut waiting);
    let never = CancellationToken::new();
    let rest = async {
        while under_way.next().await.is_some() {}
        future::join_all(waiting.into_iter().map(|(it, draft)| tell(it, draft, &bus, &never))).await
    };
    if timeout(LAST_WORDS, rest).await.is_err() {
        warn!("the last reports were not told; schedulers will ask for them");
    }
}

/// Adds reports to what waits for each partition; the reports of a run stay in order.
fn sort_in(
    reports: impl Iterator<Item = Report>,
    partitions: u32,
    now: Instant,
    waiting: &mut BTreeMap<u32, Draft>,
) {
    for report in reports {
        let due = if tells_a_start(&report.report.phase) { now + COMPANY } else { now };
        let partition = report.run.partition(partitions);
        let draft = waiting.entry(partition).or_insert_with(|| Draft::due(due));
        draft.due = draft.due.min(due);
        draft.add(report);
    }
}

/// Whether no step waits for what is reported.
fn tells_a_start(phase: &AttemptPhase) -> bool {
    match phase {
        AttemptPhase::Starting | AttemptPhase::Running => true,
        AttemptPhase::Succeeded(_)
        | AttemptPhase::Failed(_)
        | AttemptPhase::Stopped
        | AttemptPhase::NotCreated
        | AttemptPhase::Cached(..) => false,
    }
}

/// Publishes what is for a partition, and says which one that was.
async fn tell(partition: u32, draft: Draft, bus: &Arc<dyn Bus>, stop: &CancellationToken) -> u32 {
    fail_point::reach("launcher.reporting");
    publish(Subject::Event { partition }, draft.messages.into(), bus, stop).await;
    fail_point::reach("launcher.reported");
    partition
}

/// Publishes messages in their order. One that finds no room is parted: where there is little, small ones find some.
async fn publish(
    subject: Subject,
    mut messages: VecDeque<v1::EventBatch>,
    bus: &Arc<dyn Bus>,
    stop: &CancellationToken,
) {
    let mut troubles = Recurring::default();
    while let Some(message) = messages.pop_front() {
        let payload = Bytes::from(message.encode_to_vec());
        let Err(error) = bus.publish(subject, payload.into()).await else {
            continue;
        };
        if let Some(untold) = troubles.came(&error.to_string(), Instant::now()) {
            warn!(%subject, %error, untold, "reports wait");
        }
        match error {
            BusError::Full { .. } | BusError::TooLarge { .. } if events(&message) > 1 => {
                let (first, second) = halves(message);
                messages.push_front(second);
                messages.push_front(first);
            }
            // What is not told is asked for again by the schedulers, but late: trying on is worth it.
            error if error.is_retryable() => messages.push_front(message),
            _ => continue,
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn events(message: &v1::EventBatch) -> usize {
    message.runs.iter().map(|run| run.events.len()).sum()
}

/// Parts a message; the events of a run stay in order.
fn halves(mut first: v1::EventBatch) -> (v1::EventBatch, v1::EventBatch) {
    let mut second = v1::EventBatch::default();
    if let [only] = &mut first.runs[..] {
        let events = only.events.split_off(only.events.len() / 2);
        second.runs.push(v1::RunEvents { run_id: only.run_id.clone(), events });
    } else {
        second.runs = first.runs.split_off(first.runs.len() / 2);
    }
    (first, second)
}

/// Messages of one partition being put together.
#[derive(Debug)]
struct Draft {
    /// When they have to be on their way.
    due: Instant,
    messages: Vec<v1::EventBatch>,
    /// Of the last message.
    bytes: usize,
    /// Where runs are in the last message.
    places: HashMap<RunId, usize>,
}

impl Draft {
    fn due(due: Instant) -> Self {
        Self { due, messages: Vec::new(), bytes: 0, places: HashMap::new() }
    }

    fn add(&mut self, Report { run, report, keep }: Report) {
        let report = fitting(report);
        if self.messages.is_empty() || self.bytes >= MESSAGE_BYTES {
            self.messages.push(v1::EventBatch::default());
            self.bytes = 0;
            self.places.clear();
        }
        let message = self.messages.last_mut().expect("one was pushed where there was none");
        let keep = keep.map(|it| v1::KeepResult { key: it.key.to_vec(), step: it.step });
        let report = v1::AttemptReport { keep, ..convert::report_to_proto(&report) };
        let event = v1::Event { event: Some(v1::event::Event::Report(report)) };
        self.bytes += event.encoded_len();
        let place = *self.places.entry(run).or_insert_with(|| {
            message.runs.push(v1::RunEvents { run_id: run.to_string(), events: Vec::new() });
            message.runs.len() - 1
        });
        message.runs[place].events.push(event);
    }
}

/// A report that no bus finds too large: what is told of a failure is cut, and outputs that are too large are a failure.
fn fitting(mut report: AttemptReport) -> AttemptReport {
    match &mut report.phase {
        AttemptPhase::Failed(failure) if failure.message.len() > MESSAGE_OF_FAILURE => {
            let whole = &failure.message;
            let cut = whole.floor_char_boundary(MESSAGE_OF_FAILURE);
            failure.message =
                format!("{}… (the first {cut} of {} bytes)", &whole[..cut], whole.len());
        }
        AttemptPhase::Succeeded(Some(outputs)) if outputs.len() > OUTPUTS => {
            let message = format!(
                "the outputs take {} bytes, more than {OUTPUTS}; write large data to where other steps can read it, and its place as the output",
                outputs.len()
            );
            let reason = FailureReason::OutputInvalid;
            report.phase =
                AttemptPhase::Failed(Failure { reason, message, exit_code: None, signal: None });
        }
        _ => {}
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_engine::record::StepIndex;

    fn report(step: u32, phase: AttemptPhase) -> Report {
        let (step, attempt) = (StepIndex(step), 1);
        let (created_at, started_at, ended_at) = (None, None, None);
        let run = "run_0123456789abcdefghijklmnop".parse().unwrap();
        let report = AttemptReport { step, attempt, phase, created_at, started_at, ended_at };
        Report { run, report, keep: None }
    }

    #[test]
    fn messages_stay_small_and_the_reports_of_a_run_in_order() {
        let outputs = "x".repeat(60 << 10);
        let report = |step| report(step, AttemptPhase::Succeeded(Some(outputs.as_str().into())));
        let mut waiting = BTreeMap::new();
        sort_in((0..10).map(report), 4, Instant::now(), &mut waiting);
        sort_in((10..20).map(report), 4, Instant::now(), &mut waiting);
        let [Draft { messages, .. }] = &waiting.into_values().collect::<Vec<_>>()[..] else {
            panic!("one run is in one partition")
        };
        assert!(messages.iter().all(|it| it.encoded_len() < MESSAGE_BYTES + (64 << 10)));
        let steps = messages.iter().flat_map(|it| &it.runs).flat_map(|it| &it.events);
        let steps: Vec<u32> = steps
            .map(|event| match &event.event {
                Some(v1::event::Event::Report(report)) => report.step,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(steps, (0..20).collect::<Vec<_>>());
        assert!(messages.len() > 1);
    }

    #[test]
    fn no_report_is_too_large_for_a_message() {
        let told = |phase| fitting(report(0, phase).report).phase;
        let failed = |message: String| {
            let reason = FailureReason::Refused;
            AttemptPhase::Failed(Failure { reason, message, exit_code: None, signal: None })
        };
        let AttemptPhase::Failed(cut) = told(failed("ä".repeat(1 << 20))) else {
            panic!("a failure stays one")
        };
        assert!(cut.message.len() < MESSAGE_OF_FAILURE + 100);
        assert!(cut.message.ends_with("ä… (the first 16384 of 2097152 bytes)"), "{}", cut.message);
        let small = failed("ä".into());
        assert_eq!(told(small.clone()), small);
        let outputs = |bytes| AttemptPhase::Succeeded(Some("x".repeat(bytes).as_str().into()));
        assert_eq!(told(outputs(OUTPUTS)), outputs(OUTPUTS));
        let AttemptPhase::Failed(failure) = told(outputs(OUTPUTS + 1)) else { panic!("too large") };
        assert_eq!(failure.reason, FailureReason::OutputInvalid);
    }

    #[test]
    fn the_report_of_a_start_waits_a_little_and_goes_with_the_first_end() {
        let (now, mut waiting) = (Instant::now(), BTreeMap::new());
        let later = now + COMPANY / 2;
        let mut due_after = |phase, now| {
            sort_in([report(0, phase)].into_iter(), 1, now, &mut waiting);
            waiting[&0].due
        };
        assert_eq!(due_after(AttemptPhase::Starting, now), now + COMPANY);
        assert_eq!(due_after(AttemptPhase::Running, later), now + COMPANY, "no longer for another");
        assert_eq!(due_after(AttemptPhase::Stopped, later), later);
        assert_eq!(due_after(AttemptPhase::Running, later), later);
    }

    #[test]
    fn a_message_is_parted_down_to_single_events_and_nothing_is_lost_or_out_of_order() {
        let message = |runs: &[&[u32]]| {
            let report = |&step: &u32| v1::Event {
                event: Some(v1::event::Event::Report(v1::AttemptReport {
                    step,
                    ..Default::default()
                })),
            };
            let runs = runs.iter().enumerate().map(|(run, steps)| v1::RunEvents {
                run_id: run.to_string(),
                events: steps.iter().map(report).collect(),
            });
            v1::EventBatch { runs: runs.collect() }
        };
        let mut parts = VecDeque::from([message(&[&[1, 2, 3], &[4], &[5, 6]])]);
        let mut single = Vec::new();
        while let Some(part) = parts.pop_front() {
            if events(&part) == 1 {
                single.push(part);
                continue;
            }
            let (first, second) = halves(part);
            assert!(events(&first) > 0 && events(&second) > 0);
            parts.push_front(second);
            parts.push_front(first);
        }
        let all: Vec<_> = single.into_iter().flat_map(|it| it.runs).collect();
        let expected = [&[&[1_u32][..]][..], &[&[2]], &[&[3]]].map(message);
        assert_eq!(all[..3], expected.map(|it| it.runs.into_iter().next().unwrap()));
        let runs: Vec<&str> = all.iter().map(|it| &*it.run_id).collect();
        assert_eq!(runs, ["0", "0", "0", "1", "2", "2"]);
    }
}
