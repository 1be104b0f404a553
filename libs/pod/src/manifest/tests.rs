//! What pods are made of attempts.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;
use windlass_proto::v1;

use super::{ManifestError, Request, label_value, name, pod};
use crate::{
    settings::samples,
    syntax::{DNS_LABEL, LABEL_VALUE},
};

/// What a request borrows.
#[derive(Debug, Default)]
struct Attempt {
    command: Vec<String>,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    secrets: BTreeMap<String, v1::SecretKey>,
    outputs: Vec<String>,
    settings: v1::Pod,
}

impl Attempt {
    fn request(&self) -> Request<'_> {
        Request {
            installation: "prod",
            namespace: "default",
            run: "run_0123456789abcdefghijklmnop",
            pipeline: "nightly",
            step: "load",
            step_index: 0,
            attempt: 1,
            shard: 7,
            image: "python:3.14",
            command: &self.command,
            args: &self.args,
            env: &self.env,
            secrets: &self.secrets,
            working_dir: None,
            memory_bytes: None,
            termination_grace: Duration::from_secs(10),
            outputs: &self.outputs,
            cache_key: None,
            settings: &self.settings,
        }
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// As it is sent; that it can be read again without a loss is checked by the way.
#[track_caller]
fn manifest(request: &Request<'_>) -> String {
    let pod = pod(request).unwrap_or_else(|error| panic!("{error}"));
    let sent = serde_json::to_value(&pod).unwrap();
    assert_eq!(serde_json::from_value::<Pod>(sent.clone()).unwrap(), pod);
    serde_json::to_string_pretty(&sent).unwrap()
}

#[test]
fn the_least_that_an_attempt_is() {
    let attempt = Attempt { command: words(["true"]), ..Attempt::default() };
    insta::assert_snapshot!(manifest(&attempt.request()));
}

#[test]
fn all_that_an_attempt_may_be() {
    let attempt = Attempt {
        command: words(["python3", "train.py", "--rate", "0.1"]),
        env: samples::map([("LOG", "info"), ("PRICE", "5$ $(LOG) $$")]),
        outputs: words(["model", "loss"]),
        settings: samples::whole(),
        ..Attempt::default()
    };
    insta::assert_snapshot!(manifest(&Request {
        step: "sweep.3.fit",
        step_index: 42,
        attempt: 3,
        working_dir: Some("/data"),
        memory_bytes: Some(512 << 20),
        termination_grace: Duration::from_millis(1_500),
        cache_key: Some([0xab; 32]),
        ..attempt.request()
    }));
}

#[test]
fn an_image_runs_its_own_program_with_other_arguments_and_secrets() {
    let secret = |name: &str, key: &str, optional| v1::SecretKey {
        name: name.to_owned(),
        key: key.to_owned(),
        optional,
    };
    let secrets = [
        ("PASSWORD".to_owned(), secret("db", "password", false)),
        ("TOKEN".to_owned(), secret("api", "token", true)),
    ];
    let attempt = Attempt {
        args: words(["--port=$(PORT)"]),
        env: samples::map([("PORT", "1")]),
        secrets: secrets.into(),
        ..Attempt::default()
    };
    insta::assert_snapshot!(manifest(&attempt.request()));
}

#[test]
fn long_names_are_cut_and_told_in_full_in_annotations() {
    let attempt = Attempt { command: words(["true"]), ..Attempt::default() };
    let step = "a_very_long_group_of_steps.1234567.another_long_group_of_steps.7654321.train";
    let request = Request {
        pipeline: "a-pipeline-whose-name-ends-with-",
        namespace: &"team-".repeat(20),
        step,
        ..attempt.request()
    };
    let pod = pod(&request).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&pod.metadata).unwrap());
}

#[test]
fn a_set_of_reasons_that_is_empty_is_told_and_one_that_is_not_set_is_not() {
    let key = crate::label::FATAL_WAITING_REASONS;
    let reasons = |fatal_waiting_reasons| {
        let settings = v1::Pod { fatal_waiting_reasons, ..v1::Pod::default() };
        let attempt = Attempt { settings, ..Attempt::default() };
        let annotations = pod(&attempt.request()).unwrap().metadata.annotations.unwrap();
        annotations.get(key).cloned()
    };
    assert_eq!(reasons(None), None);
    assert_eq!(reasons(Some(v1::WaitingReasons::default())), Some(String::new()));
}

