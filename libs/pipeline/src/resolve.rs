//! The values that references stand for, in a run as it is.
//!
//! Whoever asks stands somewhere: a reference in a step of a loop's item means what belongs to that item. What is not a value
//! by itself is put together when it is asked for: the outputs of a group are those of its steps, those of branches are of the
//! one that was taken, those of a loop are lists of what its items put out. So nothing is stored but what tasks wrote.

use std::{borrow::Cow, sync::Arc};

use prost_types::ListValue;
use serde_json::{Map, Value};
use windlass_engine::{
    graph::{NodeIndex, NodeKind, Place},
    layout::{Holder, Item, Layout},
    logic::Facts,
    record::{RunState, StepIndex, StepState},
};
use windlass_proto::{json, v1::for_each::Items};

use crate::{
    list_file::{ListFile, ListFiles},
    outline::Outline,
    template::{Reference, Template, Values},
};

/// Finds values: in a pipeline's outline, with a run's arguments, from what is known of the run.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "facts have none")]
pub struct Resolver<'a> {
    outline: &'a Outline,
    arguments: &'a Map<String, Value>,
    facts: &'a dyn Facts,
    run_id: Option<&'a str>,
    list_files: Option<&'a dyn ListFiles>,
}

/// Where somebody stands who refers to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// The step.
    step: StepIndex,
    /// Of a loop: the item, for who stands within that item and outside of what is done for it.
    item: Option<u32>,
}

impl Site {
    /// At a step; at a loop, outside of it.
    pub fn at(step: StepIndex) -> Self {
        Self { step, item: None }
    }
}

/// A value, or what it will be put together from.
enum Found<'a> {
    Value(Cow<'a, Value>),
    /// What an output of a task is.
    Output(Arc<Value>, String),
    /// What an output of a loop is: for each item that of the step, or of the group.
    List(StepIndex, String),
}

impl Found<'_> {
    fn value(&self) -> Option<&Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::Output(outputs, name) => outputs.get(name),
            Self::List(..) => None,
        }
    }
}

impl<'a> Resolver<'a> {
    /// For one run.
    pub fn new(
        outline: &'a Outline,
        arguments: &'a Map<String, Value>,
        facts: &'a dyn Facts,
    ) -> Self {
        Self { outline, arguments, facts, run_id: None, list_files: None }
    }

    /// Also knows the run's id.
    #[must_use]
    pub fn with_run_id(self, run_id: &'a str) -> Self {
        Self { run_id: Some(run_id), ..self }
    }

    /// Also knows items of list files, which have no value otherwise.
    #[must_use]
    pub fn with_list_files(self, list_files: &'a dyn ListFiles) -> Self {
        Self { list_files: Some(list_files), ..self }
    }

    /// What a reference stands for; none where there is nothing, and for what only an attempt knows.
    pub fn value(&self, site: Site, reference: Reference<'_>) -> Option<Value> {
        let found = self.find(site, reference)?;
        self.whole(found)
    }

    /// How many items a loop has; or what its list is instead of one, none where it is nothing. Of a list file, as many as it
    /// says.
    pub fn count(&self, step: StepIndex) -> Result<u64, Option<Value>> {
        match self.list(step) {
            Some(Listed::Count(count)) => Ok(count.into()),
            Some(Listed::Values(list)) => Ok(list.values.len() as u64),
            Some(Listed::Found(Found::List(of, _))) => {
                Ok(self.layout().expansion(of).map_or(0, |expansion| expansion.items.into()))
            }
            Some(Listed::Found(found)) => {
                found.value().and_then(listed).ok_or_else(|| found.value().cloned())
            }
            None => Err(None),
        }
    }

