//! Folders of throwaway servers, and the removal of those whose owner was killed.
//!
//! An owner holds a lock on a file in its folder. The kernel frees it however the owner ends, so a folder whose lock is
//! free belongs to nobody. Containers are swept by [`super::docker`].

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::cluster::remove_tree;
use super::kept;
use super::process;
use super::state::StateDir;
use crate::error::{OrFailed, Result};

const LOCK: &str = "lock";
const LIVE: &str = "t-";
const BEING_MADE: &str = ".new-";
const BEING_REMOVED: &str = ".del-";
/// A socket's folder outside its instance, where the instance's path is too long.
const SOCKET: &str = "s-";

/// How long a folder may stay without its lock while it is made.
const MAKING_LIMIT: Duration = Duration::from_secs(600);

/// The folder of one throwaway; dropping it removes all that it holds. End its server first.
#[derive(Debug)]
pub struct InstanceDir {
    path: PathBuf,
    lock: Option<File>,
}

impl InstanceDir {
    /// Makes a new folder that only its owner's lock keeps from the sweep.
    pub fn create(state: &StateDir) -> Result<InstanceDir> {
        InstanceDir::create_in(&state.throwaway_base()?, state)
    }

    /// The same in one of the places where the sweep looks.
    pub fn create_in(base: &Path, state: &StateDir) -> Result<InstanceDir> {
        let name = format!("{}-{}", std::process::id(), &super::address::random_token()?[..8]);
        let (new, path) = (base.join(format!("{BEING_MADE}{name}")), base.join(format!("{LIVE}{name}")));
        super::state::make_dir(&new, if state.user().is_some() { 0o711 } else { 0o700 })?;
        let lock = File::create_new(new.join(LOCK)).or_failed(|| format!("cannot write in {}", new.display()))?;
        lock.try_lock().or_failed(|| format!("cannot lock {}", new.display()))?;
        // Visible to the sweep only now that it is locked.
        std::fs::rename(&new, &path).or_failed(|| format!("cannot rename {}", new.display()))?;
        Ok(InstanceDir { path, lock: Some(lock) })
    }

    /// The folder of its socket: its own, or a short one elsewhere.
    pub fn socket_dir(&self, state: &StateDir) -> Result<PathBuf> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        state.socket_dir(&self.path.join("s"), &format!("{SOCKET}{}", name.trim_start_matches(LIVE)))
    }

    /// Leaves the folder as a killed owner does.
    #[cfg(test)]
    pub(super) fn abandon(mut self) {
        self.lock = None;
        self.path = PathBuf::new();
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for InstanceDir {
    fn drop(&mut self) {
        remove_instance(&self.path);
        self.lock = None;
    }
}

/// Renamed first: of two that remove the same folder only one goes on, and a half-removed one is known as such.
fn remove_instance(path: &Path) -> bool {
    let Some((parent, name)) = path.parent().zip(path.file_name()) else { return false };
    let name = name.to_string_lossy();
    let doomed = parent.join(format!("{BEING_REMOVED}{}", name.trim_start_matches(LIVE)));
    std::fs::rename(path, &doomed).is_ok() && remove_tree(&doomed).is_ok()
}

/// Ends the servers and removes the folders of throwaways whose owner is gone; returns the folders removed.
///
/// Cheap where nothing is left: it lists one or two folders and tries their locks.
pub fn sweep(state: &StateDir) -> Vec<PathBuf> {
    let mut removed = Vec::new();
    let bases = state.throwaway_bases();
    let lives = |name: &str| bases.iter().any(|base| base.join(format!("{LIVE}{name}")).exists());
    for base in &bases {
        if !base.is_dir() || state.own_dir(base).is_err() {
            continue;
        }
        let Ok(entries) = std::fs::read_dir(base) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let gone = if name.starts_with(LIVE) {
                sweep_instance(&path)
            } else if name.starts_with(BEING_REMOVED) || name.starts_with(BEING_MADE) && old(&path) {
                process::end_leftover(&path.join("data"));
                remove_tree(&path).is_ok()
            } else if let Some(instance) = name.strip_prefix(SOCKET) {
                old(&path) && !lives(instance) && remove_tree(&path).is_ok()
            } else if kept::is_store(&name) {
                kept::sweep_store(&path)
            } else {
                false
            };
            if gone {
                removed.push(path);
            }
        }
    }
    removed
}

fn sweep_instance(path: &Path) -> bool {
    let Ok(lock) = File::open(path.join(LOCK)) else {
        // Somebody else removes it at this moment, or somebody removed the lock alone.
        return old(path) && remove_instance(path);
    };
    match lock.try_lock() {
        Ok(()) => {
            process::end_leftover(&path.join("data"));
            remove_instance(path)
        }
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

fn old(path: &Path) -> bool {
    let age = |time: SystemTime| SystemTime::now().duration_since(time).unwrap_or_default();
    path.symlink_metadata().and_then(|meta| meta.modified()).is_ok_and(|time| age(time) > MAKING_LIMIT)
}
