//! The repository: which files the index, a commit or the work tree holds, read without checking anything out.
//!
//! Knows git, and nothing of PostgreSQL. What it cannot read is an error: a check that passes on what it did not see is
//! worse than none.

mod commits;
mod program;

pub use commits::Parents;
pub use program::Program;

use crate::error::{Error, OrFailed, Result};
use crate::model::snapshot::{FileEntry, Snapshot};
use git2::{ErrorCode, ObjectType, Repository, TreeWalkMode, TreeWalkResult};
use std::path::{Path, PathBuf};

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
    pub id: git2::Oid,
}

/// A git repository with the project inside.
pub struct Git {
    repository: Repository,
    /// Folder of the project below the work tree, with a trailing slash, or empty.
    prefix: String,
}

const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const SUBMODULE: u32 = 0o160_000;
const KIND: u32 = 0o170_000;

impl Git {
    /// Opens the repository around `project`, or `None` where there is none. `GIT_DIR`, `GIT_INDEX_FILE` and their kin are
    /// honoured, as git sets them for its hooks.
    ///
    /// # Errors
    /// There is a repository, but it cannot be read.
    pub fn open(project: &Path) -> Result<Option<Git>> {
        // A hook's relative GIT_DIR starts at the folder in which git runs it, which is the top of the work tree.
        let in_hook = std::env::var_os("GIT_DIR").is_some() || std::env::var_os("GIT_INDEX_FILE").is_some();
        let opened = if in_hook { Repository::open_from_env() } else { Repository::discover(project) };
        let repository = match opened {
            Ok(repository) => repository,
            Err(e) if e.code() == ErrorCode::NotFound => return Ok(None),
            Err(e) => {
                return Err(Error::failed(format!("cannot read the git repository around {}", project.display()))
                    .cause(e.message()));
            }
        };
        let prefix = match repository.workdir() {
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
        Ok(Some(Git { repository, prefix }))
    }

    /// The directory that all work trees share: caches live below it.
    pub fn common_dir(&self) -> &Path {
        self.repository.commondir()
    }

    /// The top of the work tree; none in a bare repository.
    pub fn work_tree(&self) -> Option<&Path> {
        self.repository.workdir()
    }

    /// Folder that git looks into for hooks, and whether the configuration moved it there.
    pub fn hooks_dir(&self) -> (PathBuf, bool) {
        let configured = self.repository.config().and_then(|config| config.get_path("core.hooksPath")).ok();
        match configured {
            Some(path) if path.is_absolute() => (path, true),
            Some(path) => (self.work_tree().unwrap_or_else(|| self.repository.path()).join(path), true),
            None => (self.repository.commondir().join("hooks"), false),
        }
    }

    /// The commit that is checked out, as 40 or 64 hexadecimal digits; none before the first.
    pub fn head(&self) -> Option<String> {
        let commit = self.repository.head().ok()?.peel_to_commit().ok()?;
        Some(commit.id().to_string())
    }

    /// Lists what a source holds below the given paths, without reading it. For the work tree ids are computed.
    ///
    /// # Errors
    /// Something there cannot be read, or the index holds a conflict.
    pub fn list(&self, source: &Source, paths: &[String]) -> Result<Vec<Listed>> {
        let mut found = match source {
            Source::Index => self.list_index(paths)?,
            Source::Rev(rev) => self.list_tree(&self.tree(rev)?, paths)?,
            Source::WorkTree => Vec::new(),
        };
        found.sort();
        Ok(found)
    }

    /// Whether the index holds something else than HEAD below the given paths. Compares trees and stops at equal ones, so
    /// it costs little in a large repository.
    ///
    /// # Errors
    /// The index or HEAD cannot be read.
    pub fn staged(&self, paths: &[String]) -> Result<bool> {
        // Whether there is anything to judge needs no proof that objects are what their names say; the judgement does.
        git2::opts::strict_hash_verification(false);
        let found = self.differs(paths);
        git2::opts::strict_hash_verification(true);
        found
    }

    fn differs(&self, paths: &[String]) -> Result<bool> {
        let head = match self.repository.head().and_then(|head| head.peel_to_tree()) {
            Ok(tree) => Some(tree),
            Err(e) if matches!(e.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => None,
            Err(e) => return Err(Error::failed("cannot read HEAD").cause(e.message())),
        };
        let mut options = git2::DiffOptions::new();
        options.disable_pathspec_match(true).skip_binary_check(true).include_typechange(true);
        for path in paths {
            options.pathspec(format!("{}{path}", self.prefix));
        }
        let diff = self.repository.diff_tree_to_index(head.as_ref(), None, Some(&mut options));
        let diff = diff.map_err(|e| Error::failed("cannot compare the index with HEAD").cause(e.message()))?;
        Ok(diff.deltas().len() > 0)
    }

    fn list_index(&self, paths: &[String]) -> Result<Vec<Listed>> {
        let mut index =
            self.repository.index().map_err(|e| Error::failed("cannot read the index").cause(e.message()))?;
        index.read(false).map_err(|e| Error::failed("cannot read the index").cause(e.message()))?;
        let mut found = Vec::new();
        for entry in index.iter() {
            let Some(path) = self.below(&entry.path, paths)? else { continue };
            if (entry.flags >> 12) & 3 != 0 {
                return Err(Error::failed(format!("{path} has a merge conflict in the index"))
                    .help("solve it, `git add` the result and commit again."));
            }
            // An intent-to-add entry is not part of the commit.
            if git2::IndexEntryExtendedFlag::from_bits_truncate(entry.flags_extended).is_intent_to_add() {
                continue;
            }
            found.push(Listed { path, mode: entry.mode, id: entry.id });
        }
        Ok(found)
    }

    fn tree(&self, rev: &str) -> Result<git2::Tree<'_>> {
        let object = self.repository.revparse_single(rev).and_then(|object| object.peel(ObjectType::Tree));
        let object = object.map_err(|e| {
            Error::usage(format!("cannot find commit {rev}")).cause(e.message()).help("`git log` lists commits.")
        })?;
        object.into_tree().map_err(|_| Error::usage(format!("{rev} does not name a commit")))
    }

    fn list_tree(&self, tree: &git2::Tree<'_>, paths: &[String]) -> Result<Vec<Listed>> {
        let mut found = Vec::new();
        for path in paths {
            let full = format!("{}{path}", self.prefix);
            let entry = match tree.get_path(Path::new(&full)) {
                Ok(entry) => entry,
                Err(e) if e.code() == ErrorCode::NotFound => continue,
                Err(e) => return Err(Error::failed(format!("cannot read {path}")).cause(e.message())),
            };
            if entry.kind() != Some(ObjectType::Tree) {
                let mode = u32::try_from(entry.filemode()).unwrap_or(REGULAR);
                found.push(Listed { path: path.clone(), mode, id: entry.id() });
                continue;
            }
            let below = self.repository.find_tree(entry.id());
            let below = below.map_err(|e| Error::failed(format!("cannot read {path}")).cause(e.message()))?;
            walk(&below, path, &mut found)?;
        }
        Ok(found)
    }

    /// A path of git's, relative to the project, if it lies at or below one of `paths`.
    fn below(&self, raw: &[u8], paths: &[String]) -> Result<Option<String>> {
        let Some(rest) = raw.strip_prefix(self.prefix.as_bytes()) else { return Ok(None) };
        let inside = |path: &String| {
            rest.strip_prefix(path.as_bytes()).is_some_and(|tail| tail.is_empty() || tail.first() == Some(&b'/'))
        };
        if !paths.iter().any(inside) {
            return Ok(None);
        }
        let text = std::str::from_utf8(rest)
            .or_failed(|| format!("the file name {} is not UTF-8", String::from_utf8_lossy(rest).escape_debug()))?;
        Ok(Some(text.to_owned()))
    }

    /// Reads what was listed.
    ///
    /// # Errors
    /// An object is missing (a partial clone) or damaged.
    pub fn read(&self, listed: &[Listed]) -> Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        for entry in listed {
            snapshot.insert(entry.path.clone(), self.read_entry(entry)?);
        }
        Ok(snapshot)
    }

