//! Where the projects of a repository are, for hooks, which git runs at the top of the work tree.
//!
//! A project at the top is found there. Others are registered in the repository's configuration (`dbbuild.project`, once
//! for each), so that the scripts stay the same for everyone.

use crate::engine::git::Program;
use crate::error::Result;
use crate::model::config::FILE_NAME;
use std::path::{Path, PathBuf};

const KEY: &str = "dbbuild.project";

/// The folders of all projects of this branch; `start` is where a hook runs, the top of the work tree.
pub fn projects(start: &Path) -> Vec<PathBuf> {
    let known = std::iter::once(String::new()).chain(registered(start));
    let found: Vec<PathBuf> = known.filter(|folder| is_there(start, folder)).map(|folder| start.join(folder)).collect();
    if found.is_empty() { around(start).into_iter().collect() } else { found }
}

/// Whether the folder holds a project: on disk, or, where it is not checked out, in the index. What cannot be read counts
/// as there, and whoever reads it says why.
fn is_there(start: &Path, folder: &str) -> bool {
    let file = Path::new(folder).join(FILE_NAME);
    start.join(&file).is_file()
        || Program::here(start)
            .text(&["ls-files", "--", &format!(":(top,literal){}", file.display())])
            .map_or(true, |text| !text.is_empty())
}

/// The project around a folder below the top, where a person runs a hook by hand.
fn around(start: &Path) -> Option<PathBuf> {
    let top = PathBuf::from(Program::here(start).text(&["rev-parse", "--show-toplevel"]).ok()?).canonicalize().ok()?;
    let start = start.canonicalize().ok()?;
    let inside = start.ancestors().take_while(|folder| folder.starts_with(&top));
    inside.map(Path::to_path_buf).find(|folder| folder.join(FILE_NAME).is_file())
}

/// What the configuration names. Through libgit2, since a hook must cost milliseconds; the program reads what that cannot.
fn registered(top: &Path) -> Vec<String> {
    let values = || -> std::result::Result<Vec<String>, git2::Error> {
        let repository = git2::Repository::open_from_env().or_else(|_| git2::Repository::discover(top))?;
        let config = repository.config()?.snapshot()?;
        let mut values = Vec::new();
        config.multivar(KEY, None)?.for_each(|entry| values.extend(entry.value().map(str::to_owned)))?;
        Ok(values)
    };
    values().unwrap_or_else(|_| {
        let text = Program::here(top).text(&["config", "--get-all", KEY]).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    })
}

/// Remembers a project that is not at the top; says so where it was not known.
///
/// # Errors
/// The configuration cannot be written.
pub fn register(top: &Path, root: &Path) -> Result<Option<String>> {
    let Some(folder) = below_top(top, root) else { return Ok(None) };
    if registered(top).contains(&folder) {
        return Ok(None);
    }
    Program::here(top).text(&["config", "--local", "--add", KEY, &folder])?;
    Ok(Some(format!("the hooks judge the project in {folder}")))
}

/// Forgets every project.
pub fn unregister(top: &Path) {
    // There may be none.
    let _ = Program::here(top).output(&["config", "--local", "--unset-all", KEY], None);
}

/// The project's folder below the top; `None` for the top itself.
pub fn below_top(top: &Path, root: &Path) -> Option<String> {
    let (top, root) = (top.canonicalize().ok()?, root.canonicalize().ok()?);
    let below = root.strip_prefix(top).ok()?.to_str()?;
    (!below.is_empty()).then(|| below.to_owned())
}
