//! What the command's exit code tells.

use std::{fmt::Write as _, process::ExitCode};

use windlass_client::v1::RunState;

const SIGNALS: &str = "
Ctrl-C in `watch`, `logs --follow` and `submit --watch` only leaves: the run goes on. In `run` it
cancels the run, and so does closing the pipe that its output goes to.";

/// An exit code. What each means is told by [`Exit::meaning`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Success = 0,
    Failed = 1,
    Input = 2,
    RunCancelled = 3,
    Unavailable = 4,
    Internal = 5,
    Left = 130,
}

impl Exit {
    /// All of them, ascending.
    pub(crate) const ALL: [Self; 7] = [
        Self::Success,
        Self::Failed,
        Self::Input,
        Self::RunCancelled,
        Self::Unavailable,
        Self::Internal,
        Self::Left,
    ];

    /// What it tells, in help and in docs/command.md.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done; where a run was followed, it succeeded",
            Self::Failed => {
                "the run that was followed failed, or a look at a cluster found something amiss"
            }
            Self::Input => {
                "the command line, the file, the request or the state directory is wrong"
            }
            Self::RunCancelled => "the run that was followed was cancelled",
            Self::Unavailable => "no server answers, or there is no secure connection to it",
            Self::Internal => "anything else",
            Self::Left => "left before the end, by Ctrl-C",
        }
    }

    /// For the end of `--help`.
    pub(crate) fn help() -> String {
        let mut help = "Exit codes:\n".to_owned();
        for exit in Self::ALL {
            // Writing to a text cannot fail.
            let _ = writeln!(help, "  {:>3}  {}", exit as u8, exit.meaning());
        }
        help.push_str(SIGNALS);
        help
    }

    /// For a run that was followed to its end.
    pub(crate) fn of_run(state: RunState) -> Self {
        match state {
            RunState::Succeeded => Self::Success,
            RunState::Failed => Self::Failed,
            RunState::Cancelled => Self::RunCancelled,
            RunState::Unspecified
            | RunState::Pending
            | RunState::Running
            | RunState::Paused
            | RunState::Stopping => Self::Internal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
