//! Lines, one after the other: for files, pipes and build servers.

use std::{
    io,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use windlass_client::v1::{LogLine, Run, StepStatus};

use super::{MAX_TOLD_STEPS, View, told::Told};
use crate::{
    follow::StepChange,
    output,
    render::{self, Summary, Theme, lines, time},
};

/// How often the progress of a run is told whose steps are not.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Plain {
    theme: Theme,
    told: Told,
    /// When progress was last told, and what.
    progress: (Instant, String),
}

impl Plain {
    pub(super) fn new(theme: Theme) -> Self {
        Self { theme, told: Told::default(), progress: (Instant::now(), String::new()) }
    }

    fn stamped(&self, at: Timestamp, text: &str) -> String {
        format!("{} {text}\n", self.theme.dim(&time::clock(at, &self.theme.zone)))
    }
}

impl View for Plain {
    fn wants_steps(&self, total: u32) -> bool {
        total <= MAX_TOLD_STEPS
    }

    fn run_changed(&mut self, _run: &Run) -> io::Result<()> {
        Ok(())
    }

    fn steps_changed(&mut self, _run: &Run, changes: &[&StepChange]) -> io::Result<()> {
        let mut text = String::new();
        for news in self.told.news(changes, &self.theme) {
            text.push_str(&self.stamped(news.at, &news.text));
        }
        if text.is_empty() { Ok(()) } else { output::write_bytes(text.as_bytes()) }
    }

    fn lines(&mut self, lines: &[&LogLine]) -> io::Result<()> {
        let width = self.told.name_width(lines);
        let lines = lines.iter().map(|line| lines::log_line(line, width, &self.theme) + "\n");
        output::write_bytes(lines.collect::<String>().as_bytes())
    }

    fn tick(&mut self, run: &Run, _steps: &[StepStatus]) -> io::Result<()> {
        let total = run.step_counts.unwrap_or_default().total;
        if self.wants_steps(total) || self.progress.0.elapsed() < PROGRESS_EVERY {
            return Ok(());
        }
        let progress = lines::progress(run, &self.theme);
        let is_news = progress != self.progress.1;
        self.progress = (Instant::now(), progress);
        if is_news {
            output::write_bytes(self.stamped(Timestamp::now(), &self.progress.1).as_bytes())
        } else {
            Ok(())
        }
    }

    fn note(&mut self, text: &str) {
        output::note(text);
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        output::write_bytes(format!("\n{}", render::summary(summary, &self.theme)).as_bytes())
    }
}
