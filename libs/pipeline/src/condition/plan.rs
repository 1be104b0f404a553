//! What an expression will do: its syntax tree with names and functions that are known to exist.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};

use super::{ConditionError, cost::Operation, function, name::Name};

/// How deep parts that are evaluated may lie in each other. The interpreter is recursive: a level takes 2 KB of the stack, and
/// 40 KB where it is built without optimization.
const DEPTH: usize = 24;

/// Where a macro collects its result. No text can name it.
const ACCUMULATOR: &str = "@result";

/// An expression, as far as its cost depends on it.
#[derive(Debug)]
pub(super) enum Plan {
    /// A value that is written down; bytes of its text.
    Literal(usize),
    /// The value of a name, by its place in the list of names.
    Name { place: usize, lookup: Lookup },
    /// The variable of a macro around, counted from the outermost.
    Variable { place: usize, lookup: Lookup },
    /// What lies in a list or object, at a place that is written down, in so many bytes, or computed.
    Entry { of: Box<Plan>, bytes: usize, at: Option<Box<Plan>> },
    /// An operator, a function, or a list or object that is written down.
    Apply(Operation, Vec<Plan>),
    /// A macro such as `exists`.
    Loop {
        over: Box<Plan>,
        /// Bytes of the variable's name.
        variable: usize,
        /// What is done for each entry.
        each: Vec<Plan>,
        /// What of each entry becomes an entry of the resulting list.
        collected: Option<Box<Plan>>,
        /// What is done at the end.
        end: Box<Plan>,
    },
}

/// How the interpreter finds what `a.b.c` begins with: in each scope it looks for all three, for `a.b`, and for `a`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lookup {
    /// Scopes, from the innermost to the one that has it.
    pub(super) scopes: usize,
    /// How many names there are.
    pub(super) parts: usize,
    /// Bytes of all of them.
    pub(super) bytes: usize,
}

/// The plan of an expression, and what the expression names.
pub(super) fn plan(expression: &IdedExpr) -> Result<(Plan, Vec<Name>), ConditionError> {
    let mut planner = Planner { names: Vec::new(), variables: Vec::new() };
    let plan = planner.plan(expression, 1)?;
    Ok((plan, planner.names))
}

struct Planner<'e> {
    names: Vec<Name>,
    /// Of the macros around, the innermost last.
    variables: Vec<&'e str>,
}

impl<'e> Planner<'e> {
    /// `depth` counts from 1.
    fn plan(&mut self, expression: &'e IdedExpr, depth: usize) -> Result<Plan, ConditionError> {
        if depth > DEPTH {
            return Err(ConditionError::TooDeep { most: DEPTH });
        }
        match &expression.expr {
            Expr::Literal(literal) => Ok(Plan::Literal(text_bytes(literal))),
            Expr::Ident(_) | Expr::Select(_) => self.chain(expression, depth),
            Expr::Call(call) if is_index(call) => self.chain(expression, depth),
            Expr::Call(call) => self.call(call, depth),
            Expr::List(list) => {
                Ok(Plan::Apply(Operation::Collect, self.all(&list.elements, depth + 1)?))
            }
            Expr::Map(map) => {
                let mut parts = Vec::new();
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { return Err(no_message()) };
                    parts.push(self.plan(&entry.key, depth + 1)?);
                    parts.push(self.plan(&entry.value, depth + 1)?);
                }
                Ok(Plan::Apply(Operation::Collect, parts))
            }
            Expr::Comprehension(macro_) => self.comprehension(macro_, depth),
            Expr::Struct(_) | Expr::Unspecified => Err(no_message()),
        }
    }

    fn all(
        &mut self,
        expressions: impl IntoIterator<Item = &'e IdedExpr>,
        depth: usize,
    ) -> Result<Vec<Plan>, ConditionError> {
        expressions.into_iter().map(|expression| self.plan(expression, depth)).collect()
    }

    fn call(&mut self, call: &'e CallExpr, depth: usize) -> Result<Plan, ConditionError> {
        let operation = match function::operator(&call.func_name) {
            Some(operation) if call.target.is_none() => operation,
            _ => function::function(&call.func_name, call.target.is_some(), call.args.len())?,
        };
        let parts = call.target.as_deref().into_iter().chain(&call.args);
        Ok(Plan::Apply(operation, self.all(parts, depth + 1)?))
    }

    /// A name or another value, and selections from it: `a.b["c"][d]`.
    fn chain(&mut self, expression: &'e IdedExpr, depth: usize) -> Result<Plan, ConditionError> {
        let mut base = expression;
        let mut segments = Vec::new();
        loop {
            match &base.expr {
                Expr::Select(select) => {
                    segments.push(Segment::Known(&select.field));
                    base = &select.operand;
                }
                Expr::Call(call) if is_index(call) => {
                    segments.push(Segment::index(&call.args[1]));
                    base = &call.args[0];
                }
                _ => break,
            }
        }
        segments.reverse();
        // The interpreter follows `a.b.c` in a loop, and everything else by recursion.
        let is_recursive = !matches!(base.expr, Expr::Ident(_))
            || segments.iter().any(|segment| !matches!(segment, Segment::Known(_)));
        let depth = if is_recursive { depth + segments.len() } else { depth };
        let (mut plan, used) = match &base.expr {
            Expr::Ident(root) => self.root(root, &segments)?,
            _ => (self.plan(base, depth)?, 0),
        };
        for segment in &segments[used..] {
            let at = match segment {
                Segment::Computed(at) => Some(Box::new(self.plan(at, depth)?)),
                Segment::Known(_) | Segment::Quoted(_) | Segment::Fixed => None,
            };
            let bytes = segment.text().map_or(0, str::len);
            plan = Plan::Entry { of: Box::new(plan), bytes, at };
        }
        if depth > DEPTH { Err(ConditionError::TooDeep { most: DEPTH }) } else { Ok(plan) }
    }

    /// What an identifier stands for, and how many segments belong to its name.
    fn root(
        &mut self,
        root: &str,
        segments: &[Segment<'e>],
    ) -> Result<(Plan, usize), ConditionError> {
        let mut lookup = Lookup { scopes: self.variables.len() + 1, parts: 1, bytes: root.len() };
        for segment in segments {
            let Segment::Known(name) = segment else { break };
            lookup.parts += 1;
            lookup.bytes += name.len();
        }
        if let Some(place) = self.variables.iter().rposition(|variable| *variable == root) {
            lookup.scopes = self.variables.len() - place;
            return Ok((Plan::Variable { place, lookup }, 0));
        }
        if root == ACCUMULATOR || (segments.is_empty() && function::TYPES.contains(&root)) {
            return Ok((Plan::Literal(0), 0));
        }
        let segments: Vec<_> = segments.iter().map(Segment::text).collect();
        let (name, used) = Name::parse(root, &segments)?;
        let place = self.names.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        Ok((Plan::Name { place, lookup }, used))
    }

    fn comprehension(
        &mut self,
        macro_: &'e ComprehensionExpr,
        depth: usize,
    ) -> Result<Plan, ConditionError> {
        let over = Box::new(self.plan(&macro_.iter_range, depth + 1)?);
        self.variables.push(&macro_.iter_var);
        let mut each = vec![self.plan(&macro_.loop_cond, depth + 1)?];
        let mut collected = None;
        if let Expr::List(_) = macro_.accu_init.expr {
            let (guard, entry) = appended(&macro_.loop_step).ok_or(ConditionError::TooCostly)?;
            each.extend(self.all(guard, depth + 1)?);
            collected = Some(Box::new(self.plan(entry, depth + 2)?));
        } else {
            each.push(self.plan(&macro_.loop_step, depth + 1)?);
        }
        self.variables.pop();
        let end = Box::new(self.plan(&macro_.result, depth + 1)?);
        Ok(Plan::Loop { over, variable: macro_.iter_var.len(), each, collected, end })
    }
}

