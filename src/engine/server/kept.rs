//! Kept states: data directories of throwaways that were shut down in order, for later throwaways to start from.
//!
//! They lie beside the throwaways, in memory where these do, so that keeping one is a rename; a reboot forgets them. Each
//! state directory has a store of its own, bounded in number and bytes. What a state holds is the business of whoever
//! keeps it: here it is a key, a note and files. The files of states that were made in a kept container stay in there; what
//! is known of them lies in the state directory, in a store for that container, and goes with it.
//!
//! A state appears whole or not at all. Who uses one holds a shared lock on it, who removes one an exclusive lock. Files
//! that are no longer as they were kept make it as good as none.

mod about;

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use about::{About, Manifest, read_about, size, write_about, write_about_of};

use super::cluster::{remove_tree, write_private};
use super::docker_guest::{self, StoppedGuest};
use super::docker_keeper::{self, Keeper};
use super::local::StoppedServer;
use super::state::{StateDir, free_bytes, make_dir, total_bytes};
use super::throwaway::{Origin, Stopped};
use crate::error::{Error, OrFailed, Result};
use crate::model::checksum::Checksum;

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
/// In the state directory, the stores of kept containers.
pub(super) const KEEPERS: &str = "keepers";
const BEING_MADE: &str = ".new-";
const BEING_REMOVED: &str = ".del-";
/// Files of a store: whose it is. Files of a state: its lock, whose time is that of the last use.
const OWNER: &str = "owner";
const LOCK: &str = "lock";

/// Where states are kept.
#[derive(Debug, Clone)]
pub enum Shelf {
    /// In folders of this machine.
    Local(StateDir),
    /// In a kept container of this state directory.
    Keeper(StateDir, Keeper),
}

/// A state that nobody can remove while this value lives.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    note: String,
    origin: Origin,
    _lock: File,
}

impl Kept {
    /// What a throwaway starts from.
    pub fn origin(&self) -> Origin {
        self.origin.clone()
    }

    /// What its keeper wrote beside it.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Replaces the note.
    pub fn annotate(&self, note: &str) {
        if let Some(about) = read_about(&self.path) {
            // What cannot be noted is found out again.
            let _ = write_about(&self.path, &about.manifest, note);
        }
    }

    /// Removes it: it turned out to be of no use.
    pub fn discard(self) {
        let Kept { path, _lock, .. } = self;
        drop(_lock);
        // In a container its files go when the next state is kept.
        remove(&path);
    }
}

/// The keys of everything that is kept.
pub fn keys(shelf: &Shelf) -> HashSet<String> {
    let entries = stores(shelf).into_iter().filter_map(|store| fs::read_dir(store).ok()).flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| is_key(name)).collect()
}

/// The state under a key, if it is whole; one that is not is removed.
pub fn find(shelf: &Shelf, key: &Checksum) -> Option<Kept> {
    let path = stores(shelf).into_iter().map(|store| store.join(key.to_string())).find(|path| path.is_dir())?;
    let lock = File::open(path.join(LOCK)).ok();
    let Some(lock) = lock.filter(|lock| lock.try_lock_shared().is_ok()) else {
        // Somebody removes it at this moment, or it lost its lock.
        if !path.join(LOCK).exists() {
            remove(&path);
        }
        return None;
    };
    let untouched = |manifest: &str| match shelf {
        Shelf::Local(_) => Manifest::of(&path.join("data")).is_ok_and(|now| now.to_string() == manifest),
        // Nothing but dbbuild's own scripts writes in there.
        Shelf::Keeper(..) => true,
    };
    let whole = read_about(&path).filter(|about| about.key == key.to_string() && untouched(&about.manifest));
    let Some(About { note, .. }) = whole else {
        drop(lock);
        remove(&path);
        return None;
    };
    let _ = lock.set_modified(SystemTime::now());
    let origin = match shelf {
        Shelf::Local(_) => Origin::Folder(path.join("data")),
        Shelf::Keeper(..) => docker_guest::kept_origin(&key.to_string()),
    };
    Some(Kept { path, note, origin, _lock: lock })
}

