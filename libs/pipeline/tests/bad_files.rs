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
    ("priority as a word", "name: p\npriority: high\nsteps:\n  a: {run: x}\n"),
    ("priority with a fraction", "name: p\npriority: 1.5\nsteps:\n  a: {run: x}\n"),
    ("priority out of range", "name: p\npriority: -1001\nsteps:\n  a: {run: x}\n"),
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

/// Steps of files that are otherwise in order: images, pods and secrets.
const PODS: &[(&str, &str)] = &[
    ("image with spaces", "  a:\n    image: my image\n"),
    ("image alone with another kind of work", "  a: {image: x, steps: {b: {run: x}}}\n"),
    ("cluster with an unlawful name", "  a: {run: x, cluster: GPU}\n"),
    ("unknown key of a pod", "  a:\n    run: x\n    pod:\n      volumeMounts: []\n"),
    (
        "unknown field of Kubernetes",
        "  a:\n    run: x\n    pod:\n      volumes:\n        - name: data\n          hostPth: {path: /}\n",
    ),
    ("wrong type", "  a:\n    run: x\n    pod:\n      security_context: {runAsUser: ada}\n"),
    (
        "number out of a reference",
        "  a: {image: x, pod: {security_context: {runAsUser: \"${{ step.attempt }}\"}}}\n",
    ),
    ("missing field", "  a: {run: x, pod: {volume_mounts: [{mountPath: /data}]}}\n"),
    (
        "volume that is not there",
        "  a: {run: x, pod: {volume_mounts: [{name: data, mountPath: /data}]}}\n",
    ),
    (
        "unlawful amount",
        "  a:\n    run: x\n    pod:\n      resources:\n        requests: {cpu: two}\n",
    ),
    (
        "memory twice",
        "  a:\n    run: x\n    resources: {memory: 1Gi}\n    pod: {resources: {limits: {memory: 2Gi}}}\n",
    ),
    (
        "label of Windlass",
        "  a:\n    run: x\n    pod:\n      labels:\n        windlass.dev/run: b\n",
    ),
    ("patch of what has a key", "  a: {run: x, pod: {patch: {nodeSelector: {disk: ssd}}}}\n"),
    ("deadline of nothing", "  a: {run: x, pod: {active_deadline: 0}}\n"),
    ("unknown parameter in an image", "  a:\n    image: x:${{ params.tag }}\n"),
    (
        "unknown parameter in a pod",
        "  a:\n    run: x\n    pod:\n      labels: {team: \"${{ params.team }}\"}\n",
    ),
    ("secret without an entry", "  a:\n    run: x\n    env:\n      A: {secret: b}\n"),
    ("secret and value", "  a: {run: x, env: {A: {secret: b, key: c, value: d}}}\n"),
    ("unlawful secret", "  a: {run: x, env: {A: \"{{ My_Secret.key }}\"}}\n"),
    ("secret by reference", "  a: {run: x, env: {A: {secret: \"${{ params.b }}\", key: c}}}\n"),
    ("run id in a cached image", "  a: {image: \"x:${{ run.id }}\", cache: true}\n"),
];

