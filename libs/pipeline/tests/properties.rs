//! What holds for every text.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::Value as Json;
use windlass_pipeline::{
    file::{self, FileOptions},
    template::{self, Reference, Template, Values},
};

const VALID: &str = include_str!("files/whole.yaml");

/// Every reference stands for the text that it is written as.
struct Echo;

impl Values for Echo {
    fn value(&self, reference: Reference<'_>) -> Option<Cow<'_, Json>> {
        Some(Cow::Owned(Json::String(reference.to_string())))
    }
}

/// Texts in which what matters to a parser is frequent.
fn yamlish() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        "[ -~]{0,6}",
        prop::sample::select(vec![
            "\n", "  ", ": ", "- ", "[", "]", "{", "}", ",", "&a ", "*a", "<<: ", "name", "steps",
            "run", "command", "!!str ", "|\n", ">\n", "---\n", "\"", "'", "#", "${{ ", " }}",
            "retry", "timeout", "5s", "~", "\t", "\u{feff}",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = file::parse(&bytes, &FileOptions::default());
    }

    #[test]
    fn any_text_is_read_or_refused(text in yamlish()) {
        let _ = file::parse(text.as_bytes(), &FileOptions::default());
    }

    #[test]
    fn any_change_of_a_pipeline_is_read_or_refused(
        from in 0..VALID.len(),
        length in 0..60_usize,
        put in yamlish(),
    ) {
        let mut bytes = VALID.as_bytes().to_vec();
        bytes.splice(from..(from + length).min(VALID.len()), put.bytes());
        let _ = file::parse(&bytes, &FileOptions::default());
    }

    #[test]
    fn an_escaped_text_renders_to_itself(text in yamlish()) {
        let escaped = template::escape(&text);
        let template = Template::parse(&escaped).unwrap();
        prop_assert_eq!(template.references().count(), 0);
        prop_assert_eq!(template.render(&Echo).unwrap(), text);
    }

    #[test]
    fn a_template_is_the_same_once_written_and_read(text in yamlish()) {
        if let Ok(template) = Template::parse(&text) {
            let written = template.to_string();
            let read = Template::parse(&written).unwrap();
            prop_assert_eq!(read.render(&Echo).unwrap(), template.render(&Echo).unwrap());
            prop_assert!(read.references().eq(template.references()));
        }
    }
}
