//! What `/proc` tells of processes. Where there is none, it tells nothing; where it cannot be opened for want of a file
//! descriptor, that is waited for, since a process that is not seen would be taken for gone.

use std::{fs, io};

use super::shortage::wait_out;

/// One process, as it was a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// When it began, in the kernel's ticks since boot.
    pub(crate) start_ticks: u64,
    /// It has ended, and only waits to be asked how.
    pub(crate) is_zombie: bool,
    /// A signal has suspended it, and it does nothing until another one lets it go on.
    pub(crate) is_suspended: bool,
}

impl Process {
    /// The process with this id, if there is one.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        parse(&read(&format!("/proc/{pid}/stat")).ok()?)
    }

    /// All processes.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let entries = wait_out(|| fs::read_dir("/proc")).into_iter().flatten();
        entries.filter_map(|entry| Self::of(entry.ok()?.file_name().to_str()?.parse().ok()?))
    }

    /// Its resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = read(&format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0).saturating_mul(1024)
    }

    /// Whether it was started with this entry in its environment, as far as that may be seen.
    pub(crate) fn has_environment_entry(&self, entry: &[u8]) -> bool {
        let environment = wait_out(|| fs::read(format!("/proc/{}/environ", self.pid)));
        let environment = environment.unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|there| there == entry)
    }
}

/// Names the time since the machine was last started.
pub(crate) fn boot_id() -> Option<String> {
    Some(read("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

fn read(path: &str) -> io::Result<String> {
    wait_out(|| fs::read_to_string(path))
}

fn parse(stat: &str) -> Option<Process> {
    // The name, in parentheses, may hold anything; all other fields are plain.
    let (pid, rest) = stat.split_once(' ')?;
    let (_, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Process {
        pid: pid.parse().ok()?,
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
        is_suspended: *fields.first()? == "T",
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_whose_name_looks_like_fields_is_read_as_what_it_is() {
        let stat = "41 (a) R 1 (b)) Z 7 8 9 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1234 0 0";
        let read = Process {
            pid: 41,
            parent: 7,
            group: 8,
            session: 9,
            start_ticks: 1234,
            is_zombie: true,
            is_suspended: false,
        };
        assert_eq!(parse(stat), Some(read.clone()));
        let suspended = Process { is_zombie: false, is_suspended: true, ..read };
        assert_eq!(parse(&stat.replace(" Z ", " T ")), Some(suspended));
        for torn in ["", "41", "41 (a", "41 (a) R", "41 (a) R 1 2 3"] {
            assert_eq!(parse(torn), None, "{torn}");
        }
    }
}
