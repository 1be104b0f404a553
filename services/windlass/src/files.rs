//! Whether two processes see the same files: a directory here is of use to steps elsewhere only then.

use std::{fs, os::unix::fs::MetadataExt as _};

/// Tells which files this process sees: the same for two processes exactly where every path names the same file to both. None
/// where the system does not tell.
///
/// It names the kernel, what is mounted, and the root directory. An address does not tell it: behind one of this machine there
/// may be a container, or a tunnel to another machine.
pub(crate) fn identity() -> Option<String> {
    let kernel = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let mounts = fs::read_link("/proc/self/ns/mnt").ok()?;
    let root = fs::metadata("/").ok()?;
    Some(format!("{} {} {}:{}", kernel.trim(), mounts.display(), root.dev(), root.ino()))
}
