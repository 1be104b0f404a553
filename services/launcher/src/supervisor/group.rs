//! The program's process group: signals that reach it and never a stranger.

use std::{
    io,
    process::{Child, ExitStatus},
    sync::{Mutex, PoisonError},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

/// The group that the program leads.
///
/// The group's number is the program's process id, which the system may give away once the program was waited for. So it
/// is waited for in two steps: until it has ended, and then, with nobody sending signals meanwhile, for good.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    /// Whether the number is still the group's.
    open: Mutex<bool>,
}

impl Group {
    /// The group of a program that was started as the leader of its own.
    pub(super) fn of(child: &Child) -> Self {
        let id = i32::try_from(child.id()).expect("process ids are positive i32 by POSIX");
        Self { id: Pid::from_raw(id), open: Mutex::new(true) }
    }

    pub(super) fn id(&self) -> i32 {
        self.id.as_raw()
    }

    /// Sends a signal to all of it, as long as the program has not been waited for.
    pub(super) fn signal(&self, signal: Signal) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if *open {
            // Fails only where nobody is left to receive it.
            let _ = killpg(self.id, signal);
        }
    }

    /// Waits until the program has ended, and ends what is left of its group.
    pub(super) fn wait(&self, mut child: Child) -> io::Result<ExitStatus> {
        wait_without_reaping(self.id, &mut child);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = killpg(self.id, Signal::SIGKILL);
        let status = child.wait();
        *open = false;
        status
    }
}

/// Waits until the program has ended, and leaves it to be waited for once more, so that its id stays its own.
#[cfg(target_os = "linux")]
fn wait_without_reaping(id: Pid, _child: &mut Child) {
    use nix::{
        errno::Errno,
        sys::wait::{Id, WaitPidFlag, waitid},
    };
    // Any other error comes of a status that nix cannot name; the program has ended then too.
    while waitid(Id::Pid(id), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
}

/// Waits until the program has ended. Its id is free from then on: there is no other way here.
#[cfg(not(target_os = "linux"))]
fn wait_without_reaping(_id: Pid, child: &mut Child) {
    // The status is kept by `child`, and asked for again.
    let _ = child.wait();
}
