//! The graphs of tables.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc};

use windlass_engine::{
    graph::{Graph, GraphBuilder, NodeIndex, Place},
    logic::{Facts, Logic},
    policy::{FailureMode, RetryPolicy, RunPolicy, StepPolicy, TriggerRule},
    record::{RunState, StepIndex},
};

/// What conditions and lists come to, as a table says.
#[derive(Debug, Default)]
struct Told {
    conditions: HashMap<NodeIndex, Condition>,
    lists: HashMap<NodeIndex, List>,
}

#[derive(Debug, Clone, Copy)]
enum Condition {
    Is(bool),
    Bad,
    RunIs(RunState),
}

#[derive(Debug, Clone, Copy)]
enum List {
    Of(u32),
    Bad,
    /// As many as `n` in the outputs of a step that no loop holds.
    By(StepIndex),
}

impl Logic for Told {
    fn condition(&self, step: StepIndex, facts: &dyn Facts) -> Result<bool, String> {
        match self.conditions[&facts.layout().node(step)] {
            Condition::Is(holds) => Ok(holds),
            Condition::Bad => Err("the condition has no value".to_owned()),
            Condition::RunIs(state) => Ok(facts.run_state() == state),
        }
    }

    fn items(&self, step: StepIndex, facts: &dyn Facts) -> Result<u32, String> {
        match self.lists[&facts.layout().node(step)] {
            List::Of(items) => Ok(items),
            List::Bad => Err("the list is none".to_owned()),
            List::By(on) => {
                let outputs = facts.outputs(on);
                let items = outputs.as_ref().and_then(|outputs| outputs["n"].as_u64());
                items.map(|items| items as u32).ok_or_else(|| "there is no n".to_owned())
            }
        }
    }
}

/// Reads a graph; tells the names of its nodes too.
pub(super) fn graph(text: &str) -> (Vec<String>, Graph) {
    let (run_words, words): (Vec<&str>, Vec<&str>) =
        text.split_whitespace().partition(|word| word.starts_with('!'));
    let mut policy = RunPolicy::default();
    for word in run_words {
        run_option(&mut policy, &word[1..]);
    }
    let mut builder = GraphBuilder::new(policy);
    let mut names: Vec<String> = Vec::new();
    let mut told = Told::default();
    for word in words {
        match word.strip_prefix('@') {
            Some(holder) => begin(&mut builder, &names, holder),
            None => add(&mut builder, &mut names, &mut told, word),
        }
    }
    builder.set_logic(Arc::new(told));
    (names, builder.build().expect("steps wait for earlier ones"))
}

fn begin(builder: &mut GraphBuilder, names: &[String], word: &str) {
    if word == "exit" {
        return builder.begin(Place::Exit);
    }
    let (name, rest) = word.split_at(1);
    let holder = find(names, name);
    match (&rest[..rest.len().min(1)], rest.get(1..).unwrap_or("")) {
        ("", _) => builder.begin(Place::In(holder)),
        ("?", _) => {
            builder.set_choice(holder);
            builder.begin(Place::In(holder));
        }
        ("*", most) => {
            if !most.is_empty() {
                let most = most.parse().expect("a number that is not 0");
                builder.set_max_parallelism(holder, most);
            }
            builder.begin(Place::Items(holder));
        }
        _ => panic!("what is @{word}?"),
    }
}

fn add(builder: &mut GraphBuilder, names: &mut Vec<String>, told: &mut Told, word: &str) {
    let (head, options) = word.split_once(':').unwrap_or((word, ""));
    let (name, waits_for) = head.split_once("<-").unwrap_or((head, ""));
    let mut policy = StepPolicy::default();
    let (mut condition, mut list, mut is_approval) = (None, None, false);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("if", holds)) => condition = Some(self::condition(holds)),
            Some(("items", items)) => list = Some(self::list(builder, names, items)),
            Some(("limit", names)) => {
                policy.limits = builder.add_limits(names.split('+').map(Arc::from));
            }
            Some(("on", cluster)) => policy.cluster = builder.add_cluster(cluster),
            Some(("rules", rules)) => policy.rules = builder.add_rules(super::rules::rules(rules)),
            None if option == "approval" => is_approval = true,
            _ => step_option(&mut policy, option),
        }
    }
    policy.has_condition = condition.is_some();
    let node = builder.add_step(policy);
    if is_approval {
        builder.set_approval(node);
    }
    for on in waits_for.split(',').filter(|on| !on.is_empty()) {
        builder.add_dependency(node, find(names, on));
    }
    names.push(name.to_owned());
    told.conditions.extend(condition.map(|condition| (node, condition)));
    told.lists.extend(list.map(|list| (node, list)));
}

/// The node that was added last under a name.
fn find(names: &[String], name: &str) -> NodeIndex {
    let place = names.iter().rposition(|known| known == name).expect("a step named before");
    NodeIndex(place as u32)
}

fn condition(text: &str) -> Condition {
    match text {
        "true" => Condition::Is(true),
        "false" => Condition::Is(false),
        "bad" => Condition::Bad,
        "succeeded" => Condition::RunIs(RunState::Succeeded),
        "failed" => Condition::RunIs(RunState::Failed),
        "cancelled" => Condition::RunIs(RunState::Cancelled),
        _ => panic!("what is if={text}?"),
    }
}

fn list(builder: &mut GraphBuilder, names: &[String], text: &str) -> List {
    if text == "bad" {
        return List::Bad;
    }
    text.parse().map_or_else(
        |_| {
            let on = find(names, text);
            builder.keep_outputs(on);
            List::By(StepIndex(on.0))
        },
        List::Of,
    )
}

fn run_option(policy: &mut RunPolicy, option: &str) {
    let (what, value) = option.split_once('=').unwrap_or((option, "0"));
    let value: u64 = value.parse().expect("a number");
    match what {
        "fail_fast" => policy.failure_mode = FailureMode::FailFast,
        "stop_on_failure" => policy.failure_mode = FailureMode::StopOnFailure,
        "parallel" => policy.max_parallelism = NonZeroU32::new(value as u32),
        "gap" => policy.start_gap_ms = value,
        "timeout" => policy.timeout_ms = Some(value),
        _ => panic!("what is !{option}?"),
    }
}

fn step_option(policy: &mut StepPolicy, option: &str) {
    let (what, value) = option.split_once('=').unwrap_or((option, "0"));
    let value: u64 = value.parse().expect("a number");
    let RetryPolicy { limit, system_limit, delay_ms, factor_permille, max_delay_ms, .. } =
        &mut policy.retry;
    match what {
        "all_done" => policy.trigger_rule = TriggerRule::AllDone,
        "any_failed" => policy.trigger_rule = TriggerRule::AnyFailed,
        "any_succeeded" => policy.trigger_rule = TriggerRule::AnySucceeded,
        "retry" => *limit = value as u16,
        "system" => *system_limit = value as u16,
        "delay" => *delay_ms = value,
        "factor" => *factor_permille = value as u32,
        "cap" => *max_delay_ms = value,
        "startup" => policy.startup_timeout_ms = Some(value),
        "timeout" => policy.timeout_ms = Some(value),
        _ => panic!("what is :{option}?"),
    }
}
