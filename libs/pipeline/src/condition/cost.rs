//! What an evaluation costs at most, from the plan and the sizes of the values, without doing it.
//!
//! A unit is about a nanosecond, and no operation was found that takes much longer than it costs; most take a third. Whatever
//! is kept in memory was paid for: up to a byte a unit. So the bound is one on time and on memory.
//!
//! Of lists and objects only the largest entry is known. The bound is far too high where one entry is much larger than
//! all others.

use serde_json::Value as Json;

use super::plan::{Lookup, Plan};

/// The most that an evaluation may cost: `exists` with a comparison in a list of 120,000 numbers.
const MOST: u64 = 150_000_000;

/// To evaluate an operator or a function.
const STEP: u64 = 100;

/// To look for a name in one scope, besides the bytes of its text.
const PROBE: u64 = 50;

/// To make, copy or compare a value, besides the bytes of its text.
const ENTRY: u64 = 100;

/// To put a key into an object, besides the bytes of its text.
const KEY: u64 = 300;

/// How deep lists and objects may lie in each other. Copying is recursive.
const DEPTH: usize = 128;

/// Bytes of the longest number that is written as a text.
const NUMBER_BYTES: u64 = 400;

/// What an operator or function does, as far as it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// As much whatever the operands are, with a small result.
    Constant,
    /// `a ? b : c`
    Choose,
    /// Gives its operand back.
    Keep,
    /// Reads both as far as the smaller one goes, with a small result.
    Equate,
    /// Reads all of all, or copies them into an error, with a small result.
    Read,
    /// Reads texts, but not what lies in lists, with a small result.
    ReadText,
    /// Makes a text of a text or a number.
    MakeText,
    /// Copies both into one.
    Add,
    /// Copies all into a new list or object.
    Collect,
}

/// How large a value is at most.
#[derive(Debug, Clone, Default)]
struct Size {
    /// To copy the whole.
    copy: u64,
    /// Bytes, where it is a text.
    text: u64,
    /// Direct entries.
    entries: u64,
    /// The largest of them, or of their keys.
    entry: Option<Box<Size>>,
}

/// Whether a plan costs no more than may be, with these values of its names.
pub(super) fn is_affordable(plan: &Plan, values: &[Option<&Json>]) -> bool {
    let mut left = MOST;
    let names: Option<Vec<_>> = values
        .iter()
        .map(|value| value.map_or(Some(Size::default()), |value| measure(value, DEPTH, &mut left)))
        .collect();
    let Some(names) = names else { return false };
    let mut estimate = Estimate { names: &names, variables: Vec::new(), cost: 0 };
    // The result is copied once more.
    let result = estimate.size(plan);
    estimate.cost.saturating_add(result.copy) <= left
}

