//! At a terminal: lines scroll by, and below them is what runs now and how far it is.

use std::io;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use windlass_client::v1::{LogLine, Run, StepState, StepStatus};

use super::{MAX_TOLD_STEPS, View, told::Told};
use crate::{
    follow::StepChange,
    output,
    render::{self, Summary, Theme, lines},
};

/// The most steps of a run that are looked through for those that run.
const MAX_SHOWN_STEPS: u32 = 10_000;

pub(super) struct Live {
    theme: Theme,
    /// Paints the part that changes, and keeps it below what scrolls.
    area: ProgressBar,
    told: Told,
}

impl Live {
    pub(super) fn new(theme: Theme) -> Self {
        let style = ProgressStyle::with_template("{msg}")
            .expect("a template that is written here is lawful");
        let area =
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style);
        Self { theme, area, told: Told::default() }
    }
}

impl View for Live {
    fn wants_steps(&self, total: u32) -> bool {
        total <= MAX_SHOWN_STEPS
    }

    fn run_changed(&mut self, _run: &Run) -> io::Result<()> {
        Ok(())
    }

    fn steps_changed(&mut self, run: &Run, changes: &[&StepChange]) -> io::Result<()> {
        if run.step_counts.unwrap_or_default().total > MAX_TOLD_STEPS {
            return Ok(());
        }
        let news = self.told.news(changes, &self.theme).into_iter();
        // That a step started is seen below.
        let news = news.filter(|news| news.state != StepState::Running);
        let text: Vec<_> = news.map(|news| news.text).collect();
        if !text.is_empty() {
            self.area.println(text.join("\n"));
        }
        Ok(())
    }

    fn lines(&mut self, lines: &[&LogLine]) -> io::Result<()> {
        let width = self.told.name_width(lines);
        let lines = lines.iter().map(|line| lines::log_line(line, width, &self.theme));
        self.area.println(lines.collect::<Vec<_>>().join("\n"));
        Ok(())
    }

    fn tick(&mut self, run: &Run, steps: &[StepStatus]) -> io::Result<()> {
        // A terminal's size changes while a run goes on.
        let Theme { width, height, .. } = Theme::stdout();
        (self.theme.width, self.theme.height) = (width, height);
        self.area.set_message(render::live::live(run, steps, Timestamp::now(), &self.theme));
        Ok(())
    }

    fn note(&mut self, text: &str) {
        self.area.suspend(|| output::note(text));
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        self.area.finish_and_clear();
        output::write_bytes(format!("\n{}", render::summary(summary, &self.theme)).as_bytes())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.area.finish_and_clear();
    }
}
