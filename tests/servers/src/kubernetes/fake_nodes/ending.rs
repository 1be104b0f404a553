//! How pods end, in the words that Kubernetes has for it.

use k8s_openapi::api::core::v1::Pod;

use super::behavior::Behavior;

/// How a pod ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ending {
    /// What the containers were doing.
    pub(super) containers: Containers,
    /// With what the first container exited, and those that were killed with it.
    pub(super) exit: i32,
    /// The first container's reason, where it is not the usual one for its exit code.
    pub(super) container_reason: Option<String>,
    /// What the first container left behind.
    pub(super) message: Option<String>,
    /// The pod's own reason and message.
    pub(super) pod: Option<(String, String)>,
    /// Reason and message of the condition that it was a target of disruption.
    pub(super) disruption: Option<(String, String)>,
}

/// What the containers were doing when a pod ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Containers {
    /// The node has never heard of them.
    Unknown,
    /// The first init container failed.
    InitFailed,
    /// They waited, and will not start any more.
    Waited,
    /// They ran; the first one exited, and the others with 0.
    Exited,
    /// They ran and were all killed.
    Killed,
}

const TERM: i32 = 143;
const KILL: i32 = 137;

const BY_KUBELET: &str = "TerminationByKubelet";

impl Ending {
    fn new(containers: Containers, exit: i32) -> Self {
        Self {
            containers,
            exit,
            container_reason: None,
            message: None,
            pod: None,
            disruption: None,
        }
    }

    fn pod(mut self, reason: &str, message: &str) -> Self {
        self.pod = Some((reason.to_owned(), message.to_owned()));
        self
    }

    fn disrupted(mut self, reason: &str, message: &str) -> Self {
        self.disruption = Some((reason.to_owned(), message.to_owned()));
        self
    }

    /// A node that does not take the pod.
    pub(super) fn refused(reason: &str, message: &str) -> Self {
        Self::new(Containers::Unknown, 0).pod(reason, message)
    }

    /// A pod that is to be refused.
    pub(super) fn at_admission(behavior: &Behavior) -> Option<Self> {
        let shuts_down = behavior.reason.as_deref() == Some("NodeShutdown");
        let message = "Pod was rejected as the node is shutting down.";
        shuts_down.then(|| Self::refused("NodeShutdown", message))
    }

    /// A pod that was deleted before it ran.
    pub(super) fn never_started() -> Self {
        Self::new(Containers::Waited, KILL)
    }

    /// A pod whose `activeDeadlineSeconds` are over.
    pub(super) fn deadline_exceeded() -> Self {
        let message = "Pod was active on the node longer than the specified deadline";
        Self::new(Containers::Killed, KILL).pod("DeadlineExceeded", message)
    }

    /// A pod one of whose init containers fails.
    pub(super) fn init_failed(behavior: &Behavior) -> Self {
        Self::new(Containers::InitFailed, behavior.init_exit)
    }

    /// A pod that was deleted while it ran, and whose containers end when they are asked to, or are killed.
    pub(super) fn asked(behavior: &Behavior, obeys: bool) -> Self {
        match behavior.term_exit.filter(|_| obeys) {
            Some(exit) => {
                Self { message: behavior.message.clone(), ..Self::new(Containers::Exited, exit) }
            }
            None => Self::new(Containers::Killed, if obeys { TERM } else { KILL }),
        }
    }

    /// A pod that has run as long as it was to: as its annotations say.
    pub(super) fn by_itself(behavior: &Behavior, pod: &Pod) -> Self {
        let exited = Self {
            message: behavior.message.clone(),
            ..Self::new(Containers::Exited, behavior.exit)
        };
        let killed = Self { containers: Containers::Killed, ..exited.clone() };
        let Some(reason) = behavior.reason.as_deref() else { return exited };
        match reason {
            "Evicted" => {
                let message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 42Mi. ";
                killed.pod(reason, message).disrupted(BY_KUBELET, message)
            }
            "Preempting" => {
                killed.pod(reason, "Preempted in order to admit critical pod").disrupted(
                    BY_KUBELET,
                    "Pod was preempted by Kubelet to accommodate a critical pod.",
                )
            }
            "Terminated" => {
                let message = "Pod was terminated in response to imminent node shutdown.";
                killed.pod(reason, message).disrupted(BY_KUBELET, message)
            }
            "NodeLost" => {
                let node = pod.spec.as_ref().and_then(|it| it.node_name.as_deref()).unwrap_or("");
                let message = format!("Node {node} which was running pod is unresponsive");
                let gone = "PodGC: node no longer exists";
                killed.pod(reason, &message).disrupted("DeletionByPodGC", gone)
            }
            "DeadlineExceeded" => Self { message: exited.message, ..Self::deadline_exceeded() },
            _ => Self { container_reason: Some(reason.to_owned()), ..exited },
        }
    }
}
