//! A throwaway server of local programs: a copy of the template, in memory where possible, that dies with dbbuild.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::address::{HostOrSocketDir, ServerAddress};
use super::cluster::{self, FIXED_SETTINGS, SUPERUSER, configure, copy_data, throwaway_settings};
use super::process;
use super::programs::{self, Installation};
use super::state::StateDir;
use super::sweep::{InstanceDir, sweep};
use super::template::template;
use super::throwaway::{Origin, ThrowawayOptions};
use crate::error::{Error, OrFailed, Result};

/// How long a server may take to shut down in order: as long as to start, since its last checkpoint may be of much, on a
/// machine that has much else to do.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// How long one that nobody needs may take to end at once; after 5 s a postmaster kills its children by itself.
const END_LIMIT: Duration = Duration::from_secs(6);

/// A running throwaway of local programs. Dropping it ends the server at once and removes its folder.
#[derive(Debug)]
pub struct LocalServer {
    child: Option<Child>,
    address: ServerAddress,
    programs: Installation,
    /// A short folder elsewhere, where the instance's own path is too long for a socket.
    socket_dir: PathBuf,
    instance: Option<InstanceDir>,
}

impl LocalServer {
    /// Starts a server and makes role and database as the options say.
    pub async fn start(options: &ThrowawayOptions) -> Result<LocalServer> {
        let owned = options.clone();
        let mut server = tokio::task::spawn_blocking(move || LocalServer::spawn(&owned))
            .await
            .or_failed(|| "the start of a server broke off")??;
        server.wait_ready().await?;
        if options.from.is_none() {
            server.address.prepare(&options.database, options.role.as_deref()).await?;
            server.address.declare(&options.database, &options.declared).await?;
        }
        Ok(server)
    }

    fn spawn(options: &ThrowawayOptions) -> Result<LocalServer> {
        let state = StateDir::open()?;
        sweep(&state);
        let programs = programs::find(options.bin_dir.as_deref(), options.major)?;
        state.check_traversable(&programs.bin)?;
        let source = match &options.from {
            Some(Origin::Folder(data)) => data.clone(),
            _ => template(&state, &programs, &options.encoding, options.locale.as_deref())?,
        };
        let instance = match options.on_disk {
            Some(bytes) => match state.roomy_base(bytes)? {
                Ok(base) => InstanceDir::create_in(&base, &state)?,
                Err((base, free)) => return Err(too_small(&base, free, bytes)),
            },
            None => InstanceDir::create(&state)?,
        };
        copy_data(&source, &instance.path().join("data"), state.user())?;
        LocalServer::launch(&state, programs, instance, SUPERUSER, options)
    }

    /// Starts a server on the data directory of an instance, as it is; it is reached as `user`.
    pub async fn over(instance: InstanceDir, user: &str, options: &ThrowawayOptions) -> Result<LocalServer> {
        let (owned, user) = (options.clone(), user.to_owned());
        let mut server = tokio::task::spawn_blocking(move || {
            let state = StateDir::open()?;
            let programs = programs::find(owned.bin_dir.as_deref(), owned.major)?;
            LocalServer::launch(&state, programs, instance, &user, &owned)
        })
        .await
        .or_failed(|| "the start of a server broke off")??;
        server.wait_ready().await?;
        Ok(server)
    }

