//! The repository: which files the index, a commit or the work tree holds, read without checking anything out.
//!
//! Knows git, and nothing of PostgreSQL. What it cannot read is an error: a check that passes on what it did not see is
//! worse than none. libgit2 answers where it can, since that costs no process; the `git` program answers the rest:
//! SHA-256, reftable, partial clones, split and sparse indexes, and indexes so large that git reads them faster.

mod backend;
mod commits;
mod id;
mod library;
mod place;
mod program;
mod program_backend;
mod sparse;

pub use commits::Parents;
pub use id::{ObjectFormat, ObjectId};
pub use program::Program;

use crate::error::{Error, OrFailed, Result};
use crate::model::snapshot::{FileEntry, Snapshot};
use backend::{Backend, Entry};
use library::Library;
use place::Place;
use program_backend::ProgramBackend;
use std::path::Path;

/// Where the sources of a judgement are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// What the next commit will hold, honouring `GIT_INDEX_FILE`.
    Index,
    /// A commit.
    Rev(String),
    /// The files as they lie on disk.
    WorkTree,
}

impl Source {
    /// For messages.
    pub fn describe(&self) -> String {
        match self {
            Source::Index => "the index".to_owned(),
            Source::Rev(rev) => format!("commit {rev}"),
            Source::WorkTree => "the work tree".to_owned(),
        }
    }
}

/// One entry of a source by name, without its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listed {
    /// Path relative to the project's folder.
    pub path: String,
    /// git's mode.
    pub mode: u32,
    /// git's object id.
    pub id: ObjectId,
}

/// A git repository with the project inside.
pub struct Git {
    library: Option<Library>,
    program: ProgramBackend,
    place: Place,
    /// Folder of the project below the work tree, with a trailing slash, or empty.
    prefix: String,
}

const SYMLINK: u32 = 0o120_000;
const SUBMODULE: u32 = 0o160_000;
const KIND: u32 = 0o170_000;

/// From this size on (some 2,000 entries) the program reads an index faster than the library, its start included.
const LARGE_INDEX: u64 = 200_000;

impl Git {
    /// Opens the repository around `project`, or `None` where there is none. `GIT_DIR`, `GIT_INDEX_FILE` and their kin are
    /// honoured, as git sets them for its hooks.
    ///
    /// # Errors
    /// There is a repository, but neither libgit2 nor the program can read it.
    pub fn open(project: &Path) -> Result<Option<Git>> {
        let Some((library, program, place)) = place::find(project)? else { return Ok(None) };
        let prefix = match &place.work_tree {
            Some(top) => {
                let top = top.canonicalize().or_failed(|| "cannot find the work tree")?;
                let project = project.canonicalize().or_failed(|| "cannot find the project's folder")?;
                match project.strip_prefix(&top) {
                    Ok(below) if below.as_os_str().is_empty() => String::new(),
                    Ok(below) => format!("{}/", below.to_string_lossy()),
                    Err(_) => String::new(),
                }
            }
            None => String::new(),
        };
        Ok(Some(Git { library, program, place, prefix }))
    }

    /// The directory that all work trees share: caches live below it.
    pub fn common_dir(&self) -> &Path {
        &self.place.common_dir
    }

    /// The top of the work tree; none in a bare repository.
    pub fn work_tree(&self) -> Option<&Path> {
        self.place.work_tree.as_deref()
    }

    /// How the repository names its objects.
    pub fn format(&self) -> ObjectFormat {
        self.program.format
    }

