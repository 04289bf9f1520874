//! The history of commits: what a revision names, what two histories share, what merges are under way.

use super::Git;
use crate::error::{Error, Result};

/// A commit in a line, as people read it.
const ONE_LINE: &str = "--format=%h %s (%an, %as)";

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
        self.ask(|backend| backend.commit(rev))
    }

    /// The commit that is checked out, as 40 or 64 hexadecimal digits; none before the first.
    pub fn head(&self) -> Option<String> {
        self.commit("HEAD").ok()?
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
        match std::fs::read_to_string(self.place.git_dir.join("MERGE_HEAD")) {
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
        if others.is_empty() {
            return Ok(None);
        }
        let commits: Vec<&str> = std::iter::once(one).chain(others.iter().map(String::as_str)).collect();
        self.ask(|backend| backend.merge_base(&commits))
    }

    /// The parents of a commit.
    ///
    /// # Errors
    /// The commit cannot be read.
    pub fn parents(&self, commit: &str) -> Result<Parents> {
        if self.shallow_ends().iter().any(|end| end == commit) {
            return Ok(Parents::Shallow);
        }
        self.ask(|backend| backend.parents(commit)).map(Parents::Known)
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
        self.ask(|backend| backend.remotes())
    }

    /// Whether anything was ever fetched from or pushed to a remote.
    ///
    /// # Errors
    /// The references cannot be read.
    pub fn knows_branches_of(&self, remote: &str) -> Result<bool> {
        self.ask(|backend| backend.has_refs(&format!("refs/remotes/{remote}/")))
    }

    /// The newest commit that changed a file, for messages: "1a2b3c4 Add email (Ann)".
    pub fn last_change(&self, path: &str) -> Option<String> {
        self.log_line(&["-1", "HEAD"], path)
    }

    /// A commit for messages: "1a2b3c4 Add email (Ann, 2026-01-02)".
    pub fn describe_commit(&self, commit: &str) -> String {
        let words = ["log", "-1", "--no-color", "--no-show-signature", ONE_LINE, commit];
        let text = self.program.program.text(&words).unwrap_or_default();
        text.lines().next().map_or_else(|| commit.to_owned(), str::to_owned)
    }

    /// The commit that brought a file into the history of a revision, for messages.
    pub fn first_commit(&self, rev: &str, path: &str) -> Option<String> {
        self.log_line(&["--diff-filter=A", "--no-renames", rev], path)
    }

    /// The last line of a log of one file. A message is as good without it as it can be, so faults count for nothing.
    fn log_line(&self, options: &[&str], path: &str) -> Option<String> {
        let spec = format!(":(top,literal){}{path}", self.prefix);
        let words = [&["log", "--no-color", "--no-show-signature", ONE_LINE], options].concat();
        let text = self.program.program.text(&[words, vec!["--", &spec]].concat()).ok()?;
        text.lines().last().map(str::to_owned)
    }
}
