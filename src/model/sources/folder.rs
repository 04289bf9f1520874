//! Picks the files of a folder out of a snapshot: what is ours, what is none of ours, and what should not be there.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, Location};
use crate::model::config::Paths;
use crate::model::directive::FileKind;
use crate::model::migration::strip_sql;
use crate::model::snapshot::{FileEntry, Snapshot};

/// How many symbolic links may lead to one another.
const LINKS: usize = 16;

/// A file as it stands, by the path under which it was found (that of the link, where it is one).
pub(super) struct SourceFile {
    pub path: String,
    pub name: String,
    pub bytes: Arc<[u8]>,
}

/// Reads folders and files, and collects what is wrong with them.
pub(super) struct Reader<'a> {
    snapshot: &'a Snapshot,
    /// All configured paths.
    places: Vec<String>,
    pub faults: Vec<Error>,
}

impl<'a> Reader<'a> {
    pub fn new(snapshot: &'a Snapshot, paths: &Paths) -> Reader<'a> {
        let places = paths.all().map(|(_, path)| path.to_owned()).to_vec();
        Reader { snapshot, places, faults: Vec::new() }
    }

    /// The files of SQL directly in a folder, by name. Files further down are an error where the kind has no groups.
    pub fn flat(&mut self, folder: &str, kind: FileKind) -> Vec<SourceFile> {
        let mut files = Vec::new();
        for (path, relative, entry) in self.entries(folder) {
            match relative.split_once('/') {
                None if kind == FileKind::TestData => {}
                None => files.extend(self.source(path, relative, entry)),
                Some(_) if matches!(kind, FileKind::Init | FileKind::TestData) => {}
                Some(_) => {
                    let message = format!("this {} stands in a subfolder", kind.noun());
                    let help = format!("move it into `{folder}` itself, which has no subfolders");
                    self.faults.push(Error::failed(message).at(Location::file(path)).help(help));
                }
            }
        }
        files
    }

    /// The files of SQL in the subfolders of a folder, by subfolder and name.
    pub fn grouped(&mut self, folder: &str, kind: FileKind) -> BTreeMap<String, Vec<SourceFile>> {
        let mut groups: BTreeMap<String, Vec<SourceFile>> = BTreeMap::new();
        for (path, relative, entry) in self.entries(folder) {
            match relative.split_once('/') {
                None if kind == FileKind::TestData => self.faults.push(
                    Error::failed("a test data file belongs to no set")
                        .at(Location::file(path))
                        .help(format!("move it into the folder of its set, like `{folder}/default/{relative}`")),
                ),
                None => {}
                Some((_, name)) if name.contains('/') => self.faults.push(
                    Error::failed(format!("this {} stands too deep", kind.noun()))
                        .at(Location::file(path))
                        .help(format!("`{folder}` has one level of subfolders")),
                ),
                Some((group, name)) => {
                    if let Some(file) = self.source(path, name, entry) {
                        groups.entry(group.to_owned()).or_default().push(file);
                    }
                }
            }
        }
        groups
    }

    /// The content of a file that may be missing.
    pub fn file(&mut self, path: &str) -> Option<Arc<[u8]>> {
        let entry = self.snapshot.get(path)?;
        self.bytes(path, entry)
    }

    /// The content of any file of the snapshot; links within it are followed.
    pub fn content(&self, path: &str) -> Option<Arc<[u8]>> {
        match self.snapshot.get(path)? {
            FileEntry::Blob { bytes, .. } => Some(bytes.clone()),
            FileEntry::Symlink { target } => self.follow(path, target),
            FileEntry::Submodule => None,
        }
    }

    /// What stands below a folder and could be ours: path, path relative to the folder, entry.
    fn entries(&mut self, folder: &str) -> Vec<(&'a str, &'a str, &'a FileEntry)> {
        if let Some(entry) = self.snapshot.get(folder) {
            let what = match entry {
                FileEntry::Blob { .. } => "is a file",
                FileEntry::Symlink { .. } => "is a symbolic link",
                FileEntry::Submodule => "is a submodule",
            };
            let fault = Error::failed(format!("{what} where a folder should be")).at(Location::file(folder));
            if !self.faults.iter().any(|known| known.location() == fault.location()) {
                self.faults.push(fault.help("dbbuild reads its sources from folders of this repository alone"));
            }
            return Vec::new();
        }
        let skip = if folder.is_empty() { 0 } else { folder.len() + 1 };
        let others: Vec<&String> = self.places.iter().filter(|place| *place != folder).collect();
        let entries = self.snapshot.under(folder).map(|(path, entry)| (path, &path[skip..], entry));
        entries
            .filter(|(path, relative, _)| {
                !is_foreign(relative) && !others.iter().any(|place| is_within(path, place, folder))
            })
            .collect()
    }

    fn source(&mut self, path: &str, name: &str, entry: &FileEntry) -> Option<SourceFile> {
        if strip_sql(name).is_none() && !matches!(entry, FileEntry::Submodule) {
            self.faults.push(
                Error::failed("not a file of SQL")
                    .at(Location::file(path))
                    .help("files here end in .sql; only a README, *.md and dot files may stand beside them"),
            );
            return None;
        }
        let bytes = self.bytes(path, entry)?;
        Some(SourceFile { path: path.to_owned(), name: name.to_owned(), bytes })
    }

    fn bytes(&mut self, path: &str, entry: &FileEntry) -> Option<Arc<[u8]>> {
        let fault = match entry {
            FileEntry::Blob { bytes, .. } => return Some(bytes.clone()),
            FileEntry::Submodule => Error::failed("is a submodule where a file should be")
                .help("dbbuild reads its sources from this repository alone"),
            FileEntry::Symlink { target } => match self.follow(path, target) {
                Some(bytes) => return Some(bytes),
                None => Error::failed(format!("symbolic link out of the tree, to `{}`", target.escape_debug()))
                    .help("let it point to a file that dbbuild reads as well, or put the file itself here"),
            },
        };
        self.faults.push(fault.at(Location::file(path)));
        None
    }

    /// The file that a symbolic link leads to within the snapshot.
    fn follow(&self, path: &str, target: &str) -> Option<Arc<[u8]>> {
        let (mut path, mut target) = (path.to_owned(), target.to_owned());
        for _ in 0..LINKS {
            path = resolve(&path, &target)?;
            match self.snapshot.get(&path)? {
                FileEntry::Blob { bytes, .. } => return Some(bytes.clone()),
                FileEntry::Symlink { target: next } => target = next.clone(),
                FileEntry::Submodule => return None,
            }
        }
        None
    }
}

/// The path a link's target means, unless it is absolute or climbs out of the repository.
fn resolve(link: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether a path belongs to another configured place, which lies within this folder.
fn is_within(path: &str, place: &str, folder: &str) -> bool {
    let nested = folder.is_empty() || place.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    nested && path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A README, Markdown or dot file, or anything in a dot folder: allowed beside the sources and none of them.
fn is_foreign(relative: &str) -> bool {
    let name = relative.rsplit('/').next().unwrap_or(relative);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    relative.split('/').any(|part| part.starts_with('.'))
        || ending.eq_ignore_ascii_case("md")
        || name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("readme")) && strip_sql(name).is_none()
}