/// Steps of files that are otherwise in order: loops, groups, branches and conditions.
const DYNAMIC: &[(&str, &str)] = &[
    ("loop over a text", "  a: {run: x, for_each: abc}\n"),
    ("loop over a truth", "  a: {run: x, for_each: true}\n"),
    ("loop over nothing", "  a:\n    run: x\n    for_each:\n"),
    ("loop a negative number of times", "  a: {run: x, for_each: -1}\n"),
    ("loop half a time", "  a: {run: x, for_each: 0.5}\n"),
    ("loop without items", "  a: {run: x, for_each: {max_parallelism: 3}}\n"),
    (
        "loop over items and a count",
        "  a:\n    run: x\n    for_each:\n      items: [b]\n      count: 3\n",
    ),
    ("loop over a count as items", "  a: {run: x, for_each: {items: 3}}\n"),
    ("unknown key of a loop", "  a: {run: x, for_each: {list: [b]}}\n"),
    ("loop over more than can be", "  a: {run: x, for_each: 10000001}\n"),
    ("the same, as a map", "  a:\n    run: x\n    for_each:\n      count: 10000001\n"),
    ("loop over more than can be counted", "  a: {run: x, for_each: 5000000000}\n"),
    ("loop over part of a text", "  a: {run: x, for_each: \"${{ params.b }}s\"}\n"),
    ("loop over a typing error", "  a: {run: x, for_each: \"${{ param.b }}\"}\n"),
    ("loop over an unknown step", "  a:\n    run: x\n    for_each: ${{ steps.b.outputs.c }}\n"),
    (
        "loop over a state",
        "  a: {run: x}\n  b:\n    run: x\n    for_each: {items: \"${{ steps.a.state }}\"}\n",
    ),
    ("loop over its own item", "  a: {run: x, for_each: \"${{ item }}\"}\n"),
    ("loop over itself", "  a: {run: x, outputs: b, for_each: \"${{ steps.a.outputs.b }}\"}\n"),
    ("loop over references", "  a: {run: x, for_each: [b, [\"${{ run.id }}\"]]}\n"),
    ("item outside of a loop", "  a: {command: [x, \"${{ item }}\", \"${{ index }}\"]}\n"),
    ("item in a loop's condition", "  a: {run: x, for_each: 3, when: item > 1}\n"),
    (
        "unknown step in a loop",
        "  load: {run: x}\n  a:\n    for_each: 3\n    command: [x, \"${{ item }}\", \"${{ steps.laod.outputs.b }}\"]\n",
    ),
    (
        "unknown loop",
        "  score: {for_each: 3, steps: {a: {command: [x, \"${{ loops.scores.item }}\", \"${{ loops.a.index }}\"]}}}\n",
    ),
    (
        "undeclared output of a loop",
        "  a: {run: x, for_each: 3, outputs: b}\n  c: {command: [x, \"${{ steps.a.outputs.d }}\"]}\n",
    ),
    ("group without steps", "  a:\n    steps: {}\n"),
    ("group with a program", "  a:\n    steps: {b: {run: x}}\n    run: y\n"),
    ("group and file", "  a: {steps: {b: {run: x}}, use: b.yaml}\n"),
    ("branches with a program", "  a: {branches: {b: {run: x}}, run: y}\n"),
    (
        "what groups do not have",
        "  a:\n    steps: {b: {run: x}}\n    args: [c]\n    env: {D: e}\n    retry: 3\n    timeout: 1h\n    startup_timeout: 1m\n    working_dir: /\n    termination_grace: 1s\n    resources: {memory: 1Gi}\n    outputs: f\n",
    ),
    (
        "what programs do not have",
        "  a: {run: x, parameters: {}, arguments: {}, outputs: {b: c}}\n",
    ),
    (
        "wrong step of a group",
        "  a:\n    steps:\n      b: {run: x}\n      c:\n        command: []\n",
    ),
    ("unlawful name in a group", "  a:\n    steps:\n      B: {run: x}\n"),
    (
        "dependency into a group",
        "  a: {steps: {load: {run: x}}}\n  b: {run: x, depends_on: load}\n",
    ),
    (
        "dependency out of a group",
        "  load: {run: x}\n  a:\n    steps:\n      b: {run: x}\n      c: {run: x, depends_on: [b, load]}\n",
    ),
    (
        "reference into a group",
        "  a: {steps: {load: {run: x, outputs: n}}}\n  b: {command: [x, \"${{ steps.load.outputs.n }}\"]}\n",
    ),
    (
        "reference to the group around",
        "  a:\n    outputs: {n: \"${{ steps.b.outputs.n }}\"}\n    steps: {b: {command: [x, \"${{ steps.a.outputs.n }}\"], outputs: n}}\n",
    ),
    (
        "outputs of a group",
        "  a:\n    steps: {b: {run: x, outputs: n}}\n    outputs:\n      c: 3\n      d: ${{ steps.b.state }}\n      e: ${{ steps.f.outputs.n }}\n      g: ${{ steps.b.outputs.m }}\n      h-i: ${{ steps.b.outputs.n }}\n",
    ),
    (
        "undeclared output of a group",
        "  a: {outputs: {n: \"${{ steps.b.outputs.n }}\"}, steps: {b: {run: x, outputs: [n, m]}}}\n  c: {command: [x, \"${{ steps.a.outputs.m }}\"]}\n",
    ),
    (
        "what a self-contained group does not see",
        "  load: {run: x, outputs: n}\n  a:\n    for_each: 3\n    parameters: {}\n    steps:\n      b:\n        command:\n          - x\n          - ${{ params.c }}\n          - ${{ steps.load.outputs.n }}\n          - ${{ item }}\n",
    ),
    (
        "arguments",
        "  a:\n    parameters: {n: 3, s: {type: string}, t: {type: string}, u: {type: list}}\n    arguments:\n      n: many\n      m: 3\n      t: ${{ run.id }}s\n      u: ${{ run.id }}\n    steps: {b: {run: x}}\n",
    ),
    (
        "arguments that are no references",
        "  a:\n    parameters: {n: x, m: x, l: [x]}\n    arguments:\n      n: ${{ param.x }}\n      m: ${{ step.name }}\n      l: [\"${{ run.id }}\"]\n    steps: {b: {run: x}}\n",
    ),
    ("no arguments", "  a:\n    parameters: {n: {type: integer}}\n    steps: {b: {run: x}}\n"),
    (
        "parameter of a group without type",
        "  a:\n    parameters:\n      n: {default: ~}\n    steps: {b: {run: x}}\n",
    ),
    ("no branches", "  a: {branches: {}}\n"),
    (
        "branch that can never run",
        "  a:\n    branches:\n      b: {run: x}\n      c: {run: x, when: \"true\"}\n",
    ),
    (
        "branches with dependencies",
        "  a: {run: x}\n  b:\n    branches:\n      c: {run: x, when: \"true\", depends_on: a}\n      d: {run: x, trigger_rule: all_done}\n",
    ),
    (
        "reference to another branch",
        "  a:\n    branches:\n      b: {run: x, outputs: n, when: \"true\"}\n      c: {command: [x, \"${{ steps.b.outputs.n }}\"]}\n",
    ),
    (
        "output that not all branches have",
        "  a:\n    branches:\n      b: {run: x, outputs: [n, m], when: \"true\"}\n      c: {run: x, outputs: [m]}\n  d: {command: [x, \"${{ steps.a.outputs.n }}\", \"${{ steps.a.outputs.m }}\"]}\n",
    ),
    (
        "what branches do not have",
        "  a: {branches: {b: {run: x}}, outputs: n, env: {A: b}, arguments: {c: d}}\n",
    ),
    ("approval with a program", "  a: {approval: {}, run: x}\n"),
    ("approval with an entry", "  a: {approval: {by: ann}}\n"),
    ("approval that is true", "  a: {approval: true}\n"),
    ("approval without anything", "  a:\n    approval:\n"),
    ("approval that is over at once", "  a: {approval: {}, timeout: 0s}\n"),
    (
        "what approvals do not have",
        "  a: {approval: {}, outputs: n, env: {A: b}, retry: 3, startup_timeout: 1m, arguments: {c: d}, timeout: 1h}\n",
    ),
    (
        "output that no approval has",
        "  a: {approval: {}}\n  b: {command: [x, \"${{ steps.a.outputs.coment }}\"]}\n",
    ),
    ("condition without a value", "  a:\n    run: x\n    when:\n"),
    ("empty condition", "  a: {run: x, when: \"\"}\n"),
    ("condition about an unknown step", "  a:\n    run: x\n    when: steps.b.state == 'failed'\n"),
    ("condition about the run's end", "  a: {run: x, when: run.state == 'failed'}\n"),
    ("condition of nothing", "  a: {run: x, when: \"1 +\"}\n"),
    ("file without files", "  a: {use: b.yaml}\n"),
    (
        "what files do not have",
        "  a:\n    use: b.yaml\n    parameters: {n: 3}\n    outputs: n\n    run: x\n  b:\n    use: b.yaml\n    parameters: {n: 3}\n    outputs: n\n    retry: 3\n",
    ),
    (
        "cycle of groups",
        "  a: {steps: {b: {run: x}}, depends_on: c}\n  c: {run: x, depends_on: a}\n",
    ),
    (
        "cycle in a group",
        "  a:\n    steps:\n      b: {run: x}\n      c: {run: x, depends_on: d}\n      d: {run: x, depends_on: c}\n",
    ),
];