    fn layout(&self) -> &'a Layout {
        self.facts.layout()
    }

    fn find(&self, site: Site, reference: Reference<'_>) -> Option<Found<'a>> {
        match reference {
            Reference::Param(name) => self.parameter(site, name),
            Reference::Output { step, output } => self.output(self.named(site, step)?, output),
            Reference::State(step) => {
                let state = self.facts.state(self.named(site, step)?);
                Some(Found::Value(Cow::Owned(state_word(state).into())))
            }
            Reference::Item { of, path } => {
                let mut value = self.item_value(self.around(site, of)?)?;
                for field in path.split('.').filter(|field| !field.is_empty()) {
                    value = value.get_mut(field)?.take();
                }
                Some(Found::Value(Cow::Owned(value)))
            }
            Reference::Index(of) => {
                Some(Found::Value(Cow::Owned(self.around(site, of)?.index.into())))
            }
            Reference::RunState => {
                Some(Found::Value(Cow::Owned(run_state_word(self.facts.run_state()).into())))
            }
            Reference::RunId => self.run_id.map(|id| Found::Value(Cow::Owned(id.into()))),
            Reference::StepName | Reference::StepAttempt => None,
        }
    }

    /// The step that a name means to who stands at a site.
    fn named(&self, site: Site, name: &str) -> Option<StepIndex> {
        let layout = self.layout();
        let node = self.outline.lookup(layout.node(site.step), name)?;
        if matches!(self.outline.scope(self.outline.scope_of(node)).place, Place::Run | Place::Exit)
        {
            return Some(StepIndex(node.0));
        }
        let wanted = self.outline.ancestor_beside(layout.node(site.step), node)?;
        let mut step = site.step;
        while layout.node(step) != wanted {
            step = match layout.holder(step) {
                Holder::Step(holder) => holder,
                Holder::Item(item) => item.of,
                Holder::Run | Holder::Exit => return None,
            };
        }
        Some(layout.beside(step, node))
    }

    /// The item that somebody stands in: the innermost one, or that of the loop of this name.
    fn around(&self, site: Site, of: Option<&str>) -> Option<Item> {
        let layout = self.layout();
        let is_meant =
            |item: &Item| of.is_none_or(|name| self.outline.name(layout.node(item.of)) == name);
        let own = site.item.map(|index| Item { of: site.step, index }).filter(is_meant);
        if own.is_some() {
            return own;
        }
        let mut step = site.step;
        loop {
            let scope = self.outline.scope_of(layout.node(step));
            // A group that is self-contained does not see what is around it.
            if self.outline.scope(scope).inputs.is_some() {
                return None;
            }
            match layout.holder(step) {
                Holder::Item(item) if is_meant(&item) => return Some(item),
                Holder::Item(item) => step = item.of,
                Holder::Step(holder) => step = holder,
                Holder::Run | Holder::Exit => return None,
            }
        }
    }

    fn parameter(&self, site: Site, name: &str) -> Option<Found<'a>> {
        let layout = self.layout();
        let mut step = site.step;
        loop {
            let scope = self.outline.scope(self.outline.scope_of(layout.node(step)));
            let holder = layout.holder(step);
            let Some(inputs) = &scope.inputs else {
                step = match holder {
                    Holder::Step(holder) => holder,
                    Holder::Item(item) => item.of,
                    Holder::Run | Holder::Exit => {
                        return self.arguments.get(name).map(|it| Found::Value(Cow::Borrowed(it)));
                    }
                };
                continue;
            };
            // What a group is given is meant where the group stands.
            let given_at = match holder {
                Holder::Step(holder) => Site::at(holder),
                Holder::Item(item) => Site { step: item.of, item: Some(item.index) },
                Holder::Run | Holder::Exit => return None,
            };
            if let Some(argument) = inputs.arguments.get(name) {
                return self.argument(given_at, json::from_value(argument));
            }
            let declared = inputs.parameters.iter().find(|it| it.name == name)?;
            let default = json::from_value(declared.default_value.as_ref()?);
            return Some(Found::Value(Cow::Owned(default)));
        }
    }

    /// The value of an argument of a group: a text that is a reference stands for what that names. References are nowhere
    /// else in it, so that values do not grow from group to group.
    fn argument(&self, site: Site, argument: Value) -> Option<Found<'a>> {
        if let Value::String(text) = &argument
            && let Some(reference) = Template::parse(text).ok()?.as_reference()
        {
            return self.find(site, reference);
        }
        Some(Found::Value(Cow::Owned(argument)))
    }

    /// What a step puts out under a name.
    fn output(&self, step: StepIndex, output: &str) -> Option<Found<'a>> {
        let node = self.layout().node(step);
        match self.layout().graph().kind(node) {
            NodeKind::Task | NodeKind::Approval => {
                let outputs = self.facts.outputs(step)?;
                Some(Found::Output(outputs, output.to_owned()))
            }
            NodeKind::Group(held) => {
                let scope = self.outline.held_by(node)?;
                let first = self.layout().beside(step, NodeIndex(held.start));
                self.output_of_group(scope, first, output)
            }
            NodeKind::Choice(held) => {
                let branches = held.clone().map(|it| self.layout().beside(step, NodeIndex(it)));
                let mut taken =
                    branches.filter(|branch| self.facts.state(*branch) != StepState::Skipped);
                self.output(taken.next()?, output)
            }
            NodeKind::Loop { .. } => Some(Found::List(step, output.to_owned())),
        }
    }

    /// What a group puts out under a name; `first` is a step that it holds.
    fn output_of_group(&self, scope: usize, first: StepIndex, output: &str) -> Option<Found<'a>> {
        let source = self.outline.scope(scope).outputs.get(output)?;
        let template = Template::parse(source).ok()?;
        self.find(Site::at(first), template.as_reference()?)
    }

    /// What an item of a loop puts out under a name.
    fn output_of_item(&self, item: Item, output: &str) -> Option<Found<'a>> {
        let scope = self.outline.held_by(self.layout().node(item.of))?;
        let first = StepIndex(self.layout().top_of(item).start);
        if self.outline.scope(scope).is_named {
            self.output_of_group(scope, first, output)
        } else {
            self.output(first, output)
        }
    }

    fn whole(&self, found: Found<'a>) -> Option<Value> {
        match found {
            Found::Value(value) => Some(value.into_owned()),
            Found::Output(outputs, name) => outputs.get(&name).cloned(),
            Found::List(step, output) => {
                let items = self.layout().expansion(step)?.items;
                let of_item = |index| {
                    let found = self.output_of_item(Item { of: step, index }, &output);
                    found.and_then(|found| self.whole(found)).unwrap_or(Value::Null)
                };
                Some(Value::Array((0..items).map(of_item).collect()))
            }
        }
    }

    /// The list of a loop.
    fn list(&self, step: StepIndex) -> Option<Listed<'a>> {
        let definition = self.outline.definition(self.layout().node(step))?;
        match definition.for_each.as_ref()?.items.as_ref()? {
            Items::Count(count) => Some(Listed::Count(*count)),
            Items::List(list) => Some(Listed::Values(list)),
            Items::Reference(text) => {
                let template = Template::parse(text).ok()?;
                self.find(Site::at(step), template.as_reference()?).map(Listed::Found)
            }
        }
    }

    /// An item of a loop, without the others of its list.
    fn item_value(&self, item: Item) -> Option<Value> {
        let at = item.index as usize;
        match self.list(item.of)? {
            Listed::Count(_) => Some(item.index.into()),
            Listed::Values(list) => list.values.get(at).map(json::from_value),
            Listed::Found(Found::List(of, output)) => {
                let found = self.output_of_item(Item { of, index: item.index }, &output);
                Some(found.and_then(|found| self.whole(found)).unwrap_or(Value::Null))
            }
            Listed::Found(found) => match ListFile::of(found.value()?) {
                Some(list) => self.list_files?.item(&list.ok()?, item.index),
                None => found.value()?.get(at).cloned(),
            },
        }
    }
}

