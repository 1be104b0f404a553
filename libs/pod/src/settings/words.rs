//! Rules of the settings that Windlass spells itself: names, labels and amounts.

use windlass_proto::v1;

use super::{
    Reading, WAITING_REASONS,
    problem::{Path, Rule},
    texts::{Setting, settings},
};
use crate::{
    label,
    quote::quote,
    syntax::{self, Syntax},
};

/// Keys of labels that Windlass sets, besides those that begin with [`label::OWN`].
const OWN_LABELS: [&str; 5] = [
    label::MANAGED_BY,
    label::APP_NAME,
    label::APP_INSTANCE,
    label::APP_COMPONENT,
    label::APP_PART_OF,
];

pub(super) fn check(pod: &v1::Pod, reading: &Reading) {
    for (name, setting) in settings(pod) {
        let path = Path::of(name);
        match setting {
            Setting::Text(text) => reading.check(path, of_text(name), text),
            Setting::Texts(texts) => {
                let syntax = of_entries(name);
                for (at, text) in texts.iter().enumerate() {
                    reading.check(path.index(at), syntax, text);
                }
            }
            Setting::Map(map) => {
                for (key, value) in map {
                    entry(name, path, key, value, reading);
                }
            }
            // Those are read as what they are.
            Setting::List(_) | Setting::Fields(_) => {}
        }
    }
    let reasons = pod.fatal_waiting_reasons.as_ref().map_or(0, |it| it.reasons.len());
    if reasons > WAITING_REASONS {
        let message = format_args!(
            "there are {reasons} reasons, and {WAITING_REASONS} are the most; have fewer"
        );
        reading.report.add(Path::of("fatal_waiting_reasons"), Rule::TooLarge, message);
    }
}

fn of_text(name: &str) -> &'static Syntax {
    match name {
        "name_prefix" => &syntax::NAME_PREFIX,
        "namespace" => &syntax::DNS_LABEL,
        "image_pull_policy" => &syntax::PULL_POLICY,
        "queue" => &syntax::QUEUE,
        // Names of other objects.
        _ => &syntax::DNS_SUBDOMAIN,
    }
}

fn of_entries(name: &str) -> &'static Syntax {
    match name {
        "fatal_waiting_reasons" => &syntax::WAITING_REASON,
        _ => &syntax::DNS_SUBDOMAIN,
    }
}

fn entry(map: &str, path: Path<'_>, key: &str, value: &str, reading: &Reading) {
    let path = path.key(key);
    if !syntax::QUALIFIED_NAME.allows(key) {
        let Syntax { what, words, .. } = syntax::QUALIFIED_NAME;
        let message = format_args!("{} is no {what}; use {words}", quote(key));
        reading.report.add(path, Rule::InvalidValue, message);
    }
    match map {
        "labels" => {
            refuse_own(path, key, &OWN_LABELS, reading);
            if key == label::KUEUE_QUEUE {
                let message = format_args!("the label `{key}` is set by `queue`; use that");
                reading.report.add(path, Rule::Reserved, message);
            }
            reading.check(path, &syntax::LABEL_VALUE, value);
        }
        "annotations" => refuse_own(path, key, &[], reading),
        "node_selector" => reading.check(path, &syntax::LABEL_VALUE, value),
        // Amounts of resources.
        _ => reading.check(path, &syntax::AMOUNT, value),
    }
}

fn refuse_own(path: Path<'_>, key: &str, own: &[&str], reading: &Reading) {
    if key.starts_with(label::OWN) || own.contains(&key) {
        let message = format_args!("{} is set by Windlass; use another key", quote(key));
        reading.report.add(path, Rule::Reserved, message);
    }
}
