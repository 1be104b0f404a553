//! What the cluster did to a pod: evictions, preemptions, lost nodes, deadlines.

use windlass_engine::{
    reason::{Failure, FailureReason},
    time::Timestamp,
};

use super::{Judgement, ended::is_before, plain, words};
use crate::observed::{ObservedPod, timestamp};

/// The cluster's doing, and not the program's.
pub(super) struct Cause {
    failure: Failure,
    /// When that was.
    at: Option<Timestamp>,
}

impl Cause {
    /// What the pod's status says the cluster did to it.
    pub(super) fn of(pod: &ObservedPod) -> Option<Self> {
        Self::by_node(pod).or_else(|| Self::by_disruption(pod))
    }

    /// What the cluster did to a pod whose program ended with 0, where it did that before.
    pub(super) fn of_ending_well(pod: &ObservedPod, ended_at: Option<Timestamp>) -> Option<Self> {
        // The pod's own reason has no time. A node that brought the end about calls the pod failed, with this as the reason, or
        // succeeded, with the condition alone.
        let failed = pod.status.phase.as_deref() == Some("Failed");
        let by_node = Self::by_node(pod).filter(|_| failed);
        by_node.or_else(|| Self::by_disruption(pod).filter(|cause| !is_before(ended_at, cause.at)))
    }

    /// What its node, or who speaks for the node, did: said in the pod's own reason.
    fn by_node(pod: &ObservedPod) -> Option<Self> {
        let status = &pod.status;
        let reason = match status.reason.as_deref()? {
            // The last three: the node was shut down.
            "Evicted" | "Terminated" | "Shutdown" | "NodeShutdown" => FailureReason::Evicted,
            "Preempting" => FailureReason::Preempted,
            "NodeLost" => FailureReason::Lost,
            "DeadlineExceeded" => FailureReason::Timeout,
            _ => return None,
        };
        let words = words(status.reason.as_deref(), status.message.as_deref());
        Some(Self { failure: failure(reason, pod, words), at: None })
    }

    /// What anybody else did who says so in the condition that Kubernetes has for it.
    fn by_disruption(pod: &ObservedPod) -> Option<Self> {
        let mut conditions = pod.status.conditions.iter();
        let condition =
            conditions.find(|it| it.type_ == "DisruptionTarget" && it.status == "True")?;
        let reason = match condition.reason.as_deref() {
            Some("PreemptionByScheduler") => FailureReason::Preempted,
            Some("DeletionByPodGC" | "DeletionByTaintManager") => FailureReason::Lost,
            // By the API for evictions, by the node's own, or by others who follow the convention.
            _ => FailureReason::Evicted,
        };
        let words = words(condition.reason.as_deref(), condition.message.as_deref());
        let at = timestamp(condition.last_transition_time.as_ref());
        Some(Self { failure: failure(reason, pod, words), at })
    }

    /// How the attempt failed by it, of whose end nothing else is known.
    pub(super) fn judgement(self, started_at: Option<Timestamp>, must_delete: bool) -> Judgement {
        Judgement::Failed { failure: self.failure, started_at, ended_at: self.at, must_delete }
    }

    /// How the program's attempt failed by it.
    pub(super) fn into_failure(self) -> Failure {
        self.failure
    }
}

fn failure(reason: FailureReason, pod: &ObservedPod, words: Option<String>) -> Failure {
    let node = match &pod.spec.node_name {
        Some(node) => format!("the node `{node}`"),
        None => "its node".to_owned(),
    };
    let (what, advice) = match reason {
        FailureReason::Preempted => (
            "the pod had to make room for one of a higher priority".to_owned(),
            "where that must not be, give the step a higher priority class",
        ),
        FailureReason::Lost => (
            format!("the pod was on {node}, which is lost"),
            "the cluster's operators know what became of it",
        ),
        FailureReason::Timeout => (
            "the pod ran longer than its deadline allows".to_owned(),
            "let it do less, or raise the deadline",
        ),
        _ => (
            format!("the pod was evicted from {node}"),
            "where that is for want of room, let the step request what it uses",
        ),
    };
    let told = words.map(|words| format!(": {words}")).unwrap_or_default();
    plain(reason, format!("{what}{told}; {advice}"))
}

/// Why the node would not have the pod; none where it says no such thing. No container of it has ever run.
pub(super) fn refused_by_node(pod: &ObservedPod) -> Option<Failure> {
    let status = &pod.status;
    let reason = status.reason.as_deref()?;
    let told = words(Some(reason), status.message.as_deref())?;
    Some(match reason {
        // The one refusal that no other node would take back.
        "SysctlForbidden" => plain(
            FailureReason::Refused,
            format!(
                "the node refused the pod: {told}; do not ask for it, or have the cluster's operators allow it"
            ),
        ),
        _ => plain(
            FailureReason::LaunchFailed,
            format!(
                "the node refused the pod that was placed on it: {told}; another one may take it"
            ),
        ),
    })
}
