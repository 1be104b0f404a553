//! What becomes of a run in which nothing is stopped, written apart from the engine: each step's end as a function of the
//! ends of those it waits for, of what it holds, and of how its attempts turn out. No events, no order, no time, and no numbers
//! of steps.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::take,
};

use windlass_engine::{
    graph::{Graph, NodeIndex, NodeKind, Place},
    policy::{RetryAction, TriggerRule},
    reason::{Failure, FailureReason, Fault, Reason},
    record::{RunState, StepState},
};

use super::{
    answers::{self, Seen},
    paths::Path,
};

/// How an attempt turns out if nobody stops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure(FailureReason),
    /// It neither starts nor ends.
    Hang,
}

/// What is decided of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) state: StepState,
    pub(crate) reason: Reason,
    pub(crate) cause: Option<Path>,
    pub(crate) failures: u16,
    pub(crate) losses: u16,
}

/// How a run ends, and what that took in all rounds so far.
pub(crate) struct Model<'a> {
    graph: &'a Graph,
    /// What conditions and lists are drawn from.
    seed: u64,
    /// How a task's n-th attempt (from 0) turns out.
    outcome: &'a dyn Fn(&Path, u32) -> Outcome,
    pub(crate) ends: BTreeMap<Path, End>,
    attempts: BTreeMap<Path, u32>,
    outputs: BTreeMap<Path, u64>,
    /// How many items the loops have.
    items: BTreeMap<Path, u32>,
    /// What was not left as it was in the round before.
    again: BTreeSet<Path>,
    /// From where this round was begun, where somebody said.
    from: Option<Path>,
    /// As the exit steps see it.
    run: Option<RunState>,
}

impl<'a> Model<'a> {
    /// Of a run that has not begun.
    pub(crate) fn new(
        graph: &'a Graph,
        seed: u64,
        outcome: &'a dyn Fn(&Path, u32) -> Outcome,
    ) -> Self {
        Self {
            graph,
            seed,
            outcome,
            ends: BTreeMap::new(),
            attempts: BTreeMap::new(),
            outputs: BTreeMap::new(),
            items: BTreeMap::new(),
            again: BTreeSet::new(),
            from: None,
            run: None,
        }
    }

    pub(crate) fn state(&self) -> RunState {
        if self.ends.values().any(|end| end.state == StepState::Failed) {
            RunState::Failed
        } else {
            RunState::Succeeded
        }
    }

    /// The first round, or the next one after a retry, perhaps from a step.
    pub(crate) fn next_round(&mut self, from: Option<Path>) {
        let before = take(&mut self.ends);
        self.from = from;
        self.again.clear();
        self.run = None;
        self.scope(self.graph.main_nodes().map(NodeIndex), &[], Some(&before));
        self.run = Some(self.state());
        self.scope(self.graph.exit_nodes().map(NodeIndex), &[], None);
    }

    /// The steps of a list, which wait for earlier ones only. Without a round before, all is done anew.
    fn scope(
        &mut self,
        nodes: impl IntoIterator<Item = NodeIndex>,
        items: &[u32],
        before: Option<&BTreeMap<Path, End>>,
    ) {
        for node in nodes {
            let path = Path { node, items: items.to_vec() };
            let again = self.on(&path).iter().any(|on| self.again.contains(on));
            let end = self.step(&path, before.filter(|_| !again));
            self.ends.insert(path, end);
        }
    }

    fn step(&mut self, path: &Path, before: Option<&BTreeMap<Path, End>>) -> End {
        let from = self.from.as_ref();
        let is_from = from == Some(path);
        let holds_from = from.is_some_and(|from| lies_in(self.graph, from, path));
        match before.and_then(|before| before.get(path)) {
            Some(end) if holds_from && self.goes_on(path, end, before) => {
                self.again.insert(path.clone());
                self.inside(path, before)
            }
            _ if is_from || holds_from => {
                self.again.insert(path.clone());
                self.considered(path)
            }
            Some(end) if end.state != StepState::Failed => {
                self.keep(path, before.expect("there is one"));
                end.clone()
            }
            // It is taken up with what it had come to.
            Some(end) if end.reason == Reason::StepFailed => {
                self.again.insert(path.clone());
                self.inside(path, before)
            }
            _ => {
                self.again.insert(path.clone());
                self.considered(path)
            }
        }
    }

    /// Whether a step that holds the one from which the round was begun keeps what it had come to otherwise: it had begun, and
    /// no other branch was taken than the one that is wanted.
    fn goes_on(&self, path: &Path, end: &End, before: Option<&BTreeMap<Path, End>>) -> bool {
        let has_begun = end.state == StepState::Succeeded || end.reason == Reason::StepFailed;
        let from = self.from.as_ref().expect("somebody said");
        let leads_there = |held: &&Path| *held == from || lies_in(self.graph, from, held);
        let is_choice = matches!(self.graph.kind(path.node), NodeKind::Choice(_));
        let was_passed_over = is_choice
            && self.held(path).iter().filter(leads_there).any(|branch| {
                before.is_some_and(|ends| ends[branch].reason == Reason::ConditionFalse)
            });
        has_begun && !was_passed_over
    }

