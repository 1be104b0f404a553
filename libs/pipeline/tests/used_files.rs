//! Files that use other files.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use windlass_pipeline::{
    file::{self, FileError, FileOptions, Files},
    limits,
};
use windlass_proto::v1::{self, step::Work};

/// Files by path, in which `.` and `..` lead where they say. Keeps what was read.
#[derive(Debug, Default)]
struct Known {
    files: BTreeMap<PathBuf, String>,
    read: RefCell<Vec<PathBuf>>,
}

impl Files for Known {
    fn identify(&self, path: &Path) -> io::Result<PathBuf> {
        let mut identity = PathBuf::new();
        for part in path {
            if part == ".." {
                identity.pop()
            } else {
                identity.push(part);
                true
            };
        }
        if self.files.contains_key(&identity) {
            Ok(identity)
        } else {
            Err(io::Error::from(io::ErrorKind::NotFound))
        }
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let path = self.identify(path)?;
        let content = self.files[&path].clone().into_bytes();
        self.read.borrow_mut().push(path);
        Ok((content.len() <= limit).then_some(content))
    }
}

fn known<'a>(files: impl IntoIterator<Item = (&'a str, String)>) -> Known {
    let files = files.into_iter().map(|(path, text)| (PathBuf::from(path), text)).collect();
    Known { files, ..Known::default() }
}

/// Reads `p.yaml`.
fn parse(files: &Known) -> Result<v1::Pipeline, FileError> {
    let path = Path::new("p.yaml");
    let base_dir = Some(PathBuf::from("/base"));
    file::parse(
        files.files[path].as_bytes(),
        &FileOptions { base_dir, path: Some(path), files: Some(files) },
    )
}

#[track_caller]
fn refused<'a>(files: impl IntoIterator<Item = (&'a str, String)>) -> String {
    parse(&known(files)).expect_err("not lawful").to_string()
}

fn group(step: &v1::Step) -> &v1::Group {
    match &step.work {
        Some(Work::Group(group)) => group,
        work => panic!("{work:?}"),
    }
}

#[test]
fn a_file_is_a_self_contained_group_wherever_it_is_used() {
    let files = known([
        (
            "p.yaml",
            "name: p\nparameters: {rate: 0.1}\ndefaults: {retry: 3}\nsteps:\n  a: {use: lib/train.yaml, arguments: {rate: \"${{ params.rate }}\"}}\n  \
             b: {use: ./lib/train.yaml, arguments: {rate: 3}}\n  c: {command: [x, \"${{ steps.a.outputs.loss }}\"]}\n"
                .to_owned(),
        ),
        (
            "lib/train.yaml",
            "name: train\nparameters: {rate: {type: number}}\ndefaults: {timeout: 5s}\nsteps:\n  fit: {run: x, outputs: loss}\n  \
             test: {use: ../test.yaml}\noutputs: {loss: \"${{ steps.fit.outputs.loss }}\"}\n"
                .to_owned(),
        ),
        ("test.yaml", "name: test\nsteps: {t: {run: x}}\n".to_owned()),
    ]);
    let pipeline = parse(&files).unwrap();
    insta::assert_debug_snapshot!(group(&pipeline.steps[0]));
    let [a, b] = [0, 1].map(|step| group(&pipeline.steps[step]).clone());
    assert_eq!((&a.steps, &a.outputs), (&b.steps, &b.outputs));
    let read = files.read.borrow();
    assert_eq!(*read, ["lib/train.yaml", "test.yaml"].map(PathBuf::from), "each is read once");
}

#[test]
fn what_is_wrong_in_a_used_file_is_told_once_with_its_place_there() {
    let root = "name: p\nsteps:\n  a:\n    use: lib/b.yaml\n    arguments: {n: 3}\n  d: {use: lib/b.yaml}\n";
    let told = |file: &str| refused([("p.yaml", root.to_owned()), ("lib/b.yaml", file.to_owned())]);
    let cases = [
        ("not YAML", "name: [b\n"),
        ("no pipeline", "steps: {}\n"),
        ("no steps", "name: b\nparameters: {n: 1}\nsteps: {}\n"),
        (
            "what is of a whole run",
            "name: b\nparameters: {n: 1}\nfailure_mode: fail_fast\nmax_parallelism: 3\nstart_gap: 1s\ntimeout: 1h\nlabels: {a: b}\nsteps:\n  c: {run: x}\nexit_steps:\n  d: {run: x}\n",
        ),
        (
            "what the format cannot say",
            "name: b\nparameters: {n: 1}\nsteps:\n  c:\n    run: echo ${{ run.id }}\n",
        ),
        (
            "what breaks rules",
            "name: b\nparameters:\n  n: {type: integer, default: x}\nsteps:\n  c: {run: x, timeout: 0s}\n  e: {steps: {f: {command: [x, \"${{ steps.c.outputs.o }}\", \"${{ params.m }}\"]}}}\noutputs:\n  o: ${{ steps.g.outputs.o }}\n",
        ),
        (
            "arguments that do not fit",
            "name: b\nparameters:\n  n: {type: string}\nsteps: {c: {run: x}}\n",
        ),
        ("arguments that it does not have", "name: b\nparameters: {m: 3}\nsteps: {c: {run: x}}\n"),
    ];
    let told = cases.map(|(what, file)| format!("# {what}\n{}\n", told(file)));
    insta::assert_snapshot!(told.concat());
}

