//! From text to a syntax tree.
//!
//! The library has two parsers. This is the newer one, which its documentation does not show yet: the other, made by a
//! generator, takes ten times as long, and its recursion is harder to bound. Both make the same trees.

use cel::{
    ParseErrors,
    common::ast::IdedExpr,
    parser::{
        PrattParser,
        pratt_parser::{Lexer, TokenKind},
    },
};

use super::{ConditionError, words::shorten};
use crate::{limits, quote::quote};

/// How deep the tree of a text may be. Parser and tree are recursive, and the parser bounds brackets alone. What is evaluated
/// has a bound of its own, which is lower.
const DEPTH: u16 = 96;

/// Parses a text with at most [`limits::CONDITION_BYTES`].
pub(super) fn parse(text: &str) -> Result<IdedExpr, ConditionError> {
    if text.len() > limits::CONDITION_BYTES {
        return Err(ConditionError::TooLong { bytes: text.len() });
    }
    if is_deep(text) {
        return Err(ConditionError::TooDeep { most: usize::from(DEPTH) });
    }
    PrattParser::new().max_recursion_depth(DEPTH).parse(text).map_err(|errors| refuse(text, errors))
}

/// Whether the tree of a text may be deeper than [`DEPTH`]. Of chains of `&&` and `||` the parser makes balanced trees, which
/// hardly count.
fn is_deep(text: &str) -> bool {
    let mut lexer = Lexer::new(text);
    // Those around `group`, the innermost last.
    let mut around: Vec<Group> = Vec::new();
    let mut group = Group::default();
    loop {
        match lexer.lex().kind {
            TokenKind::TokEnd => return false,
            TokenKind::TokLeftParen | TokenKind::TokLeftBracket | TokenKind::TokLeftBrace => {
                group.links += 1;
                around.push(std::mem::take(&mut group));
            }
            TokenKind::TokRightParen | TokenKind::TokRightBracket | TokenKind::TokRightBrace => {
                let within = group.height();
                group = around.pop().unwrap_or_default();
                group.links += within;
            }
            TokenKind::TokComma
            | TokenKind::TokLogicalAnd
            | TokenKind::TokLogicalOr
            | TokenKind::TokColon => group.separate(),
            TokenKind::TokQuestion => {
                group.separate();
                group.choices += 1;
            }
            TokenKind::TokDot
            | TokenKind::TokIn
            | TokenKind::TokMinus
            | TokenKind::TokPlus
            | TokenKind::TokAsterisk
            | TokenKind::TokSlash
            | TokenKind::TokPercent
            | TokenKind::TokExclamation
            | TokenKind::TokEqualEqual
            | TokenKind::TokExclamationEqual
            | TokenKind::TokLess
            | TokenKind::TokLessEqual
            | TokenKind::TokGreater
            | TokenKind::TokGreaterEqual => group.links += 1,
            _ => {}
        }
        let depth: usize =
            around.iter().chain([&group]).map(|group| group.links + group.choices).sum();
        if depth > usize::from(DEPTH) {
            return true;
        }
    }
}

/// What lies between two brackets. Its parts, between separators, lie next to each other.
#[derive(Default)]
struct Group {
    /// Operators of the current part, and the heights of the groups in it: any may lie in any other.
    links: usize,
    /// The most that a part before had.
    highest: usize,
    /// `? :`. One after the colon of another lies in it.
    choices: usize,
}

impl Group {
    fn separate(&mut self) {
        self.highest = self.highest.max(self.links);
        self.links = 0;
    }

    fn height(&self) -> usize {
        self.highest.max(self.links) + self.choices
    }
}

fn refuse(text: &str, errors: ParseErrors) -> ConditionError {
    // Errors without a place say that the parser gave up; the cause has one.
    let mut errors = errors.errors;
    errors.sort_by_key(|error| (error.pos.0 <= 0, error.pos));
    let Some(error) = errors.into_iter().next() else {
        return ConditionError::Syntax { position: None, message: "it cannot be read".to_owned() };
    };
    let mut message = reword(&error.msg);
    if text.contains("${{") {
        message.push_str("; a condition is an expression as a whole: leave `${{` and `}}` out");
    }
    ConditionError::Syntax { position: position(text, error.pos), message }
}

/// The parser's message for those who do not know parsers.
fn reword(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    if let Some(rest) = message.strip_prefix("mismatched input '") {
        return match rest.strip_suffix("' expecting <EOF>") {
            Some(token) => format!("{} is not expected", quote(token)),
            None if rest.starts_with("<EOF>") => "the text ends too early".to_owned(),
            None => shorten(message),
        };
    }
    match message {
        "invalid argument to has() macro" => "write `has(OBJECT.FIELD)`".to_owned(),
        "expected identifier after '.'" => {
            "there is no name after the dot; write `[\"NAME\"]` for one like `in` or `true`"
                .to_owned()
        }
        message => shorten(message),
    }
}

/// The place in characters from 1, of a line from 1 and a byte of it from 1.
fn position(text: &str, (line, byte): (isize, isize)) -> Option<usize> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let byte = usize::try_from(byte).ok()?.checked_sub(1)?;
    let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    Some(text.char_indices().take_while(|(start, _)| *start < before + byte).count() + 1)
}