    fn considered(&mut self, path: &Path) -> End {
        let rule = why_not(self.graph, path.node, |on| self.ends[&beside(path, on)].state);
        if let Some((reason, cause)) = rule {
            return self.skipped(path, reason, cause.map(|on| beside(path, on)));
        }
        match self.condition(path) {
            Ok(true) => self.begun(path),
            Ok(false) => self.skipped(path, Reason::ConditionFalse, None),
            Err(_) => self.without_value(path),
        }
    }

    fn begun(&mut self, path: &Path) -> End {
        match self.graph.kind(path.node) {
            NodeKind::Task => self.tried(path),
            NodeKind::Approval => self.asked(path),
            NodeKind::Group(_) | NodeKind::Choice(_) => self.inside(path, None),
            NodeKind::Loop { .. } => match answers::items(self.seed, path, &self.seen(path)) {
                Err(_) => self.without_value(path),
                Ok(items) => {
                    let graph = self.graph;
                    self.attempts.retain(|of, _| !lies_in(graph, of, path));
                    self.items.insert(path.clone(), items);
                    self.inside(path, None)
                }
            },
        }
    }

    /// What becomes of what a step holds, and so of the step.
    fn inside(&mut self, path: &Path, before: Option<&BTreeMap<Path, End>>) -> End {
        let held = self.held(path);
        match self.graph.kind(path.node) {
            NodeKind::Choice(_) => self.choice(&held, before),
            _ => {
                for Path { node, items } in &held {
                    self.scope([*node], items, before);
                }
            }
        }
        let state = |held: &&Path| self.ends[*held].state;
        let (state, reason, cause) =
            if let Some(failed) = held.iter().find(|held| state(held) == StepState::Failed) {
                (StepState::Failed, Reason::StepFailed, Some(failed.clone()))
            } else if matches!(self.graph.kind(path.node), NodeKind::Choice(_))
                && held.iter().all(|held| state(&held) == StepState::Skipped)
            {
                (StepState::Skipped, Reason::ConditionFalse, None)
            } else {
                (StepState::Succeeded, Reason::None, None)
            };
        End { state, reason, cause, failures: 0, losses: 0 }
    }

    fn choice(&mut self, branches: &[Path], before: Option<&BTreeMap<Path, End>>) {
        let mut is_decided = false;
        for branch in branches {
            let end = match self.condition(branch) {
                Ok(holds) if is_decided || !holds => {
                    self.skipped(branch, Reason::ConditionFalse, None)
                }
                Err(_) if is_decided => self.skipped(branch, Reason::ConditionFalse, None),
                Ok(_) | Err(_) => {
                    is_decided = true;
                    self.step(branch, before)
                }
            };
            self.ends.insert(branch.clone(), end);
        }
    }

    fn tried(&mut self, path: &Path) -> End {
        let budget = self.graph.step_policy(path.node).retry;
        let attempts = self.attempts.entry(path.clone()).or_default();
        let (mut failures, mut losses) = (0, 0);
        loop {
            let outcome = (self.outcome)(path, *attempts);
            *attempts += 1;
            let (state, reason) = match outcome {
                Outcome::Success => {
                    self.outputs.insert(path.clone(), answers::output(path, *attempts - 1));
                    (StepState::Succeeded, Reason::None)
                }
                Outcome::Failure(reason) => {
                    match reason.fault() {
                        Fault::Step => failures += 1,
                        Fault::System => losses += 1,
                    }
                    let message = String::new();
                    let failure = Failure { reason, message, exit_code: None, signal: None };
                    let has_budget = failures <= budget.limit && losses <= budget.system_limit;
                    match self.graph.action(path.node, &failure) {
                        RetryAction::Retry if has_budget => continue,
                        RetryAction::Retry | RetryAction::Fail => {
                            (StepState::Failed, Reason::Failure(reason))
                        }
                        RetryAction::Ignore => {
                            self.outputs.remove(path);
                            (StepState::Succeeded, Reason::Failure(reason))
                        }
                    }
                }
                Outcome::Hang => panic!("the model knows no time-outs"),
            };
            return End { state, reason, cause: None, failures, losses };
        }
    }

    /// Somebody's word is drawn as an attempt's outcome is.
    fn asked(&mut self, path: &Path) -> End {
        let asked = self.attempts.entry(path.clone()).or_default();
        let outcome = (self.outcome)(path, *asked);
        *asked += 1;
        let (state, reason, failures) = match outcome {
            Outcome::Success => (StepState::Succeeded, Reason::None, 0),
            _ => (StepState::Failed, Reason::Failure(FailureReason::Rejected), 1),
        };
        End { state, reason, cause: None, failures, losses: 0 }
    }

