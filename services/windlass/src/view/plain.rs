//! Lines, one after the other: for files, pipes and build servers.

use std::{
    io,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use windlass_client::v1::{LogLine, Run, StepStatus};

use super::{MAX_TOLD_STEPS, View, told::Told};
use crate::{
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

    fn stamped(&self, text: &str) -> String {
        format!("{} {text}\n", self.theme.dim(&time::clock(Timestamp::now(), &self.theme.zone)))
    }
}

impl View for Plain {
    fn wants_steps(&self, total: u32) -> bool {
        total <= MAX_TOLD_STEPS
    }

    fn changed(&mut self, _run: &Run, steps: &[StepStatus], changed: &[u32]) -> io::Result<()> {
        let mut text = String::new();
        for step in changed.iter().filter_map(|index| steps.get(*index as usize)) {
            for news in self.told.news(step, &self.theme) {
                text.push_str(&self.stamped(&news));
            }
        }
        if text.is_empty() { Ok(()) } else { output::write_bytes(text.as_bytes()) }
    }

    fn lines(&mut self, lines: &[LogLine]) -> io::Result<()> {
        let lines = lines.iter().map(|line| lines::log_line(line, 0, &self.theme) + "\n");
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
            output::write_bytes(self.stamped(&self.progress.1).as_bytes())
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
