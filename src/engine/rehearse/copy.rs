//! The copy: a throwaway server with the data of another one, by `pg_dump` and `pg_restore` or by `pg_basebackup`.
//!
//! Whatever is in it, it is never reachable beyond this machine and is gone with the command. It is not in memory, since
//! times are to be measured on it.

use super::source::Source;
use crate::engine::server::state::StateDir;
use crate::engine::server::sweep::InstanceDir;
use crate::engine::server::throwaway::Throwaway;
use crate::engine::server::{ServerAddress, ThrowawayKind, ThrowawayOptions, cluster, local, process, programs};
use crate::engine::session::{self, ConnectOptions, ConnectionSettings, Session};
use crate::error::{Error, OrFailed, Result};
use crate::model::sql::{identifier, literal};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How a copy is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyKind {
    /// By `pg_dump` and `pg_restore`: the database alone, without its bloat.
    Dump,
    /// By `pg_basebackup`: all databases of the server, byte for byte.
    Physical,
}

impl CopyKind {
    /// As JSON and the command line have it.
    pub fn as_str(self) -> &'static str {
        match self {
            CopyKind::Dump => "dump",
            CopyKind::Physical => "physical",
        }
    }
}

/// How a copy is to be made.
pub(super) struct Making<'a> {
    pub options: ThrowawayOptions,
    pub source: &'a Source,
    /// How the source is reached.
    pub settings: &'a ConnectionSettings,
    pub major: u32,
    pub lock_timeout: Duration,
    /// Bytes that stay free.
    pub keep_free: u64,
    pub tell: &'a (dyn Fn(String) + Send + Sync),
}

/// A running copy.
pub(super) struct Copied {
    pub server: Throwaway,
    pub kind: CopyKind,
    /// For dbbuild's own work.
    pub superuser: ConnectionSettings,
    /// For the migrations: the role that runs them on the source.
    pub runner: ConnectionSettings,
}

/// A physical copy pays where restoring takes long, and where it brings little else along.
const WORTH_PHYSICAL: u64 = 1_000_000_000;

