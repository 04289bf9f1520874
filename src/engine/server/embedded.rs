//! The private server of one repository: made once, started on demand, kept until it is pruned.
//!
//! It lives in the state folder, named after the repository's path. Its cluster comes from an initdb of its own, so that
//! no two share a system identifier, and a random server id beside it tells it from a copy. It runs from local programs,
//! or in Docker where there are none. What its databases hold is not known here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use sha2::{Digest, Sha256};

use super::address::{HostOrSocketDir, ServerAddress, random_token};
use super::cluster::{self, FIXED_SETTINGS, InitOptions, SUPERUSER};
use super::embedded_docker::EmbeddedContainer;
use super::process;
use super::programs::{self, Installation};
use super::state::{StateDir, make_dir};
use super::{docker_engine, docker_keeper, kept, sweep, template};
use crate::error::{Error, OrFailed, Result};

/// How long a fast shutdown may take.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// What the embedded server of a repository is like; the cluster keeps what it was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// The pinned major version; `None` takes that of the cluster, else the newest programs.
    pub major: Option<u32>,
    /// Folder of the local programs; `None` searches.
    pub bin_dir: Option<PathBuf>,
    /// Image to use where there are no local programs.
    pub image: Option<String>,
    /// Server encoding.
    pub encoding: String,
    /// Locale; `None` takes `C.UTF-8` where it is known and fits the encoding, else `C`.
    pub locale: Option<String>,
    /// The user's settings.
    pub settings: BTreeMap<String, String>,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        EmbeddedOptions {
            major: None,
            bin_dir: None,
            image: None,
            encoding: "UTF8".into(),
            locale: None,
            settings: BTreeMap::new(),
        }
    }
}

/// The embedded server of one repository, running or not.
#[derive(Debug, Clone)]
pub struct Embedded {
    pub(super) state: StateDir,
    pub(super) repository: PathBuf,
    pub(super) key: String,
    pub(super) options: EmbeddedOptions,
}

/// What a look at the embedded server shows.
#[derive(Debug, Clone)]
pub struct EmbeddedStatus {
    /// It exists: a cluster was made.
    pub exists: bool,
    /// It runs in a container.
    pub in_docker: bool,
    /// Process id of its postmaster; `None` if it is stopped or runs in a container.
    pub pid: Option<i32>,
    /// How it is reached, if it runs.
    pub address: Option<ServerAddress>,
    /// Version of its cluster (major) or of its image.
    pub version: Option<String>,
    /// Its data directory, or the name of its volume.
    pub data: String,
    /// Size of the data directory in bytes; `None` in a container.
    pub size: Option<u64>,
}

impl Embedded {
    /// The embedded server of the repository in a folder; looks and makes nothing.
    pub fn at(repository: &Path, options: EmbeddedOptions) -> Result<Embedded> {
        let repository = repository.canonicalize().or_failed(|| format!("cannot find {}", repository.display()))?;
        let digest = Sha256::digest(repository.as_os_str().as_encoded_bytes());
        let key = template::hex(&digest)[..16].to_owned();
        Ok(Embedded { state: StateDir::locate()?, repository, key, options })
    }

    /// Its folder in the state folder.
    pub fn folder(&self) -> PathBuf {
        self.state.root().join("servers").join(&self.key)
    }

    fn data(&self) -> PathBuf {
        self.folder().join("cluster/data")
    }

    fn log(&self) -> PathBuf {
        self.folder().join("log")
    }

    /// The random id of this server, kept outside its databases; `None` before the first start.
    pub fn server_id(&self) -> Option<String> {
        let id = fs::read_to_string(self.folder().join("server-id")).ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    }

    /// Starts the server if it does not run, making its cluster if there is none, and says how it is reached.
    ///
    /// Safe to call from several processes at once: one starts it, the others find it running.
    pub async fn start(&self) -> Result<ServerAddress> {
        let this = Embedded { state: StateDir::at(self.state.root())?, ..self.clone() };
        let _lock = this.lock().await?;
        if !this.data().join("PG_VERSION").exists() {
            if EmbeddedContainer::recorded(&this) {
                return EmbeddedContainer::new(&this).start().await;
            }
            if let Err(error) = this.programs() {
                return match docker_engine::engine_answers().await {
                    Ok(_) => EmbeddedContainer::new(&this).start().await,
                    Err(refusal) => Err(neither(&error, &refusal, this.options.major.unwrap_or(15))),
                };
            }
        }
        this.start_local().await
    }

