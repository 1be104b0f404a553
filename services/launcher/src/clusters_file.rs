//! Reads the clusters file again while a launcher runs, so that what may be asked of its cluster is changed without a restart.
//!
//! The file is read every [`LOOK`] and compared with what it was: a mounted `ConfigMap` is a link that is exchanged, and no watcher
//! of files follows that everywhere. What a look finds counts when the next one finds the same, since a file that is written in
//! place is half there for a moment, and the half of it may be lawful and mean something else.
//!
//! **Invariant:** a file that will not do changes nothing.

use std::{
    collections::VecDeque,
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use windlass_cluster::{Change, ClusterConfig, Clusters, ClustersError};

use crate::runtime::kubernetes::{Budget, KubernetesRuntime};

/// How often the file is read: a change counts after twice as long at the latest.
const LOOK: Duration = Duration::from_secs(2);

/// What the file has to tell that it did not tell before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// More, or less, may be asked of the cluster.
    Budget {
        /// The keys that have changed; at least one.
        changes: Vec<Change>,
        /// All that may be asked now.
        budget: Budget,
    },
    /// The cluster is to be reached otherwise, or its pods are to be elsewhere than where this launcher has begun to make them.
    Restart(Vec<Change>),
    /// The file will not do: why, and what to do.
    Trouble(String),
    /// The file will do again, and says what it said before.
    Usable,
}

/// The clusters file as one launcher reads it again and again.
#[derive(Debug)]
pub struct ClustersFile {
    path: PathBuf,
    /// What the launcher has begun with.
    begun: ClusterConfig,
    /// What was in the file when it last would do.
    current: ClusterConfig,
    /// What was found last.
    seen: Option<Look>,
    /// Whether that was found twice, and has been judged.
    is_judged: bool,
    /// What was told last of a file that will not do.
    trouble: Option<String>,
    /// What was told last of changes that take a restart.
    awaited: Vec<Change>,
    /// What was not told yet.
    news: VecDeque<News>,
}

/// What a look finds: the text, or why there is none.
type Look = Result<String, String>;

/// Has a budget that changes in the file count, until `stop`, and tells in the log what has changed.
pub async fn follow(mut file: ClustersFile, runtime: &KubernetesRuntime, stop: CancellationToken) {
    while let Some(news) = stop.run_until_cancelled(file.next()).await {
        if let News::Budget { budget, .. } = &news {
            runtime.set_budget(*budget);
        }
        news.log(&file.begun.name);
    }
}

impl ClustersFile {
    /// The file from which a launcher took the cluster that it has begun to serve.
    pub fn new(path: PathBuf, begun: ClusterConfig) -> Self {
        Self {
            path,
            current: begun.clone(),
            begun,
            seen: None,
            is_judged: false,
            trouble: None,
            awaited: Vec::new(),
            news: VecDeque::new(),
        }
    }

    /// Waits until the file has something new to tell. Nothing is lost where somebody waits no longer.
    pub async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.news.pop_front() {
                return news;
            }
            sleep(LOOK).await;
            let found = look(&self.path).await;
            self.take(found);
        }
    }

    fn take(&mut self, found: Look) {
        let is_same = self.seen.as_ref() == Some(&found);
        if is_same && !self.is_judged {
            self.judge(&found);
        }
        self.is_judged = is_same;
        self.seen = Some(found);
    }

    fn judge(&mut self, found: &Look) {
        match self.cluster(found) {
            Ok(cluster) => self.accept(cluster),
            Err(problem) if self.trouble.as_ref() == Some(&problem) => {}
            Err(problem) => {
                self.trouble = Some(problem.clone());
                self.news.push_back(News::Trouble(problem));
            }
        }
    }

    /// The launcher's cluster, as it is in the file now.
    fn cluster(&self, found: &Look) -> Result<ClusterConfig, String> {
        let text = found.as_ref().map_err(Clone::clone)?;
        let clusters = Clusters::parse(&self.path, text).map_err(|error| error.to_string())?;
        clusters.get(&self.begun.name).cloned().map_err(|error| error.to_string())
    }

    fn accept(&mut self, cluster: ClusterConfig) {
        let was_trouble = self.trouble.take().is_some();
        let mut changes = self.current.changes(&cluster);
        changes.retain(|it| !it.takes_restart());
        let mut awaited = self.begun.changes(&cluster);
        awaited.retain(Change::takes_restart);
        let is_awaited_anew = awaited != self.awaited && !awaited.is_empty();
        if was_trouble && changes.is_empty() && !is_awaited_anew {
            self.news.push_back(News::Usable);
        }
        if !changes.is_empty() {
            self.news.push_back(News::Budget { changes, budget: Budget::from(&cluster) });
        }
        if is_awaited_anew {
            self.news.push_back(News::Restart(awaited.clone()));
        }
        self.awaited = awaited;
        self.current = cluster;
    }
}