/// The size of a value, unless copying it costs more than is left or it lies too deep.
fn measure(value: &Json, depth: usize, left: &mut u64) -> Option<Size> {
    let mut size = match value {
        Json::String(text) => Size::text(text.len() as u64),
        _ => Size::small(),
    };
    *left = left.checked_sub(size.copy)?;
    match value {
        Json::Array(entries) => {
            let depth = depth.checked_sub(1)?;
            for entry in entries {
                size.add_entry(measure(entry, depth, left)?);
            }
        }
        Json::Object(fields) => {
            let depth = depth.checked_sub(1)?;
            for (key, value) in fields {
                let key = Size { copy: KEY + key.len() as u64, ..Size::text(key.len() as u64) };
                *left = left.checked_sub(key.copy)?;
                size.add_key(key);
                size.add_entry(measure(value, depth, left)?);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
    Some(size)
}

impl Size {
    /// Of a number, say.
    fn small() -> Self {
        Self { copy: ENTRY, ..Self::default() }
    }

    fn text(bytes: u64) -> Self {
        Self { copy: ENTRY.saturating_add(bytes), text: bytes, ..Self::default() }
    }

    fn list(entries: u64, entry: Self) -> Self {
        let copy = entry.copy.saturating_mul(entries).saturating_add(ENTRY);
        Self { copy, text: 0, entries, entry: Some(Box::new(entry)) }
    }

    fn add_entry(&mut self, entry: Self) {
        self.copy = self.copy.saturating_add(entry.copy);
        self.entries = self.entries.saturating_add(1);
        self.widen_entry(entry);
    }

    /// Of an object. Macros go over the keys, and not over the values.
    fn add_key(&mut self, key: Self) {
        self.copy = self.copy.saturating_add(key.copy);
        self.widen_entry(key);
    }

    fn widen_entry(&mut self, entry: Self) {
        match &mut self.entry {
            Some(largest) => largest.widen(entry),
            None => self.entry = Some(Box::new(entry)),
        }
    }

    /// Makes it as large as it and `other` are.
    fn widen(&mut self, other: Self) {
        self.copy = self.copy.max(other.copy);
        self.text = self.text.max(other.text);
        self.entries = self.entries.max(other.entries);
        if let Some(entry) = other.entry {
            self.widen_entry(*entry);
        }
    }

    fn into_entry(self) -> Self {
        self.entry.map_or_else(Self::default, |entry| *entry)
    }
}

struct Estimate<'a> {
    names: &'a [Size],
    /// Of the macros around, the innermost last.
    variables: Vec<Size>,
    cost: u64,
}

impl Estimate<'_> {
    fn pay(&mut self, cost: u64) {
        self.cost = self.cost.saturating_add(cost);
    }

    /// The size of a plan's result, once its cost has been added.
    fn size(&mut self, plan: &Plan) -> Size {
        match plan {
            Plan::Literal(bytes) => {
                self.pay(STEP);
                Size::text(*bytes as u64)
            }
            Plan::Name { place, lookup } => {
                self.look_up(*lookup);
                self.names.get(*place).cloned().unwrap_or_default()
            }
            Plan::Variable { place, lookup } => {
                self.look_up(*lookup);
                self.variables.get(*place).cloned().unwrap_or_default()
            }
            Plan::Entry { of, bytes, at } => {
                let of = self.size(of);
                self.pay(STEP.saturating_add(*bytes as u64));
                if let Some(at) = at {
                    let at = self.size(at);
                    // Whatever has no such place is copied into an error, together with the place.
                    self.pay(of.copy.saturating_add(at.copy));
                }
                of.into_entry()
            }
            Plan::Apply(operation, operands) => {
                self.pay(STEP);
                let operands = operands.iter().map(|operand| self.size(operand)).collect();
                self.apply(*operation, operands)
            }
            Plan::Loop { over, variable, each, collected, end } => {
                let over = self.size(over);
                let entries = over.entries;
                let before = std::mem::take(&mut self.cost);
                self.pay(STEP.saturating_add(*variable as u64));
                let collected = self.iteration(over.into_entry(), each, collected.as_deref());
                self.cost = self.cost.saturating_mul(entries).saturating_add(before);
                self.size(end);
                collected.map_or_else(Size::small, |entry| Size::list(entries, entry))
            }
        }
    }

    fn look_up(&mut self, lookup: Lookup) {
        let probes = lookup.scopes as u64 * lookup.parts as u64;
        self.pay(probes.saturating_mul(PROBE + lookup.bytes as u64));
    }

    /// What an entry of a list becomes, where the result is a list.
    fn iteration(&mut self, entry: Size, each: &[Plan], collected: Option<&Plan>) -> Option<Size> {
        // The entry is copied into the variable.
        self.pay(entry.copy);
        self.variables.push(entry);
        for part in each {
            self.size(part);
        }
        let collected = collected.map(|entry| self.size(entry));
        self.variables.pop();
        if let Some(entry) = &collected {
            // It is copied into a list of one entry, and from there into the result.
            self.pay(entry.copy.saturating_mul(2));
        }
        collected
    }

    fn apply(&mut self, operation: Operation, operands: Vec<Size>) -> Size {
        let sum = |part: fn(&Size) -> u64| operands.iter().map(part).fold(0, u64::saturating_add);
        let (copy, text) = (sum(|size| size.copy), sum(|size| size.text));
        match operation {
            Operation::Constant => Size::small(),
            Operation::Choose | Operation::Keep => union(operands),
            Operation::Equate => {
                self.pay(operands.iter().map(|size| size.copy).min().unwrap_or_default());
                Size::small()
            }
            Operation::Read => {
                self.pay(copy);
                Size::small()
            }
            Operation::ReadText => {
                self.pay(text);
                Size::small()
            }
            Operation::MakeText => {
                let made = Size::text(text.max(NUMBER_BYTES));
                self.pay(made.copy);
                made
            }
            Operation::Add => {
                self.pay(copy);
                let entries = sum(|size| size.entries);
                Size { copy, text, entries, ..union(operands) }
            }
            Operation::Collect => {
                self.pay(copy);
                let mut list = Size::small();
                for operand in operands {
                    list.add_entry(operand);
                }
                list
            }
        }
    }
}

/// As large as each of them.
fn union(sizes: Vec<Size>) -> Size {
    sizes.into_iter().fold(Size::default(), |mut union, size| {
        union.widen(size);
        union
    })
}
