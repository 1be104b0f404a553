//! The bell: a named pipe by which a supervisor hears of an order to stop.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use nix::{fcntl::OFlag, sys::stat::Mode};

use super::shortage::wait_out;

/// The end that listens.
#[derive(Debug)]
pub(super) struct Bell(File);

impl Bell {
    /// Hangs it up: from here on it is heard.
    pub(super) fn hang(path: &Path) -> io::Result<Self> {
        nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        // For writing too: opening does not wait for somebody to ring then, and reading never comes to an end.
        wait_out(|| OpenOptions::new().read(true).write(true).open(path)).map(Self)
    }

    /// Waits until it rings; false where it never will.
    pub(super) fn wait(&mut self) -> bool {
        self.0.read_exact(&mut [0]).is_ok()
    }
}

/// Rings; true where somebody listens.
pub(super) fn ring(path: &Path) -> bool {
    // Without waiting: opening fails where nobody listens.
    let bell = OpenOptions::new().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    bell.is_ok_and(|mut bell| bell.write_all(&[1]).is_ok())
}
