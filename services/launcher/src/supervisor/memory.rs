//! The memory of an attempt: its own limit, and the kernel's.

use std::fs;

use super::procfs::Process;

/// Resident memory, in bytes, of all processes that `supervisor` has started and of what they have started.
pub(super) fn resident_bytes(supervisor: i32) -> u64 {
    let theirs = |process: &Process| {
        process.pid != supervisor && (process.session == supervisor || process.parent == supervisor)
    };
    Process::all().filter(theirs).map(|process| process.resident_bytes()).sum()
}

/// How often the kernel has ended a process for want of memory: here, if that is told, or else on the whole machine.
///
/// Where it grew while an attempt ran, and the attempt was killed by nobody else, the kernel did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KernelKills(Option<u64>);

impl KernelKills {
    pub(super) fn read() -> Self {
        Self(of_own_cgroup().or_else(of_machine))
    }

    /// Whether there were any since `earlier`.
    pub(super) fn grew_since(self, earlier: Self) -> bool {
        self.0.zip(earlier.0).is_some_and(|(now, before)| now > before)
    }
}

fn of_own_cgroup() -> Option<u64> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = cgroups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let events = fs::read_to_string(format!("/sys/fs/cgroup/{own}/memory.events")).ok()?;
    counter(&events, "oom_kill")
}

fn of_machine() -> Option<u64> {
    counter(&fs::read_to_string("/proc/vmstat").ok()?, "oom_kill")
}

fn counter(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(key, _)| *key == name)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_kill_is_seen_only_where_the_count_is_known_and_grew() {
        assert_eq!(counter("low 0\noom 9\noom_kill 3\noom_group_kill 5\n", "oom_kill"), Some(3));
        assert_eq!(counter("oom 9\n", "oom_kill"), None);
        let kills = |count| KernelKills(count);
        assert!(kills(Some(3)).grew_since(kills(Some(2))));
        assert!(!kills(Some(3)).grew_since(kills(Some(3))));
        assert!(!kills(Some(3)).grew_since(kills(None)));
    }
}