    async fn start_local(&self) -> Result<ServerAddress> {
        self.check_version()?;
        let (address, data, log) = (self.socket_address()?, self.data(), self.log());
        if process::running_postmaster(&data).is_some() {
            cluster::wait_ready(&address, &log, u64::MAX, || None).await?;
            return Ok(address);
        }
        let this = self.clone();
        let (from, child) = tokio::task::spawn_blocking(move || this.spawn())
            .await
            .or_failed(|| "the start of the embedded server broke off")??;
        let mut child = child;
        let ended = || child.try_wait().ok().flatten().map(|status| status.to_string());
        cluster::wait_ready(&address, &log, from, ended)
            .await
            .map_err(|error| error.help(format!("its log is {}", log.display())))?;
        Ok(address)
    }

    /// Blocking part of a start: initdb if needed, settings, and the server in a session of its own.
    fn spawn(&self) -> Result<(u64, std::process::Child)> {
        let programs = self.programs()?;
        let (data, log_path) = (self.data(), self.log());
        if !data.join("PG_VERSION").exists() {
            self.make_cluster(&programs)?;
        }
        let socket_dir = self.state.socket_dir(&self.folder().join("s"), &format!("e-{}", self.key))?;
        process::clear_stale(&data, &socket_dir);
        let mut settings: BTreeMap<String, String> =
            FIXED_SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        // One transaction may bootstrap some thousand relations.
        settings.insert("max_locks_per_transaction".into(), "1024".into());
        settings.extend(self.options.settings.clone());
        cluster::configure(&data, &self.state, &settings)?;
        if fs::metadata(&log_path).is_ok_and(|meta| meta.len() > 10 << 20) {
            let _ = fs::rename(&log_path, self.folder().join("log.old"));
        }
        let log = cluster::open_log(&log_path, &self.state)?;
        let from = log.metadata().map_or(0, |meta| meta.len());
        let mut command = cluster::server_command(&programs, self.state.user(), &data, &socket_dir);
        let errors = log.try_clone().or_failed(|| "cannot open the server's log twice")?;
        command.stdout(Stdio::from(log)).stderr(Stdio::from(errors));
        let child = process::spawn_detached(command)
            .or_failed(|| format!("cannot run {}", programs.program("postgres").display()))?;
        Ok((from, child))
    }

    /// An initdb of its own, under its final name only when it is whole.
    fn make_cluster(&self, programs: &Installation) -> Result<()> {
        let parent = self.folder().join("cluster");
        self.state.check_traversable(&parent)?;
        make_dir(&parent, 0o700)?;
        self.state.give(&parent)?;
        let new = parent.join("new");
        cluster::remove_tree(&new)?;
        let options =
            InitOptions { encoding: self.options.encoding.clone(), locale: self.options.locale.clone(), durable: true };
        cluster::initdb(programs, &self.state, &new, &options)?;
        self.record_identity()?;
        fs::rename(&new, self.data()).or_failed(|| format!("cannot rename {}", new.display()))
    }

    /// A new cluster is a new server: a new random id, and the repository that it belongs to.
    pub(super) fn record_identity(&self) -> Result<()> {
        let write = |name: &str, text: &str| {
            let path = self.folder().join(name);
            cluster::write_private(&path, text.as_bytes()).or_failed(|| format!("cannot write {}", path.display()))
        };
        write("server-id", &format!("{}\n", random_token()?))?;
        write("repository", &self.repository.to_string_lossy())
    }

    fn programs(&self) -> Result<Installation> {
        let kept = cluster_major(&self.data());
        programs::find(self.options.bin_dir.as_deref(), self.options.major.or(kept))
    }

    fn check_version(&self) -> Result<()> {
        let (Some(kept), Some(pinned)) = (cluster_major(&self.data()), self.options.major) else { return Ok(()) };
        if kept == pinned {
            return Ok(());
        }
        Err(Error::failed(format!(
            "the embedded server's data is of PostgreSQL {kept}, but postgres.version is {pinned}"
        ))
        .help(format!("to go on with it, set postgres.version = {kept} in dbbuild.toml"))
        .help(format!(
            "to build anew with PostgreSQL {pinned}, run `dbbuild server stop`, remove {} and run `dbbuild`",
            self.folder().display()
        )))
    }

    fn socket_address(&self) -> Result<ServerAddress> {
        let dir = self.state.socket_dir(&self.folder().join("s"), &format!("e-{}", self.key))?;
        Ok(ServerAddress { host: HostOrSocketDir::SocketDir(dir), port: 5432, user: SUPERUSER.into(), password: None })
    }

    /// The lock that makes starts and stops of this server follow each other.
    async fn lock(&self) -> Result<File> {
        self.state.folder("servers")?;
        let folder = self.state.folder(&format!("servers/{}", self.key))?;
        let path = folder.join("lock");
        let file = File::create(&path).or_failed(|| format!("cannot write {}", path.display()))?;
        tokio::task::spawn_blocking(move || file.lock().map(|()| file))
            .await
            .or_failed(|| "waiting for a lock broke off")?
            .or_failed(|| format!("cannot lock {}", path.display()))
    }

