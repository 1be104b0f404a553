//! Readers of logs whose streamer is killed.

use std::collections::BTreeMap;

use windlass_proto::v1;

use crate::{
    deployment::{Deployment, Kind, Program, submit},
    work::Ledger,
};

/// How many steps write beside each other.
const STEPS: u32 = 3;

/// How many lines have been read of all steps when the streamer is killed.
const READ: usize = 60;

/// Someone who reads on where they were: the contents of each step's lines, and the last line with its number and time.
#[derive(Default)]
struct Reader {
    lines: BTreeMap<String, Vec<String>>,
    last: BTreeMap<String, v1::LogLine>,
}

impl Reader {
    /// Reads until so many lines are known, or to the end.
    async fn read(&mut self, streamer: &Program, run_id: &str, until: usize) {
        let mut request =
            v1::StreamLogsRequest { run_id: run_id.to_owned(), follow: true, ..Default::default() };
        // Lines of several steps come merged by time, but one may be late. Of a step that has not been heard of, all are missing.
        if self.last.len() == STEPS as usize {
            let times = self.last.values().filter_map(|line| line.time);
            request.since = times.min_by_key(|time| (time.seconds, time.nanos));
        }
        let mut stream = streamer.logs().stream_logs(request).await.expect("followed").into_inner();
        while self.lines.values().map(Vec::len).sum::<usize>() < until {
            let Some(message) = stream.message().await.expect("it goes on") else { return };
            message.lines.into_iter().for_each(|line| self.take(line));
        }
    }

    fn take(&mut self, line: v1::LogLine) {
        let next = self.last.get(&line.step).map_or(0, |last| last.sequence + 1);
        if line.sequence < next {
            return;
        }
        assert_eq!(line.sequence, next, "a line of {} is missing", line.step);
        let content = String::from_utf8_lossy(&line.content).into_owned();
        self.lines.entry(line.step.clone()).or_default().push(content);
        self.last.insert(line.step.clone(), line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_whose_streamer_was_killed_reads_on_from_another_and_misses_nothing() {
    let deployment = Deployment::start().await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let (submitter, _scheduler, _launcher, doomed) = tokio::join!(
        deployment.program(Kind::Submitter),
        deployment.program(Kind::Scheduler),
        deployment.launcher("north", STEPS),
        deployment.program(Kind::Streamer),
    );
    let counting = |index: u32| {
        let script = format!(
            "i=0; until {}; do echo $i; i=$((i + 1)); sleep 0.02; done; echo of $i",
            ledger.is_let_go()
        );
        ledger.step(&format!("s{index}"), &[], &script)
    };
    let steps = (0..STEPS).map(counting).collect();
    let pipeline = v1::Pipeline { name: "counting".into(), steps, ..Default::default() };
    let run_id = submit(&submitter, &pipeline).await;

    let mut reader = Reader::default();
    reader.read(&doomed, &run_id, READ).await;
    doomed.kill();
    let heir = deployment.program(Kind::Streamer).await;
    reader.read(&heir, &run_id, 2 * READ).await;
    ledger.let_go();
    reader.read(&heir, &run_id, usize::MAX).await;

    assert_eq!(reader.lines.len(), STEPS as usize);
    for (step, mut lines) in reader.lines {
        let last = lines.pop();
        let expected: Vec<String> = (0..lines.len()).map(|number| number.to_string()).collect();
        assert_eq!(lines, expected, "of {step}");
        assert_eq!(last, Some(format!("of {}", lines.len())), "of {step}");
    }
}