    fn read_entry(&self, entry: &Listed) -> Result<FileEntry> {
        if entry.mode & KIND == SUBMODULE {
            return Ok(FileEntry::Submodule);
        }
        let blob = self.repository.find_blob(entry.id).map_err(|e| {
            Error::failed(format!("cannot read {} (object {})", entry.path, entry.id))
                .cause(e.message())
                .help("`git fsck` finds damage; in a partial clone `git fetch --refetch` gets what is missing.")
        })?;
        if entry.mode & KIND == SYMLINK {
            return Ok(FileEntry::Symlink { target: String::from_utf8_lossy(blob.content()).into_owned() });
        }
        Ok(FileEntry::Blob { bytes: blob.content().into(), executable: entry.mode & 0o111 != 0 })
    }

    /// Puts content into the index, as `git add` would.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn stage(&self, path: &str, content: &[u8]) -> Result<()> {
        let failed = |e: git2::Error| Error::failed(format!("cannot stage {path}")).cause(e.message());
        let full = format!("{}{path}", self.prefix);
        let mut index = self.repository.index().map_err(failed)?;
        let id = self.repository.blob(content).map_err(failed)?;
        let old = index.get_path(Path::new(&full), 0);
        let zero = git2::IndexTime::new(0, 0);
        let entry = git2::IndexEntry {
            ctime: zero,
            mtime: zero,
            dev: 0,
            ino: 0,
            mode: old.map_or(0o100_644, |old| old.mode),
            uid: 0,
            gid: 0,
            file_size: u32::try_from(content.len()).unwrap_or(0),
            id,
            flags: 0,
            flags_extended: 0,
            path: full.into_bytes(),
        };
        index.add(&entry).and_then(|()| index.write()).map_err(failed)
    }

    /// The newest commit that changed a file, for messages: "1a2b3c4 Add email (Ann, 2024-01-02)".
    pub fn last_change(&self, path: &str) -> Option<String> {
        let full = format!("{}{path}", self.prefix);
        let mut walk = self.repository.revwalk().ok()?;
        walk.push_head().ok()?;
        for id in walk.flatten().take(10_000) {
            let commit = self.repository.find_commit(id).ok()?;
            let here = commit.tree().ok()?.get_path(Path::new(&full)).ok().map(|entry| entry.id());
            let before = commit.parent(0).ok().and_then(|parent| parent.tree().ok());
            let before = before.and_then(|tree| tree.get_path(Path::new(&full)).ok().map(|entry| entry.id()));
            if here != before {
                let short: String = id.to_string().chars().take(10).collect();
                let author = commit.author();
                return Some(format!(
                    "{short} {} ({})",
                    commit.summary().ok().flatten().unwrap_or_default(),
                    author.name().unwrap_or("unknown")
                ));
            }
        }
        None
    }
}

fn walk(tree: &git2::Tree<'_>, path: &str, found: &mut Vec<Listed>) -> Result<()> {
    let mut fault = None;
    let outcome = tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        if entry.kind() == Some(ObjectType::Tree) {
            return TreeWalkResult::Ok;
        }
        let Ok(name) = std::str::from_utf8(entry.name_bytes()) else {
            fault = Some(Error::failed(format!("a file name below {path} is not UTF-8")));
            return TreeWalkResult::Abort;
        };
        let mode = u32::try_from(entry.filemode()).unwrap_or(REGULAR);
        found.push(Listed { path: format!("{path}/{folder}{name}"), mode, id: entry.id() });
        TreeWalkResult::Ok
    });
    match (fault, outcome) {
        (Some(fault), _) => Err(fault),
        (None, Err(e)) => Err(Error::failed(format!("cannot read {path}")).cause(e.message())),
        (None, Ok(())) => Ok(()),
    }
}