    /// Asks the library, and where that gives no answer the program, whose word counts.
    fn ask<T>(&self, question: impl Fn(&dyn Backend) -> Result<T>) -> Result<T> {
        let refused = match self.library.as_ref().map(|library| question(library)) {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(e)) => Some(e),
            None => None,
        };
        match (question(&self.program), refused) {
            (Err(_), Some(e)) if !self.program.program.is_there() => Err(e),
            (answer, _) => answer,
        }
    }

    /// As [`Git::ask`], for questions that read the whole index.
    fn ask_of_index<T>(&self, question: impl Fn(&dyn Backend) -> Result<T>) -> Result<T> {
        let large = std::fs::metadata(&self.place.index).is_ok_and(|index| index.len() > LARGE_INDEX);
        match large.then(|| question(&self.program)) {
            Some(Ok(answer)) => Ok(answer),
            _ => self.ask(question),
        }
    }

    /// Lists what a source holds below the given paths, without reading it; nothing for the work tree.
    ///
    /// # Errors
    /// Something there cannot be read, or the index holds a conflict.
    pub fn list(&self, source: &Source, paths: &[String]) -> Result<Vec<Listed>> {
        let paths = self.below_top(paths);
        let entries = match source {
            Source::Index => self.ask_of_index(|backend| backend.index(&paths))?,
            Source::Rev(rev) => self.ask(|backend| backend.tree(rev, &paths))?,
            Source::WorkTree => Vec::new(),
        };
        let mut found = entries.into_iter().map(|entry| self.listed(entry)).collect::<Result<Vec<_>>>()?;
        found.sort();
        Ok(found)
    }

    fn below_top(&self, paths: &[String]) -> Vec<String> {
        paths.iter().map(|path| format!("{}{path}", self.prefix)).collect()
    }

    fn listed(&self, entry: Entry) -> Result<Listed> {
        let path = entry.path.strip_prefix(self.prefix.as_bytes()).unwrap_or(&entry.path);
        let path = std::str::from_utf8(path).map_err(|_| {
            Error::failed(format!("the file name {} is not UTF-8", String::from_utf8_lossy(path).escape_debug()))
                .help("rename it, or put it elsewhere.")
        })?;
        if entry.conflict {
            return Err(Error::failed(format!("{path} has a merge conflict in the index"))
                .help("solve it, `git add` the result and commit again."));
        }
        Ok(Listed { path: path.to_owned(), mode: entry.mode, id: entry.id })
    }

    /// Whether the next commit will hold something else below the given paths than one of its parents: than HEAD, or
    /// while merging than any side. Compares trees and stops at equal ones, so it costs little in a large repository.
    ///
    /// # Errors
    /// The index or a parent cannot be read.
    pub fn staged(&self, paths: &[String]) -> Result<bool> {
        let paths = self.below_top(paths);
        let parents = self.next_parents()?;
        if parents.is_empty() {
            return self.ask_of_index(|backend| backend.differs(None, &paths));
        }
        for parent in &parents {
            if self.ask_of_index(|backend| backend.differs(Some(parent), &paths))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads what was listed.
    ///
    /// # Errors
    /// An object is damaged, or missing and not to be fetched.
    pub fn read(&self, listed: &[Listed]) -> Result<Snapshot> {
        let files: Vec<&Listed> = listed.iter().filter(|entry| entry.mode & KIND != SUBMODULE).collect();
        let ids: Vec<&ObjectId> = files.iter().map(|entry| &entry.id).collect();
        let contents = self.ask(|backend| backend.blobs(&ids)).map_err(|e| {
            let path = |id: &&Listed| e.message().contains(id.id.as_str());
            let which = files.iter().find(|entry| path(entry)).map_or("a file", |entry| entry.path.as_str());
            let fault = Error::failed(format!("cannot read {which}")).cause(&e);
            match e.helps() {
                [] => fault.help("`git fsck` finds what is damaged or missing."),
                helps => helps.iter().fold(fault, |fault, help| fault.help(help)),
            }
        })?;
        let mut snapshot = Snapshot::default();
        for (entry, bytes) in files.iter().zip(contents) {
            let file = if entry.mode & KIND == SYMLINK {
                FileEntry::Symlink { target: String::from_utf8_lossy(&bytes).into_owned() }
            } else {
                FileEntry::Blob { bytes, executable: entry.mode & 0o111 != 0 }
            };
            snapshot.insert(entry.path.clone(), file);
        }
        for entry in listed.iter().filter(|entry| entry.mode & KIND == SUBMODULE) {
            snapshot.insert(entry.path.clone(), FileEntry::Submodule);
        }
        Ok(snapshot)
    }

    /// Puts content into the index, as `git add` would.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn stage(&self, path: &str, content: &[u8]) -> Result<()> {
        let full = format!("{}{path}", self.prefix);
        self.ask(|backend| backend.stage(&full, content))
    }
}
