//! What one source (git's index, a commit, the work tree, a folder) holds below the paths that matter.
//!
//! A plain value: who fills it (an edge) has done the reading, who asks it does none.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileEntry {
    /// A regular file.
    Blob {
        /// Its content.
        bytes: Arc<[u8]>,
        /// Whether it may be executed.
        executable: bool,
    },
    /// A symbolic link, not followed.
    Symlink {
        /// What the link says, relative to its own folder.
        target: String,
    },
    /// A commit of another repository.
    Submodule,
}

impl FileEntry {
    /// A regular file that is not executable.
    pub fn blob(bytes: impl Into<Arc<[u8]>>) -> FileEntry {
        FileEntry::Blob { bytes: bytes.into(), executable: false }
    }
}

/// Files by their path, relative to the top of the repository and with `/` between the parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    files: BTreeMap<String, FileEntry>,
}

impl Snapshot {
    /// Holds nothing.
    pub fn new() -> Snapshot {
        Snapshot::default()
    }

    /// Puts an entry at a path, in place of what was there.
    pub fn insert(&mut self, path: impl Into<String>, entry: FileEntry) {
        self.files.insert(path.into(), entry);
    }

    /// Takes an entry out.
    pub fn remove(&mut self, path: &str) -> Option<FileEntry> {
        self.files.remove(path)
    }

    /// The entry at exactly this path.
    pub fn get(&self, path: &str) -> Option<&FileEntry> {
        self.files.get(path)
    }

    /// The same with the path, for as long as the snapshot lives.
    pub fn entry(&self, path: &str) -> Option<(&str, &FileEntry)> {
        self.files.get_key_value(path).map(|(path, entry)| (path.as_str(), entry))
    }

    /// All entries, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &FileEntry)> {
        self.files.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// The entries below a folder at any depth, by path; all of them for the empty path.
    pub fn under<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a FileEntry)> + use<'a> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        self.files
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl FromIterator<(String, FileEntry)> for Snapshot {
    fn from_iter<I: IntoIterator<Item = (String, FileEntry)>>(entries: I) -> Self {
        Snapshot { files: entries.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_takes_whole_path_parts_only() {
        let paths = ["db/a.sql", "db/a/x.sql", "db/a/y/z.sql", "db/ab.sql", "db/b", "c"];
        let snapshot: Snapshot = paths.iter().map(|p| (p.to_string(), FileEntry::Submodule)).collect();
        let under = |folder: &str| snapshot.under(folder).map(|(path, _)| path).collect::<Vec<_>>();
        assert_eq!(under("db/a"), ["db/a/x.sql", "db/a/y/z.sql"]);
        assert_eq!(under("db/missing"), [""; 0]);
        assert_eq!(under("").len(), snapshot.len());
    }
}
