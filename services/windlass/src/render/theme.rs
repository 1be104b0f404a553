//! What text for people depends on besides its content: colour, width, and where midnight is.

use std::{
    env,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, IsTerminal as _},
};

use console::{Color, Style, Term};
use jiff::tz::TimeZone;
use windlass_client::v1::{RunState, StepState};

/// Columns where there is no terminal to ask.
const DEFAULT_WIDTH: usize = 100;
/// Rows where there is no terminal to ask.
const DEFAULT_HEIGHT: usize = 24;
/// Colours of steps' names: those that can be read on dark and on light, and are not the colours of states.
const STEP_COLOURS: [u8; 10] = [33, 37, 64, 97, 130, 133, 136, 166, 170, 73];

/// How text looks.
#[derive(Debug, Clone)]
pub(crate) struct Theme {
    pub(crate) colour: bool,
    /// Columns.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    pub(crate) zone: TimeZone,
}

impl Theme {
    /// For results.
    pub(crate) fn stdout() -> Self {
        Self::of(&Term::stdout(), io::stdout().is_terminal())
    }

    /// For everything else.
    pub(crate) fn stderr() -> Self {
        Self::of(&Term::stderr(), io::stderr().is_terminal())
    }

    fn of(term: &Term, is_terminal: bool) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let size = term.size_checked();
        let (height, width) = size.map_or((DEFAULT_HEIGHT, DEFAULT_WIDTH), |(rows, columns)| {
            (usize::from(rows), usize::from(columns))
        });
        Self { colour: is_terminal && !refused, width, height, zone: TimeZone::system() }
    }

    pub(crate) fn bold(&self, text: &str) -> String {
        self.paint(&Style::new().bold(), text)
    }

    pub(crate) fn dim(&self, text: &str) -> String {
        self.paint(&Style::new().dim(), text)
    }

    pub(crate) fn bad(&self, text: &str) -> String {
        self.paint(&Style::new().red(), text)
    }

    pub(crate) fn good(&self, text: &str) -> String {
        self.paint(&Style::new().green(), text)
    }

    pub(crate) fn odd(&self, text: &str) -> String {
        self.paint(&Style::new().yellow(), text)
    }

    pub(crate) fn busy(&self, text: &str) -> String {
        self.paint(&Style::new().cyan(), text)
    }

    /// A step's name: the same colour for the same name, always.
    pub(crate) fn step(&self, name: &str) -> String {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % STEP_COLOURS.len() as u64).unwrap_or(0);
        self.paint(&Style::new().fg(Color::Color256(STEP_COLOURS[place])), name)
    }

    /// Text in the colour of a run's state.
    pub(crate) fn run_state(&self, state: RunState, text: &str) -> String {
        match state {
            RunState::Succeeded => self.good(text),
            RunState::Failed => self.bad(text),
            RunState::Running => self.busy(text),
            RunState::Paused | RunState::Stopping | RunState::Cancelled => self.odd(text),
            RunState::Unspecified | RunState::Pending => text.to_owned(),
        }
    }

    /// Text in the colour of a step's state.
    pub(crate) fn step_state(&self, state: StepState, text: &str) -> String {
        match state {
            StepState::Succeeded => self.good(text),
            StepState::Failed => self.bad(text),
            StepState::Starting | StepState::Running => self.busy(text),
            StepState::Delayed
            | StepState::Stopping
            | StepState::Cancelled
            | StepState::Suspended
            | StepState::Blocked => self.odd(text),
            StepState::Skipped => self.dim(text),
            StepState::Unspecified | StepState::Waiting | StepState::Ready | StepState::Queued => {
                text.to_owned()
            }
        }
    }

    fn paint(&self, style: &Style, text: &str) -> String {
        if self.colour {
            style.clone().force_styling(true).apply_to(text).to_string()
        } else {
            text.to_owned()
        }
    }
}
