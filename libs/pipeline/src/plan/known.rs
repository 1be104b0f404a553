//! The values that references stand for before a run has begun: arguments, wherever groups pass them on to.

use std::{borrow::Cow, cell::Cell, collections::BTreeMap};

use prost_types::{Value, value::Kind};
use serde_json::Value as Json;
use windlass_engine::graph::{NodeIndex, Place};
use windlass_proto::json;

use crate::{
    limits,
    outline::Outline,
    resolve::listed,
    template::{self, Part, Reference, Template},
};

/// Knows the arguments of a run that has not begun.
pub(super) struct Known<'a> {
    outline: &'a Outline,
    arguments: &'a BTreeMap<String, Json>,
    /// How many bytes of values may still be put in place of references.
    room: Cell<usize>,
}

impl<'a> Known<'a> {
    pub(super) fn new(outline: &'a Outline, arguments: &'a BTreeMap<String, Json>) -> Self {
        Self { outline, arguments, room: Cell::new(limits::PLAN_VALUES_BYTES) }
    }

    /// A text of a task, with the values of those references that are known, and the others as they are. `name` is what the step
    /// is called in a run, where that is one thing.
    pub(super) fn fill(&self, node: NodeIndex, name: Option<&str>, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        for part in template::parts(text) {
            match part {
                Ok(Part::Literal(text)) => filled.push_str(text),
                Ok(Part::Reference(reference)) => {
                    let value = self.text_of(node, name, reference);
                    filled.push_str(&value.unwrap_or_else(|| reference.to_string()));
                }
                Err(_) => return text.to_owned(),
            }
        }
        filled
    }

    /// How many items a list has that a reference names.
    pub(super) fn len(&self, node: NodeIndex, reference: &str) -> Option<u64> {
        let Reference::Param(name) = Template::parse(reference).ok()?.as_reference()? else {
            return None;
        };
        listed(&*self.parameter(node, name)?)
    }

    /// A value as it stands in a text; none where it is not known, or there is no room for it.
    fn text_of(
        &self,
        node: NodeIndex,
        name: Option<&str>,
        reference: Reference<'_>,
    ) -> Option<String> {
        let text = match reference {
            Reference::Param(name) => match &*self.parameter(node, name)? {
                Json::String(text) => text.clone(),
                value => value.to_string(),
            },
            Reference::StepName => name?.to_owned(),
            _ => return None,
        };
        let room = self.room.get().checked_sub(text.len())?;
        self.room.set(room);
        Some(text)
    }

    /// What a parameter is that a node sees.
    fn parameter<'s>(&'s self, mut node: NodeIndex, name: &'s str) -> Option<Cow<'s, Json>> {
        let mut name = name;
        loop {
            let scope = self.outline.scope(self.outline.scope_of(node));
            let (Place::In(holder) | Place::Items(holder)) = scope.place else {
                return self.arguments.get(name).map(Cow::Borrowed);
            };
            node = holder;
            let Some(inputs) = &scope.inputs else { continue };
            let Some(argument) = inputs.arguments.get(name) else {
                let declared = inputs.parameters.iter().find(|it| it.name == name)?;
                return declared.default_value.as_ref().map(|it| Cow::Owned(json::from_value(it)));
            };
            match passed_on(argument) {
                // What a group is given is meant where the group stands.
                Some(Reference::Param(outer)) => name = outer,
                Some(_) => return None,
                None => return Some(Cow::Owned(json::from_value(argument))),
            }
        }
    }
}

/// The reference that an argument of a group is.
fn passed_on(argument: &Value) -> Option<Reference<'_>> {
    match &argument.kind {
        Some(Kind::StringValue(text)) => Template::parse(text).ok()?.as_reference(),
        _ => None,
    }
}
