//! Starts the program.

use std::{
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use nix::errno::Errno;
use windlass_engine::reason::FailureReason;

use super::{attempt_dir::AttemptDir, outcome::End, shortage::is_shortage, spec::Spec};

/// Names the file that a step writes its outputs to. Since no two attempts have the same, it also marks an attempt's
/// processes.
pub(crate) const OUTPUT_VARIABLE: &str = "WINDLASS_OUTPUT";

/// Why the program does not run.
#[derive(Debug)]
pub(super) enum NotStarted {
    /// It cannot: how the attempt has ended instead.
    Ended(End),
    /// The system has no room for another process now.
    NoRoom(io::Error),
}

/// Starts the program as the leader of a process group of its own, with both its streams captured.
pub(super) fn start(dir: &AttemptDir, spec: &Spec) -> Result<Child, NotStarted> {
    let Some((program, arguments)) = spec.command.split_first() else {
        return Err(cannot_start("the step's command is empty; name a program".to_owned()).into());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(&spec.env)
        .env(OUTPUT_VARIABLE, dir.output_file())
        .env("WINDLASS_RUN_DIR", &spec.run_dir)
        .env("WINDLASS_RUN_ID", &spec.run)
        .env("WINDLASS_STEP", &spec.step)
        .env("WINDLASS_ATTEMPT", spec.attempt.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(working_dir) = &spec.working_dir {
        if !working_dir.is_dir() {
            let shown = working_dir.display();
            return Err(cannot_start(format!(
                "the working directory {shown} does not exist or is no directory; create it, or name another one"
            ))
            .into());
        }
        command.current_dir(working_dir);
    }
    command.spawn().map_err(|error| {
        if is_shortage(&error) {
            NotStarted::NoRoom(error)
        } else {
            explain(program, &error).into()
        }
    })
}

impl From<End> for NotStarted {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}

fn explain(program: &str, error: &io::Error) -> End {
    let is_path = program.contains('/');
    cannot_start(match error.kind() {
        io::ErrorKind::NotFound if is_path && Path::new(program).exists() => format!(
            "`{program}` is there, but not the interpreter that its first line names; install that, or correct the line"
        ),
        io::ErrorKind::NotFound if is_path => {
            format!(
                "the program `{program}` does not exist; correct the path, which is relative to the working directory"
            )
        }
        io::ErrorKind::NotFound => {
            format!(
                "the program `{program}` is in no directory of PATH; install it, or give its whole path"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "the program `{program}` may not be executed; allow it with chmod +x, or run it through an interpreter"
            )
        }
        io::ErrorKind::ArgumentListTooLong => {
            format!(
                "the arguments and environment of `{program}` are too long for the system; pass them in a file"
            )
        }
        _ if error.raw_os_error() == Some(Errno::ENOEXEC as i32) => format!(
            "`{program}` is not a program; begin a script with a line that names its interpreter, such as #!/bin/sh"
        ),
        _ => format!(
            "the program `{program}` cannot be started: {error}; correct the step's command"
        ),
    })
}

fn cannot_start(message: String) -> End {
    End::failed(FailureReason::CannotStart, message)
}
