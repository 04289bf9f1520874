//! Trees without a work tree: those of an index that is locked, of a patch that is being applied, of a stash with what
//! it left behind, and the merge of three.

use crate::engine::git::Program;
use crate::error::{Error, OrFailed, Result};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Who wrote the commits that only lead `git merge-tree` to its base; nobody ever sees them.
const WRITER: [&str; 6] =
    ["-c", "user.name=dbbuild", "-c", "user.email=dbbuild@localhost", "-c", "merge.dbbuild.driver=true"];

/// What is to be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Merge {
    /// Two commits; git finds their bases itself.
    Commits {
        /// Ours.
        ours: String,
        /// Theirs.
        theirs: String,
    },
    /// What changed from one tree to another, on a third.
    Change {
        /// From here.
        base: String,
        /// On this.
        ours: String,
        /// To here.
        theirs: String,
    },
}

/// What `git merge-tree` made.
pub(super) struct Merged {
    /// The tree's id.
    pub tree: String,
    /// Paths, from the top of the work tree, on which the two sides conflict.
    pub conflicts: Vec<String>,
}

/// An index of our own: git holds the lock of the repository's while a driver runs.
pub(super) struct OwnIndex {
    _folder: TempDir,
    file: PathBuf,
    pub git: Program,
}

impl OwnIndex {
    /// With nothing in it.
    pub fn empty(git: &Program) -> Result<OwnIndex> {
        let folder = tempfile::Builder::new().prefix("dbbuild-index-").tempdir();
        let folder = folder.or_failed(|| "cannot make a temporary folder")?;
        let file = folder.path().join("index");
        Ok(OwnIndex { git: git.with_index(&file), file, _folder: folder })
    }

    /// With what another one holds.
    pub fn copy_of(git: &Program, other: &Path) -> Result<OwnIndex> {
        let index = OwnIndex::empty(git)?;
        std::fs::copy(other, &index.file).or_failed(|| format!("cannot read {}", other.display()))?;
        Ok(index)
    }

    /// Writes it as a tree.
    pub fn write_tree(&self) -> Result<String> {
        self.git.text(&["write-tree"])
    }
}

/// The tree of one with files of another laid over it.
pub(super) fn overlay(git: &Program, tree: &str, over: &str) -> Result<String> {
    let index = OwnIndex::empty(git)?;
    index.git.text(&["read-tree", tree])?;
    let listed = git.bytes(&["ls-tree", "-r", "-z", "--full-tree", over], None)?;
    index.git.bytes(&["update-index", "-z", "--index-info"], Some(&listed))?;
    index.write_tree()
}

/// The tree of one with files of the work tree added, given as `git ls-files -z` prints them.
pub(super) fn with_files(git: &Program, tree: &str, files: &[u8]) -> Result<String> {
    let index = OwnIndex::empty(git)?;
    index.git.text(&["read-tree", tree])?;
    index.git.bytes(&["update-index", "--add", "-z", "--stdin"], Some(files))?;
    index.write_tree()
}

/// Merges without touching index or work tree. The baseline itself never conflicts there: ours stands in.
///
/// # Errors
/// git is older than 2.38, or cannot merge these.
pub(super) fn merge(git: &Program, what: &Merge) -> Result<Merged> {
    let (ours, theirs) = match what {
        Merge::Commits { ours, theirs } => (ours.clone(), theirs.clone()),
        Merge::Change { base, ours, theirs } => {
            // An option for the base came in 2.40 only; commits lead to it in every version.
            let base = commit(git, base, &[])?;
            (commit(git, ours, &[&base])?, commit(git, theirs, &[&base])?)
        }
    };
    let mut arguments = WRITER.to_vec();
    arguments.extend(["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"]);
    arguments.extend(["--allow-unrelated-histories", &ours, &theirs]);
    let output = git.output(&arguments, None)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split('\0').filter(|word| !word.is_empty()).map(str::to_owned);
    match (output.status.code(), words.next()) {
        (Some(0 | 1), Some(tree)) => Ok(Merged { tree, conflicts: words.collect() }),
        _ => Err(Error::failed("git cannot merge the sources by itself")
            .cause(String::from_utf8_lossy(&output.stderr).trim_end())
            .help("`git merge-tree --write-tree` needs git 2.38 or newer.")),
    }
}

/// A commit that nobody sees, of what is merged: it leads to the published state that the next commit is judged by.
pub(super) fn next_commit(git: &Program, merged: &Merged, what: &Merge) -> Result<String> {
    match what {
        Merge::Commits { ours, theirs } => commit(git, &merged.tree, &[ours, theirs]),
        Merge::Change { .. } => commit(git, &merged.tree, &["HEAD"]),
    }
}

fn commit(git: &Program, tree: &str, parents: &[&str]) -> Result<String> {
    let tree = format!("{tree}^{{tree}}");
    let mut arguments = WRITER.to_vec();
    arguments.extend(["commit-tree", "--no-gpg-sign", &tree, "-m", "a side of a merge"]);
    for parent in parents {
        arguments.extend(["-p", parent]);
    }
    git.text(&arguments)
}