    /// Shuts the server down; `false` if it was not running.
    pub async fn stop(&self) -> Result<bool> {
        if !self.folder().exists() {
            return Ok(false);
        }
        let _lock = self.lock().await?;
        self.stop_locked().await
    }

    async fn stop_locked(&self) -> Result<bool> {
        if EmbeddedContainer::recorded(self) {
            return EmbeddedContainer::new(self).stop().await;
        }
        let Some(pid) = process::running_postmaster(&self.data()) else { return Ok(false) };
        process::signal(pid, Signal::SIGINT);
        let gone = tokio::task::spawn_blocking(move || process::wait_gone(pid, STOP_LIMIT)).await;
        if gone.or_failed(|| "waiting for the embedded server broke off")? {
            return Ok(true);
        }
        let log = self.log();
        Err(Error::failed(format!(
            "the embedded server (process {pid}) did not stop within {} s",
            STOP_LIMIT.as_secs()
        ))
        .detail(cluster::log_tail(&log, 0))
        .help(format!("its log is {}", log.display())))
    }

    /// How the server is reached if it runs now; starts nothing.
    pub async fn address(&self) -> Result<Option<ServerAddress>> {
        if EmbeddedContainer::recorded(self) {
            return EmbeddedContainer::new(self).address().await;
        }
        match process::running_postmaster(&self.data()) {
            Some(_) => self.socket_address().map(Some),
            None => Ok(None),
        }
    }

    /// What there is; starts and writes nothing.
    pub async fn status(&self) -> Result<EmbeddedStatus> {
        if EmbeddedContainer::recorded(self) {
            return EmbeddedContainer::new(self).status().await;
        }
        let data = self.data();
        Ok(EmbeddedStatus {
            exists: data.join("PG_VERSION").exists(),
            in_docker: false,
            pid: process::running_postmaster(&data),
            address: self.address().await?,
            version: cluster_major(&data).map(|major| major.to_string()),
            size: data.exists().then(|| tree_size(&data)),
            data: data.display().to_string(),
        })
    }
}

fn cluster_major(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

fn neither(programs: &Error, docker: &Error, major: u32) -> Error {
    let mut error = Error::failed("found neither PostgreSQL programs nor Docker for the embedded server")
        .cause(programs)
        .cause(docker)
        .help(programs::how_to_install(major));
    for help in docker.helps() {
        error = error.help(format!("or: {help}"));
    }
    error.help("or give the address of a server of your own: url or url_env in dbbuild.toml")
}

fn tree_size(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => tree_size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// Removes the servers of repositories that are gone, throwaways that a kill left, kept states, and templates of programs
/// that were replaced. Returns what was removed, in sentences.
pub async fn prune() -> Result<Vec<String>> {
    prune_in(&StateDir::open()?).await
}

pub(super) async fn prune_in(state: &StateDir) -> Result<Vec<String>> {
    let mut done: Vec<String> =
        sweep::sweep(state).iter().map(|path| format!("removed throwaway server {}", path.display())).collect();
    done.extend(kept::prune(state).iter().map(|path| format!("removed kept state {}", path.display())));
    done.extend(template::prune(state)?.iter().map(|path| format!("removed template {}", path.display())));
    let servers = state.folder("servers")?;
    for entry in fs::read_dir(&servers).or_failed(|| format!("cannot read {}", servers.display()))?.flatten() {
        let Ok(repository) = fs::read_to_string(entry.path().join("repository")) else { continue };
        let repository = PathBuf::from(repository);
        if repository.exists() {
            continue;
        }
        let key = entry.file_name().to_string_lossy().into_owned();
        let gone = Embedded { state: state.clone(), repository, key, options: EmbeddedOptions::default() };
        let lock = gone.lock().await?;
        gone.stop_locked().await?;
        if EmbeddedContainer::recorded(&gone) {
            EmbeddedContainer::new(&gone).remove().await?;
        }
        cluster::remove_tree(&gone.folder())?;
        drop(lock);
        done.push(format!("removed the server of {}, which is gone", gone.repository.display()));
    }
    if docker_engine::engine_answers().await.is_ok() {
        let client = docker_engine::connect()?;
        let swept = docker_engine::sweep(&client, true).await?;
        done.extend(swept.iter().map(|name| format!("removed throwaway container {name}")));
        let kept = docker_keeper::prune(state).await?;
        done.extend(kept.iter().map(|name| format!("removed kept container {name}")));
        kept::forget_keepers(state, &docker_keeper::ids(state).await?);
    }
    Ok(done)
}
