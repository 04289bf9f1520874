//! Kept states: data directories of throwaways that were shut down in order, for later throwaways to start from.
//!
//! They lie beside the throwaways, in memory where these do, so that keeping one is a rename; a reboot forgets them. Each
//! state directory has a store of its own, bounded in number and bytes. What a state holds is the business of whoever
//! keeps it: here it is a key, a note and files.
//!
//! A state appears whole or not at all. Who uses one holds a shared lock on it, who removes one an exclusive lock. Files
//! that are no longer as they were kept make it as good as none.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::cluster::{remove_tree, write_private};
use super::local::StoppedServer;
use super::state::{StateDir, free_bytes, make_dir, total_bytes};
use crate::error::{Error, OrFailed, Result};
use crate::model::checksum::{Checksum, Digest};

/// Changes whenever the meaning of the files does.
const FORMAT: &str = concat!("dbbuild state 1 ", env!("CARGO_PKG_VERSION"));

/// How many states a store holds at most.
const MOST: usize = 12;
/// How many bytes it holds at most, and which part of its file system.
const MOST_BYTES: u64 = 1 << 30;
const SHARE: u64 = 8;
/// What stays free for servers that run.
const LEAST_FREE: u64 = 1 << 30;
/// How long a state stays that nobody uses.
const UNUSED_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long an unfinished one may lie about.
const MAKING_LIMIT: Duration = Duration::from_secs(600);

const STORE: &str = "kept-";
const BEING_MADE: &str = ".new-";
const BEING_REMOVED: &str = ".del-";
/// Files of a store: whose it is. Files of a state: its note, and its lock, whose time is that of the last use.
const OWNER: &str = "owner";
const ABOUT: &str = "about";
const LOCK: &str = "lock";

/// A state that nobody can remove while this value lives.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    note: String,
    _lock: File,
}

impl Kept {
    /// What a throwaway starts from.
    pub fn data_dir(&self) -> PathBuf {
        self.path.join("data")
    }

    /// What its keeper wrote beside it.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Replaces the note.
    pub fn annotate(&self, note: &str) {
        if let Some((_, manifest, _)) = read_about(&self.path) {
            // What cannot be noted is found out again.
            let _ = write_about(&self.path, &manifest, note);
        }
    }

    /// Removes it: it turned out to be of no use.
    pub fn discard(self) {
        let Kept { path, _lock, .. } = self;
        drop(_lock);
        remove(&path);
    }
}

/// The keys of everything that is kept.
pub fn keys(state: &StateDir) -> HashSet<String> {
    let entries = stores(state).into_iter().filter_map(|store| fs::read_dir(store).ok()).flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| is_key(name)).collect()
}

/// The state under a key, if it is whole; one that is not is removed.
pub fn find(state: &StateDir, key: &Checksum) -> Option<Kept> {
    let path = stores(state).into_iter().map(|store| store.join(key.to_string())).find(|path| path.is_dir())?;
    let lock = File::open(path.join(LOCK)).ok();
    let Some(lock) = lock.filter(|lock| lock.try_lock_shared().is_ok()) else {
        // Somebody removes it at this moment, or it lost its lock.
        if !path.join(LOCK).exists() {
            remove(&path);
        }
        return None;
    };
    let whole = read_about(&path).filter(|(of, manifest, _)| {
        *of == key.to_string() && Manifest::of(&path.join("data")).is_ok_and(|now| now.to_string() == *manifest)
    });
    let Some((_, _, note)) = whole else {
        drop(lock);
        remove(&path);
        return None;
    };
    let _ = lock.set_modified(SystemTime::now());
    Some(Kept { path, note, _lock: lock })
}

/// Keeps a stopped throwaway under a key. Where it cannot be kept, the throwaway comes back as it was.
pub fn keep(
    state: &StateDir,
    stopped: StoppedServer,
    key: &Checksum,
    note: &str,
) -> std::result::Result<Kept, StoppedServer> {
    match try_keep(state, &stopped, key, note) {
        Ok(kept) => Ok(kept),
        Err(_) => Err(stopped),
    }
}

