//! What people see when a file is no pipeline.

use std::fmt::Write as _;

use windlass_pipeline::file::{self, FileError, FileOptions};

fn refused(file: &[u8]) -> FileError {
    file::parse(file, &FileOptions::default()).expect_err(&String::from_utf8_lossy(file))
}

/// A file with these steps.
fn with_steps(steps: &str) -> String {
    format!("name: p\nsteps:\n{steps}")
}

/// Whole files.
const FILES: &[(&str, &str)] = &[
    ("empty file", ""),
    ("no steps", "name: p\nsteps: {}\n"),
    ("steps without a value", "name: p\nsteps:\n"),
    ("no name", "steps:\n  a: {run: x}\n"),
    ("not a map", "- a\n- b\n"),
    ("not YAML", "name: [p\nsteps:\n"),
    ("a tab for indentation", "name: p\nsteps:\n\ta: {run: x}\n"),
    ("unlawful pipeline name", "name: My Pipeline\nsteps:\n  a: {run: x}\n"),
    ("unknown key", "name: p\nmax_paralelism: 3\nsteps:\n  a: {run: x}\n"),
    ("unknown key, nothing similar", "name: p\nschedule: daily\nsteps:\n  a: {run: x}\n"),
    ("unknown failure mode", "name: p\nfailure_mode: fail-fast\nsteps:\n  a: {run: x}\n"),
    ("two documents", "name: p\nsteps:\n  a: {run: x}\n---\nname: q\n"),
    ("unlawful label", "name: p\nlabels:\n  team: a b\nsteps:\n  a: {run: x}\n"),
    ("parameter without type", "name: p\nparameters:\n  data: {}\nsteps:\n  a: {run: x}\n"),
    ("parameter without value", "name: p\nparameters:\n  data:\nsteps:\n  a: {run: x}\n"),
    (
        "default of the wrong type",
        "name: p\nparameters:\n  n: {type: integer, default: 0.5}\nsteps:\n  a: {run: x}\n",
    ),
    (
        "integer beyond 53 bits",
        "name: p\nparameters:\n  n: 9007199254740993\nsteps:\n  a: {run: x}\n",
    ),
    ("infinite default", "name: p\nparameters:\n  n: .inf\nsteps:\n  a: {run: x}\n"),
    ("unknown type", "name: p\nparameters:\n  n: {type: int}\nsteps:\n  a: {run: x}\n"),
    ("unknown anchor", "name: *p\nsteps:\n  a: {run: x}\n"),
    ("foreign tag", "name: !!python/object p\nsteps:\n  a: {run: x}\n"),
];

/// The steps of files that are otherwise in order.
const STEPS: &[(&str, &str)] = &[
    ("unlawful step name", "  Load It: {run: x}\n"),
    ("duplicate step", "  a: {run: x}\n  b: {run: x}\n  a: {run: y}\n"),
    ("duplicate key", "  a:\n    run: x\n    run: y\n"),
    ("unknown key of a step", "  a:\n    run: x\n    depend_on: b\n"),
    (
        "unknown dependency",
        "  load: {run: x}\n  train:\n    run: x\n    depends_on:\n      - load\n      - laod\n",
    ),
    (
        "unknown dependency, nothing similar",
        "  load: {run: x}\n  train: {run: x, depends_on: publish}\n",
    ),
    (
        "cycle",
        "  a: {run: x, depends_on: c}\n  b: {run: x, depends_on: a}\n  c: {run: x, depends_on: b}\n",
    ),
    ("self-dependency", "  a: {run: x, depends_on: a}\n"),
    ("cycle by reference", "  a: {command: [echo, \"${{ steps.a.outputs.x }}\"], outputs: x}\n"),
    (
        "undeclared output",
        "  a: {run: x, outputs: rows}\n  b:\n    run: x\n    env:\n      ROWS: ${{ steps.a.outputs.row }}\n",
    ),
    ("no outputs", "  a: {run: x}\n  b: {run: x, env: {ROWS: \"${{ steps.a.outputs.rows }}\"}}\n"),
    (
        "unknown step in a reference",
        "  a: {run: x}\n  b: {command: [x], args: [\"${{ steps.c.outputs.rows }}\"]}\n",
    ),
    ("unknown parameter", "  a:\n    command: [x, \"--rate=${{ params.rate }}\"]\n"),
    ("malformed reference", "  a: {command: [x, \"a ${{ param.rate }}\"]}\n"),
    ("reference that does not end", "  a: {command: [x, \"a ${{ params.rate \"]}\n"),
    ("reference in a script", "  a:\n    run: echo ${{ run.id }}\n"),
    ("neither run nor command", "  a: {env: {A: b}}\n"),
    ("both run and command", "  a: {run: x, command: [y]}\n"),
    ("step without a value", "  a:\n"),
    ("empty command", "  a: {command: []}\n"),
    ("command as one text", "  a: {command: python3 train.py}\n"),
    ("empty entry in a command", "  a: {command: [x, ]}\n  b: {command: [x, ~]}\n"),
    ("negative time-out", "  a: {run: x, timeout: -5s}\n"),
    ("negative seconds", "  a: {run: x, timeout: -5}\n"),
    ("time-out of nothing", "  a: {run: x, timeout: 0s}\n"),
    ("too long a time-out", "  a: {run: x, timeout: 721h}\n"),
    ("no duration", "  a: {run: x, timeout: soon}\n"),
    ("duration without a unit", "  a: {run: x, timeout: 1.5}\n"),
    ("too many retries", "  a: {run: x, retry: 10001}\n"),
    ("retries out of range", "  a:\n    run: x\n    retry: {factor: 0.5, jitter: 2, delay: 2h}\n"),
    ("factor of nothing", "  a: {run: x, retry: {factor: 0}}\n"),
    ("factor that is no number", "  a: {run: x, retry: {factor: .nan}}\n"),
    ("unknown key of retry", "  a:\n    run: x\n    retry:\n      limits: 3\n"),
    ("retry as a text", "  a: {run: x, retry: often}\n"),
    ("reserved variable", "  a: {run: x, env: {WINDLASS_RUN_ID: b}}\n"),
    ("unlawful variable", "  a: {run: x, env: {MY-VAR: b}}\n"),
    ("variable without a value", "  a:\n    run: x\n    env:\n      A:\n"),
    ("variable that is a list", "  a:\n    run: x\n    env:\n      A: [b]\n"),
    ("NUL in a command", "  a: {command: [x, \"a\\0b\"]}\n"),
    ("unknown trigger rule", "  a: {run: x, trigger_rule: all_success}\n"),
    ("memory without a unit", "  a: {run: x, resources: {memory: 5 pages}}\n"),
    ("merge key that is no map", "  a: {<<: 3, run: x}\n"),
];

