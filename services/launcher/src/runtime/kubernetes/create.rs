//! From an attempt to a pod that exists: when it may be created, one write, and what the server's answer means.

use std::{
    path::Path,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use tokio::time::{sleep, sleep_until, timeout};
use tracing::{info, warn};
use windlass_engine::{
    event::{AttemptPhase, AttemptReport},
    reason::{Failure, FailureReason},
    record::StepIndex,
};
use windlass_pod::{label, manifest};
use windlass_proto::v1;
use windlass_service::fail_point;

use super::{Shared, State, pace::Answer, pods::Place, refusal::Refusal, tell_once};
use crate::{
    clock,
    runtime::{AttemptKey, AttemptSpec, Report},
};

/// How long to wait before the next try for a namespace, an account or a right that may be about to be made.
const WAIT_FOR_MISSING: Duration = Duration::from_secs(1);

/// How long to wait before a pod that is there is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Where an attempt's pod may be created.
enum Placed {
    /// There. It counts from now on.
    At(Place),
    /// The attempt is known, or over, and that was told.
    Known,
    /// Nowhere, until a place among the pods that may live comes free.
    Full,
    /// Others have to do something first: it is not tried any more by this command.
    NotNow,
    /// Nowhere: nobody could watch it, for this reason.
    Unwatched(String),
}

/// What came of one try.
enum Tried {
    /// The attempt exists, or is over, and that was told.
    Done,
    /// It may be tried again then.
    Again(Instant),
    /// Others have to do something first: it is not tried any more by this command.
    NotNow,
}

impl Shared {
    /// Creates an attempt's pod; its key, where that was not possible before the deadline.
    pub(super) async fn create(
        self: &Arc<Self>,
        spec: AttemptSpec,
        deadline: Instant,
    ) -> Option<AttemptKey> {
        let key = spec.key;
        if let Some(cached) = spec.cached {
            self.end(key, AttemptPhase::Cached(cached.outputs, cached.source));
            return None;
        }
        self.waits(1);
        let is_done = self.create_by(key, &spec, deadline).await;
        self.waits(-1);
        (!is_done).then_some(key)
    }

    /// Tries until the deadline. False where that was in vain.
    async fn create_by(
        self: &Arc<Self>,
        key: AttemptKey,
        spec: &AttemptSpec,
        deadline: Instant,
    ) -> bool {
        let Some(pod) = self.manifest(spec) else { return true };
        while Instant::now() < deadline {
            let place = match self.place(key, &pod, deadline).await {
                Placed::At(place) => place,
                Placed::Known => return true,
                Placed::Full | Placed::NotNow => return false,
                Placed::Unwatched(_) if Instant::now() + WAIT_FOR_MISSING < deadline => {
                    sleep(WAIT_FOR_MISSING).await;
                    continue;
                }
                Placed::Unwatched(message) => {
                    self.fail(key, FailureReason::LaunchFailed, message);
                    return true;
                }
            };
            match self.try_create(key, &pod, place, deadline).await {
                Tried::Done => return true,
                Tried::NotNow => break,
                Tried::Again(at) => sleep_until(at.min(deadline).into()).await,
            }
        }
        false
    }

    /// The attempt's pod, without its shard. None where there can be none: then the attempt has failed.
    fn manifest(&self, spec: &AttemptSpec) -> Option<Pod> {
        let AttemptKey { run, step: step_index, attempt } = spec.key;
        let none = v1::Pod::default();
        let request = manifest::Request {
            installation: &self.config.installation,
            namespace: &spec.namespace,
            run: &run.to_string(),
            pipeline: &spec.pipeline,
            step: &spec.step,
            step_index,
            attempt,
            shard: 0,
            image: spec.image.as_deref().unwrap_or_default(),
            command: &spec.command,
            args: &spec.args,
            env: &spec.env,
            secrets: &spec.secrets,
            working_dir: spec.working_dir.as_deref().and_then(Path::to_str),
            memory_bytes: spec.memory_bytes,
            termination_grace: spec.termination_grace,
            outputs: &spec.outputs,
            cache_key: spec.cache.map(|cache| cache.key.0),
            settings: spec.pod.as_deref().unwrap_or(&none),
        };
        let mut pod = match manifest::pod(&request) {
            Ok(pod) => pod,
            Err(error) => {
                self.fail(spec.key, FailureReason::CannotStart, error.to_string());
                return None;
            }
        };
        let namespace = pod.metadata.namespace.get_or_insert_with(|| self.config.namespace.clone());
        if self.config.namespaces().any(|it| it == namespace) {
            return Some(pod);
        }
        let message = format!(
            "the launchers of cluster `{}` serve no namespace `{namespace}`: name one of {}, or have it added to the cluster's `other_namespaces`",
            self.config.cluster,
            self.config.namespaces().collect::<Vec<_>>().join(", "),
        );
        self.fail(spec.key, FailureReason::CannotStart, message);
        None
    }

    /// Waits for a place among the pods that may live, until the deadline.
    async fn place(&self, key: AttemptKey, pod: &Pod, deadline: Instant) -> Placed {
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            let placed = self.try_place(key, pod);
            let rest = deadline.saturating_duration_since(Instant::now());
            if !matches!(placed, Placed::Full) || timeout(rest, freed).await.is_err() {
                return placed;
            }
        }
    }

    fn try_place(&self, key: AttemptKey, pod: &Pod) -> Placed {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let mut state = self.state();
        if let Some(present) = state.pods.present(key) {
            if let Ok(report) = present {
                self.tell(report);
            }
            return Placed::Known;
        }
        if state.pods.is_gone(key) {
            // It was created, whatever was answered, and its end was told.
            return Placed::Known;
        }
        if !self.budget().launching {
            return Placed::NotNow;
        }
        if let Some(why) = state.refused.get(namespace) {
            return Placed::Unwatched(format!(
                "the launcher may not watch pods in namespace {namespace}, and creates none there: {why}; see what `windlass cluster check {}` says",
                self.config.cluster
            ));
        }
        let limits = self.limits();
        let open = self.open_shards(&state);
        let shard = state.pods.living().place(&open, namespace, &limits);
        let Some(shard) = shard else {
            state.waits.hold_up(key, namespace, Instant::now());
            return Placed::Full;
        };
        if state.quotas.may_try(namespace, Instant::now()).is_err() {
            state.waits.hold_up(key, namespace, Instant::now());
            return Placed::NotNow;
        }
        let place = Place { namespace: namespace.to_owned(), name: name.to_owned(), shard };
        state.pods.begin(key, place.clone(), Instant::now());
        self.room_changed(&state);
        Placed::At(place)
    }

    async fn try_create(
        self: &Arc<Self>,
        key: AttemptKey,
        pod: &Pod,
        place: Place,
        deadline: Instant,
    ) -> Tried {
        let mut pod = pod.clone();
        let labels = pod.metadata.labels.get_or_insert_default();
        labels.insert(label::SHARD.to_owned(), place.shard.to_string());
        if !self.enter(key, &place, deadline).await {
            return Tried::NotNow;
        }
        let sent = Instant::now();
        let created = self.api.create(&place.namespace, &pod).await;
        self.leave(&created, sent);
        match created {
            Ok(()) => {
                fail_point::reach("launcher.created");
                let mut state = self.state();
                state.quotas.has_room(&place.namespace);
                state.missing.is_there(&place.namespace, account(&pod));
                if let Some(report) = state.pods.created(key, clock::now()) {
                    self.tell(report);
                }
                Tried::Done
            }
            Err(Refusal::Exists) => self.adopt(key, &place, deadline).await,
            Err(refusal) => {
                self.not_created(key);
                self.refused(key, &place, account(&pod), refusal, deadline)
            }
        }
    }

    fn refused(
        &self,
        key: AttemptKey,
        place: &Place,
        account: &str,
        refusal: Refusal,
        deadline: Instant,
    ) -> Tried {
        let now = Instant::now();
        let cluster = &self.config.cluster;
        if matches!(refusal, Refusal::Missing(_) | Refusal::Forbidden(_))
            && self.state().missing.is_awaited(&place.namespace, account, now)
        {
            let again = now + WAIT_FOR_MISSING;
            return if again < deadline { Tried::Again(again) } else { Tried::NotNow };
        }
        let (reason, message) = match refusal {
            // Seen to where it can be looked at.
            Refusal::Exists => return Tried::Again(now),
            Refusal::Quota(message) => {
                let is_news = {
                    let mut state = self.state();
                    state.waits.hold_up(key, &place.namespace, now);
                    state.quotas.is_full(&place.namespace, &message, now)
                };
                if is_news {
                    info!(namespace = place.namespace, message, "a quota is used up: pods wait");
                }
                return Tried::NotNow;
            }
            Refusal::Busy { message, .. } => {
                warn!(attempt = %key, message, "a pod is created later");
                return Tried::Again(now);
            }
            Refusal::Missing(message) => (
                FailureReason::LaunchFailed,
                format!("{message}; make it, or see what `windlass cluster check {cluster}` says"),
            ),
            Refusal::Forbidden(message) => (
                FailureReason::LaunchFailed,
                format!(
                    "the launcher may not create pods: {message}; see what `windlass cluster check {cluster}` says"
                ),
            ),
            Refusal::Denied(message) => (
                FailureReason::Refused,
                format!("a policy of the cluster does not allow the pod: {message}"),
            ),
            Refusal::Invalid(message) => {
                (FailureReason::Refused, format!("the cluster does not take the pod: {message}"))
            }
        };
        self.fail(key, reason, message);
        Tried::Done
    }

    /// Sees what becomes of a pod that is there already: an earlier create succeeded, whoever sent it.
    async fn adopt(self: &Arc<Self>, key: AttemptKey, place: &Place, deadline: Instant) -> Tried {
        let found = self.api.get(&place.namespace, &place.name).await;
        // Counted where it is, not where it would have been.
        self.not_created(key);
        let pod = match found {
            Ok(Some(pod)) => pod,
            Ok(None) => {
                let message = "its pod was there and is gone, and nobody saw how it ended";
                self.fail(key, FailureReason::Lost, message.to_owned());
                return Tried::Done;
            }
            Err(_) => return Tried::Again((Instant::now() + LOOK_AGAIN).min(deadline)),
        };
        let ours = pod.key().filter(|it| {
            let attempt = it.attempt;
            (it.run, attempt.step, attempt.attempt) == (key.run, StepIndex(key.step), key.attempt)
        });
        match ours {
            Some(it) if self.held.borrow().contains(&it.shard) => drop(self.seen(&pod)),
            Some(_) => tell_once(self, &pod),
            None => {
                let message = format!(
                    "there is another pod named {} in namespace {}, which is not this attempt's: remove it",
                    place.name, place.namespace
                );
                self.fail(key, FailureReason::LaunchFailed, message);
            }
        }
        Tried::Done
    }

    /// Waits for a turn to send a create. False where there is none before the deadline, and where the limits were lowered and do
    /// not have its place any more: then the place is given up.
    async fn enter(&self, key: AttemptKey, place: &Place, deadline: Instant) -> bool {
        loop {
            let wait_until = {
                let mut state = self.state();
                let living = state.pods.living();
                if !living.is_within(place.shard, &place.namespace, &self.limits()) {
                    state.pods.not_created(key);
                    self.room_changed(&state);
                    return false;
                }
                match self.may_send(&mut state, Instant::now()) {
                    Ok(()) => {
                        state.in_flight += 1;
                        // There may be room for the next one, too.
                        self.turn.notify_one();
                        return true;
                    }
                    Err(at) => at.unwrap_or(deadline).min(deadline),
                }
            };
            tokio::select! {
                () = self.turn.notified() => {}
                () = sleep_until(wait_until.into()) => {}
            }
            if Instant::now() >= deadline {
                self.not_created(key);
                return false;
            }
        }
    }

    /// Whether a create may be sent now; otherwise from when on, where that is known.
    fn may_send(&self, state: &mut State, now: Instant) -> Result<(), Option<Instant>> {
        if let Some(until) = state.pace.rests_until(now) {
            return Err(Some(until));
        }
        if state.in_flight >= state.pace.window(self.most_in_flight()) {
            return Err(None);
        }
        let gap = self.create_gap(&self.held.borrow());
        if let (Some(gap), Some(last)) = (gap, state.last_create)
            && now.duration_since(last) < gap
        {
            return Err(last.checked_add(gap));
        }
        state.last_create = Some(now);
        Ok(())
    }

    /// A create was answered.
    fn leave(&self, created: &Result<(), Refusal>, sent: Instant) {
        let answer = match created {
            Err(Refusal::Busy { after, .. }) => Answer::Busy(*after),
            Ok(()) | Err(_) => Answer::Served,
        };
        let most = self.most_in_flight();
        let now = Instant::now();
        let mut state = self.state();
        state.in_flight -= 1;
        state.pace.answered(answer, sent, now, most, jitter(now.duration_since(sent)));
        state.waits.answered(created, sent, now);
        drop(state);
        self.turn.notify_one();
        self.answered.notify_waiters();
    }

    fn not_created(&self, key: AttemptKey) {
        let mut state = self.state();
        state.pods.not_created(key);
        self.room_changed(&state);
    }

    fn waits(&self, by: isize) {
        let mut state = self.state();
        state.waiting = state.waiting.saturating_add_signed(by);
        self.room_changed(&state);
    }

    fn fail(&self, key: AttemptKey, reason: FailureReason, message: String) {
        let failure = Failure { reason, message, exit_code: None, signal: None };
        self.end(key, AttemptPhase::Failed(failure));
    }

    pub(super) fn end(&self, key: AttemptKey, phase: AttemptPhase) {
        let report = AttemptReport {
            step: StepIndex(key.step),
            attempt: key.attempt,
            phase,
            created_at: None,
            started_at: None,
            ended_at: Some(clock::now()),
        };
        self.tell(Report { run: key.run, report, keep: None });
    }
}

/// From 0 to 1. The last digits of how long an answer took are as random as is needed.
fn jitter(took: Duration) -> f64 {
    f64::from(took.subsec_nanos() % 1000) / 1000.0
}

/// The service account of a pod; empty where the namespace's own is meant.
fn account(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or_default()
}
