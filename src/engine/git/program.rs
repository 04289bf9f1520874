//! Running the `git` program, for what libgit2 does not do: merging trees, walking history by content, and formats of
//! repositories that it cannot read.

use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Variables that git sets for a hook and that would lead a child to another repository or index.
const REPOSITORY_VARIABLES: [&str; 7] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
];

/// The `git` program, at work in one folder.
#[derive(Debug, Clone)]
pub struct Program {
    folder: PathBuf,
    /// Leave git's variables of a hook as they are: the child is to see the very index that is being committed.
    inherit: bool,
    /// Variables for the child alone.
    variables: Vec<(&'static str, PathBuf)>,
}

impl Program {
    /// In a folder of a repository, whatever repository a hook's variables name.
    pub fn elsewhere(folder: &Path) -> Program {
        Program { folder: folder.to_path_buf(), inherit: false, variables: Vec::new() }
    }

    /// In the repository and with the index that git's variables name, as inside a hook.
    pub fn here(folder: &Path) -> Program {
        Program { folder: folder.to_path_buf(), inherit: true, variables: Vec::new() }
    }

    /// The same, reading only what is here: a partial clone does not ask its remote for what it lacks.
    #[must_use]
    pub fn without_fetching(mut self) -> Program {
        self.variables.push(("GIT_NO_LAZY_FETCH", PathBuf::from("1")));
        self
    }

    /// Whether there is such a program at all.
    pub fn is_there(&self) -> bool {
        self.output(&["--version"], None).is_ok()
    }

    /// Where it works.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same with another index, which need not exist yet: the repository's own may be locked.
    #[must_use]
    pub fn with_index(&self, index: &Path) -> Program {
        let mut program = self.clone();
        program.variables.push(("GIT_INDEX_FILE", index.to_path_buf()));
        program
    }

    fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new("git");
        command.current_dir(&self.folder).env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0").env("GIT_PAGER", "cat");
        if !self.inherit {
            for name in REPOSITORY_VARIABLES {
                command.env_remove(name);
            }
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(["-c", "core.quotePath=false", "-c", "core.fsmonitor=false"]).args(arguments);
        command
    }

    /// Runs to the end, whatever the exit status says.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn output<S: AsRef<OsStr>>(&self, arguments: &[S], input: Option<&[u8]>) -> Result<Output> {
        let missing = |e| Error::failed("cannot run the program git").cause(e).help("install git, or put it on PATH.");
        let mut command = self.command(arguments);
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(missing)?;
        std::thread::scope(|scope| {
            if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
                // A child that stops reading says why on stderr.
                scope.spawn(move || drop(pipe.write_all(input)));
            }
            child.wait_with_output().map_err(missing)
        })
    }

    /// Runs and takes what it prints.
    ///
    /// # Errors
    /// It cannot be run, or fails; with what it says on stderr.
    pub fn bytes<S: AsRef<OsStr>>(&self, arguments: &[S], input: Option<&[u8]>) -> Result<Vec<u8>> {
        let output = self.output(arguments, input)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Error::failed(format!("git {} failed ({})", subcommand(arguments), output.status)).cause(said.trim_end()))
    }

    /// Runs and takes what it prints as text, without the last line end.
    ///
    /// # Errors
    /// See [`Program::bytes`].
    pub fn text<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<String> {
        let text = String::from_utf8_lossy(&self.bytes(arguments, None)?).into_owned();
        Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
    }
}

/// The first word that is neither an option nor the value of one.
fn subcommand<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let mut words = arguments.iter().map(|word| word.as_ref().to_string_lossy());
    while let Some(word) = words.next() {
        match word.as_ref() {
            "-c" | "-C" => drop(words.next()),
            option if option.starts_with('-') => {}
            name => return name.to_owned(),
        }
    }
    String::new()
}
