//! Whose a runtime's directory is: one runtime's at a time, and of one name for ever.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use uuid::Uuid;
use windlass_proto::holder;

/// The file that is locked as long as a runtime has the directory.
const LOCK: &str = ".lock";

/// The file that names the store whose runs the directory's attempts are of.
const STORE: &str = ".store";

/// The file that holds what tells this directory from others, of the same host or of others with its name.
const ID: &str = ".id";

/// Takes a directory for this process alone; none where another process has it.
pub(super) fn take(dir: &Path) -> io::Result<Option<Flock<File>>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join(LOCK))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error.into()),
    }
}

/// Whether the attempts of a directory are of runs of this store. The first one that is named is written down.
pub(super) fn belongs_to(dir: &Path, store: &str) -> io::Result<bool> {
    let path = dir.join(STORE);
    match fs::read_to_string(&path) {
        Ok(known) => Ok(known == store),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_whole(dir, STORE, store)?;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// The name under which attempts of a directory that was [taken](take) are claimed: the host's, and what tells its directories
/// apart. A directory that was lost takes its attempts with it, and so another one never stands in for it.
pub(super) fn holder(dir: &Path, host: &str) -> io::Result<String> {
    let path = dir.join(ID);
    let id = match fs::read_to_string(&path) {
        Ok(id) => id,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = format!("{:08x}", Uuid::new_v4().as_fields().0);
            write_whole(dir, ID, &id)?;
            id
        }
        Err(error) => return Err(error),
    };
    Ok(holder::of_directory(host, &id))
}

/// Writes a file, so that it is there as a whole or not at all.
fn write_whole(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let draft = dir.join(format!("{name}.new"));
    let mut file = File::create(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_runtimes_at_a_time_and_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let lock = take(dir.path()).unwrap().expect("it is free");
        let name = holder(dir.path(), "node-7").unwrap();
        assert!(name.starts_with("node-7.") && name.len() == "node-7.".len() + 8, "{name}");
        assert!(take(dir.path()).unwrap().is_none(), "it is taken");
        drop(lock);
        let _lock = take(dir.path()).unwrap().expect("it is free again");
        assert_eq!(holder(dir.path(), "node-7").unwrap(), name);
        assert!(belongs_to(dir.path(), "first").unwrap());
        assert!(!belongs_to(dir.path(), "second").unwrap());
        assert!(belongs_to(dir.path(), "first").unwrap());
    }
}
