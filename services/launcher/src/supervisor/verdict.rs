//! Decides what became of an attempt whose program has ended.

use std::{io, os::unix::process::ExitStatusExt, process::ExitStatus};

use nix::sys::signal::Signal;
use windlass_engine::reason::{Failure, FailureReason};

use super::{attempt_dir::AttemptDir, outcome::End, outputs, spec::Spec};

/// Why the supervisor itself began to end the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It was ordered to.
    StopOrder,
    /// Its processes used this much memory, in bytes.
    Memory(u64),
}

/// What is known once the program has ended.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) status: io::Result<ExitStatus>,
    /// Set where the supervisor began to end the program before it ended.
    pub(super) cause: Option<Cause>,
    /// The kernel has ended a process for want of memory meanwhile.
    pub(super) kernel_killed: bool,
}

/// How the attempt has ended.
pub(super) fn decide(dir: &AttemptDir, spec: &Spec, evidence: &Evidence) -> End {
    let status = match (&evidence.status, evidence.cause) {
        (_, Some(Cause::StopOrder)) => return End::Stopped,
        (_, Some(Cause::Memory(used))) => {
            return over_limit(used, spec.memory_bytes.unwrap_or(used));
        }
        (Ok(status), None) => *status,
        (Err(error), None) => {
            let message =
                format!("how the program ended could not be learned: {error}; run it again");
            return End::failed(FailureReason::Lost, message);
        }
    };
    if status.success() {
        return match outputs::read(&dir.output_file(), &spec.outputs) {
            Ok(outputs) => End::Succeeded { outputs, keep: spec.keep.clone() },
            Err(error) => End::failed(FailureReason::OutputInvalid, error.to_string()),
        };
    }
    match status.signal() {
        Some(signal) if signal == Signal::SIGKILL as i32 && evidence.kernel_killed => {
            killed_by_kernel()
        }
        Some(signal) => by_signal(signal),
        None => by_exit_code(status.code().unwrap_or(-1)),
    }
}

fn by_exit_code(code: i32) -> End {
    let message = format!("the program ended with exit code {code}; its log may say why");
    let failure =
        Failure { reason: FailureReason::ExitCode, message, exit_code: Some(code), signal: None };
    End::Failed { failure }
}

fn by_signal(signal: i32) -> End {
    let name = Signal::try_from(signal)
        .map_or_else(|_| format!("signal {signal}"), |name| name.to_string());
    let message = format!("the program was ended by {name}; its log may say why");
    let failure =
        Failure { reason: FailureReason::Signal, message, exit_code: None, signal: Some(signal) };
    End::Failed { failure }
}

fn over_limit(used: u64, limit: u64) -> End {
    let (used, limit) = (mebibytes(used), mebibytes(limit));
    out_of_memory(format!(
        "its processes used {used} of memory and may use {limit}; let it use less, or raise the step's memory limit"
    ))
}

/// Rounded up, so that what is above a limit is not shown as the limit.
fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10).div_ceil(1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

fn killed_by_kernel() -> End {
    out_of_memory(
        "the kernel ended the program because the machine, or the group it runs in, had no memory left; \
         let it use less, or let fewer steps run at once"
            .to_owned(),
    )
}

fn out_of_memory(message: String) -> End {
    let failure = Failure {
        reason: FailureReason::OutOfMemory,
        message,
        exit_code: None,
        signal: Some(Signal::SIGKILL as i32),
    };
    End::Failed { failure }
}
