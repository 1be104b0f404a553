//! What attempts wait for, for whoever asks: what keeps pods from being created, and what pods wait for that do not run yet.
//!
//! What is told is put together when somebody asks: from the limits, quotas and pods that are known anyway, and from what the API
//! server says of a pod then. Remembered for it are only the attempts that were held up a moment ago, and the server's latest trouble.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future;
use kube::{Error, runtime::watcher};
use tokio::time::timeout;
use windlass_engine::time::Timestamp;
use windlass_pod::judge::{Judgement, PodWait, judge, wait};
use windlass_proto::{
    convert,
    v1::{self, wait::Cause},
};

use super::{
    Shared, State, api,
    pods::Unstarted,
    refusal::{QUOTA, Refusal},
};
use crate::{
    clock,
    runtime::{AttemptKey, Waits},
};

/// How long the API server may take to say how a pod is: who asks does not wait for longer.
const READ_WITHIN: Duration = Duration::from_millis(500);

/// How long an attempt is remembered that was held up. It comes again sooner, to this launcher or another one.
const HELD_UP: Duration = Duration::from_secs(15);

/// How many of them are remembered.
const MOST: usize = 1024;

/// How long the server's trouble counts after its latest sign: a request may take that long.
const TROUBLED: Duration = Duration::from_secs(api::ANSWER.as_secs() + HELD_UP.as_secs());

/// How much is repeated of what others say, in characters.
const WORDS: usize = 500;

/// What nothing else remembers of attempts that wait.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// Attempts that found no room for their pods: the namespaces of these, and when that was.
    held_up: HashMap<AttemptKey, (Box<str>, Instant)>,
    trouble: Option<Trouble>,
}

/// The API server does not do what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trouble {
    since: Instant,
    latest: Instant,
    code: u16,
    message: Box<str>,
}

impl Remembered {
    /// An attempt found no room for its pod, in this namespace.
    pub(super) fn hold_up(&mut self, key: AttemptKey, namespace: &str, now: Instant) {
        if let Some((_, at)) = self.held_up.get_mut(&key) {
            *at = now;
            return;
        }
        if self.held_up.len() >= MOST {
            self.held_up.retain(|_, (_, at)| now.duration_since(*at) < HELD_UP);
        }
        // What is true of so many is true of the others.
        if self.held_up.len() < MOST {
            self.held_up.insert(key, (namespace.into(), now));
        }
    }

    /// The namespace in which an attempt has lately found no room.
    fn held_up_in(&self, key: AttemptKey, now: Instant) -> Option<&str> {
        let (namespace, at) = self.held_up.get(&key)?;
        (now.duration_since(*at) < HELD_UP).then_some(namespace)
    }

    /// A create that was sent at `sent` was answered, or given up.
    pub(super) fn answered(&mut self, created: &Result<(), Refusal>, sent: Instant, now: Instant) {
        match created {
            Err(Refusal::Busy { code, message, .. }) => {
                self.trouble_came(*code, message, sent, now);
            }
            Ok(()) | Err(_) => self.trouble_is_over(),
        }
    }

    fn trouble_came(&mut self, code: u16, message: &str, begun: Instant, now: Instant) {
        let since = self.trouble(now).map_or(begun, |trouble| trouble.since);
        let message = cut(message).into();
        self.trouble = Some(Trouble { since, latest: now, code, message });
    }

    /// The server does what is asked of it.
    pub(super) fn trouble_is_over(&mut self) {
        self.trouble = None;
    }

    fn trouble(&self, now: Instant) -> Option<&Trouble> {
        self.trouble.as_ref().filter(|it| now.duration_since(it.latest) < TROUBLED)
    }
}

impl Shared {
    /// What attempts wait for, and what another one would.
    pub(super) async fn waits_of(self: &Arc<Self>, attempts: Vec<AttemptKey>) -> Waits {
        let (mut waits, exist) = self.waits_now(attempts, Instant::now());
        let asked = exist.into_iter().map(|(key, pod)| async move {
            let wait = self.wait_of_pod(pod).await?;
            Some((key, wait))
        });
        waits.known.extend(future::join_all(asked).await.into_iter().flatten());
        waits
    }