impl Making<'_> {
    /// Which way is the better one, where the user leaves it open.
    pub fn choose(&self) -> CopyKind {
        let source = self.source;
        let little_else = source.server_bytes <= source.bytes + source.bytes / 2;
        match source.bytes >= WORTH_PHYSICAL && little_else && self.refuses_physical().is_none() {
            true => CopyKind::Physical,
            false => CopyKind::Dump,
        }
    }

    /// Why no physical copy can be made, as far as that is known before it is tried.
    fn refuses_physical(&self) -> Option<String> {
        if !self.source.may_replicate {
            return Some(format!("the role {} has no REPLICATION", self.source.user));
        }
        if self.source.tablespaces {
            return Some("the server has tablespaces".to_owned());
        }
        // A container cannot take it; programs of the same version that are here can.
        let missing = programs::find(self.options.bin_dir.as_deref(), Some(self.major)).err()?;
        let docker = if self.is_docker() { ", and a container cannot take it" } else { "" };
        Some(format!("{}{docker}", missing.message()))
    }

    /// Whether throwaways run in Docker.
    pub fn is_docker(&self) -> bool {
        self.options.kind == ThrowawayKind::Docker
    }

    /// Makes it.
    ///
    /// # Errors
    /// There is too little room, a program is missing, or one fails; nothing of the copy is left.
    pub async fn make(&self, kind: CopyKind) -> Result<Copied> {
        match kind {
            CopyKind::Dump => self.dump().await,
            CopyKind::Physical => match self.refuses_physical() {
                None => self.physical().await,
                Some(why) => Err(Error::failed(format!("cannot make a physical copy: {why}"))
                    .help("`--copy dump` needs no more than the right to read.")),
            },
        }
    }

    /// Where so much is free.
    fn room(&self, state: &StateDir, bytes: u64) -> Result<PathBuf> {
        let wanted = bytes.saturating_add(self.keep_free);
        state.roomy_base(wanted)?.map_err(|(base, free)| local::too_small(&base, free, wanted))
    }

    async fn dump(&self) -> Result<Copied> {
        let client = programs::find_client(self.options.bin_dir.as_deref(), self.major, false)?;
        let state = StateDir::open()?;
        // The dump and what is restored of it lie side by side for a while.
        let base = self.room(&state, self.source.bytes.saturating_mul(2))?;
        let options = ThrowawayOptions { on_disk: Some(self.source.bytes), ..self.options.clone() };
        let server = Throwaway::start(&options).await?;
        let superuser = server.address().clone();
        let admin = session::connect(&superuser.settings("postgres"), &ConnectOptions::default()).await?;
        self.check_extensions(&admin).await?;
        for statement in &self.source.roles {
            admin.simple(statement).await.map_err(|e| e.cause(format!("in the copy: {statement}")))?;
        }
        let folder = InstanceDir::create_in(&base, &state)?;
        let files = folder.path().join("dump");
        let jobs = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 8).to_string();
        (self.tell)(format!("reads `{}` by pg_dump, {jobs} at once", self.source.database));
        let mut command = process::command(&client.program("pg_dump"), None);
        command.args(["--format=directory", "--compress=0", "--no-sync", "--no-password", "--no-tablespaces"]);
        command.args(["--create", "--no-subscriptions", "--jobs", &jobs, "--file"]).arg(&files);
        command.arg(format!("--snapshot={}", self.source.snapshot));
        command.arg(format!("--lock-wait-timeout={}", self.lock_timeout.as_millis().max(1)));
        command.envs(self.settings.libpq_env());
        let own = self.settings.libpq_env().into_iter().find(|(name, _)| name == "PGOPTIONS").map(|(_, own)| own);
        command.env("PGOPTIONS", format!("{} {READ_ONLY}", own.unwrap_or_default()).trim_start());
        run(command, "pg_dump").await?;
        (self.tell)(format!("restores it, {jobs} at once"));
        let mut command = process::command(&client.program("pg_restore"), None);
        command.args(["--exit-on-error", "--no-tablespaces", "--no-subscriptions", "--no-password", "--jobs", &jobs]);
        let makes = !matches!(self.source.database.as_str(), "postgres" | "template1");
        if makes {
            command.arg("--create");
        }
        command.args(["--dbname", if makes { "postgres" } else { self.source.database.as_str() }]).arg(&files);
        command.envs(superuser.libpq_env("postgres"));
        run(command, "pg_restore").await?;
        drop(folder);
        let runner = self.let_in(&admin, &superuser).await?;
        Ok(Copied {
            kind: CopyKind::Dump,
            superuser: superuser.settings(&self.source.database),
            runner: runner.settings(&self.source.database),
            server,
        })
    }

    /// Lets the role log in that runs migrations: the configured one where the source has it, else the one that reads it.
    async fn let_in(&self, admin: &Session, superuser: &ServerAddress) -> Result<ServerAddress> {
        let user = self.source.runner.as_ref().unwrap_or(&self.source.user);
        if *user == superuser.user {
            return Ok(superuser.clone());
        }
        let password =
            superuser.password.as_ref().map_or_else(String::new, |password| format!(" PASSWORD {}", literal(password)));
        admin.simple(&format!("ALTER ROLE {} LOGIN{password}", identifier(user))).await?;
        Ok(superuser.with_user(user))
    }

    async fn check_extensions(&self, admin: &Session) -> Result<()> {
        let rows = admin.query_rows("SELECT name FROM pg_catalog.pg_available_extensions").await?;
        let there: Vec<String> = rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
        let missing: Vec<&str> = self
            .source
            .extensions
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !there.iter().any(|t| t == name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::failed(format!(
            "the throwaway server lacks extensions of `{}`: {}",
            self.source.database,
            missing.join(", ")
        ))
        .help("install them on this machine, or name an image that has them: `postgres.image`. Nothing was read yet."))
    }

    async fn physical(&self) -> Result<Copied> {
        let installation = programs::find(self.options.bin_dir.as_deref(), Some(self.major))?;
        let state = StateDir::open()?;
        let base = self.room(&state, self.source.server_bytes + self.source.server_bytes / 10)?;
        let instance = InstanceDir::create_in(&base, &state)?;
        let data = instance.path().join("data");
        std::fs::DirBuilder::new().mode(0o700).create(&data).or_failed(|| format!("cannot make {}", data.display()))?;
        state.give(&data)?;
        (self.tell)(format!("copies the server of `{}` by pg_basebackup", self.source.database));
        let mut command = process::command(&installation.program("pg_basebackup"), state.user());
        command.arg("--pgdata").arg(&data);
        command.args(["--wal-method=stream", "--checkpoint=fast", "--no-sync", "--no-password"]);
        if !self.source.free_slot {
            // The server may then remove write-ahead log before it is copied. A slot holds it, and goes with the connection.
            command.arg("--no-slot");
        }
        command.envs(self.settings.libpq_env());
        run(command, "pg_basebackup").await?;
        tame(&data, &state)?;
        let options = ThrowawayOptions { major: Some(self.major), ..self.options.clone() };
        let server = Throwaway::over(instance, &self.source.first_superuser, &options).await?;
        let superuser = server.address().clone();
        let admin = session::connect(&superuser.settings(&self.source.database), &ConnectOptions::default()).await?;
        let runner = self.let_in(&admin, &superuser).await?;
        Ok(Copied {
            kind: CopyKind::Physical,
            superuser: superuser.settings(&self.source.database),
            runner: runner.settings(&self.source.database),
            server,
        })
    }
}

