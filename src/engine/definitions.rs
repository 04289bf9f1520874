//! Writing definitions: each file replaced whole, those of objects that are gone removed. Which files there should be is
//! [`crate::model::definitions`]' to say.

use crate::engine::files;
use crate::engine::project::Project;
use crate::error::{Error, OrFailed, Result};
use crate::model::definitions::Change;

/// Does what a change says.
///
/// # Errors
/// The folder cannot be written; each file is its old self or its new one.
pub fn write(project: &Project, change: &Change) -> Result<()> {
    let again = |e: Error| e.help("run `dbbuild definitions` again when that is mended.");
    if !change.write.is_empty() {
        let folder = &project.config.paths.definitions;
        std::fs::create_dir_all(project.root.join(folder))
            .or_failed(|| format!("cannot make {folder}"))
            .map_err(again)?;
    }
    for (path, text) in &change.write {
        files::replace(&project.root.join(path), text.as_bytes())
            .or_failed(|| format!("cannot write {path}"))
            .map_err(again)?;
    }
    for path in &change.remove {
        match std::fs::remove_file(project.root.join(path)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(again(Error::failed(format!("cannot remove {path}")).cause(e)));
            }
            _ => {}
        }
    }
    Ok(())
}