/// Of a step of `map` or `filter`, which is `@result + [entry]` or `guard ? @result + [entry] : @result`, the guard and the entry.
/// The interpreter knows these two shapes and appends in place.
fn appended(step: &IdedExpr) -> Option<(Option<&IdedExpr>, &IdedExpr)> {
    match &step.expr {
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => match &call.args[..] {
            [guard, step, _] => appended(step).map(|(_, entry)| (Some(guard), entry)),
            _ => None,
        },
        Expr::Call(call) if call.func_name == operators::ADD => match &call.args[..] {
            [_, IdedExpr { expr: Expr::List(list), .. }] => match &list.elements[..] {
                [entry] => Some((None, entry)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// One selection.
#[derive(Clone, Copy)]
enum Segment<'e> {
    /// `.name`
    Known(&'e str),
    /// `["name"]`
    Quoted(&'e str),
    /// `[3]`
    Fixed,
    /// `[…]` with anything else in it. So are fractions: to refuse one, the interpreter copies the list.
    Computed(&'e IdedExpr),
}

impl<'e> Segment<'e> {
    fn index(index: &'e IdedExpr) -> Self {
        match &index.expr {
            Expr::Literal(LiteralValue::String(name)) => Self::Quoted(name.inner()),
            Expr::Literal(LiteralValue::Int(_) | LiteralValue::UInt(_)) => Self::Fixed,
            _ => Self::Computed(index),
        }
    }

    fn text(&self) -> Option<&'e str> {
        match self {
            Self::Known(name) | Self::Quoted(name) => Some(name),
            Self::Fixed | Self::Computed(_) => None,
        }
    }
}

fn is_index(call: &CallExpr) -> bool {
    call.target.is_none() && call.func_name == operators::INDEX && call.args.len() == 2
}

fn text_bytes(literal: &LiteralValue) -> usize {
    match literal {
        LiteralValue::String(text) => text.inner().len(),
        LiteralValue::Bytes(bytes) => bytes.inner().len(),
        LiteralValue::Boolean(_)
        | LiteralValue::Double(_)
        | LiteralValue::Int(_)
        | LiteralValue::Null
        | LiteralValue::UInt(_) => 0,
    }
}

/// CEL also has values of message types, of which there are none here.
fn no_message() -> ConditionError {
    ConditionError::Syntax {
        position: None,
        message: "`NAME{field: value}` makes a message, and there are none here; write `{\"field\": value}`".to_owned(),
    }
}