const READ_ONLY: &str =
    "-c default_transaction_read_only=on -c statement_timeout=0 -c idle_in_transaction_session_timeout=0";

/// A physical copy must not do what its original does: archive, replicate, follow, publish, run jobs, listen.
fn tame(data: &Path, state: &StateDir) -> Result<()> {
    for name in ["standby.signal", "recovery.signal"] {
        let path = data.join(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::failed(format!("cannot remove {}", path.display())).cause(e));
            }
            _ => {}
        }
    }
    let files = [
        ("postgresql.conf", ""),
        ("postgresql.auto.conf", ""),
        ("pg_hba.conf", "local all all trust\n"),
        ("pg_ident.conf", ""),
    ];
    for (name, text) in files {
        let path = data.join(name);
        cluster::write_private(&path, text.as_bytes()).or_failed(|| format!("cannot write {}", path.display()))?;
        state.give(&path)?;
    }
    Ok(())
}

/// A program that ends with dbbuild, and with the future that waits for it.
struct Bound(Option<Child>);

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            process::end_child(child, Duration::from_secs(2));
        }
    }
}

async fn run(mut command: Command, what: &str) -> Result<()> {
    let log = tempfile::tempfile().or_failed(|| "cannot make a temporary file")?;
    let errors = log.try_clone().or_failed(|| "cannot open a temporary file twice")?;
    command.stdout(Stdio::null()).stderr(Stdio::from(errors));
    let failed = || format!("cannot run {what}");
    let mut child = Bound(Some(process::spawn_bound(command).or_failed(failed)?));
    let status = loop {
        match child.0.as_mut().map(Child::try_wait) {
            Some(Ok(None)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Some(Ok(Some(status))) => break status,
            Some(Err(e)) => return Err(Error::failed(failed()).cause(e)),
            None => return Err(Error::failed(failed())),
        }
    };
    child.0 = None;
    if status.success() {
        return Ok(());
    }
    let said = std::io::read_to_string({
        use std::io::Seek;
        let mut log = log;
        log.rewind().or_failed(failed)?;
        log
    });
    let said = said.unwrap_or_default();
    let mut error = Error::failed(format!("{what} failed ({status})")).detail(said.trim_end().to_owned());
    if said.contains("permission denied") {
        error = error.help(
            "a copy is made by a role that may read all of it: `GRANT pg_read_all_data TO …`, or `--from URL` with \
             another role; `postgres.role` in dbbuild.toml says who runs the migrations then.",
        );
    }
    if said.contains("has already been removed") {
        error = error.help(
            "the server removed write-ahead log before it was copied: run it again, at best with `wal_keep_size` set on the \
             server, or use `--copy dump`.",
        );
    }
    if said.contains("LOCK TABLE") && said.contains("timeout") {
        error = error.help(
            "somebody holds a lock on that table for longer than lock.timeout: run it again later, or copy a standby \
             by `--from URL`.",
        );
    }
    Err(error.help("nothing was changed; the copy is gone."))
}
