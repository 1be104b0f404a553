//! From messages to the work of a turn: which runs are to be looked at, and with which events.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use tracing::error;
use windlass_engine::event::Event;
use windlass_proto::{convert, id::RunId, v1};

/// What a turn is to do, by run.
pub(crate) type Work = BTreeMap<RunId, RunWork>;

/// What a turn is to do about one run. Nothing at all means: load it, so that what it owes is done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct RunWork {
    /// Events, in order.
    pub(crate) events: Vec<Event>,
    /// Whether there may be orders in the run's inbox.
    pub(crate) orders: bool,
}

/// Adds what a message says. What cannot be understood never will be: it is named in the log and left out.
pub(crate) fn add(work: &mut Work, payload: &Bytes) {
    let batch = match v1::EventBatch::decode(payload.as_ref()) {
        Ok(batch) => batch,
        Err(error) => {
            return error!(%error, bytes = payload.len(), "event message dropped: it is not an EventBatch");
        }
    };
    for run in batch.runs {
        match run.run_id.parse::<RunId>() {
            Ok(id) => add_run(work.entry(id).or_default(), id, run.events),
            Err(error) => error!(%error, "events dropped: they name no run"),
        }
    }
}

fn add_run(work: &mut RunWork, run: RunId, events: Vec<v1::Event>) {
    for event in events {
        match event.event {
            Some(v1::event::Event::Submitted(_)) => work.events.push(Event::Submitted),
            Some(v1::event::Event::Order(_)) => work.orders = true,
            Some(v1::event::Event::Report(report)) => match convert::report_from_proto(report) {
                Ok(report) => work.events.push(Event::Report(report)),
                Err(error) => error!(%run, %error, "report dropped"),
            },
            None => error!(%run, "event dropped: it is of no known kind"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_engine::{
        event::{AttemptPhase, AttemptReport},
        record::StepIndex,
    };

    #[test]
    fn what_cannot_be_understood_is_left_out_and_the_rest_is_kept() {
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
        let batch = v1::EventBatch {
            runs: vec![
                v1::RunEvents { run_id: "nonsense".into(), events: events.clone() },
                v1::RunEvents { run_id: run.to_string(), events },
            ],
        };
        let mut work = Work::new();
        add(&mut work, &batch.encode_to_vec().into());
        add(&mut work, &Bytes::from_static(b"\xff\xff"));
        let expected = RunWork { events: vec![Event::Report(report)], orders: true };
        assert_eq!(work, Work::from([(run, expected)]));
    }
}
