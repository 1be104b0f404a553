//! Outputs in the termination message.

use serde_json::{Value, json};

use super::{Row, check, ended, pod, running, with};

/// A pod of a step that declares `rows` and `file`, and wrote a message.
fn wrote(message: &str, others: usize) -> Value {
    let mut containers = vec![ended("main", 0, "Completed", Some(message))];
    containers.extend((0..others).map(|number| running(&format!("agent-{number}"))));
    with(
        pod("Succeeded", containers.into()),
        json!({"metadata": {"annotations": {"windlass.dev/outputs": "rows,file"}}}),
    )
}

#[test]
fn outputs_are_taken_as_written_or_refused_with_advice() {
    let object = |bytes: usize| {
        let frame = r#"{"rows": 1, "file": ""}"#.len();
        format!(r#"{{"rows": 1, "file": "{}"}}"#, "x".repeat(bytes - frame))
    };
    let cut = |bytes: usize| object(bytes + 100)[..bytes].to_owned();
    let fits: &'static str = format!("succeeded 3..8 | {}", object(4096)).leak();
    check(vec![
        Row {
            name: "as written",
            pod: wrote(" {\"rows\": 12345678901234567890.10, \"file\": null, \"more\": [1]}\n", 0),
            judged: r#"succeeded 3..8 | {"rows": 12345678901234567890.10, "file": null, "more": [1]}"#,
        },
        Row { name: "the most that fits", pod: wrote(&object(4096), 0), judged: fits },
        Row {
            name: "cut off",
            pod: wrote(&cut(4096), 0),
            judged: "failed OutputInvalid (Step) 3..8 | the outputs were cut off: the cluster keeps no more than 4096 bytes of \
                     what this pod's program writes to the file named by WINDLASS_OUTPUT; write large data where later steps \
                     can read it, and its place as the output",
        },
        Row {
            name: "cut off at its share of what the pod may write",
            pod: wrote(&cut(2457), 4),
            judged: "failed OutputInvalid (Step) 3..8 | the outputs were cut off: the cluster keeps no more than 2457 bytes of \
                     what this pod's program writes to the file named by WINDLASS_OUTPUT; write large data where later steps \
                     can read it, and its place as the output",
        },
        Row {
            name: "no JSON",
            pod: wrote("rows=3", 0),
            judged: "failed OutputInvalid (Step) 3..8 | the outputs are not a JSON object: expected value at line 1 column 1; \
                     write one object, such as {\"rows\": 3}, to the file named by WINDLASS_OUTPUT",
        },
        Row {
            name: "not all that are declared",
            pod: wrote(r#"{"rows": 3}"#, 0),
            judged: "failed OutputInvalid (Step) 3..8 | the step declares outputs that it did not write: file; write them as one \
                     JSON object to the file named by WINDLASS_OUTPUT, or do not declare them",
        },
        Row {
            name: "none",
            pod: wrote("", 0),
            judged: "failed OutputInvalid (Step) 3..8 | the step declares outputs that it did not write: rows, file; write them \
                     as one JSON object to the file named by WINDLASS_OUTPUT, or do not declare them",
        },
        Row {
            name: "a message where none are declared",
            pod: pod("Succeeded", json!([ended("main", 0, "Completed", Some("all is well"))])),
            judged: "succeeded 3..8 | no outputs",
        },
    ]);
}
