//! The files of a tool as a converter sees them, and the faults that all formats share: links, folders, bad names.

use std::sync::Arc;

use crate::error::{Error, Location, Result};
use crate::model::migration::decode;
use crate::model::snapshot::{FileEntry, Snapshot};

/// See the module's page.
pub struct Input<'a> {
    /// Everything that was read, by the path that messages show.
    pub files: &'a Snapshot,
    /// The folder that the tool's migrations lie in, or its main file; empty for the top.
    pub place: &'a str,
}

/// A file below [`Input::place`].
#[derive(Debug, Clone)]
pub struct ToolFile<'a> {
    /// As messages show it.
    pub path: &'a str,
    /// Below the place.
    pub name: &'a str,
    /// Its content.
    pub bytes: Arc<[u8]>,
}

impl ToolFile<'_> {
    /// Its text with LF endings; UTF-8 or an error with line and column.
    pub fn text(&self) -> Result<std::borrow::Cow<'_, str>> {
        decode(self.path, &self.bytes)
    }

    /// A fault of the file as a whole.
    pub fn fault(&self, message: impl Into<String>) -> Error {
        Error::failed(message).at(Location::file(self.path))
    }
}

impl<'a> Input<'a> {
    /// The regular files below the place, by path; dot files are none of a tool's. Links and submodules are faults: what
    /// they lead to was not read.
    pub fn below(&self, faults: &mut Vec<Error>) -> Vec<ToolFile<'a>> {
        let skip = if self.place.is_empty() { 0 } else { self.place.len() + 1 };
        let mut files = Vec::new();
        for (path, entry) in self.files.under(self.place) {
            let name = &path[skip..];
            if name.split('/').any(|part| part.starts_with('.')) {
                continue;
            }
            match entry {
                FileEntry::Blob { bytes, .. } => files.push(ToolFile { path, name, bytes: bytes.clone() }),
                FileEntry::Symlink { target } => faults.push(
                    Error::failed(format!("is a symbolic link, to `{}`", target.escape_debug()))
                        .at(Location::file(path))
                        .help("put the file itself in its place: no link is followed"),
                ),
                FileEntry::Submodule => faults.push(
                    Error::failed("is another repository")
                        .at(Location::file(path))
                        .help("convert a copy of its files: no other repository is read"),
                ),
            }
        }
        files
    }

    /// A file by its whole path.
    pub fn get(&self, path: &str) -> Option<ToolFile<'a>> {
        let (path, entry) = self.files.entry(path)?;
        match entry {
            FileEntry::Blob { bytes, .. } => Some(ToolFile { path, name: path, bytes: bytes.clone() }),
            _ => None,
        }
    }
}

/// The path that `relative` means in `folder`; an error where it is absolute, climbs out of the tree, or is no path.
pub fn join(folder: &str, relative: &str) -> Result<String> {
    let fault = |message: &str| Error::failed(format!("the path `{}` {message}", relative.escape_debug()));
    if relative.starts_with('/') || relative.contains(['\\', '\0']) {
        return Err(fault("is not one below the tool's folder"));
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Err(fault("leads out of the folder")),
            ".." => {}
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out() {
        assert_eq!(join("a/b", "../c.sql").unwrap(), "a/c.sql");
        assert_eq!(join("", "./c//d.sql").unwrap(), "c/d.sql");
        for path in ["../../../c", "/etc/passwd", "a\\b", "x/../../../.."] {
            assert!(join("a/b", path).is_err(), "{path}");
        }
    }

    #[test]
    fn links_and_submodules_are_faults_and_dot_files_are_not_there() {
        let mut files = Snapshot::new();
        files.insert("m/1.sql", FileEntry::blob(*b"SELECT 1"));
        files.insert("m/.hidden", FileEntry::blob(*b"x"));
        files.insert("m/2.sql", FileEntry::Symlink { target: "/etc/passwd".to_owned() });
        files.insert("m/3", FileEntry::Submodule);
        let mut faults = Vec::new();
        let found = Input { files: &files, place: "m" }.below(&mut faults);
        assert_eq!(found.iter().map(|file| file.name).collect::<Vec<_>>(), ["1.sql"]);
        assert_eq!(faults.len(), 2);
    }
}
