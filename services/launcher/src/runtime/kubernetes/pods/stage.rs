//! How a single pod goes from stage to stage: what is told of it, and when it has to go.

use std::time::Instant;

use windlass_engine::{
    event::{AttemptPhase, AttemptReport},
    reason::{Failure, FailureReason},
    record::StepIndex,
    time::Timestamp,
};
use windlass_pod::{
    judge::{Judgement, judge_gone},
    label,
    observed::ObservedPod,
};

use super::super::api::Found;
use crate::runtime::{AttemptKey, KeepResult, Report};

/// What is told of a pod that was deleted while nobody looked.
pub(super) const DELETED_UNSEEN: &str = "the pod is gone, and while it went nobody was watching; the API server's audit log says who deleted it";

/// What is told of a pod whose labels were changed.
pub(super) const RELABELLED: &str = "somebody changed the labels by which launchers watch the pod, so that its end would not have been seen: it was deleted; \
    leave labels that begin with `windlass.dev/` as they are, and see the API server's audit log for who changed them";

/// What follows from what was seen.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Act {
    /// Tell the schedulers.
    Tell(Report),
    /// Have the pod removed.
    Delete(Found),
    /// Find out what became of the pod.
    Settle(Vanished),
}

/// A pod that is watched no more, although nothing that was seen of it says that it ends.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Vanished {
    pub(in super::super) key: AttemptKey,
    pub(in super::super) found: Found,
    /// What was seen of it last, where it was seen to leave.
    pub(in super::super) last: Option<Box<ObservedPod>>,
}

/// How far a pod is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stage {
    /// It is being created; nobody may know of it.
    Creating,
    /// Its program does not run yet. What it waits for, in the cluster's words.
    Waiting(Option<Box<str>>),
    /// Its program runs.
    Running,
    /// It has failed, and is told once the pod is gone: until then its program could run.
    Going(Box<Report>),
    /// Its end was told.
    Over {
        report: Box<Report>,
        at: Instant,
        has_succeeded: bool,
        /// Whether the pod has ended, too.
        is_dead: bool,
    },
}

/// A pod.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
    /// Empty until it is seen.
    pub(super) uid: Box<str>,
    pub(super) shard: u32,
    /// Since when this launcher knows it.
    pub(super) known_since: Instant,
    pub(super) created_at: Option<Timestamp>,
    pub(super) started_at: Option<Timestamp>,
    /// Whether it was being deleted, or had ended, when it was seen last.
    pub(super) is_ending: bool,
    /// Whether it is being found out what became of it.
    pub(super) is_settling: bool,
    pub(super) stage: Stage,
}

impl Pod {
    /// One that nothing is known of yet.
    pub(super) fn new(namespace: String, name: String, shard: u32, at: Instant) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            uid: Box::default(),
            shard,
            known_since: at,
            created_at: None,
            started_at: None,
            is_ending: false,
            is_settling: false,
            stage: Stage::Creating,
        }
    }

    /// Whether something of it runs, or may.
    pub(super) fn is_living(&self) -> bool {
        !matches!(self.stage, Stage::Over { is_dead: true, .. })
    }

    /// Notes that it is watched no more. None where it is being found out already what became of it.
    pub(super) fn vanished(&mut self, key: AttemptKey, last: Option<&ObservedPod>) -> Option<Act> {
        let is_settling = std::mem::replace(&mut self.is_settling, true);
        let last = last.cloned().map(Box::new);
        (!is_settling).then(|| Act::Settle(Vanished { key, found: found(key, self), last }))
    }
}

/// Takes a pod from stage to stage.
pub(super) fn advance(
    key: AttemptKey,
    pod: &mut Pod,
    judgement: Judgement,
    observed: &ObservedPod,
    now: Timestamp,
    at: Instant,
) -> Vec<Act> {
    match (&pod.stage, judgement) {
        (Stage::Over { .. } | Stage::Going(_), _)
        | (Stage::Running, Judgement::Waiting { .. } | Judgement::Running { .. }) => Vec::new(),
        (Stage::Creating, Judgement::Waiting { message }) => {
            pod.stage = Stage::Waiting(message.map(String::into_boxed_str));
            vec![Act::Tell(report(key, AttemptPhase::Starting, pod, None))]
        }
        // What it waited for is of interest, and not that it goes.
        (Stage::Waiting(_), Judgement::Waiting { .. }) if observed.is_being_deleted() => Vec::new(),
        (Stage::Waiting(_), Judgement::Waiting { message }) => {
            pod.stage = Stage::Waiting(message.map(String::into_boxed_str));
            Vec::new()
        }
        (_, Judgement::Running { started_at }) => {
            pod.stage = Stage::Running;
            pod.started_at = Some(not_before(pod.created_at, started_at.unwrap_or(now)));
            vec![Act::Tell(report(key, AttemptPhase::Running, pod, None))]
        }
        (stage, judgement) => {
            let must_delete = must_delete(&judgement);
            let (phase, started_at, ended_at) = end(judgement, stage);
            let has_succeeded = matches!(phase, AttemptPhase::Succeeded(_));
            let started_at = started_at.map(|time| not_before(pod.created_at, time));
            pod.started_at = pod.started_at.or(started_at);
            let mut report = report(key, phase, pod, keep(observed));
            report.report.ended_at = Some(not_before(pod.started_at, ended_at.unwrap_or(now)));
            let mut acts = Vec::new();
            if must_delete {
                acts.push(Act::Delete(found(key, pod)));
            }
            if must_delete && !has_succeeded {
                pod.stage = Stage::Going(Box::new(report));
            } else {
                acts.push(Act::Tell(report.clone()));
                let is_dead = !must_delete;
                pod.stage = Stage::Over { report: Box::new(report), at, has_succeeded, is_dead };
            }
            acts
        }
    }
}