fn try_keep(state: &StateDir, stopped: &StoppedServer, key: &Checksum, note: &str) -> Result<Kept> {
    let data = stopped.data_dir();
    let base = stopped.base();
    let manifest = Manifest::of(&data)?;
    let store = base.join(store_name(state));
    state.own_dir(&store)?;
    let owner = store.join(OWNER);
    if !owner.exists() {
        write_private(&owner, state.root().as_os_str().as_bytes()).or_failed(|| "cannot write the owner of a store")?;
    }
    make_room(&store, manifest.bytes)?;
    let new = store.join(format!("{BEING_MADE}{}-{}", std::process::id(), &super::address::random_token()?[..8]));
    make_dir(&new, if state.user().is_some() { 0o711 } else { 0o700 })?;
    let kept = finish(&store, &new, &data, key, &manifest.to_string(), note);
    if kept.is_err() {
        // The data comes back, for whoever goes on with it.
        let _ = fs::rename(new.join("data"), &data);
        let _ = remove_tree(&new);
    }
    kept
}

fn finish(store: &Path, new: &Path, data: &Path, key: &Checksum, manifest: &str, note: &str) -> Result<Kept> {
    let lock = File::create_new(new.join(LOCK)).or_failed(|| format!("cannot write in {}", new.display()))?;
    lock.try_lock_shared().or_failed(|| format!("cannot lock {}", new.display()))?;
    write_about_of(new, &key.to_string(), manifest, note)?;
    fs::rename(data, new.join("data")).or_failed(|| format!("cannot rename {}", data.display()))?;
    let path = store.join(key.to_string());
    // Another run may have kept the same: then there is nothing to gain.
    fs::rename(new, &path).or_failed(|| format!("cannot rename {}", new.display()))?;
    Ok(Kept { path, note: note.to_owned(), _lock: lock })
}

/// Removes what was used longest ago, until one more of so many bytes fits.
fn make_room(store: &Path, bytes: u64) -> Result<()> {
    let limit = MOST_BYTES.min(total_bytes(store) / SHARE);
    if bytes > limit || free_bytes(store) < LEAST_FREE {
        return Err(Error::failed("there is no room to keep a state"));
    }
    let mut states: Vec<(SystemTime, PathBuf, u64)> = entries(store)
        .into_iter()
        .map(|path| (last_use(&path).unwrap_or(SystemTime::UNIX_EPOCH), path.clone(), size(&path)))
        .collect();
    states.sort();
    let (mut count, mut total) = (states.len(), states.iter().map(|(_, _, size)| size).sum::<u64>());
    for (_, path, size) in states {
        if count < MOST && total + bytes <= limit {
            break;
        }
        if remove(&path) {
            count -= 1;
            total -= size;
        }
    }
    Ok(())
}

/// Removes stores whose state directory is gone, states that nobody used for long, and what a kill left unfinished.
pub(super) fn sweep_store(store: &Path) -> bool {
    let owner = fs::read(store.join(OWNER));
    let gone = owner.map_or_else(
        |_| age(store).is_none_or(|age| age > MAKING_LIMIT),
        |root| !Path::new(std::ffi::OsStr::from_bytes(&root)).exists(),
    );
    if gone {
        entries(store).iter().for_each(|path| {
            remove(path);
        });
        return entries(store).is_empty() && remove_tree(store).is_ok();
    }
    for entry in fs::read_dir(store).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let unfinished = name.starts_with(BEING_MADE) && age(&path).is_some_and(|age| age > MAKING_LIMIT);
        if unfinished || name.starts_with(BEING_REMOVED) {
            let _ = remove_tree(&path);
        } else if is_key(&name) && last_use(&path).and_then(|at| at.elapsed().ok()).is_none_or(|age| age > UNUSED_LIMIT)
        {
            remove(&path);
        }
    }
    false
}

/// Whether a folder beside the throwaways is a store.
pub(super) fn is_store(name: &str) -> bool {
    name.starts_with(STORE)
}

/// Removes everything that is kept for this state directory and not in use; returns the folders.
pub fn prune(state: &StateDir) -> Vec<PathBuf> {
    stores(state).iter().flat_map(|store| entries(store)).filter(|path| remove(path)).collect()
}

/// Renamed first: a half-removed state is known as such. One that is in use stays.
fn remove(path: &Path) -> bool {
    let Some((store, name)) = path.parent().zip(path.file_name()) else { return false };
    let lock = File::open(path.join(LOCK)).ok();
    if lock.as_ref().is_some_and(|lock| lock.try_lock().is_err()) {
        return false;
    }
    let doomed = store.join(format!("{BEING_REMOVED}{}-{}", std::process::id(), name.to_string_lossy()));
    fs::rename(path, &doomed).is_ok() && remove_tree(&doomed).is_ok()
}

/// One store for each state directory, in every place where throwaways are made.
fn stores(state: &StateDir) -> Vec<PathBuf> {
    let name = store_name(state);
    let stores = state.throwaway_bases().into_iter().map(|base| base.join(&name));
    stores.filter(|store| store.is_dir() && state.own_dir(store).is_ok()).collect()
}