    /// All but what is to be asked of the API server: the attempts whose pods exist.
    fn waits_now(
        &self,
        attempts: Vec<AttemptKey>,
        now: Instant,
    ) -> (Waits, Vec<(AttemptKey, Unstarted)>) {
        let (mut known, mut exist) = (Vec::new(), Vec::new());
        let state = self.state();
        for key in attempts {
            let wait = match state.pods.unstarted(key) {
                Some(pod @ Unstarted::Exists { .. }) => {
                    exist.push((key, pod));
                    None
                }
                Some(Unstarted::Creating { since }) => Some(
                    self.trouble(&state, now).unwrap_or_else(|| self.creation(&state, since, now)),
                ),
                None => {
                    let namespace = state.waits.held_up_in(key, now);
                    namespace.and_then(|it| self.hindrance(&state, Some(it), now))
                }
            };
            known.extend(wait.map(|wait| (key, wait)));
        }
        let mut namespaces = self.config.namespaces();
        // Where there are several, it is not known in which of them the next one will be.
        let namespace = namespaces.next().filter(|_| namespaces.next().is_none());
        let next = self.hindrance(&state, namespace, now);
        let has_room = next.is_none() && !self.open_shards(&state).is_empty();
        (Waits { known, next, has_room }, exist)
    }

    /// What keeps a pod from being created now, in a namespace where that is known; none where nothing is known of.
    fn hindrance(&self, state: &State, namespace: Option<&str>, now: Instant) -> Option<v1::Wait> {
        if !self.budget().launching {
            return Some(self.wait(None, Cause::NotLaunching(v1::NotLaunching {})));
        }
        let open = self.open_shards(state);
        if !open.is_empty()
            && let Some(full) = self.full(state, &open, namespace)
        {
            return Some(self.wait(None, Cause::LivePods(full)));
        }
        let quota = namespace.and_then(|it| Some((it, state.quotas.told(it, now)?)));
        if let Some((namespace, (since, words))) = quota {
            // Before that it names the pod with which it was tried.
            let words = words.find(QUOTA).map_or(words, |at| &words[at..]);
            let quota = v1::QuotaWait { namespace: namespace.to_owned(), message: cut(words) };
            return Some(self.wait(Some(ago(since, now)), Cause::Quota(quota)));
        }
        self.trouble(state, now)
    }

    /// Which limit of pods that live is used up in these shards.
    fn full(
        &self,
        state: &State,
        open: &BTreeSet<u32>,
        namespace: Option<&str>,
    ) -> Option<v1::LivePodsWait> {
        let limits = self.limits();
        let living = state.pods.living();
        let told = |namespace: Option<&str>, limit| {
            let (live, share) = living.used(open, namespace, limit, limits.shards);
            let namespace = namespace.unwrap_or_default().to_owned();
            v1::LivePodsWait { namespace, limit, share, live }
        };
        if living.free(open, &limits) == 0 {
            return Some(told(None, limits.pods));
        }
        let (namespace, limit) = (namespace?, limits.pods_per_namespace?);
        living.place(open, namespace, &limits).is_none().then(|| told(Some(namespace), limit))
    }

    fn trouble(&self, state: &State, now: Instant) -> Option<v1::Wait> {
        let Trouble { since, code, message, .. } = state.waits.trouble(now)?;
        let cause = v1::ApiServerWait { code: u32::from(*code), message: message.to_string() };
        Some(self.wait(Some(ago(*since, now)), Cause::ApiServer(cause)))
    }

    fn creation(&self, state: &State, since: Instant, now: Instant) -> v1::Wait {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let creation = v1::CreationWait {
            under_way: number(state.in_flight),
            allowed: number(state.pace.window(self.most_in_flight())),
            waiting: number(state.waiting),
        };
        self.wait(Some(ago(since, now)), Cause::Creation(creation))
    }

