//! What attempts wait for in their clusters: the launchers there are asked, and have a moment to answer.
//!
//! ```text
//!   explain ──question──▶ all launchers of the cluster ──▶ Runtime::waits
//!      ▲                                                      │
//!      └────────────answers, on the question's subject────────┘
//! ```
//!
//! One of them looks after an attempt, and which one is written nowhere. Nothing is told unless somebody asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use prost::Message as _;
use tokio::time::timeout;
use tracing::warn;
use uuid::Uuid;
use windlass_bus::{BusError, Heard};
use windlass_engine::record::StepIndex;
use windlass_proto::{
    id::RunId,
    subject::{ClusterToken, Subject},
    v1::{self, wait::Cause},
};

use crate::Submitter;

/// How long launchers have to answer.
const WITHIN: Duration = Duration::from_secs(1);

/// What a cluster's launchers are asked, and what they have answered.
#[derive(Debug)]
pub(super) struct Asked {
    /// How many of them have been heard of lately.
    launchers: usize,
    attempts: BTreeSet<(StepIndex, u32)>,
    /// Whether some step has no attempt in flight, and waits for room.
    is_for_room: bool,
    answers: usize,
    known: BTreeMap<(StepIndex, u32), v1::Wait>,
    next: Option<v1::Wait>,
    has_room: bool,
}

impl Asked {
    pub(super) fn new(launchers: usize) -> Self {
        Self {
            launchers,
            attempts: BTreeSet::new(),
            is_for_room: false,
            answers: 0,
            known: BTreeMap::new(),
            next: None,
            has_room: false,
        }
    }

    /// Asks about an attempt in flight as well; about room, where there is none.
    pub(super) fn add(&mut self, attempt: Option<(StepIndex, u32)>) {
        match attempt {
            Some(attempt) => {
                self.attempts.insert(attempt);
            }
            None => self.is_for_room = true,
        }
    }

    /// What an attempt waits for.
    pub(super) fn known(&self, attempt: (StepIndex, u32)) -> Option<&v1::Wait> {
        self.known.get(&attempt)
    }

    /// What any attempt would wait for that is to be created; none where some launcher would create it at once.
    pub(super) fn next(&self) -> Option<&v1::Wait> {
        self.next.as_ref().filter(|_| !self.has_room)
    }

    /// Whether no launcher has been heard of.
    pub(super) fn is_unserved(&self) -> bool {
        self.launchers == 0
    }

    /// Whether there are launchers, and none has answered.
    pub(super) fn is_unanswered(&self) -> bool {
        self.launchers > 0 && self.answers == 0
    }

    /// Whether nothing more is to be heard: all have answered, or all pods are known.
    fn is_answered(&self) -> bool {
        let is_pod = |attempt| {
            let cause = self.known.get(attempt).and_then(|wait| wait.cause.as_ref());
            matches!(cause, Some(Cause::Pod(_)))
        };
        self.answers >= self.launchers || (!self.is_for_room && self.attempts.iter().all(is_pod))
    }

    /// Takes in what one launcher says.
    fn hear(&mut self, answer: v1::WaitAnswer) {
        self.answers += 1;
        self.has_room |= answer.has_room;
        if let Some(next) = answer.next {
            self.next = Some(both(self.next.take(), next));
        }
        for v1::AttemptWait { attempt, wait } in answer.attempts {
            let attempt = attempt.map(|it| (StepIndex(it.step), it.attempt));
            if let (Some(attempt), Some(wait)) = (attempt, wait)
                && self.attempts.contains(&attempt)
            {
                let wait = both(self.known.remove(&attempt), wait);
                self.known.insert(attempt, wait);
            }
        }
    }
}

impl Submitter {
    /// Asks the launchers of clusters, those of which any have been heard of, and waits for a moment for what they say.
    pub(super) async fn ask_launchers(&self, run: RunId, asked: &mut BTreeMap<Arc<str>, Asked>) {
        if asked.values().all(Asked::is_unserved) {
            return;
        }
        match timeout(WITHIN, self.ask(run, asked)).await {
            // Too late for more.
            Err(_) | Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "launchers are not asked what attempts wait for"),
        }
    }

    async fn ask(&self, run: RunId, asked: &mut BTreeMap<Arc<str>, Asked>) -> Result<(), BusError> {
        let (question, _) = Uuid::new_v4().as_u64_pair();
        let mut answers = self.bus.listen(Subject::Answer { question }).await?;
        let mut clusters = BTreeMap::new();
        for (name, asked) in asked.iter_mut().filter(|(_, asked)| !asked.is_unserved()) {
            let cluster = ClusterToken::of(name);
            let attempts = asked.attempts.iter();
            let attempts =
                attempts.map(|(step, attempt)| v1::AttemptRef { step: step.0, attempt: *attempt });
            let (run_id, attempts) = (run.to_string(), attempts.collect());
            let question = v1::WaitQuestion { question, run_id, attempts };
            self.bus
                .publish(Subject::Question { cluster }, question.encode_to_vec().into())
                .await?;
            clusters.insert(cluster.0, asked);
        }
        while !clusters.values().all(|asked| asked.is_answered()) {
            // Of answers that are lost others may be left.
            let Heard::Message(message) = answers.next().await? else { continue };
            if let Ok(answer) = v1::WaitAnswer::decode(message.payload)
                && let Some(asked) = clusters.get_mut(&answer.cluster)
            {
                asked.hear(answer);
            }
        }
        Ok(())
    }
}

