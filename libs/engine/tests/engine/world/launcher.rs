//! The launcher of a world.

use windlass_engine::{
    event::{AttemptPhase, AttemptReport, Event},
    output::{AttemptRef, Effect},
    reason::{Failure, FailureReason},
    record::{RunState, StepState},
    time::Timestamp,
};

use super::{Life, Plan, World};
use crate::{answers, model::Outcome, paths::path};

impl World<'_> {
    /// What the launcher does with a command.
    pub(super) fn deliver_command(&mut self, pick: u32) {
        if self.commands.is_empty() {
            return;
        }
        let (effect, generation) = self.commands.remove(pick as usize % self.commands.len());
        let it = effect.attempt();
        let life = self.attempts.get(&it).cloned();
        match (effect, life) {
            (Effect::Acquire(_) | Effect::Hold(_) | Effect::Release(_), _) => {
                return self.deliver_to_limits(effect);
            }
            (Effect::Launch(_), None) => self.create_if_wanted(it, generation),
            (Effect::Launch(_) | Effect::Probe(_), Some(_))
            | (Effect::Stop(_), Some(Life::Ended(_))) => {}
            (Effect::Stop(_), Some(Life::Starting | Life::Running { .. })) => {
                // It may have been about to end by itself.
                if pick.is_multiple_of(4) {
                    self.progress_one(it);
                }
                if !matches!(self.attempts[&it], Life::Ended(_)) {
                    self.end(it, AttemptPhase::Stopped);
                }
            }
            (Effect::Stop(_), None | Some(Life::Never)) => {
                self.attempts.insert(it, Life::Never);
            }
            (Effect::Probe(_), None) => self.end(it, failed(FailureReason::Lost)),
        }
        self.tell(it);
    }

    fn create_if_wanted(&mut self, it: AttemptRef, generation: u32) {
        let record = self.run.step(it.step);
        if record.state != StepState::Queued || record.attempt != it.attempt {
            return;
        }
        let launches = matches!(self.run.record().state, RunState::Running | RunState::Exiting);
        if !launches || self.run.record().launch_generation != generation {
            self.attempts.insert(it, Life::Never);
            return;
        }
        let twin = self.live().into_iter().find(|other| other.step == it.step);
        assert!(self.book.is_none() || twin.is_none(), "{twin:?} runs, and {it:?} is to");
        assert!(self.book.is_none() || self.lines.allow(&self.run, it), "{it:?} holds no limits");
        let path = path(self.run.layout(), it.step);
        let created = self.created.entry(it.step).or_default();
        let outcome = (self.outcome)(&path, *created);
        let output = answers::output(&path, *created);
        *created += 1;
        self.planned.insert(it, Plan { outcome, output });
        if outcome == Outcome::Failure(FailureReason::LaunchFailed) {
            self.end(it, failed(FailureReason::LaunchFailed));
        } else {
            self.attempts.insert(it, Life::Starting);
        }
    }

    /// An attempt goes on to its next phase.
    pub(super) fn progress(&mut self, pick: u32) {
        let live = self.live();
        if !live.is_empty() {
            let it = live[pick as usize % live.len()];
            self.progress_one(it);
            self.tell(it);
        }
    }

    fn progress_one(&mut self, it: AttemptRef) {
        let layout = self.run.layout();
        let policy = self.run.graph().step_policy(layout.node(it.step));
        let Plan { outcome, output } = self.planned[&it];
        match (self.attempts.get(&it), outcome) {
            (Some(Life::Starting), Outcome::Hang) if policy.startup_timeout_ms.is_some() => {}
            (Some(Life::Starting), _) => {
                drop(self.attempts.insert(it, Life::Running { since: self.launchers_now(it) }));
            }
            (Some(Life::Running { .. }), Outcome::Success) => {
                let outputs = format!(r#"{{"n":{output}}}"#);
                self.end(it, AttemptPhase::Succeeded(Some(outputs.into())));
            }
            (Some(Life::Running { .. }), Outcome::Failure(reason)) => self.end(it, failed(reason)),
            (_, _) => {}
        }
    }

    fn end(&mut self, it: AttemptRef, phase: AttemptPhase) {
        let started_at = match self.attempts.get(&it) {
            Some(Life::Running { since }) => Some(*since),
            _ => None,
        };
        let ended_at = Some(self.launchers_now(it));
        let report = AttemptReport { started_at, ended_at, ..bare(it, phase) };
        self.attempts.insert(it, Life::Ended(report));
    }

    /// The launcher's clock is up to 20 ms fast or slow.
    fn launchers_now(&self, it: AttemptRef) -> Timestamp {
        Timestamp(self.now.0 + u64::from((it.step.0 * 7 + it.attempt) % 41) - 20)
    }

    /// The launcher reports an attempt's present phase.
    pub(super) fn tell(&mut self, it: AttemptRef) {
        let told = self.attempts.get(&it).map(|life| match life {
            Life::Starting => bare(it, AttemptPhase::Starting),
            Life::Running { since } => {
                AttemptReport { started_at: Some(*since), ..bare(it, AttemptPhase::Running) }
            }
            Life::Ended(report) => report.clone(),
            Life::Never => bare(it, AttemptPhase::NotCreated),
        });
        self.words.extend(told.map(Event::Report));
    }

    pub(super) fn live(&self) -> Vec<AttemptRef> {
        let lives = self.attempts.iter();
        lives
            .filter(|(_, life)| matches!(life, Life::Starting | Life::Running { .. }))
            .map(|(it, _)| *it)
            .collect()
    }

    /// An attempt's host is gone.
    pub(super) fn vanish(&mut self, pick: u32) {
        let live = self.live();
        if !live.is_empty() {
            let it = live[pick as usize % live.len()];
            self.end(it, failed(FailureReason::Lost));
            self.tell(it);
        }
    }
}

fn failed(reason: FailureReason) -> AttemptPhase {
    AttemptPhase::Failed(Failure { reason, message: String::new(), exit_code: None, signal: None })
}

fn bare(it: AttemptRef, phase: AttemptPhase) -> AttemptReport {
    AttemptReport {
        step: it.step,
        attempt: it.attempt,
        phase,
        created_at: None,
        started_at: None,
        ended_at: None,
    }
}
