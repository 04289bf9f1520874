//! Where dbbuild keeps what outlives a run, and as which OS user its servers run.
//!
//! It knows folders, owners and permissions only; what stands inside them is the business of the modules that own it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, OrFailed, Result};

/// The longest path of a unix socket that every supported system takes (macOS allows 103 bytes, Linux 107).
const LONGEST_SOCKET_PATH: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// A file system smaller than this is not used for throwaways in memory.
const LEAST_FREE_MEMORY: u64 = 1 << 30;

/// The OS user that servers run as when dbbuild itself runs as root, which PostgreSQL refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsUser {
    /// Its name, for messages.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
}

/// The per-user folder for templates, embedded servers and their locks.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
    user: Option<OsUser>,
}

impl StateDir {
    /// The state folder of this user, made if it is missing; for its place see [`StateDir::locate`].
    pub fn open() -> Result<StateDir> {
        StateDir::at(StateDir::locate()?.root)
    }

    /// `DBBUILD_STATE_DIR`, else `/var/lib/dbbuild` for root, else `$XDG_STATE_HOME/dbbuild` or `~/.local/state/dbbuild`.
    ///
    /// Makes nothing, for commands that only look.
    pub fn locate() -> Result<StateDir> {
        let user = server_user()?;
        let root = match std::env::var_os("DBBUILD_STATE_DIR").filter(|v| !v.is_empty()) {
            Some(dir) => std::path::absolute(&dir).or_failed(|| "cannot resolve DBBUILD_STATE_DIR")?,
            None if user.is_some() => PathBuf::from("/var/lib/dbbuild"),
            None => user_state_home()?.join("dbbuild"),
        };
        Ok(StateDir { root, user })
    }

    /// A state folder at a given place; made if it is missing.
    pub fn at(root: impl Into<PathBuf>) -> Result<StateDir> {
        let state = StateDir { root: root.into(), user: server_user()? };
        make_dir(&state.root, if state.user.is_some() { 0o711 } else { 0o700 })?;
        if let Some(user) = &state.user {
            // The folder was given to dbbuild: letting the server's user pass through it gives away no listing.
            let meta = fs::metadata(&state.root).or_failed(|| format!("cannot read {}", state.root.display()))?;
            if !passes(user, &meta) {
                let mode = meta.permissions().mode() | 0o011;
                fs::set_permissions(&state.root, fs::Permissions::from_mode(mode))
                    .or_failed(|| format!("cannot open {} to user {}", state.root.display(), user.name))?;
            }
        }
        Ok(state)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Who servers run as; `None` where they run as the caller.
    pub fn user(&self) -> Option<&OsUser> {
        self.user.as_ref()
    }

    /// A folder below the root, made if it is missing, that the server's user can pass through.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let dir = self.root.join(name);
        make_dir(&dir, if self.user.is_some() { 0o711 } else { 0o700 })?;
        Ok(dir)
    }

