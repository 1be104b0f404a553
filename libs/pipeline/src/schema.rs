//! The file format for editors, as a JSON schema.
//!
//! It is made from the same types that files are read into, and says less than the rules do: what depends on more than
//! one place of a file is [`check`](crate::check)'s.

use schemars::schema_for;

use crate::file::format;

/// The schema of a pipeline file (JSON Schema, draft 2020-12).
pub fn json_schema() -> serde_json::Value {
    schema_for!(format::Pipeline).to_value()
}
