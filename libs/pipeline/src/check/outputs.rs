//! Rules of what a group outputs.

use std::collections::BTreeMap;

use super::{Report, ViolationReason, field, names::Names, text};
use crate::{limits, name, quote::quote, suggest::did_you_mean, template::Reference};

/// Checks outputs, which are those of the steps `names`.
pub(super) fn check(
    outputs: &BTreeMap<String, String>,
    names: &Names<'_>,
    report: &mut impl Report,
) {
    field::count(report, format_args!("outputs"), "outputs", outputs.len(), limits::OUTPUTS);
    for (output, value) in outputs {
        check_one(output, value, names, report);
    }
}

fn check_one(output: &str, value: &str, names: &Names<'_>, report: &mut impl Report) {
    let key = field::key(output);
    let field = format_args!("outputs[{key}]");
    field::name(report, &name::IDENTIFIER, "an output", field, output);
    let Ok(reference @ Reference::Output { step, output: of }) = text::single(value) else {
        return report.add(
            ViolationReason::InvalidReference,
            field,
            format_args!(
                "the output {} is {}, but must be exactly one reference to an output of one of the `steps`: \
                 `${{{{ steps.NAME.outputs.NAME }}}}`",
                quote(output),
                quote(value)
            ),
        );
    };
    match names.find(step) {
        None => report.add(
            ViolationReason::UnknownStep,
            field,
            format_args!(
                "the output {}: `{reference}`: there is no step {} among the `steps`{}",
                quote(output),
                quote(step),
                did_you_mean(step, names.iter()).or("; add such a step, or correct the name")
            ),
        ),
        Some(index) if names.is_exit(index) => report.add(
            ViolationReason::UnknownStep,
            field,
            format_args!(
                "the output {}: `{reference}`: {} is an exit step; refer to one of the `steps`",
                quote(output),
                quote(step)
            ),
        ),
        Some(index) if !names.declares(index, of) => report.add(
            ViolationReason::UnknownOutput,
            field,
            format_args!(
                "the output {}: `{reference}`: step {} declares no output {}{}",
                quote(output),
                quote(step),
                quote(of),
                did_you_mean(of, names.outputs(index)).or("; add it to the step's `outputs`")
            ),
        ),
        Some(_) => {}
    }
}
