//! Nothing while the run goes on; at most its summary.

use std::io;

use windlass_client::v1::{LogLine, Run, StepStatus};

use super::View;
use crate::{
    follow::StepChange,
    output,
    render::{self, Summary, Theme},
};

pub(super) struct Quiet {
    summary: Option<Theme>,
}

impl Quiet {
    pub(super) fn with_summary(theme: Theme) -> Self {
        Self { summary: Some(theme) }
    }

    pub(super) fn silent() -> Self {
        Self { summary: None }
    }
}

impl View for Quiet {
    fn wants_steps(&self, _total: u32) -> bool {
        false
    }

    fn run_changed(&mut self, _run: &Run) -> io::Result<()> {
        Ok(())
    }

    fn steps_changed(&mut self, _run: &Run, _changes: &[&StepChange]) -> io::Result<()> {
        Ok(())
    }

    fn lines(&mut self, _lines: &[&LogLine]) -> io::Result<()> {
        Ok(())
    }

    fn tick(&mut self, _run: &Run, _steps: &[StepStatus]) -> io::Result<()> {
        Ok(())
    }

    fn note(&mut self, text: &str) {
        output::note(text);
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        match &self.summary {
            Some(theme) => output::write_bytes(render::summary(summary, theme).as_bytes()),
            None => Ok(()),
        }
    }
}
