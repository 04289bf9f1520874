//! The servers of the benchmark: a durable one on disk, as an installation has it, and what the comparison by hand
//! needs: a prepared cluster to copy. All of it ends with the value.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};

use crate::{fetch, workspace};

/// What production runs in these measurements.
pub const MAJOR: u32 = 15;

/// A durable server with PostgreSQL's default settings, on loopback.
pub struct Server {
    bin: PathBuf,
    port: u16,
    child: Child,
}

impl Server {
    /// Starts one with its data below `dir`, on the default settings.
    pub fn start(dir: &Path) -> Result<Server> {
        Server::start_with(dir, "durable", &[])
    }

    /// One that may lose what it holds, as a developer's test server.
    pub fn start_relaxed(dir: &Path) -> Result<Server> {
        Server::start_with(dir, "relaxed", &["fsync=off", "synchronous_commit=off", "full_page_writes=off"])
    }

    fn start_with(dir: &Path, name: &str, settings: &[&str]) -> Result<Server> {
        let bin = fetch::postgres(MAJOR)?;
        let data = init_cluster(&bin, dir, name)?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut postgres = as_server_user(&bin.join("postgres"))?;
        postgres.arg("-D").arg(&data).args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        postgres.arg("-c").arg(format!("port={port}"));
        postgres.args(settings.iter().flat_map(|setting| ["-c", setting]));
        let log_file = dir.join(format!("{name}.log"));
        let log = File::create(&log_file)?;
        let child = postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let server = Server { bin, port, child };
        let start = Instant::now();
        while server.psql("postgres", "SELECT 1").is_err() {
            if start.elapsed() > Duration::from_secs(60) {
                bail!("the durable server does not start\n{}", fs::read_to_string(&log_file)?);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// The folder of its programs.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// A database's address.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// `psql` connected to a database, with nothing read from a home.
    pub fn psql_command(&self, database: &str) -> Command {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d"]).arg(self.url(database)).env("LC_ALL", "C");
        psql
    }

    /// Runs SQL.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        workspace::output(self.psql_command(database).args(["-At", "-c", sql]))
    }

    /// Drops the database if it is there, and makes it anew; then waits until the disk is quiet.
    pub fn fresh(&self, database: &str) -> Result<()> {
        self.psql("postgres", &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))?;
        self.psql("postgres", &format!("CREATE DATABASE {database} TEMPLATE template0"))?;
        self.psql("postgres", "CHECKPOINT")?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A quick stop: the data is thrown away.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGQUIT);
        let _ = self.child.wait();
    }
}

/// Makes a cluster in a folder of that name below `dir`.
pub fn init_cluster(bin: &Path, dir: &Path, name: &str) -> Result<PathBuf> {
    let place = dir.join(name);
    fs::create_dir(&place)?;
    give_to_server_user(&place)?;
    let data = place.join("data");
    let mut initdb = as_server_user(&bin.join("initdb"))?;
    initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-D"]).arg(&data);
    workspace::output(&mut initdb)?;
    Ok(data)
}

/// Lets the user that servers run as write into a folder.
pub fn give_to_server_user(dir: &Path) -> Result<()> {
    if let Some(user) = other_user()? {
        chown(dir, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .with_context(|| format!("cannot give away {}", dir.display()))?;
    }
    Ok(())
}

/// A command as the user that servers run as, which is another one for root.
pub fn as_server_user(program: &Path) -> Result<Command> {
    let mut command = Command::new(program);
    command.env_clear().envs([("LC_ALL", "C"), ("TZ", "UTC"), ("PATH", "/usr/bin:/bin")]).current_dir("/");
    if let Some(user) = other_user()? {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    Ok(command)
}

fn other_user() -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let user = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
    user.map(Some).context("root needs a user `postgres` or `nobody` to run servers as")
}
