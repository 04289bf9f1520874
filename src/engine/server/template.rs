//! Templates: a fresh cluster for each version of the programs, encoding and locale, made once and copied for throwaways.
//!
//! Copies share the system identifier, so they serve throwaways only; a server that is kept gets an initdb of its own.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::cluster::{InitOptions, copy_data, initdb, remove_tree};
use super::programs::Installation;
use super::state::StateDir;
use super::sweep::InstanceDir;
use crate::error::{OrFailed, Result};

/// Says which program file a template was made by; a template of another file of that name is not used.
const MADE_BY: &str = "made-by";

/// The stopped data directory of a fresh cluster, made now if this machine has none yet.
pub fn template(state: &StateDir, programs: &Installation, encoding: &str, locale: Option<&str>) -> Result<PathBuf> {
    let folder = state.folder("templates")?;
    let identity = identity(&programs.program("postgres"))?;
    let mut key = Sha256::new();
    for part in [identity.as_str(), encoding, locale.unwrap_or("")] {
        key.update(part.as_bytes());
        key.update([0]);
    }
    let name = format!("{}-{}", programs.version.text.replace('/', "_"), &hex(&key.finalize())[..16]);
    let ready = folder.join(&name);
    if ready.join(MADE_BY).exists() {
        return Ok(ready.join("data"));
    }
    let lock = folder.join(format!("{name}.lock"));
    let lock = File::create(&lock).or_failed(|| format!("cannot write {}", lock.display()))?;
    lock.lock().or_failed(|| format!("cannot lock templates in {}", folder.display()))?;
    if !ready.join(MADE_BY).exists() {
        make(
            state,
            programs,
            &InitOptions { encoding: encoding.into(), locale: locale.map(Into::into), durable: false },
            &ready,
            &identity,
        )?;
    }
    Ok(ready.join("data"))
}

/// initdb runs in a swept folder that its user can reach; the result is copied and appears under its name at once.
fn make(state: &StateDir, programs: &Installation, options: &InitOptions, ready: &Path, identity: &str) -> Result<()> {
    let scratch = InstanceDir::create(state)?;
    // initdb makes its folder itself, so its user must be able to write to the one above.
    let parent = scratch.path().join("template");
    super::state::make_dir(&parent, 0o700)?;
    state.give(&parent)?;
    initdb(programs, state, &parent.join("data"), options)?;
    let new = ready.with_extension(format!("new-{}", std::process::id()));
    remove_tree(&new)?;
    super::state::make_dir(&new, 0o700)?;
    copy_data(&parent.join("data"), &new.join("data"), None)?;
    fs::write(new.join(MADE_BY), identity).or_failed(|| format!("cannot write in {}", new.display()))?;
    // Otherwise a crash of the machine could leave a template of empty files under its final name.
    flush(&new);
    remove_tree(ready)?;
    fs::rename(&new, ready).or_failed(|| format!("cannot rename {}", new.display()))
}

#[cfg(target_os = "linux")]
fn flush(path: &Path) {
    if let Ok(folder) = File::open(path) {
        let _ = nix::unistd::syncfs(folder);
    }
}

#[cfg(not(target_os = "linux"))]
fn flush(_path: &Path) {
    nix::unistd::sync();
}

/// Removes templates whose programs were replaced or removed; returns their folders.
pub fn prune(state: &StateDir) -> Result<Vec<PathBuf>> {
    let folder = state.folder("templates")?;
    let mut removed = Vec::new();
    for entry in fs::read_dir(&folder).or_failed(|| format!("cannot read {}", folder.display()))?.flatten() {
        let path = entry.path();
        let Ok(made_by) = fs::read_to_string(path.join(MADE_BY)) else { continue };
        let program = made_by.lines().next().unwrap_or_default();
        if identity(Path::new(program)).ok().as_deref() != Some(made_by.as_str()) {
            remove_tree(&path)?;
            let _ = fs::remove_file(folder.join(format!("{}.lock", entry.file_name().to_string_lossy())));
            removed.push(path);
        }
    }
    Ok(removed)
}

/// Path, size, inode and time of a program: an upgrade in place changes them.
pub fn identity(program: &Path) -> Result<String> {
    let meta = fs::metadata(program).or_failed(|| format!("cannot read {}", program.display()))?;
    Ok(format!("{}\n{} {} {}.{}\n", program.display(), meta.size(), meta.ino(), meta.mtime(), meta.mtime_nsec()))
}

/// When the extensions and libraries beside these programs were last changed: what `CREATE EXTENSION` makes depends on it.
pub fn extensions(programs: &Installation) -> String {
    let major = programs.version.major;
    let beside = |below: &str| programs.bin.parent().map(|folder| folder.join(below)).unwrap_or_default();
    let debian = PathBuf::from(format!("/usr/share/postgresql/{major}/extension"));
    let folders = ["share/extension", "share/postgresql/extension", "lib", "lib/postgresql"].map(beside);
    let time =
        |folder: &PathBuf| fs::metadata(folder).ok().map(|meta| format!("{}.{}", meta.mtime(), meta.mtime_nsec()));
    folders.iter().chain([&debian]).map(|folder| time(folder).unwrap_or_default()).collect::<Vec<_>>().join(" ")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
