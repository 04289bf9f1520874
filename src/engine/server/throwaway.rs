//! Throwaway servers of either kind, and the choice between the kinds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::address::{HostOrSocketDir, ServerAddress};
use super::docker::{self, DockerServer};
use super::docker_guest::{GuestServer, StoppedGuest};
use super::docker_keeper::Keeper;
use super::local::{LocalServer, StoppedServer};
use super::programs;
use super::sweep::InstanceDir;
use crate::engine::dump::DumpProgram;
use crate::error::{Error, Result};
pub use crate::model::config::ThrowawayKind;

/// What a throwaway server is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrowawayOptions {
    /// Docker, local programs, or what there is.
    pub kind: ThrowawayKind,
    /// The pinned major version; `None` takes the newest local programs.
    pub major: Option<u32>,
    /// Folder of the local programs; `None` searches.
    pub bin_dir: Option<PathBuf>,
    /// Image for the Docker kind.
    pub image: Option<String>,
    /// The database that is made.
    pub database: String,
    /// Server encoding.
    pub encoding: String,
    /// Locale; `None` takes `C.UTF-8` where it is known and fits the encoding, else `C`.
    pub locale: Option<String>,
    /// A login role without superuser that owns the database.
    pub role: Option<String>,
    /// Statements that make roles before anything else runs, each only where it is missing.
    pub declared: String,
    /// The user's settings, such as `shared_preload_libraries`.
    pub settings: BTreeMap<String, String>,
    /// Start a copy of this stopped data directory instead of a fresh cluster.
    pub from: Option<Origin>,
    /// Docker kind: start in this kept container, and not in one of its own.
    pub keeper: Option<Keeper>,
    /// Not in memory, for data of any size: where this many bytes are free.
    pub on_disk: Option<u64>,
    /// Local kind: listen on loopback too, where nobody is let in until the server is told otherwise.
    pub loopback: bool,
}

/// A stopped data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// On this machine.
    Folder(PathBuf),
    /// In a kept container.
    Keeper(String),
}

impl Default for ThrowawayOptions {
    fn default() -> Self {
        ThrowawayOptions {
            kind: ThrowawayKind::Auto,
            major: None,
            bin_dir: None,
            image: None,
            database: "postgres".into(),
            encoding: "UTF8".into(),
            locale: None,
            role: None,
            declared: String::new(),
            settings: BTreeMap::new(),
            from: None,
            keeper: None,
            on_disk: None,
            loopback: false,
        }
    }
}

/// A running throwaway server. Dropping it removes it; so does the death of dbbuild, or else the next sweep.
#[derive(Debug)]
pub struct Throwaway {
    server: Server,
}

/// A server as it is seen from where it runs.
#[derive(Debug, Clone)]
pub struct Inside {
    /// The id of the container; `None` on this machine.
    pub container: Option<String>,
    /// Its port there.
    pub port: u16,
    /// The folder there that holds its socket; `None` where only the server knows it.
    pub sockets: Option<PathBuf>,
    /// The file there that it logs to.
    pub log: PathBuf,
}

#[derive(Debug)]
enum Server {
    Local(Box<LocalServer>),
    Docker(Box<DockerServer>),
    Guest(Box<GuestServer>),
}

/// The data directory of a throwaway that was shut down in order; dropping it removes it.
#[derive(Debug)]
pub enum Stopped {
    /// On this machine.
    Local(StoppedServer),
    /// In a kept container.
    Guest(StoppedGuest),
}

impl Stopped {
    /// What a copy of it starts from.
    pub fn origin(&self) -> Origin {
        match self {
            Stopped::Local(stopped) => Origin::Folder(stopped.data_dir()),
            Stopped::Guest(stopped) => stopped.origin(),
        }
    }
}

/// What `auto` stands for on this machine.
pub struct Choice {
    /// The options with their kind settled, and the image where that is Docker.
    pub options: ThrowawayOptions,
    /// What should be said once about the choice.
    pub notes: Vec<String>,
}

/// Settles which kind of server the options mean.
///
/// Which kind `auto` stands for is decided by what can be asked quickly; a start that then fails is an error, since
/// another kind would likely hide what is wrong with the settings.
pub async fn choose(options: &ThrowawayOptions) -> Result<Choice> {
    let chosen = |kind, notes| Choice { options: ThrowawayOptions { kind, ..options.clone() }, notes };
    if matches!(options.from, Some(Origin::Folder(_))) {
        return Ok(chosen(ThrowawayKind::Local, Vec::new()));
    }
    if options.kind != ThrowawayKind::Auto {
        return Ok(chosen(options.kind, Vec::new()));
    }
    let local = programs::find(options.bin_dir.as_deref(), options.major);
    if options.image.is_some() {
        let Err(refusal) = docker::usable(options).await else {
            return Ok(chosen(ThrowawayKind::Docker, Vec::new()));
        };
        return match local {
            Ok(found) => Ok(chosen(
                ThrowawayKind::Local,
                vec![format!(
                    "throwaway servers run from the local programs of PostgreSQL {} ({}): {refusal}",
                    found.version,
                    found.bin.display()
                )],
            )),
            Err(error) => Err(Error::all([refusal, error]).unwrap_or_else(|| Error::failed("no server"))),
        };
    }
    let Err(refusal) = local else { return Ok(chosen(ThrowawayKind::Local, Vec::new())) };
    let Some(major) = options.major else { return Err(refusal) };
    let with_image =
        ThrowawayOptions { kind: ThrowawayKind::Docker, image: Some(format!("postgres:{major}")), ..options.clone() };
    if docker::usable(&with_image).await.is_err() {
        return Err(refusal.help(format!("or start Docker, which then runs the image postgres:{major}")));
    }
    let notes = vec![format!("throwaway servers run in Docker (postgres:{major}): {refusal}")];
    Ok(Choice { options: with_image, notes })
}