    /// What a pod waits for, as the API server says now; where that does not answer in time, as was seen last. None where it waits
    /// no more.
    async fn wait_of_pod(&self, pod: Unstarted) -> Option<v1::Wait> {
        let Unstarted::Exists { namespace, name, words, is_going } = pod else { return None };
        if is_going {
            let words = words.unwrap_or_default();
            let message = cut(&format!("it has failed and is being removed: {words}"));
            let told = v1::PodWait { namespace, name, message, ..v1::PodWait::default() };
            return Some(self.wait(None, Cause::Pod(told)));
        }
        let Ok(Ok(read)) = timeout(READ_WITHIN, self.api.get(&namespace, &name)).await else {
            let message = cut(&words.unwrap_or_default());
            let told = v1::PodWait { namespace, name, message, ..v1::PodWait::default() };
            return Some(self.wait(None, Cause::Pod(told)));
        };
        let pod = read.filter(|pod| matches!(judge(pod), Judgement::Waiting { .. }))?;
        let PodWait { since, container, reason, message } = wait(&pod);
        let told = v1::PodWait {
            namespace,
            name,
            node: pod.spec.node_name.clone().unwrap_or_default(),
            container: container.unwrap_or_default().to_owned(),
            reason: cut(reason.unwrap_or_default()),
            message: cut(&message.unwrap_or_default()),
        };
        Some(self.wait(since, Cause::Pod(told)))
    }

    fn wait(&self, since: Option<Timestamp>, cause: Cause) -> v1::Wait {
        v1::Wait {
            cluster: self.config.cluster.clone(),
            since: since.and_then(convert::timestamp),
            cause: Some(cause),
        }
    }

    /// Pods of a namespace are not watched. Where they are not even listed, none is created.
    pub(super) fn not_watched(&self, namespace: &str, error: &watcher::Error, words: &str) {
        let mut state = self.state();
        if !state.listed.contains_key(namespace) {
            let now = Instant::now();
            state.waits.trouble_came(code(error), words, now, now);
        }
    }
}

/// The code of the server's answer; 0 where there was none.
fn code(error: &watcher::Error) -> u16 {
    match error {
        watcher::Error::InitialListFailed(Error::Api(status))
        | watcher::Error::WatchStartFailed(Error::Api(status))
        | watcher::Error::WatchFailed(Error::Api(status))
        | watcher::Error::WatchError(status) => status.code,
        _ => 0,
    }
}

/// A moment of this program as others tell the time.
fn ago(moment: Instant, now: Instant) -> Timestamp {
    let ago = u64::try_from(now.duration_since(moment).as_millis()).unwrap_or(u64::MAX);
    Timestamp(clock::now().0.saturating_sub(ago))
}

fn cut(text: &str) -> String {
    text.chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(step: u32) -> AttemptKey {
        AttemptKey { run: "run_0123456789abcdefghijklmnop".parse().unwrap(), step, attempt: 1 }
    }

    #[test]
    fn an_attempt_that_was_held_up_is_remembered_for_a_while_and_no_more_than_so_many_are() {
        let mut remembered = Remembered::default();
        let begin = Instant::now();
        let later = begin + HELD_UP / 2;
        for step in 0..u32::try_from(MOST).unwrap() {
            remembered.hold_up(attempt(step), "a", begin);
        }
        remembered.hold_up(attempt(0), "a", later);
        let one_more = attempt(u32::MAX);
        remembered.hold_up(one_more, "a", later);
        assert_eq!(remembered.held_up_in(attempt(0), later), Some("a"));
        assert_eq!(remembered.held_up_in(one_more, later), None, "there are as many as may be");
        let past = begin + HELD_UP;
        assert_eq!(remembered.held_up_in(attempt(1), past), None);
        remembered.hold_up(one_more, "b", past);
        assert_eq!(remembered.held_up_in(one_more, past), Some("b"));
        assert_eq!(remembered.held_up_in(attempt(0), past), Some("a"));
        assert_eq!(remembered.held_up.len(), 2, "what has come again, and what came");
    }

    #[test]
    fn trouble_is_since_the_first_request_that_met_it_until_one_is_served_or_none_is_sent() {
        let mut remembered = Remembered::default();
        let begin = Instant::now();
        let busy =
            |code, message: &str| Refusal::Busy { after: None, code, message: message.into() };
        let second = Duration::from_secs(1);
        remembered.answered(&Err(busy(0, "no answer")), begin, begin + second);
        remembered.answered(&Err(busy(429, "later")), begin + second, begin + 2 * second);
        let trouble = remembered.trouble(begin + 2 * second).unwrap();
        assert_eq!((trouble.since, trouble.code, &*trouble.message), (begin, 429, "later"));
        assert_eq!(remembered.trouble(begin + 2 * second + TROUBLED), None);
        let quota = Refusal::Quota("used up".into());
        remembered.answered(&Err(quota), begin, begin + 3 * second);
        assert_eq!(remembered.trouble(begin + 3 * second), None);
    }
}