/// Keeps a stopped throwaway under a key. Where it cannot be kept, the throwaway comes back as it was.
pub async fn keep(shelf: &Shelf, stopped: Stopped, key: &Checksum, note: &str) -> std::result::Result<Kept, Stopped> {
    match (shelf, stopped) {
        (Shelf::Local(state), Stopped::Local(stopped)) => {
            try_keep(state, &stopped, key, note).map_err(|_| Stopped::Local(stopped))
        }
        (Shelf::Keeper(state, keeper), Stopped::Guest(mut stopped)) => {
            try_keep_guest(state, keeper, &mut stopped, key, note).await.map_err(|_| Stopped::Guest(stopped))
        }
        (_, stopped) => Err(stopped),
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
    if free_bytes(&store) < LEAST_FREE {
        return Err(Error::failed("there is no room to keep a state"));
    }
    make_room(&store, manifest.bytes, MOST_BYTES.min(total_bytes(&store) / SHARE))?;
    let mode = if state.user().is_some() { 0o711 } else { 0o700 };
    let mut making = Making::begin(&store, key, &manifest.to_string(), note, mode)?;
    let moved = making.new.join("data");
    fs::rename(&data, &moved).or_failed(|| format!("cannot rename {}", data.display()))?;
    // The data comes back where that fails, for whoever goes on with it.
    let path = making.publish().inspect_err(|_| drop(fs::rename(&moved, &data)))?;
    making.into_kept(Origin::Folder(path.join("data")))
}

async fn try_keep_guest(
    state: &StateDir,
    keeper: &Keeper,
    stopped: &mut StoppedGuest,
    key: &Checksum,
    note: &str,
) -> Result<Kept> {
    let store = docker_keeper::notes_folder(state, keeper.id())?;
    if !store.exists() {
        forget_keepers(state, &docker_keeper::ids(state).await?);
        make_dir(&store, 0o700)?;
    }
    tidy_store(&store);
    make_room(&store, stopped.bytes(), MOST_BYTES)?;
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let others: Vec<String> = entries(&store).iter().map(name).collect();
    let mut making = Making::begin(&store, key, &format!("container {}", stopped.bytes()), note, 0o700)?;
    // What is moved and then not known of is removed when the next state is kept.
    stopped.keep(&key.to_string(), &others).await?;
    making.publish()?;
    making.into_kept(docker_guest::kept_origin(&key.to_string()))
}

/// Removes what is known of states in containers that are gone.
pub(super) fn forget_keepers(state: &StateDir, ids: &[String]) {
    let Ok(folder) = state.folder(KEEPERS) else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !ids.iter().any(|id| id.starts_with(&name)) {
            let _ = remove_tree(&entry.path());
        }
    }
}

/// A state that is not there yet; dropping it leaves nothing.
struct Making {
    new: PathBuf,
    path: PathBuf,
    note: String,
    lock: File,
}

impl Making {
    fn begin(store: &Path, key: &Checksum, manifest: &str, note: &str, mode: u32) -> Result<Making> {
        let new = store.join(format!("{BEING_MADE}{}-{}", std::process::id(), &super::address::random_token()?[..8]));
        make_dir(&new, mode)?;
        let lock = File::create_new(new.join(LOCK)).or_failed(|| format!("cannot write in {}", new.display()))?;
        let making = Making { path: store.join(key.to_string()), new, note: note.to_owned(), lock };
        making.lock.try_lock_shared().or_failed(|| format!("cannot lock {}", making.new.display()))?;
        write_about_of(&making.new, &key.to_string(), manifest, note)?;
        Ok(making)
    }

    /// Makes it visible. Another run may have kept the same: then there is nothing to gain.
    fn publish(&mut self) -> Result<PathBuf> {
        fs::rename(&self.new, &self.path).or_failed(|| format!("cannot rename {}", self.new.display()))?;
        Ok(self.path.clone())
    }

    fn into_kept(self, origin: Origin) -> Result<Kept> {
        let lock = self.lock.try_clone().or_failed(|| "cannot hold the lock of a state")?;
        Ok(Kept { path: self.path.clone(), note: self.note.clone(), origin, _lock: lock })
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if self.new.exists() {
            let _ = remove_tree(&self.new);
        }
    }
}

/// Removes what was used longest ago, until one more of so many bytes fits into so many.
fn make_room(store: &Path, bytes: u64, limit: u64) -> Result<()> {
    if bytes > limit {
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
    tidy_store(store);
    false
}

/// Removes states that nobody used for long, and what a kill left unfinished.
fn tidy_store(store: &Path) {
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
}

/// Whether a folder beside the throwaways is a store.
pub(super) fn is_store(name: &str) -> bool {
    name.starts_with(STORE)
}

/// Removes everything that is kept for this state directory in folders and not in use; returns these.
pub fn prune(state: &StateDir) -> Vec<PathBuf> {
    stores(&Shelf::Local(state.clone())).iter().flat_map(|store| entries(store)).filter(|path| remove(path)).collect()
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

/// One store for each state directory, in every place where throwaways are made; one for each kept container.
fn stores(shelf: &Shelf) -> Vec<PathBuf> {
    let state = match shelf {
        Shelf::Local(state) => state,
        Shelf::Keeper(state, keeper) => {
            return docker_keeper::notes_folder(state, keeper.id())
                .into_iter()
                .filter(|store| store.is_dir())
                .collect();
        }
    };
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
        make_room(temp.path(), 1, MOST_BYTES).unwrap();
        assert!(all[0].0.exists() && !all[1].0.exists(), "the oldest that is not in use goes");
        assert_eq!(entries(temp.path()).len(), MOST - 1);
        all.push(state(MOST, MOST_BYTES));
        make_room(temp.path(), 1, MOST_BYTES).unwrap();
        assert_eq!(entries(temp.path()), [all[0].0.clone()], "too many bytes");
        assert!(make_room(temp.path(), MOST_BYTES + 1, MOST_BYTES).is_err());
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
