//! What a message holds, counted by its bytes.

use bytes::Buf as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::Unreadable;

/// Steps of a pipeline.
pub const STEPS_MAX: usize = 1_000_000;

/// Entries of any other list, and entries that say nothing: more than any rule allows, so that whoever is only a little
/// above a rule hears which one.
pub(super) const ENTRIES_MAX: usize = 10_000;

/// Bytes of all arguments, or of all parameters with their defaults: likewise.
pub(super) const VALUES_BYTES_MAX: usize = 4 << 20;

/// The least bytes of a step that may be accepted: one letter as its name, and that it is an approval.
pub(super) const STEP_BYTES_MIN: usize = 6;

/// Values in the lists of loops and in pods' settings, at every depth: more numbers than a message of 16 MiB can hold.
pub(super) const ITEMS_MAX: usize = 2_000_000;

/// Retry rules of all steps: more than a message of 16 MiB can hold of those that say something.
pub(super) const RULES_MAX: usize = 2_400_000;

/// How deep messages are looked into. The decoder refuses what lies deeper.
const DEPTH_MAX: usize = 100;

/// The least bytes of a variable of the environment: one letter as its name.
const VARIABLE_BYTES_MIN: usize = 3;

/// What was counted in a message so far. A field that comes again adds to what came before, as it does in decoding.
#[derive(Debug, Default)]
pub(super) struct Census {
    steps: usize,
    parameters: usize,
    parameter_bytes: usize,
    arguments: usize,
    argument_bytes: usize,
    labels: usize,
    outputs: usize,
    items: usize,
    rules: usize,
    hollow: usize,
}

impl Census {
    /// A `SubmitRunRequest`.
    pub(super) fn submission(&mut self, encoded: &[u8]) -> Result<(), Unreadable> {
        each_field(encoded, |field, value| match field {
            3 => self.pipeline(value),
            4 => self.argument(value),
            5 => count(&mut self.labels, 1, ENTRIES_MAX, "labels"),
            _ => Ok(()),
        })
    }

    fn argument(&mut self, encoded: &[u8]) -> Result<(), Unreadable> {
        count(&mut self.arguments, 1, ENTRIES_MAX, "arguments")?;
        count(&mut self.argument_bytes, encoded.len(), VALUES_BYTES_MAX, "bytes of arguments")
    }

    fn parameter(&mut self, encoded: &[u8]) -> Result<(), Unreadable> {
        let bytes = "bytes of parameters";
        count(&mut self.parameters, 1, ENTRIES_MAX, "parameters")?;
        count(&mut self.parameter_bytes, encoded.len(), VALUES_BYTES_MAX, bytes)
    }

    pub(super) fn pipeline(&mut self, encoded: &[u8]) -> Result<(), Unreadable> {
        each_field(encoded, |field, value| match field {
            3 => self.parameter(value),
            4 | 10 => self.step(value, 0),
            9 => count(&mut self.labels, 1, ENTRIES_MAX, "labels"),
            _ => Ok(()),
        })
    }

    pub(super) fn step(&mut self, encoded: &[u8], depth: usize) -> Result<(), Unreadable> {
        count(&mut self.steps, 1, STEPS_MAX, "steps")?;
        if encoded.len() < STEP_BYTES_MIN {
            return self.hollow();
        }
        if depth > DEPTH_MAX {
            return Ok(());
        }
        each_field(encoded, |field, work| match field {
            4 => each_field(work, |field, _| match field {
                7 => count(&mut self.rules, 1, RULES_MAX, "retry rules"),
                _ => Ok(()),
            }),
            10 => each_field(work, |field, list| match field {
                1 => self.list(list, depth + 1),
                _ => Ok(()),
            }),
            16 => each_field(work, |field, part| match field {
                3 if part.len() < VARIABLE_BYTES_MIN => self.hollow(),
                10 => each_field(part, |field, value| self.pod(field, value, depth + 1)),
                _ => Ok(()),
            }),
            17 => each_field(work, |field, value| match field {
                1 => each_field(value, |field, value| match field {
                    1 => self.parameter(value),
                    2 => self.argument(value),
                    _ => Ok(()),
                }),
                2 => self.step(value, depth + 1),
                3 => count(&mut self.outputs, 1, STEPS_MAX, "outputs of groups"),
                _ => Ok(()),
            }),
            18 => each_field(work, |field, branch| match field {
                1 => self.step(branch, depth + 1),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }

    /// A field of a `Pod`.
    fn pod(&mut self, field: u32, value: &[u8], depth: usize) -> Result<(), Unreadable> {
        match field {
            17 | 19 | 21 | 22 | 25 | 26 => self.list(value, depth),
            20 | 23 | 24 | 27 => self.fields(value, depth),
            _ => Ok(()),
        }
    }

    /// A `Struct`.
    fn fields(&mut self, encoded: &[u8], depth: usize) -> Result<(), Unreadable> {
        each_field(encoded, |field, entry| match field {
            1 => each_field(entry, |field, value| match field {
                2 => self.value(value, depth + 1),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }

    /// A `ListValue`.
    fn list(&mut self, encoded: &[u8], depth: usize) -> Result<(), Unreadable> {
        each_field(encoded, |field, value| match field {
            1 => self.value(value, depth + 1),
            _ => Ok(()),
        })
    }

    fn value(&mut self, encoded: &[u8], depth: usize) -> Result<(), Unreadable> {
        count(&mut self.items, 1, ITEMS_MAX, "values in lists of loops and in pods' settings")?;
        if depth > DEPTH_MAX {
            return Ok(());
        }
        each_field(encoded, |field, value| match field {
            5 => self.fields(value, depth + 1),
            6 => self.list(value, depth + 1),
            _ => Ok(()),
        })
    }

    fn hollow(&mut self) -> Result<(), Unreadable> {
        self.hollow += 1;
        if self.hollow > ENTRIES_MAX {
            let what = "steps that do nothing, and variables without a name";
            let advice = "give each step a name and a task, and each variable a name";
            return Err(Unreadable::TooMany { what, most: ENTRIES_MAX, advice });
        }
        Ok(())
    }
}

fn count(
    counter: &mut usize,
    more: usize,
    most: usize,
    what: &'static str,
) -> Result<(), Unreadable> {
    *counter += more;
    if *counter > most {
        return Err(Unreadable::TooMany {
            what,
            most,
            advice: "split the pipeline, or pass large data by file",
        });
    }
    Ok(())
}

/// Shows every field of a message whose value has a length: texts, messages, entries of lists and maps.
pub(super) fn each_field(
    mut encoded: &[u8],
    mut show: impl FnMut(u32, &[u8]) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    while encoded.has_remaining() {
        let (field, wire_type) = decode_key(&mut encoded)?;
        if wire_type != WireType::LengthDelimited {
            skip_field(wire_type, field, &mut encoded, DecodeContext::default())?;
            continue;
        }
        let mut with_length = encoded;
        let length = usize::try_from(decode_varint(&mut encoded)?).unwrap_or(usize::MAX);
        let Some((value, rest)) = encoded.split_at_checked(length) else {
            // It ends too early; here that is said in words.
            skip_field(wire_type, field, &mut with_length, DecodeContext::default())?;
            return Ok(());
        };
        show(field, value)?;
        encoded = rest;
    }
    Ok(())
}
