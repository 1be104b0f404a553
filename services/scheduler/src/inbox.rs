//! From messages to the work of a turn: which runs are to be looked at, and with which events.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use prost::Message as _;
use windlass_engine::{event::Event, output::AttemptRef, record::StepIndex};
use windlass_proto::{convert, id::RunId, subject::Subject, v1};
use windlass_service::dead_letters::Refused;

use crate::results::ReportedResult;

/// What a turn is to do, by run.
pub(crate) type Work = BTreeMap<RunId, RunWork>;

/// What a turn is to do about one run. Nothing at all means: load it, so that what it owes is done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct RunWork {
    /// Events, in order.
    pub(crate) events: Vec<Event>,
    /// Whether there may be orders in the run's inbox.
    pub(crate) orders: bool,
    /// Whether time may let steps start that stand in line for limits, and when is not known here.
    pub(crate) lines: bool,
}

/// What a message says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Inbox {
    /// Its events. A run that a refused record speaks of is told so by an event.
    pub(crate) work: Work,
    /// What can never be understood.
    pub(crate) refused: Vec<Refused>,
    /// Results that are to be kept, once what tells of them is committed.
    pub(crate) results: Vec<ReportedResult>,
    /// Whether it holds an event of a kind that is not known: a newer program will understand it.
    pub(crate) newer: bool,
}

impl Inbox {
    /// Reads a message.
    pub(crate) fn read(payload: &Bytes) -> Self {
        let mut inbox = Self::default();
        match v1::EventBatch::decode(payload.as_ref()) {
            Ok(batch) => batch.runs.into_iter().for_each(|run| inbox.add_run(run)),
            Err(error) => inbox.refused.push(Refused {
                run: None,
                reason: format!("the message is no batch of events: {error}"),
                record: payload.clone(),
            }),
        }
        inbox
    }

    fn add_run(&mut self, run: v1::RunEvents) {
        let id = match run.run_id.parse::<RunId>() {
            Ok(id) => id,
            Err(error) => {
                let record = run.encode_to_vec().into();
                let reason = format!("the events name no run: {error}");
                return self.refused.push(Refused { run: None, reason, record });
            }
        };
        let work = self.work.entry(id).or_default();
        for event in run.events {
            match event.event {
                Some(v1::event::Event::Submitted(_)) => work.events.push(Event::Submitted),
                Some(v1::event::Event::Order(_)) => work.orders = true,
                Some(v1::event::Event::Report(mut report)) => {
                    if report.reason() == v1::Reason::RunDefect {
                        // Nobody can tell what becomes of the attempt: its run fails, and does not wait for it.
                        work.events.push(Event::Defect(report.message.as_str().into()));
                        report.set_reason(v1::Reason::Lost);
                    }
                    let record = report.encode_to_vec();
                    let keep = report.keep.take();
                    match convert::report_from_proto(report) {
                        Ok(report) => {
                            let result = keep.and_then(|it| ReportedResult::of(id, &report, it));
                            self.results.extend(result);
                            work.events.push(Event::Report(report));
                        }
                        Err(error) => {
                            let (run, reason, record) =
                                (Some(id), error.to_string(), record.into());
                            let refused = Refused { run, reason, record };
                            work.events.push(Event::Defect(defect(&refused)));
                            self.refused.push(refused);
                        }
                    }
                }
                Some(v1::event::Event::LimitsGranted(v1::LimitsGranted { step, attempt })) => {
                    let attempt = AttemptRef { step: StepIndex(step), attempt };
                    work.events.push(Event::Granted(attempt));
                }
                Some(v1::event::Event::LimitSet(v1::LimitSet {})) => work.lines = true,
                None => self.newer = true,
            }
        }
    }
}

/// Adds work to work.
pub(crate) fn add(work: &mut Work, more: Work) {
    for (run, RunWork { events, orders, lines }) in more {
        let known = work.entry(run).or_default();
        known.events.extend(events);
        known.orders |= orders;
        known.lines |= lines;
    }
}

