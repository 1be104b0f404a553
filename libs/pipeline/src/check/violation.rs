//! What is wrong with a pipeline, for programs and for people.

use std::fmt;

use crate::limits;

/// One rule that is broken at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The place, as a path of the contract's field names: `steps[3].depends_on[0]`.
    pub field: String,
    /// The rule.
    pub reason: ViolationReason,
    /// For people: what is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// A rule that may be broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ViolationReason {
            $($(#[$doc])* $variant,)*
        }

        impl ViolationReason {
            /// The rule in one word, the same in every version.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

reasons! {
    /// There is no step.
    EmptyPipeline = "EMPTY_PIPELINE",
    /// A group without steps, or a choice without branches.
    EmptyGroup = "EMPTY_GROUP",
    /// A step says nothing of what it does, or several things.
    MissingWork = "MISSING_WORK",
    /// A command without a program.
    EmptyCommand = "EMPTY_COMMAND",
    /// A name that breaks the rules of names.
    InvalidName = "INVALID_NAME",
    /// A name that is taken.
    DuplicateName = "DUPLICATE_NAME",
    /// A dependency on a step that does not exist.
    UnknownDependency = "UNKNOWN_DEPENDENCY",
    /// A reference to a step that does not exist.
    UnknownStep = "UNKNOWN_STEP",
    /// A reference to an output that its step does not declare.
    UnknownOutput = "UNKNOWN_OUTPUT",
    /// A reference to a parameter that does not exist.
    UnknownParameter = "UNKNOWN_PARAMETER",
    /// A reference to the item of a loop that is not around.
    UnknownLoop = "UNKNOWN_LOOP",
    /// A reference that is not well formed, or stands where none may stand.
    InvalidReference = "INVALID_REFERENCE",
    /// A condition that is no expression, or names what no condition may name.
    InvalidCondition = "INVALID_CONDITION",
    /// A loop without items, or over what is no list.
    InvalidItems = "INVALID_ITEMS",
    /// What steps of this kind do not have.
    Misplaced = "MISPLACED",
    /// A field that Kubernetes does not know.
    UnknownField = "UNKNOWN_FIELD",
    /// A field that Kubernetes asks for.
    MissingField = "MISSING_FIELD",
    /// A retry rule that lists no failure, or says nothing of what is done.
    EmptyRule = "EMPTY_RULE",
    /// A setting that another one keeps from ever having an effect.
    Contradiction = "CONTRADICTION",
    /// What can never run, or never apply.
    Unreachable = "UNREACHABLE",
    /// A file that cannot be used.
    UnusableFile = "UNUSABLE_FILE",
    /// Steps or files that wait for each other.
    Cycle = "CYCLE",
    /// A duration that is negative, too long or no duration.
    InvalidDuration = "INVALID_DURATION",
    /// A number outside its range.
    OutOfRange = "OUT_OF_RANGE",
    /// An enum's number that means nothing.
    UnknownValue = "UNKNOWN_VALUE",
    /// A text with characters that it may not have.
    InvalidText = "INVALID_TEXT",
    /// More, longer or deeper than allowed.
    TooLarge = "TOO_LARGE",
    /// A value that is not of its parameter's type.
    TypeMismatch = "TYPE_MISMATCH",
    /// A parameter without default that was given no value.
    MissingArgument = "MISSING_ARGUMENT",
    /// A value for a parameter that does not exist.
    UnknownArgument = "UNKNOWN_ARGUMENT",
}

/// All that is wrong, at least one thing; the first [`limits::VIOLATIONS`] in full.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Violations {
    shown: Vec<Violation>,
    more: usize,
}

impl Violations {
    /// Those told in full, in the order they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.shown.iter()
    }

    /// How many there are beyond those.
    pub fn more(&self) -> usize {
        self.more
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    pub(crate) fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl<'a> IntoIterator for &'a Violations {
    type Item = &'a Violation;
    type IntoIter = std::slice::Iter<'a, Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// So many are enough for a line of a log.
        const LINES: usize = 3;
        for (at, violation) in self.shown.iter().take(LINES).enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{violation}")?;
        }
        match self.shown.len().saturating_sub(LINES) + self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Violations {}

/// Takes what is found. Texts are made only where they are kept.
pub(crate) trait Report {
    fn add(
        &mut self,
        reason: ViolationReason,
        field: fmt::Arguments<'_>,
        message: fmt::Arguments<'_>,
    );
}

impl Report for Violations {
    fn add(
        &mut self,
        reason: ViolationReason,
        field: fmt::Arguments<'_>,
        message: fmt::Arguments<'_>,
    ) {
        if self.shown.len() < limits::VIOLATIONS {
            self.shown.push(Violation {
                field: field.to_string(),
                reason,
                message: message.to_string(),
            });
        } else {
            self.more += 1;
        }
    }
}
