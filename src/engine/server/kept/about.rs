//! What is written beside a kept state: its key, what its files were like when it was kept, and its keeper's note.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::engine::server::cluster::write_private;
use crate::error::{OrFailed, Result};
use crate::model::checksum::{Checksum, Digest};

/// Changes whenever the meaning of the files does.
const FORMAT: &str = concat!("dbbuild state 1 ", env!("CARGO_PKG_VERSION"));

const ABOUT: &str = "about";

/// What the file says.
pub(super) struct About {
    /// The state's own key.
    pub key: String,
    /// The [`Manifest`] of its files when it was kept.
    pub manifest: String,
    /// What its keeper wrote.
    pub note: String,
}

/// Reads it, if the file is whole.
pub(super) fn read_about(path: &Path) -> Option<About> {
    let text = fs::read_to_string(path.join(ABOUT)).ok()?;
    let (head, body) = text.split_once('\n')?;
    if head != format!("{FORMAT} {}", Checksum::of_text(body)) {
        return None;
    }
    let (key, rest) = body.split_once('\n')?;
    let (manifest, note) = rest.split_once('\n')?;
    Some(About { key: key.to_owned(), manifest: manifest.to_owned(), note: note.to_owned() })
}

pub(super) fn write_about(path: &Path, manifest: &str, note: &str) -> Result<()> {
    write_about_of(path, &path.file_name().unwrap_or_default().to_string_lossy(), manifest, note)
}

pub(super) fn write_about_of(path: &Path, key: &str, manifest: &str, note: &str) -> Result<()> {
    let body = format!("{key}\n{manifest}\n{note}");
    let text = format!("{FORMAT} {}\n{body}", Checksum::of_text(&body));
    write_private(&path.join(ABOUT), text.as_bytes()).or_failed(|| format!("cannot write in {}", path.display()))
}

/// Names, sizes and times of all files of a data directory: whatever writes to one of them changes it.
pub(super) struct Manifest {
    sum: Checksum,
    pub bytes: u64,
}

impl Manifest {
    pub fn of(data: &Path) -> Result<Manifest> {
        let mut files = Vec::new();
        walk(data, data, &mut files).or_failed(|| format!("cannot read {}", data.display()))?;
        files.sort();
        let mut digest = Digest::new("dbbuild manifest 1");
        for (path, size, seconds, nanoseconds) in &files {
            digest.field(path.as_os_str().as_bytes());
            digest.field(&[size.to_le_bytes(), seconds.to_le_bytes(), nanoseconds.to_le_bytes()].concat());
        }
        Ok(Manifest { sum: digest.finish(), bytes: files.iter().map(|(_, size, ..)| *size).sum() })
    }
}

impl std::fmt::Display for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.sum, self.bytes)
    }
}

/// How many bytes a state says that it has.
pub(super) fn size(path: &Path) -> u64 {
    let manifest = read_about(path).map(|about| about.manifest).unwrap_or_default();
    manifest.split_once(' ').and_then(|(_, bytes)| bytes.parse().ok()).unwrap_or(0)
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<(PathBuf, u64, i64, i64)>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, meta) = (entry.path(), entry.metadata()?);
        if meta.is_dir() {
            walk(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
            files.push((name, meta.size(), meta.mtime(), meta.mtime_nsec()));
        }
    }
    Ok(())
}
