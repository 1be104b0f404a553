//! Reads the items of lists that lie in files.
//!
//! ```text
//!   a list, indexes ──▶ its slot ──▶ open ──▶ index (once per list: digest, lines) ──▶ items
//!                       one reader at a time, given up after a while
//! ```
//!
//! A file is on somebody's file system, which may be slow or away: whoever waits for it waits so long at most, and does not wait
//! behind one that has not come back.

mod error;
mod index;
mod open;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, VecDeque},
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore},
    task::spawn_blocking,
    time::{Instant, timeout},
};
use windlass_pipeline::list_file::ListFile;

pub(crate) use self::error::{ListError, StillReading};
use self::{
    error::ListProblem,
    index::{Index, Items},
};
use crate::supervisor::shortage;

/// How long an attempt waits for a list file: ten times what one of the largest takes on a disk of 200 MB/s.
const READ_LIMIT: Duration = Duration::from_mins(1);

/// How long it does so in one go: other attempts wait behind it.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a file that was wrong is believed to be so without another look at what is in it.
const BELIEVED: Duration = Duration::from_secs(10);

/// The most files that are read at once, those counted that never come back.
const READERS: usize = 8;

/// The most lists, and the most bytes of their indexes, that are kept. The index of a list of a million items of 60 bytes takes
/// some 180 KB; the largest takes 3 MiB.
const KEPT: usize = 256;
const KEPT_BYTES: usize = 16 << 20;

/// Reads list files, and knows of those that it has read what tells them from others.
#[derive(Debug)]
pub(crate) struct ListReader {
    /// Where list files may be; anywhere, where there are none.
    dirs: Option<Arc<[PathBuf]>>,
    /// Those that were used least lately come first.
    kept: Mutex<VecDeque<Arc<Slot>>>,
    readers: Arc<Semaphore>,
}

/// A list.
#[derive(Debug)]
struct Slot {
    list: ListFile,
    /// Held by who reads it.
    checked: Arc<AsyncMutex<Checked>>,
    /// Since when somebody waits for it who has not had an answer.
    waited_for: Mutex<Option<Instant>>,
    /// Whether somebody has given up waiting for it.
    is_late: AtomicBool,
    /// Of its index.
    bytes: AtomicUsize,
}

/// What came of looking at a list.
#[derive(Debug, Default)]
enum Checked {
    #[default]
    NotYet,
    /// It is the file that was meant.
    Right(Index),
    /// It is not, and will not be while it is the same file; as far as stamps can tell, which may miss a change that follows
    /// another at once.
    Wrong(Stamp, Instant, ListProblem),
}

/// What changes when a file does.
#[derive(Debug, PartialEq, Eq)]
struct Stamp([i128; 5]);

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let changed = i128::from(metadata.ctime()) << 32 | i128::from(metadata.ctime_nsec());
        let modified = i128::from(metadata.mtime()) << 32 | i128::from(metadata.mtime_nsec());
        let [device, inode, size] =
            [metadata.dev(), metadata.ino(), metadata.len()].map(i128::from);
        Self([device, inode, size, changed, modified])
    }
}

impl Slot {
    fn waited_for(&self) -> MutexGuard<'_, Option<Instant>> {
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a file could not be opened only because too many are. That a file would have to be waited for is its own fault.
fn lacks_descriptors(error: &io::Error) -> bool {
    shortage::is_shortage(error) && error.kind() != io::ErrorKind::WouldBlock
}

impl Checked {
    /// Reads items. What is wrong with a file as a whole is found out once.
    fn read(
        &mut self,
        list: &ListFile,
        dirs: Option<&[PathBuf]>,
        wanted: &BTreeSet<u32>,
    ) -> Result<Items, ListProblem> {
        let (file, metadata) = open::open(&list.path, dirs)?;
        let stamp = Stamp::of(&metadata);
        match self {
            Self::Right(index) => return index.items(&file, wanted),
            Self::Wrong(then, at, problem) if *then == stamp && at.elapsed() < BELIEVED => {
                return Err(problem.clone());
            }
            Self::NotYet | Self::Wrong(..) => {}
        }
        match Index::of(&file, list) {
            Ok(index) => {
                let items = index.items(&file, wanted);
                *self = Self::Right(index);
                items
            }
            Err(problem) => {
                if !matches!(problem, ListProblem::Unreadable(_)) {
                    *self = Self::Wrong(stamp, Instant::now(), problem.clone());
                }
                Err(problem)
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Right(index) => index.bytes(),
            Self::NotYet | Self::Wrong(..) => 0,
        }
    }
}

impl ListReader {
    /// For files in these directories; in any, where there are none.
    pub(crate) fn new(dirs: Option<Vec<PathBuf>>) -> Self {
        let readers = Arc::new(Semaphore::new(READERS));
        Self { dirs: dirs.map(Arc::from), kept: Mutex::default(), readers }
    }