async fn look(path: &Path) -> Look {
    let path = path.to_owned();
    let read = spawn_blocking(move || {
        fs::read_to_string(&path).map_err(|source| ClustersError::Unreadable { path, source })
    });
    match read.await {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

impl News {
    fn log(&self, cluster: &str) {
        match self {
            Self::Budget { changes, .. } => {
                let changes = Listed(changes);
                info!(cluster, %changes, "the clusters file has changed, and that counts from now on");
            }
            Self::Restart(changes) => {
                let changes = Listed(changes);
                warn!(cluster, %changes, "the clusters file has changed in what takes a restart: until then this launcher goes on as before");
            }
            Self::Trouble(problem) => {
                warn!(
                    cluster,
                    problem, "the clusters file has changed and will not do: all goes on as before"
                );
            }
            Self::Usable => info!(cluster, "the clusters file will do again"),
        }
    }
}

/// Changes on one line.
struct Listed<'a>(&'a [Change]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, change) in self.0.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{change}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    const BEGUN: &str = "[clusters.gpu]\nlive_pods = 10\nnamespace = \"jobs\"\n";

    fn file() -> ClustersFile {
        let clusters = Clusters::parse(Path::new("clusters.toml"), BEGUN).unwrap();
        ClustersFile::new("clusters.toml".into(), clusters.get("gpu").unwrap().clone())
    }

    /// What is told when looks have found this.
    fn told(file: &mut ClustersFile, found: &[Look]) -> Vec<String> {
        for found in found {
            file.take(found.clone());
        }
        let short = |news: News| match news {
            News::Budget { changes, .. } => Listed(&changes).to_string(),
            News::Restart(changes) => format!("restart: {}", Listed(&changes)),
            News::Trouble(problem) => format!("trouble: {}", problem.lines().count()),
            News::Usable => "usable".to_owned(),
        };
        file.news.drain(..).map(short).collect()
    }

    fn twice(text: &str) -> [Look; 2] {
        let found = Ok(format!("{BEGUN}{text}"));
        [found.clone(), found]
    }

    const NOTHING: [String; 0] = [];

    #[test]
    fn what_changes_counts_once_it_stays_and_is_told_once() {
        let mut file = file();
        assert_eq!(told(&mut file, &twice("")), NOTHING);
        let [half, whole] = ["launching", "launching = false\n"].map(|text| twice(text)[0].clone());
        assert_eq!(told(&mut file, &[half, whole]), NOTHING);
        let off = ["launching from true to false, start_gap from none to \"2s\""];
        assert_eq!(told(&mut file, &twice("launching = false\nstart_gap = \"2s\"\n")), off);
        assert!(!Budget::from(&file.current).launching);
        let same = "# Somebody's note.\nstart_gap = \"2000ms\"\nlaunching = false\n";
        assert_eq!(told(&mut file, &twice(same)), NOTHING);
        let on = ["launching from false to true, start_gap from \"2s\" to none"];
        assert_eq!(told(&mut file, &[twice(""), twice("")].concat()), on);
    }

    #[test]
    fn what_will_not_do_changes_nothing_and_is_told_once_with_all_that_is_wrong() {
        let mut file = file();
        let wrong = "live_pod = 1\nlaunching = 0\n";
        // A line for the file, and one for each problem.
        assert_eq!(told(&mut file, &[twice(wrong), twice(wrong)].concat()), ["trouble: 3"]);
        let error = io::Error::from(io::ErrorKind::NotFound).to_string();
        let missing = [Err(error.clone()), Err(error)];
        assert_eq!(told(&mut file, &missing), ["trouble: 1"]);
        let other = Ok("[clusters.small]\n".to_owned());
        assert_eq!(told(&mut file, &[other.clone(), other]), ["trouble: 1"]);
        assert_eq!(file.current, file.begun);
        assert_eq!(told(&mut file, &twice("")), ["usable"]);
        assert_eq!(told(&mut file, &twice(wrong)), ["trouble: 3"], "it is news again");
        let good = "launching = false\n";
        assert_eq!(told(&mut file, &twice(good)), ["launching from true to false"]);
    }

    #[test]
    fn how_a_cluster_is_reached_takes_a_restart_and_is_told_once_for_each_change() {
        let mut file = file();
        let moved = "other_namespaces = [\"b\"]\nkeep_failed_count = 3\n";
        let told_of_both =
            ["keep_failed_count from none to 3", "restart: other_namespaces from [] to [\"b\"]"];
        assert_eq!(told(&mut file, &twice(moved)), told_of_both);
        let more = format!("{moved}launching = false\n");
        assert_eq!(told(&mut file, &twice(&more)), ["launching from true to false"]);
        let else_where = format!("context = \"eu\"\n{more}");
        let both = ["restart: context from none to \"eu\", other_namespaces from [] to [\"b\"]"];
        assert_eq!(told(&mut file, &twice(&else_where)), both);
        assert_eq!(file.begun.context, None);
        let back = "launching = false\nkeep_failed_count = 3\n";
        assert_eq!(told(&mut file, &twice(back)), NOTHING);
    }
}