    /// Where throwaways are made, best first, whether or not the folder exists yet: memory-backed, then temporary files.
    pub fn throwaway_bases(&self) -> Vec<PathBuf> {
        let name = format!("dbbuild-{}", nix::unistd::geteuid());
        let mut bases = Vec::new();
        if in_memory(Path::new("/dev/shm")) {
            bases.push(PathBuf::from("/dev/shm"));
        }
        bases.extend([std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")]);
        bases.retain(|base| base.is_absolute() && self.check_traversable(base).is_ok());
        let mut bases: Vec<PathBuf> = bases.into_iter().map(|base| base.join(&name)).collect();
        let mut seen = std::collections::HashSet::new();
        bases.retain(|base| seen.insert(base.clone()));
        bases
    }

    /// The first of [`StateDir::throwaway_bases`] that has room, made with safe permissions.
    pub fn throwaway_base(&self) -> Result<PathBuf> {
        let mut refused = Vec::new();
        for base in self.throwaway_bases() {
            if base.starts_with("/dev/shm") && free_bytes(Path::new("/dev/shm")) < LEAST_FREE_MEMORY {
                continue;
            }
            match self.own_dir(&base) {
                Ok(()) => return Ok(base),
                Err(error) => refused.push(error),
            }
        }
        Err(Error::all(refused)
            .unwrap_or_else(|| Error::failed("found no folder for throwaway servers"))
            .help("set TMPDIR to a writable folder that every user can pass through"))
    }

    /// The first of [`StateDir::throwaway_bases`] that is not in memory and has this many bytes free; else the one that has
    /// most, and how many those are.
    pub fn roomy_base(&self, bytes: u64) -> Result<std::result::Result<PathBuf, (PathBuf, u64)>> {
        let mut best: Option<(PathBuf, u64)> = None;
        let mut refused = Vec::new();
        for base in self.throwaway_bases().into_iter().filter(|base| !base.starts_with("/dev/shm")) {
            if let Err(error) = self.own_dir(&base) {
                refused.push(error);
                continue;
            }
            let free = free_bytes(&base);
            if free >= bytes {
                return Ok(Ok(base));
            }
            if best.as_ref().is_none_or(|(_, most)| free > *most) {
                best = Some((base, free));
            }
        }
        best.map(Err).ok_or_else(|| {
            Error::all(refused).unwrap_or_else(|| Error::failed("found no folder on a disk for throwaway servers"))
        })
    }

    /// Makes a folder in a place that others may write to, or checks that an existing one is really ours.
    pub fn own_dir(&self, dir: &Path) -> Result<()> {
        let mode = if self.user.is_some() { 0o711 } else { 0o700 };
        match fs::DirBuilder::new().mode(mode).create(dir) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::failed(format!("cannot make folder {}", dir.display())).cause(error)),
        }
        let meta = fs::symlink_metadata(dir).or_failed(|| format!("cannot read {}", dir.display()))?;
        if !meta.is_dir() || meta.uid() != nix::unistd::geteuid().as_raw() || meta.mode() & 0o022 != 0 {
            return Err(Error::failed(format!("refused to use {}: it belongs to someone else", dir.display()))
                .help("remove it, or set TMPDIR to a folder of your own"));
        }
        if meta.mode() & 0o777 != mode {
            fs::set_permissions(dir, fs::Permissions::from_mode(mode))
                .or_failed(|| format!("cannot set permissions of {}", dir.display()))?;
        }
        Ok(())
    }

    /// A folder for the socket of a server: `preferred` where the socket's path is short enough, else a short one that
    /// is named after `key`. Only the server's user (and root) can enter it.
    pub fn socket_dir(&self, preferred: &Path, key: &str) -> Result<PathBuf> {
        let dir = if socket_fits(preferred) {
            preferred.to_path_buf()
        } else {
            let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
            let runtime = runtime.filter(|dir| self.user.is_none() && dir.is_absolute() && dir.is_dir());
            let runtime = runtime.map(|dir| dir.join("dbbuild")).filter(|dir| socket_fits(&dir.join(key)));
            let base = runtime.unwrap_or_else(|| PathBuf::from(format!("/tmp/dbbuild-{}", nix::unistd::geteuid())));
            self.own_dir(&base)?;
            base.join(key)
        };
        make_dir(&dir, 0o700)?;
        self.give(&dir)?;
        Ok(dir)
    }

    /// Hands one file or folder (not what is below it) to the server's user; the caller's own otherwise.
    pub fn give(&self, path: &Path) -> Result<()> {
        let Some(user) = &self.user else { return Ok(()) };
        std::os::unix::fs::lchown(path, Some(user.uid), Some(user.gid))
            .or_failed(|| format!("cannot give {} to user {}", path.display(), user.name))
    }

    /// Says which ancestor keeps the server's user from reaching a folder.
    pub fn check_traversable(&self, dir: &Path) -> Result<()> {
        let Some(user) = &self.user else { return Ok(()) };
        let mut ancestors: Vec<&Path> = dir.ancestors().collect();
        ancestors.reverse();
        for ancestor in ancestors {
            match fs::metadata(ancestor) {
                Ok(meta) if !passes(user, &meta) => {
                    return Err(Error::failed(format!(
                        "user {} cannot pass through {}, so no server can run in {}",
                        user.name,
                        ancestor.display(),
                        dir.display()
                    ))
                    .help(format!("run `chmod o+x {}`, or choose another folder", ancestor.display())));
                }
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                Err(error) => return Err(Error::failed(format!("cannot read {}", ancestor.display())).cause(error)),
            }
        }
        Ok(())
    }
}

/// Does a server's socket in this folder stay below the limit of the operating system?
fn socket_fits(dir: &Path) -> bool {
    dir.as_os_str().len() + "/.s.PGSQL.65535".len() <= LONGEST_SOCKET_PATH
}

