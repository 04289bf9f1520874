//! The edge of an import: reads another tool's files, and puts what was made of them in their place, all or nothing.
//!
//! Which file becomes what is [`crate::model::import`]'s to say. An original goes from the work tree only where a commit
//! holds its very bytes, so that nothing can be lost; git then sees a renaming.

pub mod takeover;
mod write;

use crate::engine::files;
use crate::engine::git::{Git, Source};
use crate::error::{Error, OrFailed, Result};
use crate::model::config::Paths;
use crate::model::import::layout::{Layout, NewFile, lay_out};
use crate::model::import::record::Record;
use crate::model::import::{Input, Tool, record};
use crate::model::snapshot::{FileEntry, Snapshot};
use std::path::{Component, Path};

pub use write::{Done, write};

/// The files of a tool as they were found.
pub struct Found {
    /// The tool.
    pub tool: &'static Tool,
    /// Everything that was read.
    pub files: Snapshot,
    /// Where the tool's migrations lie: relative to the project where inside it, else absolute.
    pub place: String,
}

/// Reads the files of a tool: at `place`, given relative to `root`, or where the tool usually has them.
///
/// # Errors
/// There is nothing at that place (exit status 2), or it cannot be read.
pub fn read(root: &Path, tool: &'static Tool, place: Option<&Path>) -> Result<Found> {
    let place = match place {
        Some(place) => named(root, place)?,
        None => {
            let usual = tool.places.iter().find(|place| root.join(place).exists());
            (*usual.ok_or_else(|| {
                Error::usage(format!("found no files of {} in {}", tool.name, tool.places.join(", ")))
                    .help(format!("say where they are: `dbbuild init --from {} PATH`", tool.name))
            })?)
            .to_owned()
        }
    };
    let mut paths: Vec<String> = tool.beside.iter().map(|file| (*file).to_owned()).collect();
    let is_file = root.join(&place).is_file();
    let folder = if is_file { place.rsplit_once('/').map_or("", |(folder, _)| folder) } else { &place };
    let belongs = match tool.scope {
        Some(scope) => {
            // What belongs to the tool is said by its configuration: that is read first.
            paths.extend(tool.beside.iter().map(|file| format!("{folder}/{file}").trim_start_matches('/').to_owned()));
            paths.extend(is_file.then(|| place.clone()));
            let files = files::read(root, &paths)?;
            scope(&Input { files: &files, place: &place })?
        }
        // A file by itself is read with what lies beside it, which it may name.
        None => vec![folder.to_owned()],
    };
    for path in belongs {
        if path.is_empty() { paths.extend(top(root)?) } else { paths.push(path) }
    }
    paths.sort();
    paths.dedup();
    Ok(Found { tool, files: files::read(root, &paths)?, place })
}

/// What stands at the top of the project; git's own folder and other dot files are none of a tool's.
fn top(root: &Path) -> Result<Vec<String>> {
    let failed = || "cannot read the project's folder";
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root).or_failed(failed)? {
        names.extend(entry.or_failed(failed)?.file_name().into_string().ok().filter(|name| !name.starts_with('.')));
    }
    Ok(names)
}

/// The place as messages show it: without `.` and `..` where it is inside the project, empty for its top.
fn named(root: &Path, place: &Path) -> Result<String> {
    let full = root.join(place);
    let full = full
        .canonicalize()
        .map_err(|e| Error::usage(format!("cannot find {}", place.display().to_string().escape_debug())).cause(e))?;
    let root = root.canonicalize().or_failed(|| "cannot find the project's folder")?;
    let shown = full.strip_prefix(&root).unwrap_or(&full);
    let text = shown
        .to_str()
        .ok_or_else(|| Error::usage(format!("the path {} is not UTF-8", shown.display().to_string().escape_debug())))?;
    Ok(text.to_owned())
}

impl Found {
    /// Converts them; none where an earlier run has converted and removed them all.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn convert(&self, root: &Path, paths: &Paths) -> Result<Option<Layout>> {
        let input = Input { files: &self.files, place: &self.place };
        let layout = lay_out(self.tool.name, (self.tool.convert)(&input)?, &input, paths)?;
        if layout.files.is_empty() {
            if read_record(root, paths).is_ok_and(|record| record.tool == self.tool.name) {
                return Ok(None);
            }
            return Err(Error::failed(format!("found no migration of {} in {}", self.tool.name, self.shown_place()))
                .help(format!("say where they are: `dbbuild init --from {} PATH`", self.tool.name)));
        }
        Ok(Some(layout))
    }

    /// The place for messages.
    pub fn shown_place(&self) -> &str {
        if self.place.is_empty() { "." } else { &self.place }
    }
}

/// Whether an earlier run has converted this tool's files, and none of them stands there any more.
pub fn is_done(root: &Path, tool: &Tool, paths: &Paths) -> bool {
    read_record(root, paths).is_ok_and(|record| {
        let files = record.migration.iter().flat_map(|migration| &migration.files);
        let mut files = files.chain(record.script.iter().flat_map(|script| &script.files));
        record.tool == tool.name && !record.migration.is_empty() && !files.any(|file| root.join(file).exists())
    })
}

/// The originals that may go or get another content: those that lie inside the project, do not stay as they are, and are
/// in HEAD as they are here.
///
/// # Errors
/// The repository cannot be read.
pub fn removable(root: &Path, found: &Found, layout: &Layout) -> Result<Vec<String>> {
    let Some(git) = Git::open(root)? else { return Ok(Vec::new()) };
    let Some(head) = git.head() else { return Ok(Vec::new()) };
    let inside = |path: &str| Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let same = |file: &NewFile, origin: &String| {
        let bytes = matches!(found.files.get(origin), Some(FileEntry::Blob { bytes, .. }) if *bytes == file.bytes);
        *origin == file.path && bytes
    };
    let files = layout.files.iter();
    let mut origins: Vec<String> = files
        .flat_map(|file| file.origins.iter().filter(|origin| !same(file, origin)))
        .filter(|origin| inside(origin))
        .cloned()
        .collect();
    origins.sort();
    origins.dedup();
    let here: Snapshot =
        origins.iter().filter_map(|path| Some((path.clone(), found.files.get(path)?.clone()))).collect();
    let here = files::listed(&here, git.format())?;
    // git looks a path up along its folders: one folder with all that it holds is found sooner than a thousand files.
    let below = format!("{}/", found.place);
    let (inner, outer): (Vec<&String>, Vec<&String>) = origins.iter().partition(|path| path.starts_with(&below));
    let mut asked: Vec<String> = outer.into_iter().cloned().collect();
    asked.extend((!inner.is_empty()).then(|| found.place.clone()));
    let there = git.list(&Source::Rev(head), &asked)?;
    let committed: std::collections::BTreeSet<_> = there.iter().collect();
    Ok(here.into_iter().filter(|entry| committed.contains(entry)).map(|entry| entry.path).collect())
}

/// Reads the record of an earlier import.
///
/// # Errors
/// There is none, or it is damaged.
pub fn read_record(root: &Path, paths: &Paths) -> Result<Record> {
    let path = record_path(paths);
    let text = std::fs::read_to_string(root.join(&path)).map_err(|e| {
        Error::failed(format!("cannot read {path}")).cause(e).help("`dbbuild init --from TOOL` writes it; commit it")
    })?;
    Record::parse(&text, &path)
}

/// Where the record stands.
pub fn record_path(paths: &Paths) -> String {
    format!("{}/{}", paths.migrations, record::FILE_NAME)
}