impl Throwaway {
    /// Starts a server with the database and role that the options name, ready for connections.
    pub async fn start(options: &ThrowawayOptions) -> Result<Throwaway> {
        let choice = choose(options).await?;
        let server = match (choice.options.kind, &choice.options.keeper) {
            (ThrowawayKind::Docker, Some(keeper)) => {
                match GuestServer::start(keeper, &choice.options).await {
                    Ok(server) => Server::Guest(Box::new(server)),
                    // The container may have ended since it was found; what else is wrong shows again.
                    Err(_) if options.from.is_none() => {
                        Server::Docker(Box::new(DockerServer::start(&choice.options).await?))
                    }
                    Err(error) => return Err(error),
                }
            }
            (ThrowawayKind::Docker, None) => Server::Docker(Box::new(DockerServer::start(&choice.options).await?)),
            _ => Server::Local(Box::new(LocalServer::start(&choice.options).await?)),
        };
        Ok(Throwaway { server })
    }

    /// Starts a local server on a data directory that was made in a folder of its own, as a copy of another server is. It is
    /// reached as `user`.
    pub async fn over(instance: InstanceDir, user: &str, options: &ThrowawayOptions) -> Result<Throwaway> {
        let server = LocalServer::over(instance, user, options).await?;
        Ok(Throwaway { server: Server::Local(Box::new(server)) })
    }

    /// Where it runs and logs, seen from its own loopback; `None` for a container of its own, whose log is the engine's.
    pub fn inside(&self) -> Option<Inside> {
        match &self.server {
            Server::Local(server) => {
                let ServerAddress { host, port, .. } = server.address();
                let sockets = match host {
                    HostOrSocketDir::SocketDir(folder) => Some(folder.clone()),
                    HostOrSocketDir::Host(_) => None,
                };
                Some(Inside { container: None, port: *port, sockets, log: server.log_path() })
            }
            Server::Docker(_) => None,
            Server::Guest(server) => {
                let container = Some(server.id().to_owned());
                Some(Inside { container, port: server.port(), sockets: None, log: server.log().into() })
            }
        }
    }

    /// The id of its container, where it runs in one.
    pub fn container(&self) -> Option<&str> {
        match &self.server {
            Server::Local(_) => None,
            Server::Docker(server) => server.id(),
            Server::Guest(server) => Some(server.id()),
        }
    }

    /// How it is reached, as the superuser `postgres`.
    pub fn address(&self) -> &ServerAddress {
        match &self.server {
            Server::Local(server) => server.address(),
            Server::Docker(server) => server.address(),
            Server::Guest(server) => server.address(),
        }
    }

    /// The same for the role that runs migrations.
    pub fn role_address(&self, role: Option<&str>) -> ServerAddress {
        role.map_or_else(|| self.address().clone(), |role| self.address().with_user(role))
    }

    /// The `pg_dump` that fits it: a local one of its version, else the container's own.
    pub fn dump_program(&self) -> DumpProgram {
        match &self.server {
            Server::Local(server) => DumpProgram::Local(server.programs().clone()),
            Server::Docker(server) => server.dump_program(),
            Server::Guest(server) => server.dump_program(),
        }
    }

    /// Removes it now, while other work of the same task goes on. What cannot be removed is left to the next sweep.
    pub async fn remove(self) {
        match self.server {
            Server::Local(server) => drop(tokio::task::spawn_blocking(move || drop(server)).await),
            Server::Docker(server) => drop(server.remove().await),
            Server::Guest(server) => server.remove().await,
        }
    }

    /// Shuts down in order and keeps the data directory until the returned value is dropped; `None` for a container of its
    /// own, which ends with its server.
    pub async fn stop(self) -> Result<Option<Stopped>> {
        match self.server {
            Server::Local(server) => server.stop().await.map(|stopped| Some(Stopped::Local(stopped))),
            Server::Guest(server) => server.stop().await.map(|stopped| Some(Stopped::Guest(stopped))),
            Server::Docker(server) => server.remove().await.map(|()| None),
        }
    }
}