/// The user that replaces root for servers: `postgres` if there is one, else `nobody`.
fn server_user() -> Result<Option<OsUser>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        let found = nix::unistd::User::from_name(name).or_failed(|| format!("cannot look up the user {name}"))?;
        if let Some(user) = found {
            return Ok(Some(OsUser { name: name.to_owned(), uid: user.uid.as_raw(), gid: user.gid.as_raw() }));
        }
    }
    Err(Error::failed("PostgreSQL does not run as root, and neither the user `postgres` nor `nobody` exists")
        .help("run dbbuild as an ordinary user, or add the user `postgres`"))
}

/// `$XDG_STATE_HOME`, or the default below the home folder, which the user database knows where `HOME` is unset.
fn user_state_home() -> Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    if let Some(dir) = absolute("XDG_STATE_HOME") {
        return Ok(dir);
    }
    let home = absolute("HOME").or_else(|| {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
        user.map(|user| user.dir).filter(|dir| dir.is_dir())
    });
    home.map(|home| home.join(".local/state")).ok_or_else(|| {
        Error::failed("found no folder for dbbuild's state: HOME is unset")
            .help("set HOME, XDG_STATE_HOME or DBBUILD_STATE_DIR")
    })
}

/// Makes a folder and its missing ancestors; an existing one stays as it is.
pub fn make_dir(dir: &Path, mode: u32) -> Result<()> {
    let error = |error: std::io::Error| {
        Error::failed(format!("cannot make folder {}", dir.display()))
            .cause(error)
            .help("set DBBUILD_STATE_DIR to a folder that you may write to")
    };
    if let Some(parent) = dir.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(error)?;
    }
    fs::DirBuilder::new().recursive(true).mode(mode).create(dir).map_err(error)
}

fn passes(user: &OsUser, meta: &fs::Metadata) -> bool {
    let bit = if meta.uid() == user.uid {
        0o100
    } else if meta.gid() == user.gid {
        0o010
    } else {
        0o001
    };
    meta.mode() & bit != 0
}

/// Free bytes for an ordinary user; 0 where it cannot be found out.
pub fn free_bytes(path: &Path) -> u64 {
    // The fields are of different width on different systems.
    #[allow(clippy::unnecessary_cast)]
    nix::sys::statvfs::statvfs(path).map(|s| s.blocks_available() as u64 * s.fragment_size() as u64).unwrap_or(0)
}

/// The size of the file system that a path lies on; 0 where it cannot be found out.
pub fn total_bytes(path: &Path) -> u64 {
    // The fields are of different width on different systems.
    #[allow(clippy::unnecessary_cast)]
    nix::sys::statvfs::statvfs(path).map(|s| s.blocks() as u64 * s.fragment_size() as u64).unwrap_or(0)
}

#[cfg(target_os = "linux")]
fn in_memory(path: &Path) -> bool {
    use nix::sys::statfs::{TMPFS_MAGIC, statfs};
    let writable = nix::unistd::access(path, nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK).is_ok();
    writable && statfs(path).is_ok_and(|s| s.filesystem_type() == TMPFS_MAGIC)
}

#[cfg(not(target_os = "linux"))]
fn in_memory(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_socket_folder_is_replaced_by_a_short_one() {
        let temp = tempfile::tempdir().unwrap();
        let state = StateDir::at(temp.path().join("s")).unwrap();
        let short = state.root().join("k");
        assert_eq!(state.socket_dir(&short, "key").unwrap(), short);
        let long = temp.path().join("x".repeat(120));
        let dir = state.socket_dir(&long, "unit-test-key").unwrap();
        assert!(socket_fits(&dir), "{}", dir.display());
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        fs::remove_dir(&dir).unwrap();
    }

    #[test]
    fn a_folder_of_another_user_or_a_link_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let state = StateDir::at(temp.path().join("s")).unwrap();
        let link = temp.path().join("link");
        std::os::unix::fs::symlink("/tmp", &link).unwrap();
        assert!(state.own_dir(&link).is_err());
        let open = temp.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(state.own_dir(&open).is_err());
    }

    #[test]
    fn an_ancestor_that_stops_the_server_user_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let user = OsUser { name: "someone".into(), uid: 54321, gid: 54321 };
        let state = StateDir { root: temp.path().into(), user: Some(user) };
        let closed = temp.path().join("closed");
        make_dir(&closed.join("inner"), 0o755).unwrap();
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o711)).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let error = state.check_traversable(&closed.join("inner")).unwrap_err();
        assert!(error.message().contains(&format!("through {},", closed.display())), "{error}");
    }
}
