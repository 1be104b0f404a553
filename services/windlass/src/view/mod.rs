//! Showing a run while it goes on: to a person at a terminal, as plain lines, or to a program.

mod json;
mod live;
mod plain;
mod quiet;
mod told;

use std::io::{self, IsTerminal as _};

use windlass_client::v1::{LogLine, Run, StepStatus};

use self::{json::Json, live::Live, plain::Plain, quiet::Quiet};
use crate::{
    args::OutputFormat,
    follow::StepChange,
    render::{Summary, Theme},
};

/// The most steps of a run whose steps are told one by one.
const MAX_TOLD_STEPS: u32 = 1000;

/// Shows a run. Errors are those of standard output.
pub(crate) trait View: Send {
    /// Whether the steps of a run of so many are wanted, or the run alone.
    fn wants_steps(&self, total: u32) -> bool;

    /// The run is in another state than before.
    fn run_changed(&mut self, run: &Run) -> io::Result<()>;

    /// These steps are other than before.
    fn steps_changed(&mut self, run: &Run, changes: &[&StepChange]) -> io::Result<()>;

    /// Steps wrote these lines.
    fn lines(&mut self, lines: &[&LogLine]) -> io::Result<()>;

    /// Some time has passed, or the numbers are others.
    fn tick(&mut self, run: &Run, steps: &[StepStatus]) -> io::Result<()>;

    /// Tells a person something that is not of the run.
    fn note(&mut self, text: &str);

    /// The run has ended.
    fn end(&mut self, summary: &Summary) -> io::Result<()>;
}

/// The view that fits the format and where standard output leads.
pub(crate) fn of(format: OutputFormat, quiet: bool) -> Box<dyn View> {
    match format {
        OutputFormat::Json => Box::new(Json::new(quiet)),
        OutputFormat::Text if quiet => Box::new(Quiet::with_summary(Theme::stdout())),
        OutputFormat::Text if io::stdout().is_terminal() => Box::new(Live::new(Theme::stdout())),
        OutputFormat::Text => Box::new(Plain::new(Theme::stdout())),
    }
}

/// The view that shows nothing: for a run whose output nobody reads any more.
pub(crate) fn silent() -> Box<dyn View> {
    Box::new(Quiet::silent())
}
