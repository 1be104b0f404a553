//! A disk that is full.

use std::{env, fs, path::Path, process::Command};

use tempfile::TempDir;
use windlass_store::{Created, SqliteStore, Store, StoreError};

use crate::fixture::{FILE, new_run, run_id};

#[tokio::test]
async fn a_store_on_a_full_disk_goes_on_when_there_is_room() {
    const TEST: &str = "disk::a_store_on_a_full_disk_goes_on_when_there_is_room";
    if let Some(path) = env::var_os(FILE) {
        return fill_up(Path::new(&path)).await;
    }
    let directory = TempDir::new().unwrap();
    if !mount_and_run(directory.path(), &["true"]).status().is_ok_and(|status| status.success()) {
        let why = "skipped: a small file system cannot be mounted here (unshare --user --mount)";
        assert!(env::var_os("CI").is_none(), "{why}");
        return eprintln!("{why}");
    }
    let program = env::current_exe().unwrap();
    let status = mount_and_run(directory.path(), &[program.to_str().unwrap(), TEST, "--exact"])
        .env(FILE, directory.path().join("windlass.db"))
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

/// A program that sees a file system of 4 MiB at `path`.
fn mount_and_run(path: &Path, program: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(r#"mount -t tmpfs -o size=4m windlass-test "$0" && exec "$@""#)
        .arg(path)
        .args(program);
    command
}

/// Creates runs until the disk is full, makes room, and creates more.
async fn fill_up(path: &Path) {
    let ballast = path.with_file_name("ballast");
    fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    let store = SqliteStore::open(path).unwrap();
    let mut run = 0;
    let refused = loop {
        match store.create(new_run(run)).await {
            Ok(_) => run += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!(run > 0);
    assert_eq!(store.read_run(run_id(run)).await, Ok(None), "nothing of it was done");
    assert!(store.load(run_id(run - 1)).await.unwrap().is_some(), "reading goes on");
    fs::remove_file(ballast).unwrap();
    assert_eq!(store.create(new_run(run)).await, Ok(Created::New));
    drop(store);
    let store = SqliteStore::open(path).unwrap();
    assert_eq!(store.active_runs(0, 1).await.unwrap().len(), run as usize + 1);
}
