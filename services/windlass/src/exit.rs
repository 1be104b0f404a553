//! What the command's exit code tells.

use std::process::ExitCode;

use windlass_client::v1::RunState;

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; where a run was followed, it succeeded.
    Success = 0,
    /// The run that was followed failed.
    RunFailed = 1,
    /// The command line, the file, the request or the state directory is wrong.
    Input = 2,
    /// The run that was followed was cancelled.
    RunCancelled = 3,
    /// No server answers, or there is no secure connection to it.
    Unavailable = 4,
    /// Anything else.
    Internal = 5,
    /// Left before the end, because a signal asked for it.
    Left = 130,
}

impl Exit {
    /// For the end of `--help`.
    pub(crate) const HELP: &str = "\
Exit codes:
    0  done; where a run was followed, it succeeded
    1  the run that was followed failed
    2  the command line, the file, the request or the state directory is wrong
    3  the run that was followed was cancelled
    4  no server answers, or there is no secure connection to it
    5  anything else
  130  left before the end, by Ctrl-C

Ctrl-C in `watch`, `logs --follow` and `submit --watch` only leaves: the run goes on. In `run` it
cancels the run, and so does closing the pipe that its output goes to.";

    /// For a run that was followed to its end.
    pub(crate) fn of_run(state: RunState) -> Self {
        match state {
            RunState::Succeeded => Self::Success,
            RunState::Failed => Self::RunFailed,
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