/// What two launchers say of the same, as one.
fn both(one: Option<v1::Wait>, other: v1::Wait) -> v1::Wait {
    let Some(mut one) = one else { return other };
    match (&mut one.cause, &other.cause) {
        // Each tells of its share.
        (Some(Cause::LivePods(sum)), Some(Cause::LivePods(more)))
            if sum.namespace == more.namespace =>
        {
            sum.share = sum.share.saturating_add(more.share);
            sum.live = sum.live.saturating_add(more.live);
            one
        }
        (first, second) => {
            let since = |wait: &v1::Wait| wait.since.map_or(i64::MAX, |time| time.seconds);
            let (first, second) = (rank(first.as_ref()), rank(second.as_ref()));
            if (second, since(&other)) < (first, since(&one)) { other } else { one }
        }
    }
}

/// What says more comes first: a pod that is there, then what somebody has to do something about.
fn rank(cause: Option<&Cause>) -> u32 {
    match cause {
        Some(Cause::Pod(_)) => 0,
        Some(Cause::NotLaunching(_)) => 1,
        Some(Cause::ApiServer(_)) => 2,
        Some(Cause::Quota(_)) => 3,
        Some(Cause::LivePods(_)) => 4,
        Some(Cause::Creation(_)) => 5,
        // Of a newer launcher.
        None => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(seconds: i64, cause: Cause) -> v1::Wait {
        let since = (seconds > 0).then_some(prost_types::Timestamp { seconds, nanos: 0 });
        v1::Wait { cluster: "c".to_owned(), since, cause: Some(cause) }
    }

    fn live_pods(share: u32, live: u32) -> v1::Wait {
        let cause = v1::LivePodsWait { limit: 10, share, live, ..v1::LivePodsWait::default() };
        wait(0, Cause::LivePods(cause))
    }

    fn busy(since: i64, code: u32) -> v1::Wait {
        wait(since, Cause::ApiServer(v1::ApiServerWait { code, ..v1::ApiServerWait::default() }))
    }

    fn pod(name: &str) -> v1::Wait {
        wait(0, Cause::Pod(v1::PodWait { name: name.to_owned(), ..v1::PodWait::default() }))
    }

    fn answer(attempts: &[(u32, v1::Wait)], next: Option<v1::Wait>) -> v1::WaitAnswer {
        let attempts = attempts.iter().map(|(step, wait)| v1::AttemptWait {
            attempt: Some(v1::AttemptRef { step: *step, attempt: 1 }),
            wait: Some(wait.clone()),
        });
        let has_room = next.is_none();
        v1::WaitAnswer { cluster: 0, attempts: attempts.collect(), next, has_room }
    }

    /// Two launchers that are asked about the first attempts of these steps.
    fn asked(steps: &[u32]) -> Asked {
        let mut asked = Asked::new(2);
        for step in steps {
            asked.add(Some((StepIndex(*step), 1)));
        }
        asked
    }

    #[test]
    fn shares_of_a_limit_are_added_and_of_other_reasons_the_one_that_says_more_is_told() {
        let mut it = asked(&[0]);
        it.hear(answer(&[(0, live_pods(4, 4))], Some(live_pods(4, 4))));
        it.hear(answer(&[(0, live_pods(6, 5)), (7, pod("not asked for"))], Some(live_pods(6, 5))));
        let all = live_pods(10, 9);
        assert_eq!((it.known((StepIndex(0), 1)), it.next()), (Some(&all), Some(&all)));
        assert_eq!(it.known((StepIndex(7), 1)), None);
        let mut it = asked(&[0]);
        it.hear(answer(&[(0, busy(9, 503))], Some(busy(9, 503))));
        it.hear(answer(&[(0, pod("a"))], Some(busy(5, 429))));
        it.hear(answer(&[(0, live_pods(1, 1))], Some(live_pods(1, 1))));
        assert_eq!(it.known((StepIndex(0), 1)), Some(&pod("a")));
        assert_eq!(it.next(), Some(&busy(5, 429)), "the one that has gone on for longer");
    }

    #[test]
    fn nothing_keeps_an_attempt_from_being_created_where_one_launcher_has_room() {
        let mut it = asked(&[0]);
        it.hear(answer(&[], Some(live_pods(5, 5))));
        assert_eq!(it.next(), Some(&live_pods(5, 5)));
        it.hear(answer(&[], None));
        assert_eq!(it.next(), None);
    }

    #[test]
    fn no_answer_is_waited_for_that_could_tell_nothing_new() {
        let mut it = asked(&[0, 1]);
        assert!(it.is_unanswered() && !it.is_answered());
        it.hear(answer(&[(0, pod("a"))], None));
        assert!(!it.is_unanswered() && !it.is_answered());
        let mut for_room = asked(&[0, 1]);
        for_room.add(None);
        for it in [&mut it, &mut for_room] {
            it.hear(answer(&[(0, pod("a")), (1, pod("b"))], None));
        }
        assert!(it.is_answered(), "both pods are known");
        assert!(!for_room.is_answered(), "the other launcher may have no room");
        for_room.hear(answer(&[], None));
        assert!(for_room.is_answered());
        assert!(Asked::new(0).is_answered());
    }
}
