//! Puts the files of an import in place: written beside, then renamed into the tree; a failure takes all of them back.
//!
//! Nothing that is there is replaced. A run that was killed left files that the next one finds to be its own.

use crate::error::{Error, Location, OrFailed, Result};
use crate::model::config::Paths;
use crate::model::import::layout::Layout;
use crate::model::migration::strip_sql;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// How the folder begins in which files wait; see `.gitignore`.
const STAGING: &str = ".dbbuild-import-";

/// What was written and removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// New files.
    pub written: Vec<String>,
    /// Files that were there already, with the very bytes.
    pub kept: Vec<String>,
    /// Originals that are gone from the work tree; HEAD has them.
    pub removed: Vec<String>,
}

/// Writes the files and the record, then removes the originals in `removable`.
///
/// # Errors
/// Something stands in the way, or the disk says no; the tree is as it was.
pub fn write(root: &Path, layout: &Layout, paths: &Paths, removable: &[String]) -> Result<Done> {
    let mut done = Done::default();
    let record_path = super::record_path(paths);
    let record = layout.record.render().into_bytes();
    let files = layout.files.iter().map(|file| (file.path.as_str(), &*file.bytes));
    let wanted: BTreeMap<&str, &[u8]> = files.chain([(record_path.as_str(), record.as_slice())]).collect();
    let going: BTreeSet<&str> = removable.iter().map(String::as_str).collect();
    let mut faults = strangers(root, paths, &wanted, layout)?;
    let mut missing: Vec<(&str, &[u8])> = Vec::new();
    for (path, bytes) in &wanted {
        match fs::read(root.join(path)) {
            Ok(there) if there == *bytes => done.kept.push((*path).to_owned()),
            // It is an original that goes, and another file takes its name.
            Ok(_) if going.contains(path) => missing.push((path, bytes)),
            Ok(_) => faults.push(
                Error::failed("is there already, with another content")
                    .at(Location::file(*path))
                    .help("nothing was written; move it away, or commit it where it is an original of the tool's"),
            ),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => missing.push((path, bytes)),
            Err(e) => faults.push(Error::failed(format!("cannot write {path}")).cause(e)),
        }
    }
    if let Some(error) = Error::all(faults) {
        return Err(error);
    }
    place(root, &missing, &going)?;
    done.written = missing.iter().map(|(path, _)| (*path).to_owned()).collect();
    for path in removable.iter().filter(|path| !wanted.contains_key(path.as_str())) {
        fs::remove_file(root.join(path)).or_failed(|| format!("everything is written, but cannot remove {path}"))?;
        remove_empty_folders(root, path);
        done.removed.push(path.clone());
    }
    Ok(done)
}

/// Migrations that are in the folder already and come from somewhere else: what order they have among the new ones,
/// nobody could say.
fn strangers(root: &Path, paths: &Paths, wanted: &BTreeMap<&str, &[u8]>, layout: &Layout) -> Result<Vec<Error>> {
    let origins: BTreeSet<&str> =
        layout.files.iter().flat_map(|file| file.origins.iter().map(String::as_str)).collect();
    let folder = root.join(&paths.migrations);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).or_failed(|| format!("cannot read the folder {}", paths.migrations)),
    };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let strange = |path: &String| !wanted.contains_key(path.as_str()) && !origins.contains(path.as_str());
    let paths =
        names.iter().filter(|name| strip_sql(name).is_some()).map(|name| format!("{}/{name}", paths.migrations));
    Ok(paths
        .filter(strange)
        .map(|path| {
            Error::failed("is a migration already, and none of the tool's")
                .at(Location::file(path))
                .help("nothing was written; convert into a project that has no migrations yet")
        })
        .collect())
}

/// Writes every file beside the tree, then renames them into it; takes back what was renamed where one fails.
fn place(root: &Path, files: &[(&str, &[u8])], going: &BTreeSet<&str>) -> Result<()> {
    let failed = |path: &str| format!("cannot write {path}; the tree is as it was");
    let staging = tempfile::Builder::new().prefix(STAGING).tempdir_in(root).or_failed(|| failed("anything"))?;
    for (number, (path, bytes)) in files.iter().enumerate() {
        fs::write(staging.path().join(number.to_string()), bytes).or_failed(|| failed(path))?;
    }
    let mut made = Made::default();
    for (number, (path, _)) in files.iter().enumerate() {
        let full = root.join(path);
        let renamed = made.folder(full.parent().unwrap_or(root)).and_then(|()| {
            if going.contains(path) {
                // The commit that HEAD is has these bytes; they come back from here all the same.
                let aside = staging.path().join(format!("{number}.old"));
                fs::rename(&full, &aside)?;
                made.moved.push((aside, full.clone()));
            }
            // A hard link, unlike a renaming, never replaces a file that somebody made meanwhile.
            fs::hard_link(staging.path().join(number.to_string()), &full)
                .or_else(|_| link_by_copy(&staging.path().join(number.to_string()), &full))
        });
        match renamed {
            Ok(()) => made.files.push(full),
            Err(e) => {
                made.take_back();
                return Err(e).or_failed(|| failed(path));
            }
        }
    }
    Ok(())
}

/// For file systems without hard links.
fn link_by_copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut new = fs::OpenOptions::new().write(true).create_new(true).open(to)?;
    std::io::copy(&mut fs::File::open(from)?, &mut new).map(drop)
}

/// What was done to the tree so far.
#[derive(Default)]
struct Made {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
    moved: Vec<(PathBuf, PathBuf)>,
}

impl Made {
    fn folder(&mut self, folder: &Path) -> std::io::Result<()> {
        let mut missing: Vec<PathBuf> =
            folder.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
        fs::create_dir_all(folder)?;
        missing.reverse();
        self.folders.extend(missing);
        Ok(())
    }

    /// What cannot be taken back stands as a file that the next run finds to be its own.
    fn take_back(self) {
        self.files.iter().for_each(|file| drop(fs::remove_file(file)));
        self.moved.iter().for_each(|(aside, full)| drop(fs::rename(aside, full)));
        self.folders.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

/// Removes the folders that a removed file leaves empty, as git does.
fn remove_empty_folders(root: &Path, path: &str) {
    for folder in Path::new(path).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        if fs::remove_dir(root.join(folder)).is_err() {
            return;
        }
    }
}
