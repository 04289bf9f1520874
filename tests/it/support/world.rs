//! A hermetic world for one test: its own home, git configuration, repository and clock for commits. Of the machine's
//! environment only what programs need to be found and to run is let in.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Outcome, Running, run, run_dir};

/// Variables of the machine that are passed on: where programs and the Docker engine are, and what coverage tools write.
const PASSED_ON: &[&str] =
    &["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "LLVM_PROFILE_FILE", "LD_LIBRARY_PATH"];

/// The second of the first commit; each further one is a minute later.
const FIRST_COMMIT: i64 = 1_704_106_800;

/// See the module's page. Everything in it is removed at its end.
pub struct World {
    dir: TempDir,
    variables: BTreeMap<String, String>,
    commits: Cell<i64>,
}

impl World {
    /// A home and an empty git repository on branch `main`.
    pub fn new() -> Self {
        let world = World::without_git();
        world.git(&["init", "--quiet", "--initial-branch=main"]).ok();
        world
    }

    /// The same with a plain folder where the repository would be.
    pub fn without_git() -> Self {
        let dir = tempfile::Builder::new().prefix("world-").tempdir_in(run_dir::path()).unwrap();
        let place = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        for folder in ["home", "repo", "tmp"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let mut variables: BTreeMap<String, String> = [
            ("HOME", place("home")),
            ("XDG_CONFIG_HOME", place("home/.config")),
            ("XDG_CACHE_HOME", place("home/.cache")),
            ("XDG_DATA_HOME", place("home/.local/share")),
            ("XDG_STATE_HOME", place("home/.local/state")),
            ("TMPDIR", place("tmp")),
            ("PATH", path_with_dbbuild()),
            ("GIT_CONFIG_GLOBAL", place("home/.gitconfig")),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
            ("GIT_AUTHOR_NAME", "Ada Example".into()),
            ("GIT_AUTHOR_EMAIL", "ada@example.com".into()),
            ("GIT_COMMITTER_NAME", "Ada Example".into()),
            ("GIT_COMMITTER_EMAIL", "ada@example.com".into()),
            ("TZ", "UTC".into()),
            ("LC_ALL", "C".into()),
            ("NO_COLOR", "1".into()),
            ("DBBUILD_STATE_DIR", state_dir().to_str().unwrap().to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        variables.extend(PASSED_ON.iter().filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?))));
        World { dir, variables, commits: Cell::new(0) }
    }

    /// Another world with the same repository, at the same time.
    #[track_caller]
    pub fn copy(&self) -> World {
        let world = World::without_git();
        world.commits.set(self.commits.get());
        world.run(world.command("cp").arg("-a").arg(self.path(".")).arg(world.path("."))).ok();
        world
    }

    /// Sets a variable for everything that runs in this world.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// The home folder.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Makes an empty bare repository the remote `origin`, and gives its place.
    #[track_caller]
    pub fn add_origin(&self) -> PathBuf {
        let origin = self.home().join("origin.git");
        let place = origin.to_str().unwrap();
        self.git(&["init", "--quiet", "--bare", place]).ok();
        self.git(&["remote", "add", "origin", place]).ok();
        origin
    }

    /// The repository, or a path in it.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join("repo").join(path)
    }

    /// Writes a file of the repository, with the folders above it.
    #[track_caller]
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        let place = self.path(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
        self
    }

    /// Reads a file of the repository.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
    }

    /// A command in this world, to be run in the repository.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.variables).current_dir(self.path(""));
        let date = format!("{} +0000", FIRST_COMMIT + 60 * self.commits.get());
        command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        command
    }

    /// Starts dbbuild in the repository and does not wait for it.
    #[track_caller]
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(env!("CARGO_BIN_EXE_dbbuild")).args(arguments))
    }

    /// Runs a command that [`World::command`] made.
    #[track_caller]
    pub fn run(&self, command: &mut Command) -> Outcome {
        let mut outcome = run(command);
        outcome.places = vec![
            (self.path("").to_str().unwrap().trim_end_matches('/').to_owned(), "[REPO]"),
            (self.dir.path().to_str().unwrap().to_owned(), "[WORLD]"),
            (state_dir().to_str().unwrap().to_owned(), "[STATE]"),
        ];
        outcome
    }

    /// Runs git in the repository.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> Outcome {
        self.run(self.command("git").args(arguments))
    }

    /// Stages everything and commits it, a minute after the commit before; hooks run.
    #[track_caller]
    pub fn commit(&self, message: &str) -> Outcome {
        self.git(&["add", "--all"]).ok();
        self.commits.set(self.commits.get() + 1);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message])
    }

    /// Runs dbbuild in the repository.
    #[track_caller]
    pub fn dbbuild(&self, arguments: &[&str]) -> Outcome {
        self.run(self.command(env!("CARGO_BIN_EXE_dbbuild")).args(arguments))
    }
}

/// State of dbbuild for the whole run, since it is keyed by repository below: what is made once for a machine, such as
/// the template of a cluster, is made once for the tests.
fn state_dir() -> PathBuf {
    run_dir::path().join("state")
}

/// The machine's `PATH` with the dbbuild under test first, as hooks need it.
fn path_with_dbbuild() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_dbbuild"));
    let machine = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(program.parent().unwrap().to_path_buf()).chain(env::split_paths(&machine));
    env::join_paths(folders).unwrap().into_string().unwrap()
}
