//! The folder in which git looks for hooks, and whose it is.
//!
//! Scripts are written only where nobody else finds them by surprise: into the repository's own folder, and, said
//! aloud, into one of the work tree, where they are committed.

use crate::engine::git::Program;
use crate::error::Result;
use std::path::{Path, PathBuf};

/// Whose the folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This repository's alone.
    Repository,
    /// The work tree's: what stands there is committed, for everyone.
    WorkTree,
    /// Other repositories' too: `core.hooksPath` of the user or the machine, or a folder elsewhere.
    Shared,
    /// husky's; people's scripts stand in the folder above it.
    Husky,
}

/// Where git looks for hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The top of the work tree, or the repository itself where there is none.
    pub top: PathBuf,
    /// The folder.
    pub folder: PathBuf,
    /// Whose it is.
    pub owner: Owner,
    /// Whether `core.hooksPath` leads there.
    pub moved: bool,
}

impl Place {
    /// Asks git.
    ///
    /// # Errors
    /// There is no repository around `start`.
    pub fn find(start: &Path) -> Result<Place> {
        let git = Program::here(start);
        let common = PathBuf::from(git.text(&["rev-parse", "--path-format=absolute", "--git-common-dir"])?);
        let top = git.text(&["rev-parse", "--show-toplevel"]).map_or_else(|_| common.clone(), PathBuf::from);
        let own = common.join("hooks");
        let configured = git.text(&["config", "--show-scope", "--type=path", "--get", "core.hooksPath"]);
        let configured = configured.ok().filter(|text| !text.is_empty());
        let Some((scope, path)) = configured.as_deref().and_then(|text| text.split_once('\t')) else {
            return Ok(Place { top, folder: own, owner: Owner::Repository, moved: false });
        };
        let folder = top.join(path);
        let owner = if same(&folder, &own) {
            Owner::Repository
        } else if is_husky(&folder) {
            Owner::Husky
        } else if !matches!(scope, "local" | "worktree" | "command") {
            Owner::Shared
        } else if below(&folder, &common) {
            Owner::Repository
        } else if below(&folder, &top) {
            Owner::WorkTree
        } else {
            Owner::Shared
        };
        Ok(Place { top, folder, owner, moved: owner != Owner::Repository })
    }

    /// Where a person's or dbbuild's script for a hook stands or would stand.
    pub fn script(&self, name: &str) -> PathBuf {
        match self.owner {
            Owner::Husky => self.folder.parent().unwrap_or(&self.folder).join(name),
            _ => self.folder.join(name),
        }
    }

    /// A path as a person at the top of the work tree would type it.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.top).unwrap_or(path).display().to_string()
    }
}

/// husky 9 keeps scripts of its own in `.husky/_`, which call those in `.husky`.
fn is_husky(folder: &Path) -> bool {
    let above = folder.parent().and_then(Path::file_name).is_some_and(|name| name == ".husky");
    let marked = ["h", "husky.sh"].iter().any(|name| folder.join(name).is_file());
    folder.file_name().is_some_and(|name| name == "_") && (above || marked)
}

/// A folder may not exist yet; links on the way to it are followed as far as it does.
fn resolved(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    match existing {
        Some((above, real)) => match path.strip_prefix(above) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            _ => real,
        },
        None => path.to_path_buf(),
    }
}

fn same(a: &Path, b: &Path) -> bool {
    resolved(a) == resolved(b)
}

fn below(path: &Path, folder: &Path) -> bool {
    resolved(path).starts_with(resolved(folder))
}
