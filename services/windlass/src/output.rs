//! The only way to standard output and standard error.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::{args::OutputFormat, document::ErrorDocument, failure::Failure, render};

/// Writes results.
pub(crate) fn write(text: &str) -> Result<(), Failure> {
    write_bytes(text.as_bytes()).map_err(Failure::Output)
}

/// Writes a result for programs, on one line.
pub(crate) fn write_json(document: &impl Serialize) -> Result<(), Failure> {
    json_line(document).map_err(Failure::Output)
}

/// Writes bytes as they are.
pub(crate) fn write_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Writes one line of JSON.
pub(crate) fn json_line(document: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(document)?;
    line.push(b'\n');
    write_bytes(&line)
}

/// Tells a person something that is no result. What others wrote may be part of it.
pub(crate) fn note(text: &str) {
    let lines: Vec<_> = text.lines().map(render::words::harmless).collect();
    tell(&lines.join("\n"));
}

fn tell(text: &str) {
    // There is nobody left to tell if this fails.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Tells why the command failed. A closed pipe is no failure.
pub(crate) fn report(failure: &Failure, format: OutputFormat) {
    if failure.is_broken_pipe() {
        return;
    }
    match format {
        OutputFormat::Text => tell(render::failure(failure, &render::Theme::stderr()).trim_end()),
        OutputFormat::Json => {
            let document = serde_json::to_string(&ErrorDocument::of(failure));
            tell(&document.unwrap_or_else(|error| error.to_string()));
        }
    }
}
