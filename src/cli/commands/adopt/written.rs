//! Files that were written together, and go together where the database then says no.

use crate::engine::files;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// What was written, and what stood there before.
pub(super) struct Written {
    root: PathBuf,
    files: Vec<(String, Option<Vec<u8>>)>,
}

impl Written {
    /// Writes the files, each atomically.
    ///
    /// # Errors
    /// One cannot be written; those before it are taken back.
    pub(super) fn write(root: &Path, files: impl IntoIterator<Item = (String, String)>) -> Result<Written> {
        let mut written = Written { root: root.to_path_buf(), files: Vec::new() };
        for (path, text) in files {
            let full = root.join(&path);
            let before = std::fs::read(&full).ok();
            let folder = full.parent().unwrap_or(root);
            let done = std::fs::create_dir_all(folder).and_then(|()| files::replace(&full, text.as_bytes()));
            if let Err(e) = done {
                return Err(written.undo(Error::failed(format!("cannot write {path}")).cause(e)));
            }
            written.files.push((path, before));
        }
        Ok(written)
    }

    /// The paths, in the order in which they were written.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(path, _)| path.as_str())
    }

    /// Puts back what stood there, after an error, which is given back with what became of the files.
    pub(super) fn undo(&self, error: Error) -> Error {
        let mut stay = Vec::new();
        for (path, before) in &self.files {
            let full = self.root.join(path);
            let done = match before {
                Some(bytes) => files::replace(&full, bytes),
                None => std::fs::remove_file(&full),
            };
            if done.is_err() {
                stay.push(path.as_str());
            }
        }
        if stay.is_empty() {
            return error.help("the files that were written are taken back.");
        }
        error.help(format!("remove what was written: {}.", stay.join(", ")))
    }
}
