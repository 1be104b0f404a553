//! At a terminal: lines scroll by, and below them is what runs now and how far it is.

use std::io;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use windlass_client::v1::{LogLine, Run, StepState, StepStatus};

use super::{MAX_TOLD_STEPS, View, told::Told};
use crate::{
    output,
    render::{self, Summary, Theme, lines},
};

/// The most steps of a run that are looked through for those that run.
const MAX_SHOWN_STEPS: u32 = 10_000;
/// The widest that the column of steps' names becomes.
const MAX_NAME_WIDTH: usize = 20;

pub(super) struct Live {
    theme: Theme,
    /// Paints the part that changes, and keeps it below what scrolls.
    area: ProgressBar,
    told: Told,
    name_width: usize,
}

impl Live {
    pub(super) fn new(theme: Theme) -> Self {
        let style = ProgressStyle::with_template("{msg}")
            .expect("a template that is written here is lawful");
        let area =
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style);
        Self { theme, area, told: Told::default(), name_width: 0 }
    }
}

impl View for Live {
    fn wants_steps(&self, total: u32) -> bool {
        total <= MAX_SHOWN_STEPS
    }

    fn changed(&mut self, run: &Run, steps: &[StepStatus], changed: &[u32]) -> io::Result<()> {
        let total = run.step_counts.unwrap_or_default().total;
        let mut text = Vec::new();
        let told = if total <= MAX_TOLD_STEPS { changed } else { &[] };
        for step in told.iter().filter_map(|index| steps.get(*index as usize)) {
            let news = self.told.news(step, &self.theme);
            // That a step started is seen below.
            if step.state() != StepState::Running {
                text.extend(news);
            }
        }
        if !text.is_empty() {
            self.area.println(text.join("\n"));
        }
        self.tick(run, steps)
    }

    fn lines(&mut self, lines: &[LogLine]) -> io::Result<()> {
        for line in lines {
            self.name_width = self.name_width.max(line.step.len().min(MAX_NAME_WIDTH));
        }
        let lines = lines.iter().map(|line| lines::log_line(line, self.name_width, &self.theme));
        self.area.println(lines.collect::<Vec<_>>().join("\n"));
        Ok(())
    }

    fn tick(&mut self, run: &Run, steps: &[StepStatus]) -> io::Result<()> {
        // A terminal's width changes while a run goes on.
        self.theme.width = Theme::stdout().width;
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
