//! Labels and annotations: by which others find a pod, and what launchers read of it again.

use std::collections::BTreeMap;

use data_encoding::{BASE32_DNSSEC, HEXLOWER};
use sha2::{Digest as _, Sha256};

use super::Request;
use crate::{
    label,
    syntax::{LABEL_CHARS, LABEL_VALUE},
};

/// Bytes of a digest in a label's value: 80 bits.
const DIGEST_BYTES: usize = 10;

/// Characters of such a digest.
const DIGEST_CHARS: usize = DIGEST_BYTES * 8 / 5;

pub(super) fn labels(request: &Request<'_>) -> BTreeMap<String, String> {
    let settings = request.settings;
    let (installation, pipeline) =
        (label_value(request.installation), label_value(request.pipeline));
    let (run, step) = (label_value(request.run), label_value(request.step));
    let own = [
        (label::MANAGED_BY, label::MANAGER.to_owned()),
        (label::APP_PART_OF, installation.clone()),
        (label::APP_NAME, pipeline.clone()),
        (label::APP_INSTANCE, run.clone()),
        (label::APP_COMPONENT, step.clone()),
        (label::INSTALLATION, installation),
        (label::NAMESPACE, label_value(request.namespace)),
        (label::PIPELINE, pipeline),
        (label::RUN, run),
        (label::STEP, step),
        (label::STEP_INDEX, request.step_index.to_string()),
        (label::ATTEMPT, request.attempt.to_string()),
        (label::SHARD, request.shard.to_string()),
    ];
    let queue = Some(&settings.queue).filter(|queue| !queue.is_empty());
    let queue = queue.map(|queue| (label::KUEUE_QUEUE, queue.clone()));
    added(&settings.labels, own.into_iter().chain(queue))
}

pub(super) fn annotations(request: &Request<'_>) -> BTreeMap<String, String> {
    let settings = request.settings;
    let own = [
        (label::PIPELINE, request.pipeline.to_owned()),
        (label::STEP, request.step.to_owned()),
        (label::OUTPUTS, request.outputs.join(",")),
    ];
    let reasons = settings.fatal_waiting_reasons.as_ref();
    let reasons = reasons.map(|it| (label::FATAL_WAITING_REASONS, it.reasons.join(",")));
    let key = request.cache_key.map(|key| (label::CACHE_KEY, HEXLOWER.encode(&key)));
    added(&settings.annotations, own.into_iter().chain(reasons).chain(key))
}

/// What a user gives and what Windlass sets, which wins.
fn added(
    given: &BTreeMap<String, String>,
    own: impl Iterator<Item = (&'static str, String)>,
) -> BTreeMap<String, String> {
    let mut all = given.clone();
    all.extend(own.map(|(key, value)| (key.to_owned(), value)));
    all
}

/// A text as the value of a label: as it is where it can be one, and otherwise its readable beginning with a digest of the whole.
pub fn label_value(text: &str) -> String {
    if LABEL_VALUE.allows(text) {
        return text.to_owned();
    }
    let is_lawful = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    let readable = text.chars().take(LABEL_CHARS - 1 - DIGEST_CHARS);
    let readable: String = readable.map(|it| if is_lawful(it) { it } else { '-' }).collect();
    let digest = BASE32_DNSSEC.encode(&Sha256::digest(text)[..DIGEST_BYTES]);
    match readable.trim_matches(|it: char| !it.is_ascii_alphanumeric()) {
        "" => digest,
        readable => format!("{readable}-{digest}"),
    }
}