    fn launch(
        state: &StateDir,
        programs: Installation,
        instance: InstanceDir,
        user: &str,
        options: &ThrowawayOptions,
    ) -> Result<LocalServer> {
        let data = instance.path().join("data");
        let mut settings = throwaway_settings(programs.version.major);
        settings.extend(options.settings.clone());
        configure(&data, state, &settings)?;
        let socket_dir = instance.socket_dir(state)?;
        let mut command = cluster::server_command(&programs, state.user(), &data, &socket_dir);
        let port = if options.loopback { listen_on_loopback(&mut command, &data, state)? } else { 5432 };
        for (name, value) in FIXED_SETTINGS {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let log = cluster::open_log(&instance.path().join("log"), state)?;
        let errors = log.try_clone().or_failed(|| "cannot open the server's log twice")?;
        command.stdout(Stdio::from(log)).stderr(Stdio::from(errors));
        let address = ServerAddress {
            host: HostOrSocketDir::SocketDir(socket_dir.clone()),
            port,
            user: user.into(),
            password: None,
        };
        let mut server = LocalServer { child: None, address, programs, socket_dir, instance: Some(instance) };
        let child = process::spawn_bound(command)
            .or_failed(|| format!("cannot run {}", server.programs.program("postgres").display()))?;
        server.child = Some(child);
        Ok(server)
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let log = self.log_path();
        let LocalServer { child, address, .. } = self;
        let ended = || child.as_mut().and_then(|child| child.try_wait().ok().flatten()).map(|s| s.to_string());
        cluster::wait_ready(address, &log, 0, ended).await
    }

    /// How it is reached, as the superuser.
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// The programs that run it; their `pg_dump` fits it exactly.
    pub fn programs(&self) -> &Installation {
        &self.programs
    }

    fn folder(&self) -> &Path {
        self.instance.as_ref().map_or(Path::new(""), InstanceDir::path)
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// The file that it logs to.
    pub fn log_path(&self) -> PathBuf {
        self.folder().join("log")
    }

    fn remove_far_socket(&self) {
        if !self.socket_dir.starts_with(self.folder()) {
            let _ = cluster::remove_tree(&self.socket_dir);
        }
    }

    /// Shuts down in order, so that the data directory can be copied and started from later.
    pub async fn stop(mut self) -> Result<StoppedServer> {
        // The child stays where it is until it has ended, so that a stop that breaks off ends it.
        let child = self.child.as_mut().ok_or_else(|| Error::failed("the throwaway server runs no more"))?;
        if let Ok(pid) = i32::try_from(child.id()) {
            process::signal(pid, Signal::SIGINT);
        }
        let end = std::time::Instant::now() + STOP_LIMIT;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if std::time::Instant::now() < end => tokio::time::sleep(Duration::from_millis(2)).await,
                Ok(None) | Err(_) => return Err(Error::failed("a throwaway server did not shut down in time")),
            }
        };
        self.child = None;
        if !status.success() {
            let tail = cluster::log_tail(&self.log_path(), 0);
            return Err(Error::failed(format!("a throwaway server shut down with an error ({status})")).detail(tail));
        }
        self.remove_far_socket();
        let instance = self.instance.take().ok_or_else(|| Error::failed("the throwaway server has no folder"))?;
        Ok(StoppedServer { instance })
    }
}

/// Says how much room there is, and how much there should be.
pub fn too_small(base: &Path, free: u64, wanted: u64) -> Error {
    let size = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
    Error::failed(format!("there is too little room for a copy in {}", base.display()))
        .cause(format!("{} are free, and {} may be needed", size(free), size(wanted)))
        .help("set TMPDIR to a folder on a larger disk, which every user can pass through.")
}

/// Loopback is open to every user of the machine, so the template's rules, which trust everybody, must not hold there.
/// The socket lies in a folder that only the server's user may enter.
fn listen_on_loopback(command: &mut Command, data: &Path, state: &StateDir) -> Result<u16> {
    let rules = data.join("pg_hba.conf");
    cluster::write_private(&rules, b"local all all trust\n")
        .or_failed(|| format!("cannot write {}", rules.display()))?;
    state.give(&rules)?;
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let port = free.or_failed(|| "found no free port on loopback")?.port();
    command.args(["-c", "listen_addresses=127.0.0.1,::1", "-p", &port.to_string()]);
    Ok(port)
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            process::end_child(child, END_LIMIT);
            // A server that somebody killed could not tidy up after itself.
            process::end_leftover(&self.data_dir());
        }
        self.remove_far_socket();
    }
}

/// The data directory of a throwaway that was shut down in order; dropping it removes it.
#[derive(Debug)]
pub struct StoppedServer {
    instance: InstanceDir,
}

impl StoppedServer {
    /// The data directory: [`ThrowawayOptions::from`] starts a copy of it.
    pub fn data_dir(&self) -> PathBuf {
        self.instance.path().join("data")
    }

    /// Where throwaways are made.
    pub(super) fn base(&self) -> PathBuf {
        self.instance.path().parent().map(Path::to_path_buf).unwrap_or_default()
    }
}
