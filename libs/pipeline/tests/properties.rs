//! What holds for every text.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::Value as Json;
use windlass_pipeline::{
    check::check,
    compile,
    file::{self, FileError, FileOptions},
    template::{self, Reference, Template, Values},
};
use windlass_proto::v1::{self, for_each::Items, step::Work};

const VALID: [&str; 2] = [include_str!("files/whole.yaml"), include_str!("files/graph.yaml")];

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
            "\n",
            "  ",
            ": ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "&a ",
            "*a",
            "<<: ",
            "name",
            "steps",
            "run",
            "command",
            "!!str ",
            "|\n",
            ">\n",
            "---\n",
            "\"",
            "'",
            "#",
            "${{ ",
            " }}",
            "retry",
            "timeout",
            "5s",
            "~",
            "\t",
            "\u{feff}",
            "for_each",
            "when",
            "branches",
            "use",
            "outputs",
            "arguments",
            "exit_steps",
            "item",
            "params.",
            "steps.fit.outputs.loss",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

/// Names of steps, few enough for them to be met again further in.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["s0", "s1", "s2", "s3"]).prop_map(str::to_owned)
}

/// A step without its name: it refers to some others and holds others, so many levels deep.
fn step(levels: u32) -> BoxedStrategy<v1::Step> {
    let words = prop::option::weighted(0.25, name()).prop_map(|names| {
        let states = names.into_iter().map(|name| format!("${{{{ steps.{name}.state }}}}"));
        std::iter::once("x".to_owned()).chain(states).collect()
    });
    let task =
        words.prop_map(|command| Work::Task(Box::new(v1::Task { command, ..v1::Task::default() })));
    let task = prop_oneof![4 => task, 1 => Just(Work::Approval(v1::Approval {}))];
    let work = if levels == 0 {
        task.boxed()
    } else {
        let group =
            (steps(levels - 1), prop::bool::weighted(0.2)).prop_map(|(steps, is_closed)| {
                let inputs = is_closed.then(v1::Inputs::default);
                Work::Group(Box::new(v1::Group { inputs, steps, ..v1::Group::default() }))
            });
        let branches = steps(levels - 1).prop_map(|mut branches| {
            for branch in &mut branches {
                branch.depends_on.clear();
                branch.when = "true".into();
            }
            Work::Branches(Box::new(v1::Branches { branches }))
        });
        prop_oneof![2 => task, 2 => group, 1 => branches].boxed()
    };
    let depends_on = prop::option::weighted(0.1, name());
    let when = prop::option::weighted(0.1, name());
    (work, depends_on, when, any::<bool>())
        .prop_map(|(work, depends_on, when, is_loop)| v1::Step {
            depends_on: depends_on.into_iter().collect(),
            when: when.map(|name| format!("steps.{name}.state == ''")).unwrap_or_default(),
            for_each: is_loop.then(|| {
                let items = Some(Items::Count(2));
                Box::new(v1::ForEach { items, ..v1::ForEach::default() })
            }),
            work: Some(work),
            ..v1::Step::default()
        })
        .boxed()
}

fn steps(levels: u32) -> BoxedStrategy<Vec<v1::Step>> {
    prop::collection::vec(step(levels), 1..4)
        .prop_map(|mut steps| {
            for (at, step) in steps.iter_mut().enumerate() {
                step.name = format!("s{at}");
            }
            steps
        })
        .boxed()
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
    fn any_change_of_a_pipeline_is_read_or_refused_at_a_place(
        valid in prop::sample::select(VALID.to_vec()),
        from in 0..2_500_usize,
        length in 0..60_usize,
        put in yamlish(),
    ) {
        let from = from % valid.len();
        let mut bytes = valid.as_bytes().to_vec();
        bytes.splice(from..(from + length).min(valid.len()), put.bytes());
        if let Err(FileError::Rules { problems, .. }) =
            file::parse(&bytes, &FileOptions::default())
        {
            prop_assert!(problems.iter().all(|problem| problem.position.is_some()), "{problems:?}");
        }
    }

    #[test]
    fn names_lead_to_the_same_steps_in_the_rules_and_in_the_graph(steps in steps(3)) {
        let pipeline = v1::Pipeline { name: "p".into(), steps, ..v1::Pipeline::default() };
        let is_refused = |reasons: &[&str]| {
            check(&pipeline).is_err_and(|violations| {
                violations.iter().any(|violation| reasons.contains(&violation.reason.as_str()))
            })
        };
        let compiled = compile::graph(&pipeline, 0).map(drop);
        prop_assert_eq!(
            is_refused(&["UNKNOWN_STEP", "UNKNOWN_DEPENDENCY", "CYCLE"]),
            compiled.is_err(),
            "{:?}\n{:?}", check(&pipeline), compiled
        );
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
