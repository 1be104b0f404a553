//! Who may have the file, and where it may be.

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
};

use tempfile::TempDir;
use windlass_store::{OpenError, SqliteStore};

use crate::fixture::{FILE, again_in_a_process};

#[test]
fn a_file_is_held_by_one_store_at_a_time() {
    const TEST: &str = "held::a_file_is_held_by_one_store_at_a_time";
    if let Some(path) = env::var_os(FILE) {
        let _held = SqliteStore::open(path).unwrap();
        println!("held");
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("windlass.db");
    let held = Err(OpenError::Held { path: path.clone() });
    let open = || SqliteStore::open(&path).map(drop);

    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(open(), held, "by this process");
    assert_eq!(open(), held, "still");
    drop(store);
    let mut child = again_in_a_process(TEST, &path);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "held"));
    assert_eq!(open(), held, "by another process");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(open(), Ok(()));
}

#[test]
fn a_place_that_cannot_hold_a_file_is_named() {
    let directory = TempDir::new().unwrap();
    let missing = directory.path().join("missing");
    let no_directory = OpenError::NoDirectory { directory: missing.clone() };
    assert_eq!(SqliteStore::open(missing.join("windlass.db")).map(drop), Err(no_directory));
    let is_directory = SqliteStore::open(directory.path()).map(drop);
    assert!(matches!(is_directory, Err(OpenError::Unusable { .. })), "{is_directory:?}");
    let mut file = File::create(directory.path().join("file")).unwrap();
    file.write_all(b"text").unwrap();
    let below_file = SqliteStore::open(directory.path().join("file/windlass.db")).map(drop);
    assert!(matches!(below_file, Err(OpenError::NoDirectory { .. })), "{below_file:?}");
}
