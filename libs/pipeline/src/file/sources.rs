//! The files that a pipeline file uses.

use std::{
    collections::HashMap,
    fmt, io,
    path::{Component, Path, PathBuf},
};

use windlass_proto::v1;

use crate::limits;

/// Where the files come from that pipeline files use. A path is the using file's directory and what stands behind `use`.
pub trait Files: fmt::Debug {
    /// The path that the file has for everybody, however one came to it, so that each file is read once and circles are seen.
    fn identify(&self, path: &Path) -> io::Result<PathBuf>;

    /// The file's content; none where it has more than `limit` bytes. Never waits: what is no regular file is an error.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>>;
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(
        "`use` needs the files beside this one, which are not here; put the steps into this file, or use the command on a machine that \
         has the files"
    )]
    NoFiles,
    #[error("`use` names no file; give it the path of a pipeline file")]
    NoPath,
    #[error("{} cannot be read: {error}; see whether the path is right: it begins in the directory of this file", .path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} is not UTF-8 from byte {valid} on; save the file as UTF-8", .path.display())]
    NotUtf8 { path: PathBuf, valid: usize },
    #[error("files use each other in a circle: `{0}`; remove one of these uses")]
    Circle(String),
    #[error("more than {} files are used; put some of them together", limits::FILES)]
    TooMany,
    #[error("the files that are used have more than {} MiB together; shorten them", limits::FILE_BYTES >> 20)]
    TooLarge,
}

/// One file.
#[derive(Debug)]
pub(super) struct Source {
    /// As it is named to people; none for the file that was given to be read.
    pub(super) path: Option<PathBuf>,
    pub(super) text: String,
    /// The files that its steps use, by the field of the step in this file.
    pub(super) uses: HashMap<String, usize>,
    /// What it is to those who use it.
    pub(super) group: Option<UsedGroup>,
}

/// A file as a group, without arguments.
#[derive(Debug, Clone)]
pub(super) struct UsedGroup {
    pub(super) group: v1::Group,
    /// Its bytes, encoded.
    pub(super) bytes: usize,
    /// Its steps, at every depth.
    pub(super) steps: usize,
    /// How deep groups, loops and branches lie in each other in it.
    pub(super) levels: usize,
}

/// All files of a pipeline; the first is the one that was given to be read.
#[derive(Debug)]
pub(super) struct Sources<'a> {
    from: Option<&'a dyn Files>,
    /// The first file's own path.
    path: Option<&'a Path>,
    all: Vec<Source>,
    known: HashMap<PathBuf, usize>,
    /// Those that are being converted, each used by the one before.
    open: Vec<usize>,
    bytes: usize,
}

impl<'a> Sources<'a> {
    pub(super) fn new(from: Option<&'a dyn Files>, path: Option<&'a Path>, text: &str) -> Self {
        let identity = from.zip(path).and_then(|(files, path)| files.identify(path).ok());
        let first = Source { path: None, text: text.to_owned(), uses: HashMap::new(), group: None };
        Self {
            from,
            path,
            all: vec![first],
            known: identity.into_iter().map(|path| (path, 0)).collect(),
            open: vec![0],
            bytes: text.len(),
        }
    }

    /// One of the files.
    pub(super) fn get(&self, index: usize) -> &Source {
        &self.all[index]
    }

    /// One of the files, to note something of it.
    pub(super) fn get_mut(&mut self, index: usize) -> &mut Source {
        &mut self.all[index]
    }

    /// The file that another one names, read where it was not yet.
    pub(super) fn find(&mut self, by: usize, named: &str) -> Result<usize, Unusable> {
        let files = self.from.ok_or(Unusable::NoFiles)?;
        if named.is_empty() {
            return Err(Unusable::NoPath);
        }
        let dir = self.path_of(by).and_then(Path::parent).unwrap_or(Path::new(""));
        let parts = dir.join(named);
        let path: PathBuf = parts.components().filter(|part| *part != Component::CurDir).collect();
        let unreadable = |error| Unusable::Unreadable { path: path.clone(), error };
        let identity = files.identify(&path).map_err(unreadable)?;
        if let Some(&known) = self.known.get(&identity) {
            return match self.open.iter().position(|open| *open == known) {
                Some(first) => Err(Unusable::Circle(self.circle(first))),
                None => Ok(known),
            };
        }
        if self.all.len() > limits::FILES {
            return Err(Unusable::TooMany);
        }
        let left = limits::FILE_BYTES - self.bytes;
        let content = files.read(&path, left).map_err(unreadable)?.ok_or(Unusable::TooLarge)?;
        let text = String::from_utf8(content).map_err(|error| Unusable::NotUtf8 {
            path: path.clone(),
            valid: error.utf8_error().valid_up_to(),
        })?;
        let index = self.all.len();
        self.bytes += text.len();
        self.all.push(Source { path: Some(path), text, uses: HashMap::new(), group: None });
        self.known.insert(identity, index);
        Ok(index)
    }

    /// Begins the conversion of a file.
    pub(super) fn enter(&mut self, index: usize) {
        self.open.push(index);
    }

    /// Ends the conversion that was begun last.
    pub(super) fn leave(&mut self) {
        self.open.pop();
    }

    /// The file that a field is of, and what the field is called in it.
    pub(super) fn place<'f>(&self, field: &'f str) -> (usize, &'f str) {
        const INTO: &str = ".group.";
        let (mut file, mut rest) = (0, field);
        while let Some((used, below)) = rest.match_indices(INTO).find_map(|(at, _)| {
            let below = &rest[at + INTO.len()..];
            // Arguments stand where the file is used.
            let is_there = !below.starts_with("inputs.arguments");
            let used = self.all[file].uses.get(&rest[..at]).filter(|_| is_there)?;
            Some((*used, below))
        }) {
            (file, rest) = (used, below);
        }
        (file, rest)
    }

    fn path_of(&self, index: usize) -> Option<&Path> {
        if index == 0 { self.path } else { self.all[index].path.as_deref() }
    }

    /// From an open file to the one that uses it.
    fn circle(&self, first: usize) -> String {
        let circle = self.open[first..].iter().chain(self.open.get(first));
        let names = circle.map(|index| self.path_of(*index).unwrap_or(Path::new("")));
        names.map(|path| path.display().to_string()).collect::<Vec<_>>().join(" -> ")
    }
}