/// Whole files with exit steps or outputs.
const EXITS: &[(&str, &str)] = &[
    (
        "exit step with the name of a step",
        "name: p\nsteps: {a: {run: x}}\nexit_steps:\n  b: {run: x}\n  a: {run: x}\n",
    ),
    (
        "dependencies across",
        "name: p\nsteps:\n  a: {run: x, depends_on: c}\n  b: {command: [x, \"${{ steps.c.state }}\"]}\nexit_steps:\n  c: {run: x, depends_on: a}\n",
    ),
    (
        "the run's end outside of exit steps",
        "name: p\nsteps:\n  a: {command: [x, \"${{ run.state }}\"]}\n",
    ),
    (
        "wrong exit step",
        "name: p\nsteps: {a: {run: x}}\nexit_steps:\n  b:\n    run: x\n    timeout: 0s\n  c: {steps: {d: {run: x, retry: 10001}}}\n",
    ),
    (
        "cycle of exit steps",
        "name: p\nsteps: {a: {run: x}}\nexit_steps:\n  b: {run: x, depends_on: c}\n  c: {run: x, depends_on: b}\n",
    ),
    (
        "outputs of a file",
        "name: p\nsteps: {a: {run: x, outputs: n}}\nexit_steps: {b: {run: x, outputs: n}}\noutputs:\n  c: ${{ steps.a.outputs.m }}\n  d: ${{ steps.b.outputs.n }}\n",
    ),
];

