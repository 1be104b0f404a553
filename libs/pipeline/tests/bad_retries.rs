//! What people see when what a file says about failures makes no sense.

use windlass_pipeline::file::{self, FileOptions};

/// What is done about failures, of files that are otherwise in order.
const RETRIES: &[(&str, &str)] = &[
    ("rule without an action", "rules: [{exit_codes: [75]}]"),
    ("rule with an unknown action", "rules: [{exit_codes: [75], action: skip}]"),
    ("rule about nothing", "rules: [{exit_codes: [75], action: fail}, {action: fail}]"),
    (
        "rule about nothing, in words",
        "rules:\n        - action: fail\n        - reasons: []\n          action: fail",
    ),
    ("unknown key of a rule", "rules: [{codes: [75], action: fail}]"),
    ("unknown reason", "rules: [{reasons: [out-of-memory], action: fail}]"),
    ("reason of no attempt", "rules: [{reasons: [upstream_failed], action: fail}]"),
    ("reasons as a word", "rules: [{reasons: lost, action: fail}]"),
    ("exit code of a success", "rules: [{exit_codes: [0], action: fail}]"),
    ("exit codes that are none", "rules: [{exit_codes: [75, 256, -1], action: fail}]"),
    ("exit codes from a success on", "rules: [{exit_codes: [0-3], action: fail}]"),
    (
        "exit codes backwards",
        "rules:\n        - {signals: [9], action: fail}\n        - action: fail\n          exit_codes: [75, 110-100]",
    ),
    ("exit codes without an end", "rules: [{exit_codes: [100-], action: fail}]"),
    ("signals that are none", "rules: [{signals: [0, 65], action: fail}]"),
    ("signal that ends nothing", "rules: [{signals: [SIGSTOP], action: fail}]"),
    (
        "rule behind one that has all of it",
        "rules: [{exit_codes: [1-100], action: fail}, {exit_codes: [2, 50-60], action: ignore}]",
    ),
    (
        "rule behind some that have all of it",
        "rules: [{reasons: [signal], action: fail}, {exit_codes: [1], action: fail}, {signals: [9], exit_codes: [1], action: ignore}]",
    ),
    (
        "rule for exit codes behind one for all",
        "rules: [{exit_codes: [1-9], action: ignore}, {reasons: [exit_code], action: fail}, {exit_codes: [75], action: ignore}]",
    ),
    (
        "retries without a budget",
        "{rules: [{exit_codes: [75], action: retry}, {reasons: [lost], action: retry}]}",
    ),
    (
        "retries without the other budget",
        "{limit: 3, system_limit: 0, rules: [{reasons: [lost, exit_code], action: retry}]}",
    ),
    (
        "retries without any",
        "{system_limit: 0, rules: [{reasons: [lost, exit_code], action: retry}]}",
    ),
    ("more memory than none", "memory_factor: 2"),
    ("more memory for no retry", "{memory_factor: 2}"),
    ("factor of memory out of range", "memory_factor: 0"),
    ("factor of memory too large", "memory_factor: 101"),
    ("limit of memory that nothing raises", "max_memory: 1Gi"),
    (
        "more memory where a rule allows no retry",
        "memory_factor: 2\n      rules: [{signals: [9], action: ignore}, {reasons: [out_of_memory], action: fail}]",
    ),
];

/// A file with these steps.
fn with_steps(steps: &str) -> String {
    format!("name: p\nsteps:\n{steps}")
}

#[test]
fn messages_name_the_place_and_what_to_do() {
    // Those in braces are all that is said, and the others are said beside a limit.
    let retries = RETRIES.iter().map(|(what, retry)| {
        let retry = match retry.strip_prefix('{') {
            Some(_) => format!(" {retry}\n"),
            None => format!("\n      limit: 3\n      {retry}\n"),
        };
        (*what, with_steps(&format!("  a:\n    run: x\n    retry:{retry}")))
    });
    let memory = "  a:\n    run: x\n    resources: {memory: 2Gi}\n    retry:\n      limit: 1\n      memory_factor: 2\n      max_memory: 1Gi\n";
    let by_default = "name: p\ndefaults: {retry: {rules: [{exit_codes: [1], action: retry}]}}\nsteps: {a: {run: x}}\n";
    let rules: Vec<_> =
        (1..=33).map(|code| format!("{{exit_codes: [{code}], action: fail}}")).collect();
    let many = format!("  a: {{run: x, retry: {{rules: [{}]}}}}\n", rules.join(", "));
    let others = [
        ("limit of memory below it", with_steps(memory)),
        ("rules of all steps", by_default.to_owned()),
        ("too many rules", with_steps(&many)),
    ];
    let told = retries.chain(others).map(|(what, file)| {
        let error = file::parse(file.as_bytes(), &FileOptions::default()).expect_err(&file);
        let lines: Vec<_> =
            error.to_string().lines().map(|line| format!("pipeline.yaml:{line}")).collect();
        format!("# {what}\n{}", lines.join("\n"))
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"));
}