#[test]
fn what_cannot_be_asked_for_is_told_with_its_place() {
    let attempt = Attempt::default();
    let imageless = Request { image: "", ..attempt.request() };
    assert_eq!(pod(&imageless), Err(ManifestError::NoImage));
    let spaced = Request { image: "a b", ..attempt.request() };
    assert!(matches!(pod(&spaced), Err(ManifestError::Image(_))));
    let limits = samples::map([("cpu", "much")]);
    let resources = Some(v1::PodResources { limits, ..v1::PodResources::default() });
    let settings = v1::Pod { resources, ..v1::Pod::default() };
    let attempt = Attempt { settings, ..Attempt::default() };
    let message = pod(&attempt.request()).unwrap_err().to_string();
    assert!(message.starts_with("pod.resources.limits[cpu]: `much` is no amount"), "{message}");
}

/// What Kubernetes makes of a text with these variables: see its documentation of `command`.
fn expanded(text: &str, variables: &BTreeMap<&str, &str>) -> String {
    let Some((before, rest)) = text.split_once('$') else { return text.to_owned() };
    let (value, rest) = if let Some(rest) = rest.strip_prefix('$') {
        ("$".to_owned(), rest)
    } else if let Some((name, rest)) = rest.strip_prefix('(').and_then(|it| it.split_once(')')) {
        (variables.get(name).map_or_else(|| format!("$({name})"), |it| (*it).to_owned()), rest)
    } else {
        ("$".to_owned(), rest)
    };
    format!("{before}{value}{}", expanded(rest, variables))
}

#[test]
fn a_name_is_the_same_for_ever_and_another_for_whatever_else_is_another() {
    let one = name("prod", "run_1", 2, 3, "load");
    assert_eq!(one, "load-lu6gndiuipbl20qhpj716s3j");
    let others = [
        name("prodr", "un_1", 2, 3, "load"),
        name("prod", "run_2", 2, 3, "load"),
        name("prod", "run_1", 3, 3, "load"),
        name("prod", "run_1", 2, 4, "load"),
    ];
    assert!(!others.contains(&one), "{others:?}");
    assert_eq!(name("a", "b", 0, 1, "__").split_once('-').unwrap().0, "step");
}

proptest! {
    #[test]
    fn a_name_and_labels_are_lawful_whatever_they_are_made_of(text: String, path in "[a-z][a-z0-9_.-]{0,90}") {
        for text in [&text, &path] {
            let name = name(text, text, 0, 1, text);
            prop_assert!(DNS_LABEL.allows(&name), "{}", name);
            let value = label_value(text);
            prop_assert!(LABEL_VALUE.allows(&value), "{}", value);
        }
        // The prefix is one that was checked, whatever else stands behind it.
        let step_name = name("i", "r", 0, 1, &path);
        prop_assert!(step_name.starts_with(&path[..1]));
    }

    #[test]
    fn a_label_that_was_cut_is_still_its_own(one in "[a-z]{1,80}_", other in "[a-z]{1,80}_") {
        prop_assert_eq!(label_value(&one) == label_value(&other), one == other);
    }

    #[test]
    fn programs_get_their_texts_as_they_are(text in "[a$()A]{0,20}") {
        let attempt = Attempt {
            command: vec![text.clone()],
            args: vec![text.clone()],
            env: [("TEXT".to_owned(), text.clone())].into(),
            ..Attempt::default()
        };
        let mut spec = pod(&attempt.request()).unwrap().spec.unwrap();
        let main = spec.containers.remove(0);
        let env = main.env.unwrap().remove(0).value.unwrap();
        let variables = BTreeMap::from([("A", "wrong"), ("a", "wrong"), ("TEXT", "wrong"), ("", "wrong")]);
        for given in [main.command.unwrap().remove(0), main.args.unwrap().remove(0), env] {
            prop_assert_eq!(expanded(&given, &variables), text.as_str());
        }
    }
}