/// How many items a value has that a loop may be over; none where it is no list.
pub(crate) fn listed(value: &Value) -> Option<u64> {
    match value {
        Value::Array(list) => Some(list.len() as u64),
        other => Some(ListFile::of(other)?.ok()?.items),
    }
}

enum Listed<'a> {
    Count(u32),
    Values(&'a ListValue),
    Found(Found<'a>),
}

/// What references stand for, for who stands at a site.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "facts have none")]
pub struct At<'a> {
    /// Where values are found.
    pub resolver: Resolver<'a>,
    /// Where it stands.
    pub site: Site,
}

impl Values for At<'_> {
    fn value(&self, reference: Reference<'_>) -> Option<Cow<'_, Value>> {
        self.resolver.value(self.site, reference).map(Cow::Owned)
    }
}

fn state_word(state: StepState) -> &'static str {
    match state {
        StepState::Waiting => "waiting",
        StepState::Ready => "ready",
        StepState::Delayed => "delayed",
        StepState::Queued => "queued",
        StepState::Starting => "starting",
        StepState::Running | StepState::Open => "running",
        StepState::Stopping => "stopping",
        StepState::Succeeded => "succeeded",
        StepState::Failed => "failed",
        StepState::Skipped => "skipped",
        StepState::Cancelled => "cancelled",
        StepState::Suspended => "suspended",
        StepState::Blocked => "blocked",
    }
}

fn run_state_word(state: RunState) -> &'static str {
    match state {
        RunState::Pending => "pending",
        RunState::Running | RunState::Exiting => "running",
        RunState::Stopping => "stopping",
        RunState::Succeeded => "succeeded",
        RunState::Failed => "failed",
        RunState::Cancelled => "cancelled",
    }
}
