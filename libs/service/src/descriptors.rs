//! How many files and connections a process may have open at once.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::{debug, warn};

/// The limit that the process was given.
static GIVEN: OnceLock<u64> = OnceLock::new();

/// Lets this process open as many files as it may at all: the limit that is in force by default (1024, mostly) is meant for
/// programs that cannot cope with more.
pub fn raise_limit() {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((given, most)) if given < most => {
            match setrlimit(Resource::RLIMIT_NOFILE, most, most) {
                Ok(()) => {
                    // Of several calls the first one has seen what was given.
                    let _ = GIVEN.set(given);
                    debug!(given, limit = most, "the limit on open files is raised");
                }
                Err(error) => warn!(%error, given, "the limit on open files cannot be raised"),
            }
        }
        Ok(_) => {}
        Err(error) => warn!(%error, "the limit on open files cannot be read"),
    }
}

/// The limit that was in force before [`raise_limit`], for programs that this one starts; none where it was not raised.
pub fn given_limit() -> Option<u64> {
    GIVEN.get().copied()
}