    /// A step that does not run; nor does what a group or a choice holds.
    fn skipped(&mut self, path: &Path, reason: Reason, cause: Option<Path>) -> End {
        self.skip_held(path, path, Reason::UpstreamSkipped);
        End { state: StepState::Skipped, reason, cause, failures: 0, losses: 0 }
    }

    /// A step whose condition or list has no value.
    fn without_value(&mut self, path: &Path) -> End {
        self.skip_held(path, path, Reason::UpstreamFailed);
        let reason = Reason::Failure(FailureReason::ExpressionInvalid);
        End { state: StepState::Failed, reason, cause: None, failures: 1, losses: 0 }
    }

    fn skip_held(&mut self, path: &Path, by: &Path, reason: Reason) {
        self.items.remove(path);
        for held in self.held(path) {
            self.skip_held(&held, by, reason);
            let (state, cause) = (StepState::Skipped, Some(by.clone()));
            self.ends.insert(held, End { state, reason, cause, failures: 0, losses: 0 });
        }
    }

    fn keep(&mut self, path: &Path, before: &BTreeMap<Path, End>) {
        for held in self.held(path) {
            self.keep(&held, before);
            self.ends.insert(held.clone(), before[&held].clone());
        }
    }

    /// What a step holds, of a loop that for all its items.
    fn held(&self, path: &Path) -> Vec<Path> {
        let Path { node, items } = path;
        match self.graph.kind(*node) {
            NodeKind::Task | NodeKind::Approval => Vec::new(),
            NodeKind::Group(held) | NodeKind::Choice(held) => {
                held.clone().map(|held| beside(path, NodeIndex(held))).collect()
            }
            NodeKind::Loop { .. } => {
                let body = answers::body(self.graph, *node);
                let count = self.items.get(path).copied().unwrap_or(0);
                let of_item = |index| {
                    let items = [items.as_slice(), &[index]].concat();
                    body.iter().map(move |node| Path { node: *node, items: items.clone() })
                };
                (0..count).flat_map(of_item).collect()
            }
        }
    }

    fn on(&self, path: &Path) -> Vec<Path> {
        self.graph.dependencies(path.node).iter().map(|on| beside(path, *on)).collect()
    }

    fn condition(&self, path: &Path) -> Result<bool, String> {
        if self.graph.step_policy(path.node).has_condition {
            answers::condition(self.seed, path, &self.seen(path))
        } else {
            Ok(true)
        }
    }

    fn seen(&self, path: &Path) -> Seen {
        let look = |path: Path| {
            let state = self.ends[&path].state;
            let is_known = state == StepState::Succeeded && self.graph.keeps_outputs(path.node);
            (state, self.outputs.get(&path).copied().filter(|_| is_known))
        };
        let levels = std::iter::successors(Some(path.clone()), |path| around(self.graph, path));
        let mut steps: Vec<_> = levels.flat_map(|level| self.on(&level)).map(look).collect();
        if self.graph.is_exit(path.node) {
            let of_run = self.graph.main_nodes().map(NodeIndex);
            steps.extend(of_run.map(|node| look(Path { node, items: Vec::new() })));
        }
        Seen { steps, run: self.run }
    }
}

/// The step of the same list that comes from `node`.
fn beside(path: &Path, node: NodeIndex) -> Path {
    Path { node, items: path.items.clone() }
}

/// What holds a step.
fn around(graph: &Graph, path: &Path) -> Option<Path> {
    match graph.place(path.node) {
        Place::Run | Place::Exit => None,
        Place::In(holder) => Some(beside(path, holder)),
        Place::Items(of) => {
            let outer = path.items.len() - 1;
            Some(Path { node: of, items: path.items[..outer].to_vec() })
        }
    }
}

fn lies_in(graph: &Graph, path: &Path, holder: &Path) -> bool {
    std::iter::successors(Some(path.clone()), |path| around(graph, path))
        .skip(1)
        .any(|it| it == *holder)
}

/// Why a step whose dependencies have ended as told does not run, if it does not.
pub(crate) fn why_not(
    graph: &Graph,
    node: NodeIndex,
    state: impl Fn(NodeIndex) -> StepState,
) -> Option<(Reason, Option<NodeIndex>)> {
    let on = graph.dependencies(node);
    let some = |wanted| on.iter().copied().find(|on| state(*on) == wanted);
    let met = match graph.step_policy(node).trigger_rule {
        TriggerRule::AllDone => true,
        TriggerRule::AnyFailed => some(StepState::Failed).is_some(),
        TriggerRule::AnySucceeded => some(StepState::Succeeded).is_some(),
        TriggerRule::AllSucceeded => {
            let by = |wanted, reason| some(wanted).map(|cause| (reason, Some(cause)));
            return by(StepState::Failed, Reason::UpstreamFailed)
                .or_else(|| by(StepState::Cancelled, Reason::UpstreamCancelled))
                .or_else(|| by(StepState::Skipped, Reason::UpstreamSkipped));
        }
    };
    (!met).then_some((Reason::TriggerRuleNotMet, None))
}
