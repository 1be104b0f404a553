//! What a value can be: in the schema, in the documentation, and in what errors ask for.

use std::fmt;

use config::ValueKind;
use serde_json::Value as Json;

/// What a value can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A whole number between two bounds, both included.
    Integer {
        /// The least.
        min: u64,
        /// The most; none for no bound.
        max: Option<u64>,
    },
    /// A number between two bounds, both included.
    Number {
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
    /// `true` or `false`.
    Boolean,
    /// One of some words.
    Word(Vec<Word>),
    /// A text of some form.
    Text {
        /// The name of the form.
        form: String,
        /// What a person should write.
        example: String,
    },
}

/// A word that can be a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it is written.
    pub word: String,
    /// What it means.
    pub meaning: String,
}

impl Kind {
    /// Reads the kind of a leaf from its schema.
    pub(super) fn of(schema: &Json) -> Self {
        if let Some(words) = schema["oneOf"].as_array() {
            return Self::Word(words.iter().map(Word::of).collect());
        }
        let types = &schema["type"];
        let is = |name: &str| {
            types == name || types.as_array().is_some_and(|types| types.contains(&name.into()))
        };
        if is("integer") {
            let min = schema["minimum"].as_u64().unwrap_or(0);
            return Self::Integer { min, max: schema["maximum"].as_u64() };
        }
        if is("number") {
            let bound = |name: &str, otherwise| schema[name].as_f64().unwrap_or(otherwise);
            return Self::Number {
                min: bound("minimum", f64::MIN),
                max: bound("maximum", f64::MAX),
            };
        }
        if is("boolean") {
            return Self::Boolean;
        }
        let text = |name: &str| schema[name].as_str().unwrap_or("text").to_owned();
        Self::Text { form: text("format"), example: text("x-example") }
    }

    /// The value that a text stands for, where one is given as text: in the environment and in `--set`.
    pub(super) fn parse(&self, text: &str) -> ValueKind {
        let parsed = match self {
            Self::Integer { .. } => text.parse::<u64>().ok().map(ValueKind::from),
            Self::Number { .. } => text.parse::<f64>().ok().map(ValueKind::from),
            Self::Boolean => text.parse::<bool>().ok().map(ValueKind::from),
            Self::Word(_) | Self::Text { .. } => None,
        };
        parsed.unwrap_or_else(|| text.into())
    }

    /// Whether a value is of this kind, as far as that can be seen without its type.
    pub(super) fn holds(&self, value: &Json) -> bool {
        match self {
            Self::Integer { min, max } => value
                .as_u64()
                .is_some_and(|number| *min <= number && max.is_none_or(|max| number <= max)),
            Self::Number { min, max } => {
                value.as_f64().is_some_and(|number| (*min..=*max).contains(&number))
            }
            Self::Boolean => value.is_boolean(),
            Self::Word(words) => words.iter().any(|word| value == word.word.as_str()),
            // Its type knows.
            Self::Text { .. } => true,
        }
    }
}

impl Word {
    fn of(schema: &Json) -> Self {
        let text = |name: &str| schema[name].as_str().unwrap_or_default().to_owned();
        Self { word: text("const"), meaning: text("description") }
    }
}

/// What a person should write.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer { min, max: Some(max) } => {
                write!(f, "a whole number from {min} to {max}")
            }
            Self::Integer { min, max: None } => write!(f, "a whole number of at least {min}"),
            Self::Number { min, max } => write!(f, "a number from {min} to {max}"),
            Self::Boolean => f.write_str("true or false"),
            Self::Word(words) => {
                for (at, word) in words.iter().enumerate() {
                    let before = match at {
                        0 => "",
                        at if at + 1 == words.len() => " or ",
                        _ => ", ",
                    };
                    write!(f, "{before}`{}`", word.word)?;
                }
                Ok(())
            }
            Self::Text { example, .. } => f.write_str(example),
        }
    }
}

/// Declares the schema of texts of some form.
macro_rules! form {
    ($(#[$doc:meta])* $name:ident, $form:literal, $example:literal $(, $key:literal: $value:literal)*) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $name;

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string", "format": $form, "x-example": $example, $($key: $value)*
                })
            }
        }
    };
}

form!(
    /// A length of time.
    DurationText, "duration", "a duration such as `500ms`, `30s`, `2min` or `30d`"
);
form!(
    /// A number of bytes.
    SizeText, "size", "a size such as `512Mi` or `2G`, or a whole number of bytes"
);
form!(
    /// An address to listen on.
    AddressText, "address", "an address such as `127.0.0.1:4600` or `[::]:4600`"
);
form!(
    /// An address to listen on, or none.
    SwitchText, "address or `off`", "an address such as `0.0.0.0:4610`, or `off`"
);
form!(
    /// Servers to connect to.
    ServersText, "URL, or list of URLs",
    "one SCHEME://HOST:PORT, or several: as a list, or with commas between them"
);
form!(
    /// A file or directory.
    PathText, "path", "a path"
);
form!(
    /// Directories.
    DirectoriesText, "path, or list of paths",
    "one absolute path, or several: as a list, or with commas between them"
);
form!(
    /// A secret; JSON Schema calls what is never shown `writeOnly`.
    SecretText, "secret", "a text that is not empty", "writeOnly": true
);
form!(
    /// The name of an installation.
    NameText, "name", "1 to 32 of a to z, 0 to 9 and `-`, the first one a letter"
);
form!(
    /// The name of a cluster.
    ClusterText, "name of a cluster", "up to 63 of a to z, 0 to 9 and `-`, the first and the last one no `-`"
);
form!(
    /// What is logged.
    DirectivesText, "log directives", "a level such as `info`, or directives such as `info,windlass_scheduler=debug`"
);