/// An event that the engine refused, as a record.
pub(crate) fn refused_by_engine(
    run: RunId,
    event: &Event,
    reason: &impl ToString,
) -> Option<Refused> {
    let Event::Report(report) = event else {
        return None;
    };
    let record = convert::report_to_proto(report).encode_to_vec().into();
    Some(Refused { run: Some(run), reason: reason.to_string(), record })
}

/// What a run is told that fails because of a record that was refused: it would wait for ever for what that told.
pub(crate) fn defect(refused: &Refused) -> Arc<str> {
    let reason = &refused.reason;
    format!(
        "a record about the run was refused for good: {reason}; it is kept on `{}`",
        Subject::DeadLetter
    )
    .into()
}

/// What a run is told that fails because its own record cannot be read.
pub(crate) fn unreadable(error: &impl ToString) -> Arc<str> {
    format!("what is stored of the run cannot be read: {}", error.to_string()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_engine::{
        event::{AttemptPhase, AttemptReport},
        record::StepIndex,
    };

    #[test]
    fn what_cannot_be_understood_is_refused_and_fails_its_run_and_the_rest_is_kept() {
        let run: RunId = "run_0123456789abcdefghijklmnop".parse().unwrap();
        let event = |event| v1::Event { event: Some(event) };
        let report = AttemptReport {
            step: StepIndex(3),
            attempt: 1,
            phase: AttemptPhase::Running,
            created_at: None,
            started_at: None,
            ended_at: None,
        };
        let events = vec![
            v1::Event { event: None },
            event(v1::event::Event::Report(v1::AttemptReport::default())),
            event(v1::event::Event::Report(convert::report_to_proto(&report))),
            event(v1::event::Event::Order(v1::OrderPlaced {})),
        ];
        let nameless = v1::RunEvents { run_id: "nonsense".into(), events: events.clone() };
        let batch = v1::EventBatch {
            runs: vec![nameless.clone(), v1::RunEvents { run_id: run.to_string(), events }],
        };
        let inbox = Inbox::read(&batch.encode_to_vec().into());
        let [no_run, no_phase] = &inbox.refused[..] else { panic!("{inbox:?}") };
        assert_eq!((no_run.run, &no_run.record[..]), (None, &nameless.encode_to_vec()[..]));
        assert_eq!((no_phase.run, &no_phase.record[..]), (Some(run), &[][..]));
        let events = vec![Event::Defect(defect(no_phase)), Event::Report(report)];
        assert_eq!(inbox.work, Work::from([(run, RunWork { events, orders: true, lines: false })]));
        assert!(inbox.newer);
    }

    #[test]
    fn an_attempt_that_nobody_can_tell_of_fails_its_run_and_has_ended() {
        let run: RunId = "run_0123456789abcdefghijklmnop".parse().unwrap();
        let told = v1::AttemptReport {
            step: 3,
            attempt: 1,
            phase: v1::AttemptPhase::Ended.into(),
            reason: v1::Reason::RunDefect.into(),
            message: "its claim is damaged".into(),
            ..v1::AttemptReport::default()
        };
        let lost = v1::AttemptReport { reason: v1::Reason::Lost.into(), ..told.clone() };
        let event = v1::Event { event: Some(v1::event::Event::Report(told)) };
        let batch = v1::EventBatch {
            runs: vec![v1::RunEvents { run_id: run.to_string(), events: vec![event] }],
        };
        let inbox = Inbox::read(&batch.encode_to_vec().into());
        let ended = Event::Report(convert::report_from_proto(lost).unwrap());
        let events = vec![Event::Defect("its claim is damaged".into()), ended];
        assert_eq!(
            inbox.work,
            Work::from([(run, RunWork { events, orders: false, lines: false })])
        );
        assert_eq!(inbox.refused, []);
    }

    #[test]
    fn a_message_that_is_none_is_refused_as_a_whole() {
        let payload = Bytes::from_static(b"\xff\xff");
        let inbox = Inbox::read(&payload);
        assert_eq!((inbox.work, inbox.newer), (Work::new(), false));
        assert_eq!((inbox.refused[0].run, &inbox.refused[0].record), (None, &payload));
    }
}