#[test]
fn a_file_that_cannot_be_used_is_told_where_it_is_named() {
    let with = |used: &str, others: &[(&'static str, &str)]| {
        let root = format!("name: p\nsteps:\n  a:\n    use: {used}\n");
        let others = others.iter().map(|(path, text)| (*path, (*text).to_owned()));
        refused(std::iter::once(("p.yaml", root)).chain(others))
    };
    let uses = |path: &str| format!("name: b\nsteps: {{c: {{use: {path}}}}}\n");
    let large = format!("name: b\ndescription: {}\n", "x".repeat(limits::FILE_BYTES));
    let told = [
        ("no name", with("\"\"", &[])),
        ("not there", with("b.yaml", &[])),
        ("itself", with("./p.yaml", &[])),
        (
            "a circle",
            with("b.yaml", &[("b.yaml", &uses("lib/c.yaml")), ("lib/c.yaml", &uses("../b.yaml"))]),
        ),
        ("not there, further in", with("b.yaml", &[("b.yaml", &uses("lib/c.yaml"))])),
        ("too large", with("b.yaml", &[("b.yaml", &large)])),
    ]
    .map(|(what, told)| format!("# {what}\n{told}\n"));
    insta::assert_snapshot!(told.concat());
}

/// Files `0.yaml` and so on, each using the next one; the last has one step that runs.
fn chain(length: usize) -> Vec<(String, String)> {
    let name = |at: usize| if at == 0 { "p.yaml".to_owned() } else { format!("{at}.yaml") };
    let uses = |at| (name(at), format!("name: p\nsteps:\n  s{at}: {{use: {}}}\n", name(at + 1)));
    let last = (name(length), "name: p\nsteps:\n  z: {run: x}\n".to_owned());
    (0..length).map(uses).chain([last]).collect()
}

#[test]
fn files_use_each_other_so_deep_and_not_deeper() {
    let parse_chain = |length| {
        let files = chain(length);
        parse(&known(files.iter().map(|(path, text)| (path.as_str(), text.clone()))))
    };
    parse_chain(limits::NESTING).unwrap();
    for length in [limits::NESTING + 1, 200] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(parse_chain(length).unwrap_err(), @"16.yaml:3:9: step `s0.s1.s2.s3.s4.s5.s6.s7.s8.s9.s10.s11.s12.s13.s14.s15.s16`: groups, loops and branches lie more than 16 deep in each other; flatten them");
        }
    }
}

/// So many steps that use files.
fn uses(count: usize, file: impl Fn(usize) -> String) -> String {
    let steps = (0..count).map(|at| format!("  s{at}: {{use: {}}}\n", file(at)));
    steps.collect::<Vec<_>>().concat()
}

#[test]
fn so_many_files_are_used_and_not_more() {
    let with = |count: usize| {
        let steps = uses(count, |at| format!("{at}.yaml"));
        let mut files = Known::default();
        files.files.insert("p.yaml".into(), format!("name: p\nsteps:\n{steps}"));
        for at in 0..count {
            files
                .files
                .insert(format!("{at}.yaml").into(), "name: p\nsteps: {a: {run: x}}\n".to_owned());
        }
        parse(&files)
    };
    assert_eq!(with(limits::FILES).unwrap().steps.len(), limits::FILES);
    insta::assert_snapshot!(with(limits::FILES + 1).unwrap_err(), @"103:10: step `s100`: more than 100 files are used; put some of them together");
}

#[test]
fn a_few_files_cannot_stand_for_a_billion_steps() {
    let files = (0..10).map(|at| {
        let path = if at == 0 { "p.yaml".to_owned() } else { format!("{at}.yaml") };
        let steps = uses(10, |_| format!("{}.yaml", at + 1));
        (path, format!("name: p\nsteps:\n{steps}"))
    });
    let last = ("10.yaml".to_owned(), "name: p\nsteps: {a: {run: x}}\n".to_owned());
    let files: Vec<_> = files.chain([last]).collect();
    let error = refused(files.iter().map(|(path, text)| (path.as_str(), text.clone())));
    insta::assert_snapshot!(error.lines().next().unwrap_or_default(), @"4.yaml:6:8: step `s0.s0.s0.s0.s3`: the files that are used make more than 1000000 steps; use them in fewer places");

    let text = format!("name: p\nsteps:\n  a: {{run: \"{}\"}}\n", "x".repeat(100_000));
    let steps = uses(1_000, |_| "b.yaml".to_owned());
    let error = refused([("p.yaml", format!("name: p\nsteps:\n{steps}")), ("b.yaml", text)]);
    insta::assert_snapshot!(error.lines().next().unwrap_or_default(), @"673:10: step `s670`: the files that are used make more than 64 MiB of steps; use them in fewer places");
}
