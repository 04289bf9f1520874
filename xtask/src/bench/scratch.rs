//! Where the rows work: a folder on disk with the durable server, and repositories with a synthetic history in them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::postgres::{MAJOR, Server};
use super::{Options, program};
use crate::workspace;

/// Everything that the rows share.
pub struct Lab {
    // Before `dir`, so that the server stops before its folder goes.
    pub server: Server,
    pub rounds: u32,
    dbbuild: PathBuf,
    dbmate: PathBuf,
    dbmate_no_dump: bool,
    history_script: PathBuf,
    histories: PathBuf,
    dir: TempDir,
}

impl Lab {
    /// Builds dbbuild, finds the peers and starts the server.
    pub fn open(options: &Options) -> Result<Lab> {
        let dbbuild = program(options)?;
        let dbmate = peers(options)?.join("py/bin/dbmate");
        ensure!(dbmate.is_file(), "{} is missing", dbmate.display());
        let history_script = options.history_script.canonicalize();
        let history_script = history_script
            .with_context(|| format!("{}: name the generator by --history-script", options.history_script.display()))?;
        let dir = tempfile::Builder::new().prefix("dbbuild-bench-").tempdir_in(&options.disk)?;
        // Servers run as another user must get through.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        let server = Server::start(dir.path())?;
        Ok(Lab {
            server,
            rounds: options.rounds,
            dbbuild,
            dbmate,
            dbmate_no_dump: options.dbmate_no_dump,
            history_script,
            histories: options.histories.clone(),
            dir,
        })
    }

    /// The folder of real histories.
    pub fn histories(&self) -> &Path {
        &self.histories
    }

    /// The folder for whatever a row needs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A git repository with a history of so many migrations, configured for the durable server; made once.
    pub fn repository(&self, name: &str, migrations: u32) -> Result<Repository<'_>> {
        let repository = self.named(name);
        self.repository_of(name, |_| repository.add_history(migrations, 0))
    }

    fn named(&self, name: &str) -> Repository<'_> {
        Repository { path: self.dir().join(name), database: name.replace('-', "_"), lab: self }
    }

    /// The same with whatever migrations are put into its folder.
    pub fn repository_of(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<Repository<'_>> {
        let repository = self.named(name);
        if repository.path.is_dir() {
            return Ok(repository);
        }
        fs::create_dir_all(repository.migrations())?;
        fs::write(repository.path.join("dbbuild.toml"), config())?;
        fill(&repository.migrations())?;
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        repository.commit("history")?;
        Ok(repository)
    }
}

/// Replaying twice is no part of what the peers do, so the rules that need it are off.
fn config() -> String {
    format!(
        "default_env = \"bench\"\n\n[postgres]\nversion = {MAJOR}\nthrowaway = \"local\"\ndatabase = \"bench\"\n\n\
         [migrations]\nidempotent = \"off\"\nvolatile = \"off\"\n\n[env.bench]\nurl_env = \"BENCH_URL\"\n"
    )
}

fn peers(options: &Options) -> Result<PathBuf> {
    let folder = match &options.peers {
        Some(folder) => std::path::absolute(folder)?,
        None => workspace::target_dir()?.join("xtask/peers"),
    };
    if !folder.is_dir() {
        let script = &options.peers_script;
        ensure!(script.is_file(), "{} is missing: name the peers by --peers", script.display());
        eprintln!("installing the peers into {}", folder.display());
        let status = Command::new("bash").arg(script).arg(&folder).status()?;
        ensure!(status.success(), "{} failed ({status})", script.display());
    }
    Ok(folder)
}

/// One repository of the benchmark and the name of its database.
pub struct Repository<'a> {
    pub path: PathBuf,
    pub database: String,
    lab: &'a Lab,
}

impl Repository<'_> {
    /// The folder of its migrations.
    pub fn migrations(&self) -> PathBuf {
        self.path.join("db/migrations")
    }

    /// Writes further migrations, numbered from `start`.
    pub fn add_history(&self, count: u32, start: u32) -> Result<()> {
        let mut script = Command::new("python3");
        script.arg(&self.lab.history_script).arg(count.to_string()).arg(self.migrations()).arg(start.to_string());
        workspace::output(&mut script).map(drop)
    }

    /// The files of its migrations, in order.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.migrations())?.collect::<std::io::Result<Vec<_>>>()?;
        let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
        files.sort();
        Ok(files)
    }

    /// A command in it, with a home, state and database of its own.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let folders = self.lab.dbbuild.parent().into_iter().chain([self.lab.server.bin()]).map(Path::to_path_buf);
        let machine = std::env::var_os("PATH").unwrap_or_default();
        // Neither part can hold a separator: they come from a split, or ran already.
        if let Ok(path) = std::env::join_paths(folders.chain(std::env::split_paths(&machine))) {
            command.env("PATH", path);
        }
        for name in ["GIT_DIR", "GIT_INDEX_FILE", "DATABASE_URL", "PGHOST", "PGDATABASE"] {
            command.env_remove(name);
        }
        command.env("HOME", self.lab.dir()).env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C").env("TZ", "UTC");
        command.env("DBBUILD_STATE_DIR", self.lab.dir().join("state"));
        command.env("BENCH_URL", self.lab.server.url(&self.database)).current_dir(&self.path);
        command
    }

    /// dbbuild with these arguments.
    pub fn dbbuild(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&self.lab.dbbuild);
        command.args(arguments);
        command
    }

    /// A shell script in it that calls dbbuild.
    pub fn shell(&self, script: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(Path::new("sh"));
        command.args(["-ec", script, "sh"]).args(arguments);
        command
    }

    /// `dbmate up` against a database of the same server. As users run it, it dumps the schema at its end.
    pub fn dbmate_up(&self, database: &str) -> Command {
        let mut command = self.command(&self.lab.dbmate);
        command.arg("--url").arg(self.lab.server.url(database));
        command.arg("--migrations-dir").arg(self.migrations());
        command.arg("--schema-file").arg(self.lab.dir().join("dbmate.sql")).arg("up");
        if self.lab.dbmate_no_dump {
            command.env("DBMATE_NO_DUMP_SCHEMA", "true");
        }
        command
    }

    /// What stands for a proof with dbmate: drop the database, run every migration, dump the schema.
    pub fn dbmate_rebuild(&self, server: &Server, database: &str) -> Command {
        let mut command = self.command(Path::new("sh"));
        command.args(["-ec", r#""$@" drop >/dev/null; "$@" up"#, "sh"]).arg(&self.lab.dbmate);
        command.arg("--url").arg(server.url(database)).arg("--migrations-dir").arg(self.migrations());
        command.arg("--schema-file").arg(self.lab.dir().join("dbmate.sql"));
        command
    }

    /// A git command that is measured.
    pub fn git_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(Path::new("git"));
        command.args(arguments);
        command
    }

    /// The installed pre-commit hook, as git calls it.
    pub fn pre_commit(&self) -> Command {
        let mut command = self.command(Path::new("sh"));
        command.arg(".git/hooks/pre-commit").env("GIT_INDEX_FILE", ".git/index");
        command
    }

    /// Runs git.
    pub fn git(&self, arguments: &[&str]) -> Result<()> {
        workspace::output(&mut self.git_command(arguments)).map(drop)
    }

    /// Commits everything, without hooks.
    pub fn commit(&self, message: &str) -> Result<()> {
        self.git(&["add", "--all"])?;
        let who = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"];
        self.git(&[&who[..], &["commit", "--quiet", "--no-verify", "--allow-empty", "-m", message]].concat())
    }
}
