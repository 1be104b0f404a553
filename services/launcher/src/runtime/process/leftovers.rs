//! Ends the processes of an attempt whose supervisor was killed.

use std::{
    os::unix::ffi::OsStrExt,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use crate::supervisor::{
    OUTPUT_VARIABLE,
    attempt_dir::{AttemptDir, ProcessRecord},
    procfs::{self, Process},
};

/// How long processes that were killed may take to be gone.
const LIMIT: Duration = Duration::from_secs(5);
/// How often they are looked at meanwhile.
const INTERVAL: Duration = Duration::from_millis(10);

/// Ends them; returns how many are still there, which is 0 unless some are beyond signals.
///
/// A process is the attempt's if it was started with the attempt's own output file in its environment, or if it is in the
/// group whose leader is known to be the attempt's. Nothing is known by its number alone.
pub(super) fn end(dir: &AttemptDir) -> usize {
    let mut mark = format!("{OUTPUT_VARIABLE}=").into_bytes();
    mark.extend_from_slice(dir.output_file().as_os_str().as_bytes());
    let record = dir.read_process();
    let until = Instant::now() + LIMIT;
    loop {
        let group = record.as_ref().and_then(living_group);
        let is_left = |process: &Process| {
            !process.is_zombie
                && (Some(process.group) == group || process.has_environment_entry(&mark))
        };
        // All over again each time: they may have started others while they were looked for.
        let left: Vec<Process> = Process::all().filter(is_left).collect();
        if left.is_empty() || Instant::now() >= until {
            return left.len();
        }
        // A group is ended as one: none of it can start another one meanwhile.
        if let Some(group) = group {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        for process in left {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        thread::park_timeout(INTERVAL);
    }
}

/// The group of a program that is still the one that was started.
fn living_group(record: &ProcessRecord) -> Option<i32> {
    let leader = Process::of(record.pid)?;
    let same = record.start_ticks == Some(leader.start_ticks)
        && record.boot_id.is_some()
        && record.boot_id == procfs::boot_id();
    same.then_some(leader.group)
}
