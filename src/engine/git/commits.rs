//! The history of commits: what a revision names, what two histories share, what merges are under way.

use super::Git;
use crate::error::{Error, Result};
use git2::{ErrorCode, ObjectType, Oid};

/// The parents of a commit, as far as this repository has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parents {
    /// All of them, first to last; none for a root.
    Known(Vec<String>),
    /// The repository is a shallow clone that ends here.
    Shallow,
}

impl Git {
    /// The commit that a revision names, in full; `None` where it names nothing, or no commit.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn commit(&self, rev: &str) -> Result<Option<String>> {
        match self.repository.revparse_single(rev).and_then(|object| object.peel(ObjectType::Commit)) {
            Ok(commit) => Ok(Some(commit.id().to_string())),
            Err(e) if matches!(e.code(), ErrorCode::NotFound | ErrorCode::UnbornBranch | ErrorCode::Peel) => Ok(None),
            Err(e) if matches!(e.code(), ErrorCode::InvalidSpec) => Ok(None),
            Err(e) => Err(Error::failed(format!("cannot find commit {rev}")).cause(e.message())),
        }
    }

    /// The parents that the next commit will have: HEAD, and the other sides of a merge that is under way.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn next_parents(&self) -> Result<Vec<String>> {
        let mut parents: Vec<String> = self.commit("HEAD")?.into_iter().collect();
        parents.extend(self.merge_heads()?);
        Ok(parents)
    }

    /// The other sides of a merge that is under way.
    ///
    /// # Errors
    /// git's note of it cannot be read.
    pub fn merge_heads(&self) -> Result<Vec<String>> {
        match std::fs::read_to_string(self.repository.path().join("MERGE_HEAD")) {
            Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(Error::failed("cannot read MERGE_HEAD").cause(e)),
        }
    }

    /// The best common ancestor of a commit and of a merge of others; `None` where they share nothing that this
    /// repository has.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn merge_base(&self, one: &str, others: &[String]) -> Result<Option<String>> {
        let failed = |e: git2::Error| Error::failed("cannot read the history of commits").cause(e.message());
        let ids = std::iter::once(one).chain(others.iter().map(String::as_str)).map(Oid::from_str);
        let ids = ids.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
        if ids.len() < 2 {
            return Ok(None);
        }
        match self.repository.merge_base_many(&ids) {
            Ok(id) => Ok(Some(id.to_string())),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(failed(e)),
        }
    }

    /// The parents of a commit.
    ///
    /// # Errors
    /// The commit cannot be read.
    pub fn parents(&self, commit: &str) -> Result<Parents> {
        if self.shallow_ends().iter().any(|end| end == commit) {
            return Ok(Parents::Shallow);
        }
        let failed = |e: git2::Error| Error::failed(format!("cannot read commit {commit}")).cause(e.message());
        let found = Oid::from_str(commit).and_then(|id| self.repository.find_commit(id)).map_err(failed)?;
        Ok(Parents::Known(found.parent_ids().map(|id| id.to_string()).collect()))
    }

    /// Whether history was cut off when it was fetched.
    pub fn is_shallow(&self) -> bool {
        !self.shallow_ends().is_empty()
    }

    /// The commits at which the history of a shallow clone ends.
    fn shallow_ends(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.common_dir().join("shallow")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The names of the remotes.
    ///
    /// # Errors
    /// git's configuration cannot be read.
    pub fn remotes(&self) -> Result<Vec<String>> {
        let names = self.repository.remotes();
        let names = names.map_err(|e| Error::failed("cannot read git's configuration").cause(e.message()))?;
        Ok(names.iter().flatten().flatten().map(str::to_owned).collect())
    }

    /// Whether anything was ever fetched from or pushed to a remote.
    ///
    /// # Errors
    /// The references cannot be read.
    pub fn knows_branches_of(&self, remote: &str) -> Result<bool> {
        let found = self.repository.references_glob(&format!("refs/remotes/{remote}/*"));
        let mut found = found.map_err(|e| Error::failed("cannot read references").cause(e.message()))?;
        Ok(found.names().next().is_some())
    }
}
