//! What a pod's annotations make of it.

use std::{fmt::Display, str::FromStr, time::Duration};

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

/// How a pod is to behave.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Behavior {
    /// How long it takes until its first container starts.
    pub(super) start_after: Duration,
    /// Why its first container waits instead.
    pub(super) waiting: Option<String>,
    /// With what its first init container exits.
    pub(super) init_exit: i32,
    /// How long its containers run; for ever if none.
    pub(super) run_for: Option<Duration>,
    /// With what its first container exits.
    pub(super) exit: i32,
    /// The word for how it ends.
    pub(super) reason: Option<String>,
    /// What its first container leaves behind.
    pub(super) message: Option<String>,
    /// How long its containers go on after they were asked to end.
    pub(super) term_after: Duration,
    /// With what they exit then, unless TERM ends them itself.
    pub(super) term_exit: Option<i32>,
}

/// Where the process of a container was killed by a signal, its exit code is that much more than the signal's number.
const SIGNALED: i32 = 128;

/// What those reasons end with where nothing else is said: the kernel and the kubelet kill.
const KILLED: i32 = SIGNALED + 9;

impl Behavior {
    /// Reads a pod's annotations.
    ///
    /// # Errors
    ///
    /// Says which one cannot be understood.
    pub(super) fn of(pod: &Pod) -> Result<Self, String> {
        let run = text(pod, "fake/run");
        if let Some(other) = run.as_ref().filter(|it| *it != "forever") {
            return Err(format!("fake/run: `{other}` is not `forever`"));
        }
        let reason = text(pod, "fake/reason");
        let exit = match (value::<i32>(pod, "fake/exit")?, value::<i32>(pod, "fake/signal")?) {
            (Some(exit), _) => exit,
            (None, Some(signal)) => SIGNALED + signal,
            (None, None) => match reason.as_deref() {
                None | Some("Completed") => 0,
                Some("Error") => 1,
                Some(_) => KILLED,
            },
        };
        Ok(Self {
            start_after: duration(pod, "fake/start-after")?,
            waiting: text(pod, "fake/waiting"),
            init_exit: value(pod, "fake/init-fails")?.unwrap_or(0),
            run_for: if run.is_some() { None } else { Some(duration(pod, "fake/run-for")?) },
            exit,
            reason,
            message: text(pod, "fake/message"),
            term_after: duration(pod, "fake/term-after")?,
            term_exit: value(pod, "fake/term-exit")?,
        })
    }
}

fn text(pod: &Pod, name: &str) -> Option<String> {
    pod.annotations().get(name).cloned()
}

fn value<T: FromStr<Err: Display>>(pod: &Pod, name: &str) -> Result<Option<T>, String> {
    let Some(text) = pod.annotations().get(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|error| format!("{name}: `{text}`: {error}"))
}

fn duration(pod: &Pod, name: &str) -> Result<Duration, String> {
    let duration: SignedDuration = value(pod, name)?.unwrap_or_default();
    Duration::try_from(duration).map_err(|_| format!("{name}: it is negative"))
}