fn store_name(state: &StateDir) -> String {
    format!("{STORE}{}", &Checksum::of_bytes(state.root().as_os_str().as_bytes()).to_string()[..16])
}

fn is_key(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

fn entries(store: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(store).into_iter().flatten().flatten();
    all.filter(|entry| is_key(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect()
}

fn last_use(path: &Path) -> Option<SystemTime> {
    path.join(LOCK).metadata().and_then(|meta| meta.modified()).ok()
}

fn age(path: &Path) -> Option<Duration> {
    path.symlink_metadata().and_then(|meta| meta.modified()).ok()?.elapsed().ok()
}

/// Key, manifest and note, if the file is whole.
fn read_about(path: &Path) -> Option<(String, String, String)> {
    let text = fs::read_to_string(path.join(ABOUT)).ok()?;
    let (head, body) = text.split_once('\n')?;
    if head != format!("{FORMAT} {}", Checksum::of_text(body)) {
        return None;
    }
    let (key, rest) = body.split_once('\n')?;
    let (manifest, note) = rest.split_once('\n')?;
    Some((key.to_owned(), manifest.to_owned(), note.to_owned()))
}

fn write_about(path: &Path, manifest: &str, note: &str) -> Result<()> {
    write_about_of(path, &path.file_name().unwrap_or_default().to_string_lossy(), manifest, note)
}

fn write_about_of(path: &Path, key: &str, manifest: &str, note: &str) -> Result<()> {
    let body = format!("{key}\n{manifest}\n{note}");
    let text = format!("{FORMAT} {}\n{body}", Checksum::of_text(&body));
    write_private(&path.join(ABOUT), text.as_bytes()).or_failed(|| format!("cannot write in {}", path.display()))
}

/// Names, sizes and times of all files of a data directory: whatever writes to one of them changes it.
struct Manifest {
    sum: Checksum,
    bytes: u64,
}

impl Manifest {
    fn of(data: &Path) -> Result<Manifest> {
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
fn size(path: &Path) -> u64 {
    let manifest = read_about(path).map(|(_, manifest, _)| manifest).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_bounded_and_what_is_in_use_stays() {
        let temp = tempfile::tempdir().unwrap();
        let state = |n: usize, bytes: u64| {
            let path = temp.path().join(Checksum::of_text(&n.to_string()).to_string());
            fs::create_dir(&path).unwrap();
            let lock = File::create(path.join(LOCK)).unwrap();
            lock.set_modified(SystemTime::now() - Duration::from_secs(1000 - n as u64)).unwrap();
            write_about(&path, &format!("sum {bytes}"), "").unwrap();
            (path, lock)
        };
        let mut all: Vec<_> = (0..MOST).map(|n| state(n, 1)).collect();
        all[0].1.try_lock_shared().unwrap();
        make_room(temp.path(), 1).unwrap();
        assert!(all[0].0.exists() && !all[1].0.exists(), "the oldest that is not in use goes");
        assert_eq!(entries(temp.path()).len(), MOST - 1);
        all.push(state(MOST, MOST_BYTES));
        make_room(temp.path(), 1).unwrap();
        assert_eq!(entries(temp.path()), [all[0].0.clone()], "too many bytes");
        assert!(make_room(temp.path(), MOST_BYTES + 1).is_err());
    }

    #[test]
    fn what_a_kill_left_and_what_nobody_uses_is_swept() {
        let temp = tempfile::tempdir().unwrap();
        let (root, store) = (temp.path().join("state"), temp.path().join("kept-0"));
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(store.join(".del-1-x/data")).unwrap();
        fs::create_dir_all(store.join(".new-1-x/data")).unwrap();
        fs::write(store.join(OWNER), root.as_os_str().as_bytes()).unwrap();
        let unused = store.join(Checksum::of_text("unused").to_string());
        fs::create_dir(&unused).unwrap();
        let long_ago = SystemTime::now() - 2 * UNUSED_LIMIT;
        File::create(unused.join(LOCK)).unwrap().set_modified(long_ago).unwrap();
        assert!(!sweep_store(&store));
        assert!(!store.join(".del-1-x").exists() && !unused.exists());
        assert!(store.join(".new-1-x").exists(), "somebody may be at it");
        File::open(store.join(".new-1-x")).unwrap().set_modified(long_ago).unwrap();
        sweep_store(&store);
        assert!(!store.join(".new-1-x").exists());
        fs::remove_dir(&root).unwrap();
        assert!(sweep_store(&store) && !store.exists(), "its state directory is gone");
    }
}
