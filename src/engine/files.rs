//! Files of the user's tree: read into a [`Snapshot`], and replaced atomically.

use crate::engine::git::{Listed, ObjectFormat};
use crate::error::{Error, OrFailed, Result};
use crate::model::snapshot::{FileEntry, Snapshot};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How the names of files begin that are not yet whole. Sources never begin with a dot.
const UNFINISHED: &str = ".dbbuild-";

/// Replaces a file's content: the old bytes or the new ones, never a part, whatever happens meanwhile.
///
/// The file keeps its mode; a new one gets the usual one. What a killed dbbuild left beside it is removed.
///
/// # Errors
/// The folder cannot be written or the disk is full; the old file stands as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    sweep(folder);
    let mode = fs::metadata(path).map_or(0o644, |old| old.permissions().mode() & 0o7777);
    write_anew(folder, path, bytes, mode)
}

/// The same for a file that only its owner may read, whatever it was before.
///
/// # Errors
/// As [`replace`].
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    sweep(folder);
    write_anew(folder, path, bytes, 0o600)
}

/// The same for a file of another program's: it keeps its owner and group too, and a link to it stays one. A new one gets
/// owner, group and mode of `like`.
///
/// # Errors
/// As [`replace`], or this user may not give it to its owner.
pub fn replace_owned(path: &Path, bytes: &[u8], like: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    let path = match fs::canonicalize(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        other => other?,
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let old = fs::metadata(if path.exists() { &path } else { like })?;
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        fs::DirBuilder::new().mode(0o700).create(folder)?;
        std::os::unix::fs::chown(folder, Some(old.uid()), Some(old.gid()))?;
    }
    sweep(folder);
    let mut new = unfinished(folder)?;
    new.write_all(bytes)?;
    let own = new.as_file().metadata()?;
    if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
        std::os::unix::fs::fchown(new.as_file(), Some(old.uid()), Some(old.gid()))?;
    }
    // Last, since a change of the owner takes bits away.
    new.as_file().set_permissions(fs::Permissions::from_mode(old.permissions().mode() & 0o7777))?;
    new.as_file().sync_all()?;
    new.persist(&path).map_err(|e| e.error)?;
    Ok(())
}

/// A file that only its owner may read, written piece by piece: it stands whole, or as it was before.
#[derive(Debug)]
pub struct Private {
    new: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Private {
    /// Begins.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn begin(path: &Path) -> io::Result<Private> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sweep(folder);
        let new = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
        // As in `write_beside`.
        let _ = new.as_file().try_lock();
        new.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
        Ok(Private { new, path: path.to_owned() })
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// The disk is full.
    pub fn finish(self) -> io::Result<()> {
        self.new.as_file().sync_all()?;
        self.new.persist(&self.path).map_err(|e| e.error)?;
        Ok(())
    }
}

impl Write for Private {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.new.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.new.flush()
    }
}

/// Makes a file that is not there yet; on a full disk it makes none.
///
/// # Errors
/// It is there, or cannot be written.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut new = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    // A part of it would be taken for the whole by the next run.
    new.write_all(bytes).inspect_err(|_| drop(fs::remove_file(path)))
}

fn write_anew(folder: &Path, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    match write_beside(folder, path, bytes, mode) {
        // Another dbbuild's sweep took the new file for a left one, in the moment before it was locked.
        Err(e) if e.kind() == io::ErrorKind::NotFound => write_beside(folder, path, bytes, mode),
        done => done,
    }
}

fn write_beside(folder: &Path, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut new = unfinished(folder)?;
    new.write_all(bytes)?;
    new.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|e| e.error)?;
    Ok(())
}

fn unfinished(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let new = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    // The lock says that somebody still writes it; the kernel frees it however that ends. Some file systems have none.
    let _ = new.as_file().try_lock();
    Ok(new)
}

/// Removes unfinished files that nobody writes any more. What cannot be removed does no harm.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED)
            && entry.file_type().is_ok_and(|kind| kind.is_file());
        if unfinished && fs::File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Reads files and folders of the work tree, given relative to `root`.
