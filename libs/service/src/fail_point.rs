//! Places at which a test may have the process killed, as by `kill -9`: between a commit and what follows from it, say.
//!
//! With the feature `fail-points`, the variable `WINDLASS_FAIL_POINT` names a place and how often it is passed before:
//! `scheduler.committed:2` kills at the third time. Without the feature, and in every release build, nothing is compiled in.

/// Passes a place.
#[cfg(not(all(feature = "fail-points", debug_assertions)))]
#[inline(always)]
pub fn reach(_place: &str) {}

/// Passes a place, or is killed there.
#[cfg(all(feature = "fail-points", debug_assertions))]
pub fn reach(place: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };

    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    static WANTED: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
        let wanted = std::env::var("WINDLASS_FAIL_POINT").ok()?;
        let (place, passes) = wanted.rsplit_once(':').unwrap_or((&wanted, "0"));
        let passes = passes.parse().expect("WINDLASS_FAIL_POINT is `place` or `place:number`");
        Some((place.to_owned(), AtomicU64::new(passes)))
    });
    let Some((wanted, passes)) = &*WANTED else {
        return;
    };
    let order = Ordering::Relaxed;
    if wanted == place && passes.fetch_update(order, order, |left| left.checked_sub(1)).is_err() {
        // A process that has no right to end itself goes on, and the test sees it.
        let _ = kill(Pid::this(), Signal::SIGKILL);
    }
}
