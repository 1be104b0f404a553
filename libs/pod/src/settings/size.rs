//! Whether settings are small enough to be looked at.

use prost::Message as _;
use prost_types::{Value, value::Kind};
use windlass_proto::v1;

use super::{
    DEPTH, ENTRIES, POD_BYTES,
    problem::{Path, Report, Rule},
    texts::{Setting, settings},
};

/// Whether everything is within bounds; reports what is not.
pub(super) fn is_bounded(pod: &v1::Pod, report: &Report) -> bool {
    let bytes = pod.encoded_len();
    if bytes > POD_BYTES {
        let message = format_args!(
            "the settings of the pod have {bytes} bytes, and {POD_BYTES} are the most; put large data into a config map"
        );
        report.add(Path::SETTINGS, Rule::TooLarge, message);
        return false;
    }
    let is_setting_bounded = |(name, setting): (&'static str, Setting<'_>)| {
        let path = Path::of(name);
        match setting {
            Setting::Text(_) => true,
            Setting::Texts(texts) => is_short(texts.len(), path, report),
            Setting::Map(map) => is_short(map.len(), path, report),
            Setting::List(list) => all_of(list.values.iter(), DEPTH, path, report),
            Setting::Fields(fields) => all_of(fields.fields.values(), DEPTH, path, report),
        }
    };
    // All are looked at, so that all that is wrong is told.
    settings(pod).map(is_setting_bounded).filter(|is_bounded| !is_bounded).count() == 0
}

fn is_short(entries: usize, path: Path<'_>, report: &Report) -> bool {
    if entries > ENTRIES {
        let message =
            format_args!("there are {entries} entries, and {ENTRIES} are the most; have fewer");
        report.add(path, Rule::TooLarge, message);
    }
    entries <= ENTRIES
}

/// The entries of a list or a map, so many levels deep.
fn all_of<'v>(
    values: impl ExactSizeIterator<Item = &'v Value>,
    levels: usize,
    path: Path<'_>,
    report: &Report,
) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        let message =
            format_args!("lists and maps lie more than {DEPTH} deep in each other; flatten them");
        report.add(path, Rule::TooLarge, message);
        return false;
    };
    let mut values = values;
    is_short(values.len(), path, report) && values.all(|it| is_value(it, below, path, report))
}

fn is_value(value: &Value, levels: usize, path: Path<'_>, report: &Report) -> bool {
    match &value.kind {
        Some(Kind::ListValue(list)) => all_of(list.values.iter(), levels, path, report),
        Some(Kind::StructValue(fields)) => all_of(fields.fields.values(), levels, path, report),
        Some(Kind::NumberValue(number)) if !number.is_finite() => {
            let message = format_args!("holds a number that is not finite; correct it");
            report.add(path, Rule::InvalidValue, message);
            false
        }
        _ => true,
    }
}
