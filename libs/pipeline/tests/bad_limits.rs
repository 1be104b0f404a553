//! What people see when a step names limits that it cannot have.

use std::fmt::Write as _;

use windlass_pipeline::file::{self, FileOptions};

/// Steps of files that are otherwise in order.
const STEPS: &[(&str, &str)] = &[
    ("unlawful name", "  a: {run: x, limits: GPU}\n"),
    ("no name", "  a: {run: x, limits: [gpu, \"\"]}\n"),
    ("the same twice", "  a: {run: x, limits: [gpu, db, gpu]}\n"),
    ("too many", "  a: {run: x, limits: [l1, l2, l3, l4, l5, l6, l7, l8, l9]}\n"),
    ("a size", "  a: {run: x, limits: {gpu: 4}}\n"),
    ("of a group", "  a: {limits: gpu, steps: {b: {run: x}}}\n"),
    ("of a loop over a group", "  a: {limits: gpu, for_each: 3, steps: {b: {run: x}}}\n"),
    ("of branches", "  a: {limits: gpu, branches: {b: {run: x}}}\n"),
    ("of a file that is used", "  a: {limits: gpu, use: b.yaml}\n"),
    ("of an approval", "  a: {limits: gpu, approval: {}}\n"),
];

#[test]
fn messages_about_named_limits_name_the_place_and_what_to_do() {
    let mut told = String::new();
    for (what, steps) in STEPS {
        let file = format!("name: p\nsteps:\n{steps}");
        let error = file::parse(file.as_bytes(), &FileOptions::default()).expect_err(what);
        let _ = write!(told, "# {what}\n{file}\n{error}\n\n");
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_loop_over_a_program_and_steps_within_groups_have_limits() {
    let most: Vec<_> = (1..=8).map(|n| format!("l{n}")).collect();
    let file = format!(
        "name: p\nsteps:\n  a: {{run: x, for_each: 3, limits: [{}]}}\n  g: {{steps: {{b: {{run: x, limits: gpu}}}}}}\n",
        most.join(", ")
    );
    file::parse(file.as_bytes(), &FileOptions::default()).unwrap_or_else(|it| panic!("{it}"));
}