    /// Items of a list, by index; each of those that are wanted has a value, or what is wrong with it.
    pub(crate) async fn items(
        &self,
        list: &ListFile,
        wanted: BTreeSet<u32>,
    ) -> Result<Vec<(u32, Result<serde_json::Value, ListError>)>, StillReading> {
        let failed = |problem| ListError { path: list.path.clone(), problem };
        let wanted = Arc::new(wanted);
        let slot = self.slot(list);
        let read = self.read(&slot, &wanted).await;
        self.make_room();
        match read {
            None => Err(StillReading(list.path.clone())),
            Some(Ok(items)) => {
                Ok(items.into_iter().map(|(index, item)| (index, item.map_err(failed))).collect())
            }
            Some(Err(problem)) => {
                Ok(wanted.iter().map(|index| (*index, Err(failed(problem.clone())))).collect())
            }
        }
    }

    /// What came of reading; none where it is not over, or the system lacks a descriptor for it.
    async fn read(
        &self,
        slot: &Arc<Slot>,
        wanted: &Arc<BTreeSet<u32>>,
    ) -> Option<Result<Items, ListProblem>> {
        let is_read = slot.checked.try_lock().is_err();
        if is_read && slot.is_late.load(Relaxed) {
            return Some(Err(ListProblem::Late(READ_LIMIT)));
        }
        let since = *slot.waited_for().get_or_insert_with(Instant::now);
        match timeout(PATIENCE, self.read_whole(slot, wanted)).await {
            Ok(Err(ListProblem::Unreadable(error))) if lacks_descriptors(&error) => {
                shortage::tell(&error);
                return None;
            }
            Ok(done) => {
                *slot.waited_for() = None;
                return Some(done);
            }
            Err(_) if since.elapsed() < READ_LIMIT => return None,
            Err(_) => {}
        }
        slot.is_late.store(true, Relaxed);
        *slot.waited_for() = None;
        Some(Err(ListProblem::Late(READ_LIMIT)))
    }

    /// Reads for as long as it takes. It is gone on with where nobody waits any more, so that the next one finds it done.
    async fn read_whole(
        &self,
        slot: &Arc<Slot>,
        wanted: &Arc<BTreeSet<u32>>,
    ) -> Result<Items, ListProblem> {
        let mut checked = slot.checked.clone().lock_owned().await;
        slot.is_late.store(false, Relaxed);
        let reader = self.readers.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (slot, wanted, dirs) = (slot.clone(), wanted.clone(), self.dirs.clone());
        let read = spawn_blocking(move || {
            let items = checked.read(&slot.list, dirs.as_deref(), &wanted);
            slot.bytes.store(checked.bytes(), Relaxed);
            drop((checked, reader));
            items
        });
        read.await.map_err(io::Error::from)?
    }

    fn slot(&self, list: &ListFile) -> Arc<Slot> {
        let mut kept = self.lock();
        let known = kept.iter().position(|slot| slot.list == *list);
        let slot = known.and_then(|at| kept.remove(at)).unwrap_or_else(|| {
            Arc::new(Slot {
                list: list.clone(),
                checked: Arc::default(),
                waited_for: Mutex::default(),
                is_late: AtomicBool::new(false),
                bytes: AtomicUsize::new(0),
            })
        });
        kept.push_back(slot.clone());
        slot
    }

    /// Gives up those that were used least lately, but never the latest one.
    fn make_room(&self) {
        let mut kept = self.lock();
        let mut bytes: usize = kept.iter().map(|slot| slot.bytes.load(Relaxed)).sum();
        while kept.len() > 1 && (kept.len() > KEPT || bytes > KEPT_BYTES) {
            let oldest = kept.pop_front();
            bytes = bytes.saturating_sub(oldest.map_or(0, |slot| slot.bytes.load(Relaxed)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Slot>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