/// How a pod has ended that is gone, by what was seen of it last.
pub(super) fn end_of_gone(
    key: AttemptKey,
    pod: &Pod,
    last: &ObservedPod,
    now: Timestamp,
) -> Report {
    let (phase, started_at, ended_at) = end(judge_gone(last), &pod.stage);
    let mut report = report(key, phase, pod, keep(last));
    report.report.started_at = started_at.or(pod.started_at);
    report.report.ended_at = Some(ended_at.unwrap_or(now));
    report
}

/// A pod whose end nobody has seen.
pub(super) fn lost(key: AttemptKey, pod: &Pod, message: &str, now: Timestamp) -> Report {
    let failure = Failure {
        reason: FailureReason::Lost,
        message: message.to_owned(),
        exit_code: None,
        signal: None,
    };
    let mut report = report(key, AttemptPhase::Failed(failure), pod, None);
    report.report.ended_at = Some(now);
    report
}

fn must_delete(judgement: &Judgement) -> bool {
    match judgement {
        Judgement::Succeeded { must_delete, .. } | Judgement::Failed { must_delete, .. } => {
            *must_delete
        }
        Judgement::Waiting { .. } | Judgement::Running { .. } | Judgement::Stopped { .. } => false,
    }
}

/// Times in a pod's status are whole seconds, rounded down.
fn not_before(earlier: Option<Timestamp>, time: Timestamp) -> Timestamp {
    earlier.map_or(time, |earlier| earlier.max(time))
}

/// How an attempt has ended, and when it began and ended.
fn end(
    judgement: Judgement,
    stage: &Stage,
) -> (AttemptPhase, Option<Timestamp>, Option<Timestamp>) {
    match judgement {
        Judgement::Succeeded { outputs, started_at, ended_at, .. } => {
            (AttemptPhase::Succeeded(outputs), started_at, ended_at)
        }
        Judgement::Failed { failure, started_at, ended_at, .. } => {
            (AttemptPhase::Failed(failure), started_at, ended_at)
        }
        Judgement::Stopped { mut failure, started_at, ended_at } => {
            let never_ran = failure.reason == FailureReason::Deleted && started_at.is_none();
            if let Stage::Waiting(Some(waited)) = stage
                && never_ran
            {
                failure.message = format!("it waited: {waited}");
            }
            (AttemptPhase::Failed(failure), started_at, ended_at)
        }
        // What is gone is neither.
        Judgement::Waiting { .. } | Judgement::Running { .. } => {
            (AttemptPhase::Stopped, None, None)
        }
    }
}

/// Whether nothing of the pod runs any more, or ever will.
pub(in super::super) fn is_dead_now(pod: &ObservedPod) -> bool {
    matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed"))
}

/// Whether a pod ends, or has ended.
pub(super) fn is_ending(pod: &ObservedPod) -> bool {
    pod.is_being_deleted() || is_dead_now(pod)
}

pub(super) fn found(key: AttemptKey, pod: &Pod) -> Found {
    Found {
        step: key.step,
        attempt: key.attempt,
        namespace: pod.namespace.to_string(),
        name: pod.name.to_string(),
        uid: pod.uid.to_string(),
        has_ended: !pod.is_living(),
    }
}

pub(super) fn report(
    key: AttemptKey,
    phase: AttemptPhase,
    pod: &Pod,
    keep: Option<KeepResult>,
) -> Report {
    let keep = keep.filter(|_| matches!(phase, AttemptPhase::Succeeded(_)));
    let report = AttemptReport {
        step: StepIndex(key.step),
        attempt: key.attempt,
        phase,
        created_at: pod.created_at,
        started_at: pod.started_at,
        ended_at: None,
    };
    Report { run: key.run, report, keep }
}

/// How the result is to be kept, as the pod says.
fn keep(pod: &ObservedPod) -> Option<KeepResult> {
    let key = pod.annotation(label::CACHE_KEY)?;
    let key = data_encoding::HEXLOWER.decode(key.as_bytes()).ok()?.try_into().ok()?;
    Some(KeepResult { key, step: pod.annotation(label::STEP)?.to_owned() })
}
