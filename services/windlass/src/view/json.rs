//! For programs: one event per line.

use std::io;

use windlass_client::v1::{LogLine, Run, StepStatus};

use super::View;
use crate::{document::EventDocument, follow::StepChange, output, render::Summary};

pub(super) struct Json {
    /// Only the end is told.
    quiet: bool,
}

impl Json {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet }
    }
}

impl View for Json {
    fn wants_steps(&self, _total: u32) -> bool {
        !self.quiet
    }

    fn run_changed(&mut self, run: &Run) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        output::json_line(&EventDocument::Run { run: Box::new(run.into()) })
    }

    fn steps_changed(&mut self, _run: &Run, changes: &[&StepChange]) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        changes.iter().try_for_each(|change| {
            output::json_line(&EventDocument::Step { step: Box::new((&change.step).into()) })
        })
    }

    fn lines(&mut self, lines: &[&LogLine]) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        lines
            .iter()
            .try_for_each(|line| output::json_line(&EventDocument::Log { line: (*line).into() }))
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
