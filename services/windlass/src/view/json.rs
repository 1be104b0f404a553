//! For programs: one event per line.

use std::io;

use windlass_client::v1::{LogLine, Reason, Run, RunState, StepStatus};

use super::View;
use crate::{document::EventDocument, output, render::Summary};

pub(super) struct Json {
    /// Only the end is told.
    quiet: bool,
    /// The run as it was last told.
    told: Option<(RunState, Reason)>,
}

impl Json {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, told: None }
    }
}

impl View for Json {
    fn wants_steps(&self, _total: u32) -> bool {
        !self.quiet
    }

    fn changed(&mut self, run: &Run, steps: &[StepStatus], changed: &[u32]) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let now = (run.state(), run.reason());
        if self.told.replace(now) != Some(now) {
            output::json_line(&EventDocument::Run { run: Box::new(run.into()) })?;
        }
        for step in changed.iter().filter_map(|index| steps.get(*index as usize)) {
            output::json_line(&EventDocument::Step { step: Box::new(step.into()) })?;
        }
        Ok(())
    }

    fn lines(&mut self, lines: &[LogLine]) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        lines
            .iter()
            .try_for_each(|line| output::json_line(&EventDocument::Log { line: line.into() }))
    }

    fn tick(&mut self, _run: &Run, _steps: &[StepStatus]) -> io::Result<()> {
        Ok(())
    }

    fn note(&mut self, text: &str) {
        output::note(text);
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        output::json_line(&EventDocument::End { run: Box::new((&summary.run).into()) })
    }
}
