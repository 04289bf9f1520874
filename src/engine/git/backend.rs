//! What is asked of a repository, whoever answers: the library, which is fast, or the program, which reads all that git
//! can.

use super::id::ObjectId;
use crate::error::{Error, Result};
use std::sync::Arc;

/// One entry of the index or a tree as git has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// From the top of the repository.
    pub path: Vec<u8>,
    pub mode: u32,
    pub id: ObjectId,
    /// The index holds several versions of it.
    pub conflict: bool,
}

/// Paths are from the top of the repository: files, or folders with all that is in them.
pub(super) trait Backend {
    /// What the next commit will hold: without entries that are only intended to be added.
    fn index(&self, paths: &[String]) -> Result<Vec<Entry>>;

    /// What a commit or tree holds; a revision that is not there is a usage error.
    fn tree(&self, rev: &str, paths: &[String]) -> Result<Vec<Entry>>;

    /// Whether the index differs from a commit; without one, whether it holds anything.
    fn differs(&self, from: Option<&str>, paths: &[String]) -> Result<bool>;

    /// The contents of blobs, in their order.
    fn blobs(&self, ids: &[&ObjectId]) -> Result<Vec<Arc<[u8]>>>;

    /// Writes a blob and makes it the index's entry.
    fn stage(&self, path: &str, content: &[u8]) -> Result<()>;

    /// The commit that a revision names.
    fn commit(&self, rev: &str) -> Result<Option<String>>;

    /// The best common ancestor of the first and a merge of the others.
    fn merge_base(&self, commits: &[&str]) -> Result<Option<String>>;

    /// The parents of a commit.
    fn parents(&self, commit: &str) -> Result<Vec<String>>;

    /// The names of the remotes.
    fn remotes(&self) -> Result<Vec<String>>;

    /// Whether there is a reference below a prefix.
    fn has_refs(&self, prefix: &str) -> Result<bool>;
}

pub(super) fn no_such_commit(rev: &str, cause: impl std::fmt::Display) -> Error {
    Error::usage(format!("cannot find commit {rev}")).cause(cause).help("`git log` lists commits.")
}