/// What is said of each file, with the file's name in front as the command has it.
fn told<'a>(files: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let told = files.into_iter().flat_map(|(what, file)| {
        let error = refused(file.as_bytes()).to_string();
        let lines: Vec<_> = error.lines().map(|line| format!("pipeline.yaml:{line}")).collect();
        std::iter::once(format!("# {what}")).chain(lines)
    });
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn messages_name_the_place_and_what_to_do() {
    let files = FILES.iter().map(|(what, file)| (*what, (*file).to_owned()));
    insta::assert_snapshot!(told(
        files.chain(STEPS.iter().map(|(what, steps)| (*what, with_steps(steps))))
    ));
}

#[test]
fn so_do_those_about_images_pods_and_secrets() {
    let steps = PODS.iter().map(|(what, steps)| (*what, with_steps(steps)));
    insta::assert_snapshot!(told(steps));
}

#[test]
fn so_do_those_about_loops_groups_branches_conditions_and_exit_steps() {
    let steps = DYNAMIC.iter().map(|(what, steps)| (*what, with_steps(steps)));
    insta::assert_snapshot!(told(
        steps.chain(EXITS.iter().map(|(what, file)| (*what, (*file).to_owned())))
    ));
}

/// What is said of results that are kept, of files that are otherwise in order.
const CACHES: &[(&str, &str)] = &[
    ("cache as a word", "  a: {run: x, cache: always}\n"),
    ("cache without a value", "  a:\n    run: x\n    cache:\n"),
    ("unknown key of a cache", "  a:\n    run: x\n    cache: {keys: [b]}\n"),
    ("cache with an empty key", "  a:\n    run: x\n    cache:\n      key: []\n"),
    ("cache with a key without a value", "  a:\n    run: x\n    cache:\n      key:\n"),
    ("cache with a map as its key", "  a: {run: x, cache: {key: {b: c}}}\n"),
    ("results that are never young enough", "  a:\n    run: x\n    cache: {max_age: 0s}\n"),
    ("results for ever", "  a: {run: x, cache: {max_age: 1000h}}\n"),
    (
        "unknown reference in a key",
        "  a:\n    run: x\n    cache:\n      key: [b, \"${{ params.c }}\"]\n",
    ),
    ("reference in a salt", "  a: {run: x, cache: {salt: \"${{ run.id }}\"}}\n"),
    ("run in a key", "  a: {run: x, cache: {key: \"${{ run.id }}\"}}\n"),
    (
        "attempt in a variable",
        "  a:\n    cache: true\n    run: x\n    env: {N: \"${{ step.attempt }}\"}\n",
    ),
    ("cache of a group", "  a: {cache: true, steps: {b: {run: x}}}\n"),
    ("cache of a file", "  a: {cache: false, use: b.yaml}\n"),
    ("cache of branches", "  a: {cache: true, branches: {b: {run: x}}}\n"),
    ("cache of an approval", "  a: {cache: true, approval: {}}\n"),
];

#[test]
fn so_do_those_about_results_that_are_kept() {
    let steps = CACHES.iter().map(|(what, steps)| (*what, with_steps(steps)));
    let others = [
        ("cache of the pipeline as a map", "name: p\ncache: {key: a}\nsteps: {a: {run: x}}\n"),
        (
            "cache of all steps",
            "name: p\ndefaults:\n  cache: {key: \"${{ params.b }}\"}\nsteps: {a: {run: x}}\n",
        ),
    ];
    insta::assert_snapshot!(told(steps.chain(others.map(|(what, file)| (what, file.to_owned())))));
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
    insta::assert_snapshot!(refused(deep.as_bytes()), @"3:261: lists and maps are nested deeper than 64 levels; flatten them");
    let deep: String = (0..100).map(|level| " ".repeat(level + 4) + "- \n").collect();
    let deep = format!("name: p\nparameters:\n  a:\n{deep}");
    insta::assert_snapshot!(refused(deep.as_bytes()), @"66:67: lists and maps are nested deeper than 64 levels; flatten them");
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
