//! Bodies in a folder: read and replaced as files that nobody else may read, and never where git would take them in.

use crate::engine::files;
use crate::engine::git::Program;
use crate::engine::project::Project;
use crate::error::{Error, Result};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// One folder of `secure_path`.
pub struct Folder(PathBuf);

impl Folder {
    /// Finds it; a relative one belongs to the project's folder. It need not exist.
    ///
    /// # Errors
    /// It lies in the work tree, and git does not ignore it.
    pub fn open(project: &Project, folder: &str) -> Result<Folder> {
        let path = match folder.strip_prefix("~/") {
            Some(below) => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(below),
            None => project.root.join(folder),
        };
        let Some(top) = project.git.as_ref().and_then(|git| git.work_tree()) else { return Ok(Folder(path)) };
        let inside = real(&path).zip(real(top)).is_some_and(|(path, top)| path.starts_with(top));
        if inside && !is_ignored(top, &path)? {
            return Err(Error::failed(format!(
                "secure_path `{folder}` lies in the repository, and git does not ignore it"
            ))
            .cause("a commit would take the bodies in")
            .help(format!(
                "add `/{}/` to .gitignore (`git rm --cached` what git has already), or choose a folder outside.",
                folder.trim_matches('/')
            )));
        }
        Ok(Folder(path))
    }

    /// Reads a body, if it is there.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match std::fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(Error::failed(e.to_string())),
        }
    }

    /// Replaces a body atomically; only its owner may read it.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let failed = |e: io::Error| Error::failed("cannot write").cause(e);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(failed)?;
        files::replace_private(&self.0.join(name), bytes).map_err(failed)
    }
}

/// A path without links, whose last parts need not exist.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find_map(|above| {
        let known = above.canonicalize().ok()?;
        Some(known.join(path.strip_prefix(above).ok()?))
    })
}

/// Whether git ignores what is in a folder, and has none of it.
fn is_ignored(top: &Path, folder: &Path) -> Result<bool> {
    let git = Program::elsewhere(top);
    let any = real(folder).unwrap_or_else(|| folder.to_path_buf());
    let file = any.join("1_any.sql");
    let known = git.bytes(&[std::ffi::OsStr::new("ls-files"), "--".as_ref(), any.as_os_str()], None)?;
    let asked =
        git.output(&[std::ffi::OsStr::new("check-ignore"), "--quiet".as_ref(), "--".as_ref(), file.as_os_str()], None)?;
    Ok(asked.status.success() && known.is_empty())
}