#[test]
fn messages_name_the_place_and_what_to_do() {
    let files = FILES.iter().map(|(what, file)| (what, (*file).to_owned()));
    let all = files.chain(STEPS.iter().map(|(what, steps)| (what, with_steps(steps))));
    let mut shown = String::new();
    for (what, file) in all {
        writeln!(shown, "# {what}").unwrap();
        for line in refused(file.as_bytes()).to_string().lines() {
            writeln!(shown, "pipeline.yaml:{line}").unwrap();
        }
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn a_file_that_is_no_text_is_refused_with_the_offset() {
    insta::assert_snapshot!(refused(b"name: p\nsteps: \xff\n"), @"the byte at offset 15 (line 2) is not UTF-8; save the file as UTF-8");
    insta::assert_snapshot!(refused(&[0xff, 0xfe, b'n', 0, b'a', 0]), @"the byte at offset 0 (line 1) is not UTF-8; save the file as UTF-8");
}

#[test]
fn a_file_that_is_too_large_is_refused_unread() {
    insta::assert_snapshot!(refused(&vec![b'#'; (32 << 20) + 1]), @"the file has 33554433 bytes, and 32 MiB are the most; submit a pipeline of this size through the API");
}

#[test]
fn a_file_that_is_nested_too_deep_is_refused() {
    let deep =
        format!("name: p\nparameters:\n  a: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    insta::assert_snapshot!(refused(deep.as_bytes()), @"3:261: lists and maps are nested deeper than 32 levels; flatten them");
    let deep: String = (0..100).map(|level| " ".repeat(level + 4) + "- \n").collect();
    let deep = format!("name: p\nparameters:\n  a:\n{deep}");
    insta::assert_snapshot!(refused(deep.as_bytes()), @"34:35: lists and maps are nested deeper than 32 levels; flatten them");
    let value = format!(
        "name: p\nparameters:\n  a: {}{}\nsteps:\n  a: {{run: x}}\n",
        "[".repeat(17),
        "]".repeat(17)
    );
    insta::assert_snapshot!(refused(value.as_bytes()), @"3:3: the default of parameter `a` is nested deeper than 16 levels; flatten it");
}

#[test]
fn a_few_lines_cannot_stand_for_a_billion_values() {
    let mut bomb =
        "name: p\nparameters:\n  a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
            .to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "  a{level}: &a{level} [{aliases}]").unwrap();
    }
    insta::assert_snapshot!(refused(bomb.as_bytes()), @"8:12: the aliases (`*name`) stand for more than 100000 values; write them out, or use fewer");
}

#[test]
fn one_long_text_cannot_be_repeated_without_end() {
    let aliases = vec!["*text"; 1000].join(", ");
    let bomb =
        format!("name: p\nparameters:\n  a: &text {}\n  b: [{aliases}]\n", "x".repeat(1 << 20));
    insta::assert_snapshot!(refused(bomb.as_bytes()), @"4:6: the texts of the file exceed 64 MiB once its aliases (`*name`) are replaced; use fewer aliases");
}

#[test]
fn of_many_problems_the_first_twenty_are_told() {
    let steps = (0..50).map(|n| format!("  s{n}: {{run: x, depends_on: missing}}"));
    let steps = steps.collect::<Vec<_>>().join("\n");
    let error = refused(with_steps(&steps).as_bytes());
    assert_eq!((error.problems().len(), error.more()), (20, 30));
    assert!(error.to_string().ends_with("\nand 30 more"));
}