///
/// # Errors
/// Something there cannot be read, or its name is not UTF-8.
pub fn read(root: &Path, paths: &[String]) -> Result<Snapshot> {
    let mut snapshot = Snapshot::default();
    for path in paths {
        visit(root, path, &mut snapshot)?;
    }
    Ok(snapshot)
}

fn visit(root: &Path, path: &str, snapshot: &mut Snapshot) -> Result<()> {
    let full = root.join(path);
    let shown = || format!("cannot read {}", path.escape_debug());
    let metadata = match fs::symlink_metadata(&full) {
        Ok(metadata) => metadata,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(e) => return Err(Error::failed(shown()).cause(e)),
    };
    if metadata.is_symlink() {
        let target = fs::read_link(&full).or_failed(shown)?;
        let target = target.to_string_lossy().into_owned();
        snapshot.insert(path.to_owned(), FileEntry::Symlink { target });
        return Ok(());
    }
    if metadata.is_file() {
        let bytes = fs::read(&full).or_failed(shown)?;
        let executable = metadata.permissions().mode() & 0o111 != 0;
        snapshot.insert(path.to_owned(), FileEntry::Blob { bytes: bytes.into(), executable });
        return Ok(());
    }
    if metadata.is_dir() {
        if full.join(".git").exists() && full != root {
            snapshot.insert(path.to_owned(), FileEntry::Submodule);
            return Ok(());
        }
        for entry in fs::read_dir(&full).or_failed(shown)? {
            let name = entry.or_failed(shown)?.file_name();
            let name = name.to_str().ok_or_else(|| {
                Error::failed(format!(
                    "the file name {} is not UTF-8",
                    full.join(&name).display().to_string().escape_debug()
                ))
                .help("rename it, or put it elsewhere.")
            })?;
            visit(root, &format!("{path}/{name}"), snapshot)?;
        }
    }
    Ok(())
}

/// The names and git object ids of what [`read`] read, as [`crate::engine::git::Git::list`] gives them for the index.
///
/// # Errors
/// None in practice; see [`ObjectFormat::blob`].
pub fn listed(snapshot: &Snapshot, format: ObjectFormat) -> Result<Vec<Listed>> {
    snapshot
        .iter()
        .map(|(path, entry)| {
            let (mode, bytes): (u32, &[u8]) = match entry {
                FileEntry::Blob { bytes, executable: true } => (0o100_755, bytes),
                FileEntry::Blob { bytes, executable: false } => (0o100_644, bytes),
                FileEntry::Symlink { target } => (0o120_000, target.as_bytes()),
                FileEntry::Submodule => (0o160_000, &[]),
            };
            Ok(Listed { path: path.to_owned(), mode, id: format.blob(bytes)? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_keeps_the_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("baseline.sql");
        replace(&path, b"one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn sweeps_what_a_killed_writer_left_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        for name in [".dbbuild-left", ".dbbuild-written", ".dbbuild.toml.swp"] {
            fs::write(place(name), "half").unwrap();
        }
        let writer = fs::File::open(place(".dbbuild-written")).unwrap();
        writer.lock().unwrap();
        replace(&place("baseline.sql"), b"whole").unwrap();
        assert!(!place(".dbbuild-left").exists());
        assert!(place(".dbbuild-written").exists() && place(".dbbuild.toml.swp").exists());
    }

    #[test]
    fn reads_files_links_and_folders() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("db/init")).unwrap();
        fs::write(dir.path().join("db/init/a.sql"), "SELECT 1").unwrap();
        std::os::unix::fs::symlink("a.sql", dir.path().join("db/init/b.sql")).unwrap();
        let snapshot = read(dir.path(), &["db/init".to_owned(), "db/missing".to_owned()]).unwrap();
        let paths: Vec<&str> = snapshot.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["db/init/a.sql", "db/init/b.sql"]);
    }
}
