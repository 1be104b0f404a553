use super::*;
use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::symlink,
    path::Path,
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use windlass_pipeline::limits::{LIST_FILE_BYTES, LIST_LINE_BYTES};

/// What a whole list is said to be that lies in this file.
fn list(path: &Path, items: u64) -> ListFile {
    let sha256 = Sha256::digest(fs::read(path).unwrap()).into();
    ListFile { path: path.to_owned(), items, sha256 }
}

fn file(dir: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Asks again until there is an answer.
async fn until_read(
    reader: &ListReader,
    list: &ListFile,
    wanted: BTreeSet<u32>,
) -> Vec<(u32, Result<Value, ListError>)> {
    loop {
        if let Ok(items) = reader.items(list, wanted.clone()).await {
            return items;
        }
    }
}

async fn items(
    reader: &ListReader,
    list: &ListFile,
    wanted: impl IntoIterator<Item = u32>,
) -> Vec<(u32, Result<Value, String>)> {
    let items = until_read(reader, list, wanted.into_iter().collect()).await;
    items.into_iter().map(|(index, item)| (index, item.map_err(|it| it.to_string()))).collect()
}

async fn item(reader: &ListReader, list: &ListFile, index: u32) -> Result<Value, String> {
    let mut items = items(reader, list, [index]).await;
    let (read, item) = items.remove(0);
    assert_eq!((read, items.len()), (index, 0));
    item
}

/// That reading the first item fails, and says this and the file's path.
async fn refused(list: &ListFile, said: &str) {
    let error = item(&ListReader::new(None), list, 0).await.unwrap_err();
    assert!(error.starts_with(&format!("the list file {} ", list.path.display())), "{error}");
    assert!(error.contains(said), "{said} is not in: {error}");
}

#[tokio::test]
async fn each_line_is_an_item_whatever_it_is_and_wherever_it_lies() {
    let dir = TempDir::new().unwrap();
    let long = "x".repeat(LIST_LINE_BYTES - 2);
    let text = format!("1\n\"two\"\r\n {{\"three\": [3]}}\n\"{long}\"\nnull");
    let list = list(&file(&dir, "list", text), 5);
    let reader = ListReader::new(None);
    let read = items(&reader, &list, [4, 0, 2, 1, 3]).await;
    let expected = [json!(1), json!("two"), json!({"three": [3]}), json!(long), Value::Null];
    assert_eq!(read, (0..).zip(expected.map(Ok)).collect::<Vec<_>>());
}

#[tokio::test]
async fn items_of_a_large_list_are_read_from_their_blocks_and_a_file_is_checked_once() {
    const ITEMS: u32 = 20_000;
    let dir = TempDir::new().unwrap();
    let text = (0..ITEMS).fold(String::new(), |mut text, index| {
        writeln!(text, "{{\"n\": {index}}}").unwrap();
        text
    });
    let path = file(&dir, "list", text);
    let list = list(&path, ITEMS.into());
    let reader = ListReader::new(None);
    let read = items(&reader, &list, 0..ITEMS).await;
    assert_eq!(read.len(), ITEMS as usize);
    assert!(read.into_iter().all(|(index, item)| item == Ok(json!({"n": index}))));
    assert_eq!(reader.lock().len(), 1);

    // What was changed later is noticed where it was, and there alone.
    let mut changed = OpenOptions::new().append(false).write(true).open(&path).unwrap();
    changed.write_all(b"{\"n\": 7}").unwrap();
    assert!(item(&reader, &list, 1).await.unwrap_err().contains("has another SHA-256"));
    assert_eq!(item(&reader, &list, ITEMS - 1).await, Ok(json!({"n": ITEMS - 1})));
    changed.set_len(1000).unwrap();
    assert!(item(&reader, &list, ITEMS - 1).await.unwrap_err().contains("has another SHA-256"));
    // Nobody else takes it for the list any more.
    refused(&list, "has another SHA-256").await;
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_told_with_its_path_and_what_to_do() {
    let dir = TempDir::new().unwrap();
    let good = list(&file(&dir, "good", "1\n2\n"), 2);
    let at = |path: PathBuf| ListFile { path, ..good.clone() };
    refused(&ListFile { sha256: [7; 32], ..good.clone() }, "has another SHA-256").await;
    refused(&ListFile { items: 3, ..good.clone() }, "has 2 lines, and 3 were said").await;
    refused(&ListFile { items: 1, ..good.clone() }, "has 2 lines, and 1 were said").await;
    refused(&at(dir.path().join("none")), "is not there").await;
    refused(&at(dir.path().join("good/below")), "cannot be read").await;
    refused(&at(dir.path().join("x".repeat(300))), "cannot be read").await;
    let long = format!("1\n{}\n", "x".repeat(LIST_LINE_BYTES + 1));
    refused(&list(&file(&dir, "long", long), 2), "more than 65536 bytes in line 2").await;
    let large = dir.path().join("large");
    File::create(&large).unwrap().set_len(LIST_FILE_BYTES + 1).unwrap();
    refused(&at(large), "more than 1073741824 bytes").await;
}

#[tokio::test]
async fn what_is_no_plain_file_is_refused_without_waiting_for_it() {
    let dir = TempDir::new().unwrap();
    let pipe = dir.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let link = dir.path().join("link");
    symlink("/dev/zero", &link).unwrap();
    for path in [dir.path().to_owned(), pipe, "/dev/zero".into(), link] {
        let list = ListFile { path, items: 1, sha256: [0; 32] };
        refused(&list, "is no plain file but a directory, a pipe or a device").await;
    }
}

#[tokio::test]
async fn a_line_that_is_no_json_fails_its_own_item_only() {
    let dir = TempDir::new().unwrap();
    let list = list(&file(&dir, "list", b"1\n[2,\n\n4 4\n\"\xff\"\n6\n"), 6);
    let reader = ListReader::new(None);
    let read = items(&reader, &list, 0..6).await;
    assert_eq!((&read[0].1, &read[5].1), (&Ok(json!(1)), &Ok(json!(6))));
    for (index, said) in [
        (1, "no JSON value in line 2: EOF while parsing a value in column 3"),
        (2, "no JSON value in line 3: EOF while parsing a value in column 0"),
        (3, "no JSON value in line 4: trailing characters in column 3"),
        (4, "no JSON value in line 5: invalid unicode code point"),
    ] {
        let error = read[index].1.as_ref().unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn files_lie_in_the_directories_that_are_set_also_at_the_end_of_links() {
    let (inside, outside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let [good, bad] = [&inside, &outside].map(|dir| list(&file(dir, "list", "1\n"), 1));
    let linked = |from: &TempDir, name: &str, to: &Path| {
        let path = from.path().join(name);
        symlink(to, &path).unwrap();
        ListFile { path, ..good.clone() }
    };
    let into = linked(&outside, "into", &good.path);
    let out = linked(&inside, "out", &bad.path);
    let climbing = ListFile { path: inside.path().join("..").join(&bad.path), ..bad.clone() };
    let dirs = outside.path().join("dirs");
    symlink(inside.path(), &dirs).unwrap();
    let reader = ListReader::new(Some(vec!["/nowhere".into(), dirs]));
    for list in [&good, &into] {
        assert_eq!(item(&reader, list, 0).await, Ok(json!(1)));
    }
    for list in [&bad, &out, &climbing] {
        let error = item(&reader, list, 0).await.unwrap_err();
        assert!(error.contains("`launcher.list_dirs`"), "{error}");
    }
    let error = item(&ListReader::new(Some(Vec::new())), &good, 0).await.unwrap_err();
    assert!(error.contains("`launcher.list_dirs`"), "{error}");
}

#[tokio::test]
async fn a_file_that_was_wrong_is_taken_once_it_is_right() {
    let dir = TempDir::new().unwrap();
    let path = file(&dir, "list", "1\n2\n");
    let meant = list(&path, 2);
    let reader = ListReader::new(None);
    fs::write(&path, "1\n").unwrap();
    for _ in 0..2 {
        assert!(item(&reader, &meant, 0).await.unwrap_err().contains("has another SHA-256"));
    }
    fs::write(&path, "1\n2\n").unwrap();
    assert_eq!(item(&reader, &meant, 1).await, Ok(json!(2)));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_file_that_does_not_come_is_told_and_the_next_one_at_once() {
    let dir = TempDir::new().unwrap();
    let list = list(&file(&dir, "list", "1\n"), 1);
    let reader = ListReader::new(None);
    let stuck = reader.slot(&list).checked.clone().lock_owned().await;
    let asked = Instant::now();
    assert!(reader.items(&list, [0].into()).await.is_err(), "others go before");
    assert_eq!(asked.elapsed(), PATIENCE);
    let late = until_read(&reader, &list, [0].into()).await.remove(0).1.unwrap_err();
    assert!(asked.elapsed() >= READ_LIMIT);
    assert!(late.is_passing() && late.to_string().contains("within 60 s"), "{late}");
    let before = Instant::now();
    until_read(&reader, &list, [0].into()).await.remove(0).1.unwrap_err();
    assert_eq!(before.elapsed(), Duration::ZERO);
    drop(stuck);
    assert_eq!(item(&reader, &list, 0).await, Ok(json!(1)), "it is read again once it can be");
}

#[tokio::test]
async fn lists_that_were_used_least_lately_make_room() {
    let dir = TempDir::new().unwrap();
    let path = file(&dir, "list", "1\n");
    let reader = ListReader::new(None);
    let lists = (0..=KEPT as u64).map(|items| ListFile { items, ..list(&path, 0) });
    let lists: Vec<_> = lists.collect();
    for list in &lists {
        let _ = reader.items(list, [0].into()).await;
    }
    let kept: Vec<_> = reader.lock().iter().map(|slot| slot.list.items).collect();
    assert_eq!(kept, (1..=KEPT as u64).collect::<Vec<_>>());
    reader.lock()[0].bytes.store(KEPT_BYTES, Relaxed);
    reader.lock()[1].bytes.store(1, Relaxed);
    reader.make_room();
    assert_eq!(reader.lock().len(), KEPT - 1);
}

/// Reading such a file never ends, and opening it without waiting says so.
#[tokio::test]
async fn a_file_that_would_have_to_be_waited_for_is_no_shortage() {
    let would_wait = io::Error::from_raw_os_error(nix::errno::Errno::EAGAIN as i32);
    let too_many = io::Error::from_raw_os_error(nix::errno::Errno::EMFILE as i32);
    assert_eq!([would_wait, too_many].map(|it| lacks_descriptors(&it)), [false, true]);
}
