//! Finding the repository: through the library, or through the program where the library cannot open it.

use super::id::ObjectFormat;
use super::library::Library;
use super::program::Program;
use super::program_backend::ProgramBackend;
use crate::error::{Error, Result};
use git2::{ErrorCode, Repository};
use std::path::{Path, PathBuf};

/// Where the parts of a repository lie.
pub(super) struct Place {
    /// What belongs to this work tree alone.
    pub git_dir: PathBuf,
    /// What all work trees share.
    pub common_dir: PathBuf,
    /// The top of the work tree; none in a bare repository.
    pub work_tree: Option<PathBuf>,
    /// The index that counts.
    pub index: PathBuf,
}

/// The repository around a folder, or `None` where there is none.
pub(super) fn find(project: &Path) -> Result<Option<(Option<Library>, ProgramBackend, Place)>> {
    // A hook's relative GIT_DIR starts at the folder in which git runs it, which is the top of the work tree.
    let in_hook = std::env::var_os("GIT_DIR").is_some() || std::env::var_os("GIT_INDEX_FILE").is_some();
    let opened = if in_hook { Repository::open_from_env() } else { Repository::discover(project) };
    let program = if in_hook { Program::here(Path::new(".")) } else { Program::here(project) };
    match opened {
        Ok(repository) => {
            let place = of_library(&repository);
            let program = ProgramBackend { program, format: ObjectFormat::Sha1 };
            Ok(Some((Some(Library(repository)), program, place)))
        }
        Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
        Err(e) => {
            let found = of_program(&program).map_err(|cause| unreadable(project, &e, &cause))?;
            Ok(Some((None, ProgramBackend { program, format: found.1 }, found.0)))
        }
    }
}

fn of_library(repository: &Repository) -> Place {
    let git_dir = repository.path().to_path_buf();
    Place {
        index: index_of(&git_dir),
        common_dir: repository.commondir().to_path_buf(),
        work_tree: repository.workdir().map(Path::to_path_buf),
        git_dir,
    }
}

fn of_program(program: &Program) -> Result<(Place, ObjectFormat)> {
    let ask = |words: &[&str]| program.text(&[&["rev-parse", "--path-format=absolute"], words].concat());
    let git_dir = PathBuf::from(ask(&["--git-dir"])?);
    let format = ObjectFormat::parse(&program.text(&["rev-parse", "--show-object-format"])?)?;
    let bare = program.text(&["rev-parse", "--is-bare-repository"])? == "true";
    let work_tree = if bare { None } else { Some(PathBuf::from(ask(&["--show-toplevel"])?)) };
    let common_dir = PathBuf::from(ask(&["--git-common-dir"])?);
    Ok((Place { index: index_of(&git_dir), common_dir, work_tree, git_dir }, format))
}

fn index_of(git_dir: &Path) -> PathBuf {
    std::env::var_os("GIT_INDEX_FILE").map_or_else(|| git_dir.join("index"), PathBuf::from)
}

fn unreadable(project: &Path, library: &git2::Error, program: &Error) -> Error {
    let fault = Error::failed(format!("cannot read the git repository around {}", project.display())).cause(program);
    if library.code() != ErrorCode::Owner {
        return fault;
    }
    let top = project.canonicalize().unwrap_or_else(|_| project.to_path_buf());
    fault.help(format!("it belongs to another user; `git config --global --add safe.directory {}`", top.display()))
}
