//! Pipelines whose steps leave a line for every time they are started.

use std::{collections::BTreeMap, fs, path::PathBuf};

use windlass_proto::v1::{self, step::Work};

use crate::deployment::eventually;

/// Where starts are written down.
#[derive(Debug)]
pub(crate) struct Ledger(PathBuf);

impl Ledger {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// A step that writes itself down, then does what the script says.
    pub(crate) fn step(&self, name: &str, depends_on: &[String], script: &str) -> v1::Step {
        let line = r#"echo "$WINDLASS_RUN_ID $WINDLASS_STEP $WINDLASS_ATTEMPT""#;
        let script = format!("{line} >> '{}'; {script}", self.0.display());
        let command = ["/bin/sh", "-euc", &script].map(str::to_owned).to_vec();
        let task = v1::Task { command, ..Default::default() };
        v1::Step {
            name: name.to_owned(),
            depends_on: depends_on.to_vec(),
            work: Some(Work::Task(Box::new(task))),
            ..Default::default()
        }
    }

    /// A first step, many beside each other, and a last one, each of which takes a moment.
    pub(crate) fn diamond(&self, width: u32) -> v1::Pipeline {
        let name = |index| format!("s{index}");
        let mut steps = vec![self.step(&name(0), &[], "sleep 0.05")];
        steps.extend((1..=width).map(|index| self.step(&name(index), &[name(0)], "sleep 0.1")));
        let all: Vec<String> = (1..=width).map(name).collect();
        steps.push(self.step(&name(width + 1), &all, ":"));
        v1::Pipeline { name: "diamond".into(), steps, ..Default::default() }
    }

    /// Many steps beside each other that take no time.
    pub(crate) fn wide(&self, width: u32) -> v1::Pipeline {
        let steps = (0..width).map(|index| self.step(&format!("s{index}"), &[], ":")).collect();
        v1::Pipeline { name: "wide".into(), steps, ..Default::default() }
    }

    /// One step, which ends once this has been [let go](Self::let_go).
    pub(crate) fn held(&self) -> v1::Pipeline {
        self.held_beside_each_other(1)
    }

    /// Steps beside each other, which end once this has been [let go](Self::let_go).
    pub(crate) fn held_beside_each_other(&self, width: u32) -> v1::Pipeline {
        let wait = format!("until {}; do sleep 0.05; done", self.is_let_go());
        let steps = (0..width).map(|index| self.step(&format!("s{index}"), &[], &wait)).collect();
        v1::Pipeline { name: "held".into(), steps, ..Default::default() }
    }

    pub(crate) fn let_go(&self) {
        fs::write(self.released(), "").expect("the file is written");
    }

    /// The test of a shell whether this has been let go; or is gone, with a test that failed.
    pub(crate) fn is_let_go(&self) -> String {
        format!("[ -e '{}' ] || [ ! -e '{}' ]", self.released().display(), self.0.display())
    }

    fn released(&self) -> PathBuf {
        self.0.with_extension("released")
    }

    /// How often each attempt of a run was started, by step and number.
    pub(crate) fn starts(&self, run_id: &str) -> BTreeMap<(String, u32), u32> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let mut starts = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.split(' ');
            if words.next() == Some(run_id) {
                let step = words.next().expect("a line has a step").to_owned();
                let attempt = words.next().expect("a line has an attempt");
                let attempt = attempt.parse().expect("an attempt is a number");
                *starts.entry((step, attempt)).or_default() += 1;
            }
        }
        starts
    }

    /// Asserts that each step of a diamond was started once. It need not be its first attempt: one whose launcher was killed
    /// before it had begun is lost without a trace.
    pub(crate) fn assert_each_once(&self, run_id: &str, width: u32) {
        let mut starts = BTreeMap::new();
        for ((step, _), count) in self.starts(run_id) {
            *starts.entry(step).or_default() += count;
        }
        let expected = (0..width + 2).map(|index| (format!("s{index}"), 1)).collect();
        assert_eq!(starts, expected);
    }

    /// Asserts that each step of a diamond was done by its first attempt, and that this was started once: what is left where
    /// nothing goes wrong.
    pub(crate) fn assert_undisturbed(&self, run_id: &str, width: u32) {
        let expected = (0..width + 2).map(|index| ((format!("s{index}"), 1), 1)).collect();
        assert_eq!(self.starts(run_id), expected, "of {run_id}");
    }

    /// Waits until so many attempts of all runs have been started.
    pub(crate) async fn until_started(&self, count: usize) {
        eventually(&format!("{count} attempts are started"), async || {
            let text = fs::read_to_string(&self.0).unwrap_or_default();
            (text.lines().count() >= count).then_some(())
        })
        .await;
    }
}
